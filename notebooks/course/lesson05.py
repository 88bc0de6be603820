"""Checks of the exercises of `05_train`; those of 2 and 3 train the lesson's three epochs themselves, in seconds."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mgdmkit import augmented_negative_loss, augmented_targets, config, mining
from mgdmkit.experiments import Prepared, Trained, Variant
from mgdmkit.runs import new_model, read_run
from mgdmkit.runs.processes import threads_for
from mgdmkit.training import learning_rate, parameter_groups

RECIPE = config.TrainConfig(k=3, epochs=3, warmup_epochs=1.0, lr=config.SMALL_TRAIN["lr"])


def exercise1(answer: Sequence[int]) -> None:
    columns = [int(number) for number in answer]
    assert len(columns) == 2, "Two numbers are asked for: one for k = 0, one for k = 7."
    assert columns[0] == 32, "With k = 0 every clip brings one text. How many does the batch have?"
    assert columns[1] == 32 * 8, "With k = 7 every clip brings a whole group: its own label, and its negatives."


def exercise2(answer: tuple[Sequence[float], int], prepared: Prepared) -> None:
    given, cut = answer
    norms, right = Tensor([float(norm) for norm in given]), Tensor(_three_epochs(prepared)[1])
    assert len(norms) == len(right), f"One norm per step, so {len(right)}, not {len(norms)}."
    assert torch.isclose(norms[0], right[0], rtol=0.01), (
        "The first norm should be that of section 1. Did you start from `new_model(small, seed=0)` and a new optimiser?"
    )
    assert len(set(norms.tolist())) > 1, "All norms are the same: keep the norm of every step, not one of them."
    assert norms.allclose(right, rtol=0.1), "The first norm is right, later ones are not. Is the loop as in section 2?"
    limit = RECIPE.clip_grad_norm
    assert int(cut) == int((norms > limit).sum()), f"The norms are right. How many of them are above {limit:g}?"


def exercise3(answer: Sequence[float], prepared: Prepared, right: Sequence[float]) -> None:
    losses = [float(loss) for loss in answer]
    assert len(losses) == len(right), f"One loss per epoch, so {len(right)}, not {len(losses)}."
    assert losses[0] != right[0], "These are the losses with `zero_grad`; without it the gradients add up."
    expected = Tensor(_three_epochs(prepared, forget=True)[0])
    assert Tensor(losses).allclose(expected, rtol=0.03), (
        "Not these. Start from new weights and a new optimiser, leave out `zero_grad` and nothing else, and take the "
        "mean over the clips of each epoch."
    )


def exercise4(answer: Trained, prepared: Prepared) -> None:
    trained, usual = read_run(answer.folder), read_run(Variant(3).folder(prepared, 0))
    assert trained["train"]["k"] == 3, f"This run has k = {trained['train']['k']}."
    assert trained["train"]["negatives"] == "bot", f"This run has the negatives {trained['train']['negatives']!r}."
    assert trained["train"] == usual["train"] | {"negatives": "bot"}, "More than the negatives differs from section 3."
    assert trained["model"] == usual["model"], "This is another model than that of section 3."
    assert answer.scores.top1.n == len(prepared.videos("test")), "It was scored on another split than the test clips."


def _three_epochs(prepared: Prepared, forget: bool = False) -> tuple[list[float], list[float]]:
    """`_train`, once for each of the two loops and each root."""
    loop = str(prepared.root), forget
    if loop not in _TRAINED:
        _TRAINED[loop] = _train(prepared, forget)
    return _TRAINED[loop]


_TRAINED: dict[tuple[str, bool], tuple[list[float], list[float]]] = {}


def _train(prepared: Prepared, forget: bool) -> tuple[list[float], list[float]]:
    """Losses of the epochs and norms of the gradients of the loop of section 2; `forget` leaves `zero_grad` out."""
    videos, texts = prepared.videos("train"), prepared.texts.text_features
    groups = torch.cat([videos.labels[:, None], mining.select(prepared.negatives_of("train"), RECIPE.k)], dim=1)
    T, D = videos.frame_features.shape[1:]
    small = config.MGDMConfig(frames=T, **config.SMALL_MODEL).for_backbone(D, prepared.features.logit_scale)
    model, losses, norms = new_model(small, seed=0), [], []
    optimizer = torch.optim.AdamW(parameter_groups(model, RECIPE.weight_decay), fused=True)
    steps = -(-len(videos) // RECIPE.batch_size)
    with threads_for(model):
        for epoch in range(RECIPE.epochs):
            total, order = 0.0, torch.randperm(len(videos), generator=torch.Generator().manual_seed(epoch))
            for batch in order.split(RECIPE.batch_size):
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate(len(norms), RECIPE.epochs * steps, steps, RECIPE.lr)
                logits = model(videos.frame_features[batch], texts[groups[batch]]).logits
                loss = augmented_negative_loss(logits, augmented_targets(videos.labels[batch], groups[batch]))
                if not forget:
                    optimizer.zero_grad()
                loss.backward()
                norms.append(nn.utils.clip_grad_norm_(model.parameters(), RECIPE.clip_grad_norm).item())
                optimizer.step()
                model.clamp_logit_scale()
                total += loss.item() * len(batch)
            losses.append(total / len(videos))
    return losses, norms
