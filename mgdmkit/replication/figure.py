"""Figure 5 of the paper from finished runs: how far the discriminator moves the true label from the others.

A row for each dataset, one clip: on the left the video against the raw text embeddings, on the right against the
discriminated ones. `plots.split_similarity` says what the two axes are, and notebook 08 how little they prove.
"""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

from mgdmkit import plots
from mgdmkit.clip.features import Features, load_features
from mgdmkit.clip.features import read_recipe as read_features_recipe
from mgdmkit.config import write_text_atomic
from mgdmkit.data.cards import dataset_card
from mgdmkit.replication.recipes import FULL, TABLE_DATASET, Recipe, read_recipe
from mgdmkit.replication.rows import run_folder
from mgdmkit.replication.settings import DEFAULT, Options
from mgdmkit.replication.sources import Source
from mgdmkit.runs.folder import FolderError
from mgdmkit.runs.trained import load_model
from mgdmkit.training.finetuning import finetuned_features

PANELS = ("raw text", "discriminated text")


def figure5(
    sources: Sequence[Source],
    out: Path,
    *,
    clips: Sequence[str] = (),
    folder: Path | None = None,
    options: Options = DEFAULT,
) -> Path:
    """Draw `out/figure5.png` and `.svg` and write its points to `out/figure5.csv`.

    Args:
        sources: the clips of each dataset, from `open_source`; a row each.
        clips: for each dataset the id of the clip that is shown; the first scored one when not given.
        folder: other recipes than the kit's.
    Raises:
        FolderError: with the command, where `out` has no finished run of the full model.
        ValueError: for clips that are not there, or not one for each dataset.
    """
    if clips and len(clips) != len(sources):
        raise ValueError(f"{len(clips)} clips for {len(sources)} datasets; give one for each, or none")
    recipes = [options.overrides.apply(read_recipe(source.dataset, FULL, folder)) for source in sources]
    runs = [_finished(recipe, source, out, options, folder) for recipe, source in zip(recipes, sources, strict=True)]
    tables = []
    for recipe, source, run, clip in zip(recipes, sources, runs, clips or [None] * len(sources), strict=True):
        tables.append(points(run, _features(recipe, source, out, run, options), clip).assign(dataset=source.dataset))
    write_text_atomic(out / "figure5.csv", pd.concat(tables).to_csv(index=False))
    plots.save(_draw(tables), out / "figure5")
    return out / "figure5.png"


def points(run: Path, features: Features, clip: str | None = None) -> pd.DataFrame:
    """The points of one row: clip, class, true, panel, x, y; a row for each class and panel.

    Args:
        features: of the scored clips, as the run's CLIP sees them.
        clip: its id; the first one when not given.
    """
    ids = list(features.clips["id"])
    if clip is not None and clip not in ids:
        raise ValueError(f"{clip!r} is none of the {len(ids)} scored clips of {run}, first {ids[0]!r}")
    row = 0 if clip is None else ids.index(clip)
    V, raw, discriminated = vectors(run, features.frame_features[row], features.text_features)
    true, parts = features.clips["label"].iloc[row], []
    for panel, texts in zip(PANELS, (raw, discriminated), strict=True):
        x, y = plots.split_similarity(V, texts)
        part = pd.DataFrame({"clip": ids[row], "class": features.classes, "panel": panel, "x": x, "y": y})
        parts.append(part.assign(true=part["class"] == true))
    return pd.concat(parts)


@torch.no_grad()
def vectors(run: Path, frames: Tensor, texts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of one clip (T, D): V as guided by each class (C, D), the raw texts (C, D), and the discriminated ones (C, D)."""
    output = load_model(run)(frames[None], texts[:, None])
    if output.video_features.ndim == 4:  # guide="each": a group of one has one guide
        return output.video_features[0, :, 0], texts, output.text_features[:, 0]
    return output.video_features[0], texts, output.text_features[:, 0]


def _finished(recipe: Recipe, source: Source, out: Path, options: Options, folder: Path | None) -> Path:
    run = run_folder(recipe, source.official_split, out / source.dataset, options.training, seed=0)
    if not (run / "model.safetensors").is_file():
        raise FolderError(f"{run} holds no finished run; train it with `{_command(source, out, options, folder)}`")
    return run


def _command(source: Source, out: Path, options: Options, folder: Path | None) -> str:
    """What trains the missing run, with all that was given here, and the CLIP of the features that are there."""
    table = next(number for number, dataset in TABLE_DATASET.items() if dataset == source.dataset)
    given = {"--table": table, "--rows": FULL, "--data": source.path, "--out": out}
    given |= {"--official-split": source.official_split, "--corpus": options.overrides.corpus, "--recipes": folder}
    made = out / source.dataset / "features"
    if (made / "features.json").is_file():
        features = read_features_recipe(made)
        given |= {"--clip": features["clip"], "--pretrained": features.get("pretrained")}
    words = [str(word) for option, value in given.items() if value is not None for word in (option, value)]
    return shlex.join(["mgdm", "reproduce", *words, *["--frozen"] * options.frozen])


def _features(recipe: Recipe, source: Source, out: Path, run: Path, options: Options) -> Features:
    if not options.frozen:
        clips, decoding = source.manifest(recipe.scored), {"workers": options.workers, "quiet": options.quiet}
        return finetuned_features(run, clips, device=options.device, **decoding)
    features = load_features(source.path if source.is_features else out / source.dataset / "features")
    return replace(features, clips=features.clips.assign(split=list(source.table["split"]))).split(recipe.scored)


def _draw(tables: Sequence[pd.DataFrame]) -> Figure:
    plots.style()
    samples = []
    for table in tables:
        title, panels = dataset_card(table["dataset"].iloc[0])["title"], dict(list(table.groupby("panel")))
        true = int(panels[PANELS[0]]["true"].to_numpy().nonzero()[0][0])
        name = panels[PANELS[0]]["class"].iloc[true]
        points = [(panels[panel]["x"], panels[panel]["y"]) for panel in PANELS]
        samples.append(plots.Sample(f"{title}: {name}", true, *points))
    return plots.fig5(samples, figure=Figure())
