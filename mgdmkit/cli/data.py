"""What comes before training: `mgdm toy`, `clip`, `features`, `corpus`, `near` and `mine`."""

from pathlib import Path
from typing import Literal

from mgdmkit.cli.shared import Clip, Decoders, Device, OfficialSplit, Precision, Pretrained, Prompt, done


def toy(out: Path, seed: int = 0, train: int = 12, val: int = 4, test: int = 10, workers: int = 2) -> None:
    """Write StickActions, the dataset that the kit draws: real video files and their manifest.

    Args:
        out: Folder for the videos and manifest.csv.
        seed: Seeds the clips; another seed gives other clips.
        train: Training clips per class.
        val: Validation clips per class.
        test: Test clips per class.
        workers: Processes that render.
    """
    from mgdmkit.stickactions.dataset import StickActionsConfig, generate

    config = StickActionsConfig(seed=seed, train_per_class=train, val_per_class=val, test_per_class=test)
    done("dataset", generate(out, config, workers=workers))


def clip(
    out: Path,
    manifest: Path | None = None,
    official_split: OfficialSplit = None,
    steps: int = 600,
    batch_size: int = 128,
    lr: float = 1.5e-3,
    seed: int = 0,
    device: Device = "auto",
    workers: int = 1,
) -> None:
    """Train a small CLIP from scratch: on StickActions stills, or on the training clips of a manifest.

    The one that comes with the kit, `--clip small`, was made with the defaults of this command. Each official split
    needs its own CLIP, since one trained on a split has seen clips that another split tests.

    Args:
        out: Folder of the CLIP, in open_clip's own form.
        manifest: Train on frames of this manifest's training clips, with captions made from its labels; without it, on
            fresh StickActions stills with their captions.
        steps: Steps of the optimiser.
        batch_size: Pictures per step.
        lr: Peak learning rate.
        seed: Seeds weights and pictures.
        workers: Processes that render or decode during training.
    """
    from mgdmkit.clip.small import difference_from_shipped
    from mgdmkit.data.manifest import read_manifest
    from mgdmkit.runs.trained import read_history
    from mgdmkit.training.pretraining import ClipStills, PretrainConfig, StickStills, pretrain

    if official_split and not manifest:
        raise ValueError("--official-split needs a --manifest; StickActions has a single split")
    config = PretrainConfig(steps=steps, batch_size=batch_size, lr=lr, seed=seed)
    clips = read_manifest(manifest, "train", official_split=official_split) if manifest else None
    stills = ClipStills(clips, config) if clips else StickStills(config)
    trained = pretrain(stills, config, out, device=device, workers=workers)
    if not clips:
        apart = difference_from_shipped(trained.model.state_dict())
        same = "has the weights of" if apart == 0 else f"differs by up to {apart:.2g} in a weight from"
        print(f"this CLIP {same} the one that comes with the kit, --clip small")
    last = read_history(out)[-1]
    print(f"last batch: loss {last['loss']:.2f}, by guessing {last['chance']:.2f}")
    features = ("features", "--manifest", manifest, "--clip", out, "--out", out.parent / "features")
    done("small CLIP", out, *(features if manifest else ()))


def features(
    manifest: Path,
    clip: Clip,
    out: Path,
    pretrained: Pretrained = None,
    frames: int = 16,
    prompt: Prompt = "This is a video about {}",
    batch_size: int = 8,
    workers: Decoders = None,
    device: Device = "auto",
    precision: Precision = "fp32",
) -> None:
    """Encode every clip of a manifest, and the sentence of every class, with a frozen CLIP.

    Args:
        manifest: The clips.
        out: Folder of the features.
        frames: Frames per clip, T.
        batch_size: Clips per pass of the encoder.
    """
    from mgdmkit.clip.backbone import load_clip
    from mgdmkit.clip.features import extract_features
    from mgdmkit.data.manifest import read_manifest

    backbone = load_clip(clip, pretrained, device=device, precision=precision)
    options = {"frames": frames, "prompt": prompt, "batch_size": batch_size, "workers": workers}
    result = extract_features(read_manifest(manifest), backbone, out, **options)
    print(f"{len(result.clips)} clips x {frames} frames x {result.text_features.shape[1]}")
    done("features", out, "mine", "--features", out, "--out", out.parent / "negatives.csv")


def corpus(
    out: Path,
    datasets: tuple[Literal["ucf101", "hmdb51", "kinetics400"], ...] = (),
    lists: tuple[Path, ...] = (),
    labels: Literal["words", "raw"] = "words",
) -> None:
    """Write a corpus of labels to mine: the union of label lists, in which labels with the same words count once.

    Args:
        out: The CSV to write: label, sources. Rows may be deleted or added by hand.
        datasets: Datasets whose classes to take.
        lists: Label lists of your own: text files with a label on each line, or CSVs with a column label.
        labels: How a dataset's labels are written: as words, or raw, as its files and folders spell them.
    """
    from mgdmkit.data.cards import dataset_classes
    from mgdmkit.data.corpus import label_list, read_corpus, union, write_corpus

    field = {"words": "label", "raw": "name"}[labels]
    parts = [label_list((getattr(row, field) for row in dataset_classes(name)), name) for name in datasets]
    parts += [read_corpus(path) for path in lists]
    if not parts:
        raise ValueError("say what the corpus is made of: --datasets, --lists, or both")
    merged = union(*parts)
    print(f"{sum(len(part.labels) for part in parts)} rows, {len(merged.labels)} distinct labels")
    done("corpus", write_corpus(out, merged))


def near(
    corpus: Path,
    clip: Clip,
    out: Path,
    pretrained: Pretrained = None,
    threshold: float = 0.9,
    top: int = 200,
    prompt: Prompt = "This is a video about {}",
    device: Device = "auto",
    precision: Precision = "fp32",
) -> None:
    """List the labels of a corpus that may mean the same, by how similar CLIP finds their sentences.

    Write yes in the column exclude where two labels must not be mined for each other, then give the file to `mgdm
    mine --exclude`. Delete a label from the corpus if no dataset should be trained against it.

    Args:
        corpus: A CSV made by `mgdm corpus`, or a text file with a label on each line.
        out: The CSV to write: label_a, label_b, similarity, exclude. It must not exist yet.
        threshold: Lowest cosine of a pair; different spellings of the same words are always listed.
        top: Pairs to list at most, the most similar ones.
    """
    from mgdmkit.clip.backbone import load_clip
    from mgdmkit.data.corpus import prompts, read_corpus
    from mgdmkit.data.exclusions import keep_decisions, near_duplicates, write_near

    labels = read_corpus(corpus).labels
    keep_decisions(out)  # before the work
    backbone = load_clip(clip, pretrained, device=device, precision=precision)
    texts = backbone.encode_text(prompts(labels, prompt))
    pairs = near_duplicates(labels, texts, threshold=threshold, top=top)
    print(f"{len(labels)} labels, {len(pairs)} pairs to decide on")
    done("near-duplicates", write_near(out, pairs))


def mine(
    features: Path,
    out: Path,
    depth: int | None = None,
    corpus: Path | None = None,
    exclude: tuple[Path, ...] = (),
    clip: str | None = None,
    pretrained: Pretrained = None,
    device: Device = "auto",
) -> None:
    """Mine the labels that frozen CLIP most confuses with each clip's own (eq. 10-12).

    Args:
        features: Folder made by `mgdm features`.
        out: The CSV to write: clip, label and its rank, then label:score, hardest first.
        depth: Negatives per clip; when not given, 9, or all other labels if there are fewer.
        corpus: Labels to mine beside the classes: a CSV made by `mgdm corpus`, or a text file of labels.
        exclude: CSVs made by `mgdm near`, decided by hand: pairs with exclude = yes are not mined for each other. A
            column id limits a row to one clip.
        clip: The CLIP that made the features, for labels that it has not read yet; when not given, it is looked for
            where it was then.
    """
    from mgdmkit.clip.features import corpus_texts, encode_texts, load_features, missing_texts
    from mgdmkit.data.corpus import mining_corpus, read_corpus
    from mgdmkit.data.exclusions import locate, read_exclusions
    from mgdmkit.experiments.pipeline import DEPTH, mine_to_csv
    from mgdmkit.runs.processes import main_first

    cached = load_features(features)
    labels = mining_corpus(cached.classes, read_corpus(corpus).labels if corpus else ())
    excluded = locate(read_exclusions(*exclude), labels, list(cached.clips["id"]), list(cached.clips["label"]))
    with main_first():
        if missing_texts(features, labels):
            encode_texts(features, labels, _clip_of(features, clip, pretrained, device))
    depth = min(DEPTH, len(labels) - 1) if depth is None else depth
    negatives = mine_to_csv(cached, out, depth, corpus=corpus_texts(features, labels), excluded=excluded)
    if corpus:
        print(f"{len(labels)} labels: {len(cached.classes)} classes and what else {corpus} offers")
    if exclude:
        print(f"excluded: {len(excluded.pairs)} pairs of labels, and {len(excluded.of_clips)} labels of single clips")
    if excluded.unused:
        a, b, of_clip, where = excluded.unused[0]
        print(f"without effect: {len(excluded.unused)} exclusions of labels or clips that are not here, first {where}:")
        print(f"  {a!r} and {b!r}" + (f" of {of_clip!r}" if of_clip else ""))
    right = (negatives.positive_rank == 0).float().mean()
    print(f"{len(cached.clips)} clips; frozen CLIP ranks the true label first for {100 * right:.1f}% of them")
    k = min(3, depth)
    command = ("train", "small", "--k", k, "--features", features, "--mined", out, "--out", out.parent / f"k{k}")
    done("negatives", out, *command)


def _clip_of(features: Path, clip: str | None, pretrained: str | None, device: str):
    """The CLIP that made some features, where it was then or as it is given."""
    from mgdmkit.clip.backbone import ClipWeightsError, load_clip
    from mgdmkit.clip.features import read_recipe

    if clip:
        return load_clip(clip, pretrained, device)
    made_by = read_recipe(features)
    try:
        return load_clip(made_by["clip"], pretrained or made_by["pretrained"], device)
    except ClipWeightsError as error:
        raise ClipWeightsError(
            f"{features} was made by the CLIP {made_by['clip']}, which has to read new labels and can't be opened. If "
            f"it lies elsewhere now, say where: --clip FOLDER, or --clip MODEL --pretrained TAG_OR_FILE.\n{error}"
        ) from error
