"""Beyond the paper: other negatives at the cost of the paper's fixed k = 3. Chosen on validation, confirmed once.

    python benchmarks/beyond.py --out results/beyond_val.csv --workers 2
    python benchmarks/beyond.py --out results/beyond.csv --workers 2 --split test --seeds 10 --only "NAME"

A variant says which labels a training video heads in an epoch, and which texts a class meets when it is tested:

    k = 3                 the paper: the three hardest, the same in every epoch
    k = 0                 none
    adaptive, margin m    of the nine hardest those that CLIP holds to be at most e^m times less likely than the label
    drawn by score        three of the nine hardest, drawn anew in every epoch in proportion to CLIP's score
    drawn evenly          three of all labels, drawn anew in every epoch: the control of the one above
    growing               none at first, then one, two and three of the hardest, a quarter of the training each
    typical               the three labels that were most often mined for the class, in training and in the test alike

The loop below is the library's `fit` in short. It starts from the same weights and sees the same batches; for k = 3 it
must give the library's own losses, which is checked before anything is trained.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import torch
import tyro
from safetensors.torch import load_file
from torch import Tensor, nn
from tqdm import tqdm

from mgdmkit.config import SMALL_MODEL, SMALL_TRAIN, MGDMConfig, TrainConfig
from mgdmkit.evaluation.scores import score
from mgdmkit.experiments.grids import variant
from mgdmkit.experiments.pipeline import Prepared, prepare
from mgdmkit.experiments.variants import compare, correct, difference
from mgdmkit.files import write_text_atomic
from mgdmkit.inference import predict
from mgdmkit.loss import augmented_negative_loss, augmented_targets
from mgdmkit.mining import adaptive, random_negatives, select
from mgdmkit.model import MGDM
from mgdmkit.pool import pool
from mgdmkit.runs.folder import save_tensors
from mgdmkit.runs.trained import new_model, read_history
from mgdmkit.training.optim import learning_rate, parameter_groups

K = 3
CONFIG = TrainConfig(k=K, **SMALL_TRAIN)

Draw = Callable[[Prepared, int, int], Tensor]
"""(prepared, seed, epoch) -> (N, k) labels of the training videos' negatives; -1 where there is none."""


def fixed(k: int) -> Draw:
    return lambda prepared, seed, epoch: select(prepared.negatives_of("train"), k)


def within(margin: float) -> Draw:
    return lambda prepared, seed, epoch: adaptive(prepared.negatives_of("train"), 9, margin)


def by_score(prepared: Prepared, seed: int, epoch: int) -> Tensor:
    """Three of the nine hardest without repeats, in proportion to CLIP's score: the largest of log p + Gumbel noise."""
    mined = prepared.negatives_of("train")
    noise = -torch.rand(mined.scores.shape, generator=_generator(seed, epoch)).log()  # exponential
    return mined.indices.gather(1, (mined.scores.log() - noise.log()).topk(K).indices)


def evenly(prepared: Prepared, seed: int, epoch: int) -> Tensor:
    labels = prepared.videos("train").labels
    return random_negatives(labels, len(prepared.texts.labels), K, _generator(seed, epoch))


def growing(prepared: Prepared, seed: int, epoch: int) -> Tensor:
    hardest, k = select(prepared.negatives_of("train"), K), (K + 1) * epoch // CONFIG.epochs
    return hardest.masked_fill(torch.arange(K) >= k, -1)


def typical(prepared: Prepared, seed: int = 0, epoch: int = 0) -> Tensor:
    return of_classes(prepared)[prepared.videos("train").labels]


def of_classes(prepared: Prepared) -> Tensor:
    """(C, K) the labels most often among the K hardest of a class' training videos; of equals the first."""
    labels, n = prepared.videos("train").labels, len(prepared.texts.labels)
    counts = torch.zeros(len(prepared.features.classes), n)
    mined = select(prepared.negatives_of("train"), K)
    counts.index_put_((labels[:, None].expand_as(mined), mined), torch.ones(mined.shape), accumulate=True)
    return counts.argsort(dim=1, descending=True, stable=True)[:, :K]


def _generator(seed: int, epoch: int) -> torch.Generator:
    return torch.Generator().manual_seed((seed + 1) * 1_000_003 + epoch)


FAMILY: dict[str, Draw] = {
    "k = 3": fixed(K),
    "k = 0": fixed(0),
    "adaptive, margin 1": within(1.0),
    "adaptive, margin 2": within(2.0),
    "adaptive, margin 4": within(4.0),
    "drawn by score": by_score,
    "drawn evenly": evenly,
    "growing": growing,
    "typical": typical,
}
LIBRARY = {"k = 3": K, "k = 0": 0}
"""What the library trains itself."""


def fit(prepared: Prepared, draw: Draw, seed: int, epochs: int = CONFIG.epochs) -> tuple[MGDM, list[float]]:
    """The library's training, with negatives that may change from epoch to epoch; the model and its losses."""
    videos, text_features = prepared.videos("train"), prepared.texts.text_features
    D, T = text_features.shape[1], videos.frame_features.shape[1]
    config = MGDMConfig(frames=T, **SMALL_MODEL).for_backbone(D, prepared.features.logit_scale)
    model = new_model(config, seed)
    optimizer = torch.optim.AdamW(parameter_groups(model, CONFIG.weight_decay), betas=(0.9, 0.999), fused=True)
    losses = []
    for epoch in range(epochs):
        groups = torch.cat([videos.labels[:, None], draw(prepared, seed, epoch)], dim=1)
        order = torch.randperm(len(videos), generator=torch.Generator().manual_seed(seed * 100_003 + epoch))
        batches, total = order.split(CONFIG.batch_size), 0.0
        for i, rows in enumerate(batches):
            step, steps = epoch * len(batches) + i, CONFIG.epochs * len(batches)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, steps, round(CONFIG.warmup_epochs * len(batches)), CONFIG.lr)
            optimizer.zero_grad(set_to_none=True)
            texts = groups[rows]
            absent = texts < 0 if (texts < 0).any() else None
            logits = model(videos.frame_features[rows], text_features[texts.clamp(min=0)], None, absent).logits
            targets = augmented_targets(videos.labels[rows], texts)
            loss = augmented_negative_loss(logits, targets, absent=absent)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), CONFIG.clip_grad_norm)
            optimizer.step()
            model.clamp_logit_scale()
            total += loss.item() * len(rows)
        losses.append(total / len(videos))
    return model.eval(), losses


def train(root: Path, preset: str, name: str, seed: int) -> None:
    """Leave the trained model of a variant under the root; nothing to do when it is there."""
    torch.set_num_threads(1)
    prepared = prepare(root, preset, quiet=True)
    if name in LIBRARY:
        variant(k=LIBRARY[name]).run(prepared, seed, quiet=True, watch=False)
    elif not _weights(root, name, seed).exists():
        model, _ = fit(prepared, FAMILY[name], seed)
        save_tensors(_weights(root, name, seed), model.state_dict())


def _weights(root: Path, name: str, seed: int) -> Path:
    return root / "beyond" / f"{name}-seed{seed}.safetensors"


@torch.no_grad()
def logits_of(prepared: Prepared, name: str, seed: int, split: str) -> Tensor:
    """(N, C) logits of a split."""
    if name in LIBRARY:
        return variant(k=LIBRARY[name]).run(prepared, seed, split, quiet=True, watch=False).logits
    texts, frames = prepared.features.text_features, prepared.videos(split).frame_features
    config = MGDMConfig(frames=frames.shape[1], **SMALL_MODEL)
    model = MGDM(config.for_backbone(texts.shape[1], prepared.features.logit_scale)).eval()
    model.load_state_dict(load_file(_weights(prepared.root, name, seed)))
    if name != "typical":
        return predict(model, frames, texts)
    groups = torch.cat([torch.arange(len(texts))[:, None], of_classes(prepared)], dim=1)
    texts = prepared.texts.text_features[groups]  # (C, 1 + k, D)
    return torch.cat([model(part, texts).logits[:, :, 0] for part in frames.split(64)])


def same_as_library(prepared: Prepared, epochs: int = 2) -> None:
    """The loop above and the library's must give the same losses, or the table would compare two programs."""
    library = variant(k=K)
    library.run(prepared, 0, quiet=True, watch=False)
    theirs = [line["loss"] for line in read_history(library.folder(prepared, 0))[:epochs]]
    ours = fit(prepared, fixed(K), 0, epochs)[1]
    torch.testing.assert_close(torch.tensor(ours), torch.tensor(theirs), rtol=1e-4, atol=1e-6)


def main(
    out: Path,
    root: Path = Path("runs/demo"),
    preset: str = "demo",
    split: str = "val",
    seeds: int = 5,
    workers: int = 1,
    only: Sequence[str] = (),
) -> None:
    """Train the family, score it on a split and compare each with k = 3.

    Args:
        out: The CSV to write.
        root: Where features, negatives and runs lie; what is missing is made.
        preset: The preset of that root.
        split: Where it is scored: val to choose, test to confirm what was chosen.
        seeds: Trainings of each variant.
        workers: Processes that train, one core each.
        only: Variants to score beside k = 3 and k = 0; all when empty.
    """
    if unknown := [name for name in only if name not in FAMILY]:
        raise SystemExit(f"no variant is called {unknown[0]!r}; there are {', '.join(FAMILY)}")
    torch.set_num_threads(1)
    prepared = prepare(root, preset, quiet=True)
    same_as_library(prepared)
    names = [name for name in FAMILY if not only or name in (*LIBRARY, *only)]
    with pool(workers) as trainers:
        jobs = [trainers.submit(train, root, preset, name, seed) for seed in range(seeds) for name in names]
        for job in tqdm(jobs, desc="trainings", unit="run"):
            job.result()
    labels = prepared.videos(split).labels
    logits = {name: [logits_of(prepared, name, seed, split) for seed in range(seeds)] for name in names}
    rows = []
    for name, found in logits.items():
        top1 = torch.tensor([score(of_seed, labels).top1.value for of_seed in found], dtype=torch.double) * 100
        spread = round(top1.std().item(), 2) if seeds > 1 else ""
        row = {"run": name, "split": split, "seeds": seeds, "N": len(labels), "top1_mean": round(top1.mean().item(), 2)}
        row |= {"top1_std": spread, "top1_seeds": " ".join(f"{x:.2f}" for x in top1.tolist())}
        if name != "k = 3":
            other = logits["k = 3"]
            row |= {"against": "k = 3", **compare(correct(found, labels), correct(other, labels))}
            top5 = difference(correct(found, labels, best=5), correct(other, labels, best=5))
            row |= {f"top5_{key}": value for key, value in top5.items()}
        rows.append(row)
    table = pd.DataFrame(rows)
    write_text_atomic(out, table.to_csv(index=False))
    shown = ["run", "N", "top1_mean", "top1_std", "difference", "low", "high", "mcnemar_p"]
    print(table[shown].to_string(index=False, na_rep=""))
    print(f"table: {out}")


if __name__ == "__main__":
    tyro.cli(main)
