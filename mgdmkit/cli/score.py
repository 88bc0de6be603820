"""What a run is worth and what it sees: `mgdm evaluate` and `mgdm predict`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from mgdmkit.cli.shared import Device, OfficialSplit, Pretrained, done

if TYPE_CHECKING:
    from mgdmkit.evaluation.scores import Scores

Inference = Literal["single", "rerank", "joint"] | None


def evaluate(
    features: Path | None = None,
    run: Path | None = None,
    manifest: Path | None = None,
    split: str = "test",
    official_split: OfficialSplit = None,
    inference: Inference = None,
    device: Device = "auto",
) -> None:
    """Score a run, or frozen CLIP without one, on exactly the clips of a split.

    A run is tested on the official split that it was trained on, which need not be given. Another split is refused, as
    are features of another CLIP, or with another number of frames. Scores on classes, on clips or with a prompt other
    than those of training go into a file of their own. confusion-SPLIT.csv beside the scores says which labels are
    taken for which.

    Args:
        features: Folder made by `mgdm features`; of the run's own CLIP (RUN/clip) for one made by `mgdm finetune`.
        run: Folder made by `mgdm train` or `mgdm finetune`; without it, zero-shot CLIP is scored.
        manifest: Instead of features, for a run made by `mgdm finetune`: the clips, which its own CLIP then encodes.
        split: The split to score.
        inference: What a class shares the discriminator's sequence with. After --context group: nothing (single), or
            the video's k best other classes, with the run's k (rerank). After --context joint: all (joint).
    """
    from mgdmkit.evaluation.recognizer import check_scores
    from mgdmkit.evaluation.scores import score
    from mgdmkit.inference import predict
    from mgdmkit.mining import zero_shot_logits
    from mgdmkit.runs.processes import is_main, map_rows
    from mgdmkit.runs.trained import load_model, read_run
    from mgdmkit.training.finetuning import is_finetuned

    if run is None:
        if inference:
            raise ValueError(f"--inference {inference} needs a --run; leave it out for zero-shot CLIP")
        cached, _ = _features_for(None, features, manifest, split, official_split, device)
        logits, path = zero_shot_logits(cached.frame_features, cached.text_features), features
        name = f"split{official_split}-{split}" if official_split else split
    else:
        model, k, path = load_model(run, device), read_run(run)["train"]["k"], run
        cached, other = _features_for(run, features, manifest, split, official_split, device)
        options = {"text_features": cached.text_features, "inference": inference, "k": k}
        logits = map_rows(lambda frames: predict(model, frames, **options), cached.frame_features)
        name = f"{split}-{inference}" if inference else split
        if other:
            print(f"another evaluation than the run's own: {other.told}")
            name += f"-other-{other.name}"
    check_scores(logits, list(cached.clips["id"]))
    scores, frozen = score(logits, cached.labels), None
    if run and not is_finetuned(run):  # the features of a fine-tuned run are of its own CLIP
        frozen = score(zero_shot_logits(cached.frame_features, cached.text_features), cached.labels)
    print(*_told(scores, cached.classes, frozen), sep="\n")
    if is_main():
        scores.to_json(path / f"scores-{name}.json", cached.classes)
        scores.confusion_to_csv(path / f"confusion-{name}.csv", cached.classes)
    print(f"confusion: {path / f'confusion-{name}.csv'}")
    done("scores", path / f"scores-{name}.json")


def _told(scores: "Scores", classes: Sequence[str], frozen: "Scores | None") -> list[str]:
    """The lines that say how good scores are, beside chance and frozen CLIP, and which labels are confused."""
    lines = [f"Top-1 {scores.top1}"]
    if len(classes) > 5:  # with fewer it is 100% by definition
        lines.append(f"Top-5 {scores.top5}")
    lines.append(f"chance: Top-1 {100 / len(classes):.1f}%")
    if frozen:
        lines.append(f"frozen CLIP on the same clips: Top-1 {frozen.top1}")
    if confused := scores.largest_confusions(classes):
        lines += ["largest confusions, true -> predicted:", *(f"  {line}" for line in confused)]
    return lines


def _features_for(run, features, manifest, split: str, official_split: int | None, device: str):
    """The clips of the split, and what makes scoring the run on them another evaluation than its own, if anything."""
    from mgdmkit.clip.features import load_features, read_clips, read_recipe
    from mgdmkit.data.manifest import read_manifest
    from mgdmkit.evaluation import recognizer
    from mgdmkit.evaluation.official_split import split_to_score
    from mgdmkit.training.finetuning import finetuned_features, is_finetuned

    if (features is None) == (manifest is None):
        raise ValueError("give either --features or, for a run made by `mgdm finetune`, --manifest")
    if features:
        number, other = official_split, None
        if run:
            other = recognizer.check_features(run, read_recipe(features), features)
            number = split_to_score(run, read_clips(features), official_split)
        return load_features(features, number, split), other
    if not run or not is_finetuned(run):
        raise ValueError("--manifest is for a --run made by `mgdm finetune`, which has its own CLIP; give --features")
    clips = read_manifest(manifest, official_split=official_split).table
    number = split_to_score(run, clips, official_split)
    tested = read_manifest(manifest, split, official_split=number)
    cached, folder = finetuned_features(run, tested, device=device), run / f"features-{tested.fingerprint()}"
    return cached, recognizer.check_features(run, read_recipe(folder), folder)


def _clips_of(folder: Path) -> str:
    """What to give instead of a folder."""
    from mgdmkit.data.manifest import is_clip

    found = next(filter(is_clip, sorted(folder.glob("*")) + sorted(folder.glob("*/*"))), None)
    return f"{folder} is a folder; " + (f"give clips: {found.parent}/*{found.suffix}" if found else "it holds no clip")


def predict(
    videos: tyro.conf.Positional[tuple[Path, ...]],
    run: Path,
    labels: Path | None = None,
    top: int = 5,
    inference: Inference = None,
    out: Path | None = None,
    clip: str | None = None,
    pretrained: Pretrained = None,
    device: Device = "auto",
) -> None:
    """Say what video files show: the best labels of each, with their scores.

    A score is a softmax over all labels, so it compares them with one another: a clip that shows none of them still
    has a best one. A file that can't be read is reported, and the others are still read; the exit status is then 2.

    Args:
        videos: The video files.
        run: Folder made by `mgdm train` or `mgdm finetune`.
        labels: Labels instead of the run's classes: a text file with a label on each line, or a CSV made by `mgdm
            corpus`. They need not have been trained on.
        top: Labels to name for each clip.
        inference: What a label shares the discriminator's sequence with, see `mgdm evaluate --help`.
        out: The CSV to write, too: video, rank, label, score.
        clip: The run's CLIP, if it is no longer where it was at training.
    """
    from mgdmkit.data.corpus import read_corpus
    from mgdmkit.data.manifest import check_names
    from mgdmkit.data.video import VideoError
    from mgdmkit.evaluation.recognizer import check_writable, load_run, predictions_csv

    if not videos:
        raise ValueError("name the video files: mgdm predict --run DIR clip.mp4 ...")
    names = read_corpus(labels).labels if labels else None
    if names and len(names) < 2:
        raise ValueError(f"{labels} holds one label, {names[0]!r}; labels are compared, so write at least two")
    if out:
        check_writable(out)
        check_names(videos)
    recognizer = load_run(run, clip=clip, pretrained=pretrained, device=device)
    found, failed = {}, 0
    for video in videos:
        try:
            if video.is_dir():
                raise VideoError(_clips_of(video))
            if not video.exists():
                raise VideoError(f"{video} is missing; correct the path (relative to {Path.cwd()}, or absolute)")
            found[video] = recognizer.classify(video, names, top, inference=inference)
        except VideoError as error:
            print(f"mgdm: {error}", file=sys.stderr, flush=True)
            failed += 1
            continue
        rows = zip(*found[video], strict=True)
        print(video, *(f"  {100 * score:5.1f}%  {label}" for label, score in rows), sep="\n", flush=True)
    if out and found:
        done("table", predictions_csv(out, found))
    if failed:
        print(f"mgdm: {failed} of {len(videos)} clips could not be read", file=sys.stderr)
        sys.exit(2)
