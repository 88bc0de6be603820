"""Figure 5 of the paper from finished runs: how far the discriminator moves the true label from the others.

A row for each dataset, one clip: on the left the video against the raw text embeddings, on the right against the
discriminated ones. `plots.split_similarity` says what the two axes are, and notebook 11 how little they prove.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

from mgdmkit import plots
from mgdmkit.clip.features import Features, load_features
from mgdmkit.clip.features import read_recipe as read_features_recipe
from mgdmkit.data.cards import dataset_card
from mgdmkit.files import write_text_atomic
from mgdmkit.mining import mine_negatives
from mgdmkit.replication.options import Options
from mgdmkit.replication.recipes import FULL, TABLE_DATASET, Recipe, read_recipe
from mgdmkit.replication.rows import run_folder, scored_features
from mgdmkit.replication.sources import Source
from mgdmkit.runs.folder import FolderError
from mgdmkit.runs.trained import load_model

PANELS = ("raw text", "discriminated text")


def figure5(sources: Sequence[Source], out: Path, options: Options, clips: Sequence[str] = ()) -> Path:
    """Draw `out/figure5.png` and `.svg` and write its points to `out/figure5.csv`.

    Args:
        sources: the clips of each dataset, from `open_sources`; a row each.
        clips: for each dataset the id of the clip that is shown; the first scored one when not given.
    Raises:
        FolderError: with the command, where `out` has no finished run of the full model.
        ValueError: for clips that are not there, or not one for each dataset.
    """
    if clips and len(clips) != len(sources):
        raise ValueError(f"{len(clips)} clips for {len(sources)} datasets; give one for each, or none")
    recipes = [read_recipe(source.dataset, FULL, options.recipes).changed(options) for source in sources]
    runs = [_finished(recipe, source, out, options) for recipe, source in zip(recipes, sources, strict=True)]
    drawn = []
    for recipe, source, run, clip in zip(recipes, sources, runs, clips or [None] * len(sources), strict=True):
        drawn.append(_row(source.dataset, run, _features(recipe, source, out, run, options), clip))
    tables, samples = zip(*drawn, strict=True)
    write_text_atomic(out / "figure5.csv", pd.concat(tables).to_csv(index=False))
    plots.style()
    plots.save(plots.fig5(samples, figure=Figure()), out / "figure5")
    return out / "figure5.png"


def _row(dataset: str, run: Path, features: Features, clip: str | None) -> tuple[pd.DataFrame, plots.Sample]:
    """The points of one row as a table, a line for each class and panel, and as they are drawn.

    Args:
        features: of the scored clips, as the run's CLIP sees them.
        clip: its id; the first one when not given.
    """
    ids, classes = list(features.clips["id"]), features.classes
    if clip is not None and clip not in ids:
        raise ValueError(f"{clip!r} is none of the {len(ids)} scored clips of {run}, first {ids[0]!r}")
    i = 0 if clip is None else ids.index(clip)
    label = features.clips["label"].iloc[i]
    V, *texts = vectors(run, features.frame_features[i], features.text_features)
    panels = [plots.split_similarity(V, each) for each in texts]
    common = {"true": [name == label for name in classes], "dataset": dataset}
    own, one = features.labels[i : i + 1], features.frame_features[i : i + 1]
    hardest = int(mine_negatives(one, features.text_features, own, 1).indices[0, 0])
    table = pd.concat(
        pd.DataFrame({"clip": ids[i], "class": classes, "panel": panel, "x": x, "y": y, **common})
        for panel, (x, y) in zip(PANELS, panels, strict=True)
    )
    title = f"{dataset_card(dataset)['title']}: {label}"
    return table, plots.Sample(title, classes.index(label), *panels, hardest, classes[hardest])


@torch.no_grad()
def vectors(run: Path, frames: Tensor, texts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of one clip (T, D): V as guided by each class (C, D), the raw texts (C, D), and the discriminated ones (C, D)."""
    output = load_model(run)(frames[None], texts[:, None])
    if output.video_features.ndim == 4:  # guide="each": a group of one has one guide
        return output.video_features[0, :, 0], texts, output.text_features[:, 0]
    return output.video_features[0], texts, output.text_features[:, 0]


def _finished(recipe: Recipe, source: Source, out: Path, options: Options) -> Path:
    run = run_folder(recipe, source.official_split, out / source.dataset, options.training, seed=0)
    if not (run / "model.safetensors").is_file():
        raise FolderError(f"{run} holds no finished run; train it with `{_command(source, out, options)}`")
    return run


def _command(source: Source, out: Path, options: Options) -> str:
    """What trains the missing run, with all that was given here, and the CLIP of the features that are there."""
    table = next(number for number, dataset in TABLE_DATASET.items() if dataset == source.dataset)
    given = {"--table": table, "--rows": FULL, "--data": source.path, "--out": out}
    given |= {"--official-split": source.official_split, "--corpus": options.corpus, "--recipes": options.recipes}
    made = out / source.dataset / "features"
    if (made / "features.json").is_file():
        features = read_features_recipe(made)
        given |= {"--clip": features["clip"], "--pretrained": features["pretrained"]}
    words = [str(word) for option, value in given.items() if value is not None for word in (option, value)]
    return shlex.join(["mgdm", "reproduce", *words, *["--frozen"] * options.frozen])


def _features(recipe: Recipe, source: Source, out: Path, run: Path, options: Options) -> Features:
    if not options.frozen:
        return scored_features(run, recipe, source, options)
    return source.in_force(load_features(source.features_folder(out / source.dataset))).split(recipe.scored)
