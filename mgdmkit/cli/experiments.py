"""`mgdm experiment ...`: grids of training runs over seeds; also `mgdm notebooks` and `mgdm complexity`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from mgdmkit.cli.shared import done

app = tyro.extras.SubcommandApp()
ROOT = Path("runs/demo")


@dataclass(frozen=True)
class Experiment:
    """The options of all experiments."""

    out: Path  # The CSV to write, a row per variant; further tables, such as NAME_runs.csv, go beside it.
    root: Path = ROOT  # Where data, weights, features and runs live; what is missing is made.
    preset: str = "demo"  # smoke, demo or full; own: the root holds features/ and negatives.csv of your own videos.
    seeds: int = 5  # Training runs of each variant.
    workers: int = 1  # Processes that train, one core each.

    def prepared(self):
        from mgdmkit.experiments.pipeline import prepare

        return prepare(self.root, self.preset)


Common = Annotated[Experiment, tyro.conf.arg(name="")]


@app.command
def grid(
    common: Common,
    name: Annotated[str, tyro.conf.Positional] = "",
    vary: tuple[str, ...] = (),
    split: Literal["val", "test"] | None = None,
) -> None:
    """Train the variants of a grid over seeds, score them on the same videos and compare them.

    `mgdm experiment grids` lists the grids. Rows that need more negatives than your own classes have are left out.

    Args:
        name: A grid by its name.
        vary: Instead of a name: options of model, training or test with their values, such as k=0,3,7 and
            guide=positive,each; every combination is a row, compared with the first.
        split: Where the rows are scored; when not given, the grid's own. Choose on val, and read test once.
    """
    from mgdmkit.experiments.grids import named_grid, product
    from mgdmkit.experiments.variants import run_grid

    if bool(name) == bool(vary):
        raise ValueError("give the name of a grid, or --vary with options and their values; `mgdm experiment grids`")
    varied = product(vary) if vary else None
    prepared = common.prepared()
    depth, labels = prepared.negatives.indices.shape[1], len(prepared.texts.labels)
    chosen = varied or named_grid(name, depth, labels)
    how = {"split": split or chosen.split, "curves": chosen.curves, "detail": chosen.detail}
    table = run_grid(prepared, chosen.rows, common.seeds, common.out, workers=common.workers, **how).summary
    shown = ["run", "seeds", "N", "top1_mean", "top1_std", "top5_mean", "difference", "low", "high", "mcnemar_p"]
    print(table[[column for column in shown if column in table]].to_string(index=False, na_rep=""))
    done("table", common.out)


@app.command
def grids() -> None:
    """List the grids that `mgdm experiment grid` knows by name."""
    from mgdmkit.experiments.grids import about

    print(about())


@app.command
def blind(common: Common, negatives: int = 3) -> None:
    """Shortcut audit: can the positive be found in its group without the video? On the test split.

    Args:
        negatives: k, hard negatives in a group.
    """
    from mgdmkit.experiments.audit import audit

    table = audit(common.prepared(), negatives, common.seeds, common.out, workers=common.workers)
    columns = ["context", "guide", "trained", "blindfold"]
    print(table.groupby(columns, sort=False)[["accuracy", "chance"]].mean().round(2).to_string())
    done("table", common.out)


def notebooks(out: Path = ROOT, preset: Literal["smoke", "demo", "full"] = "demo", only: str = "") -> None:
    """Execute the notebooks, two at a time, and keep the executed copies.

    Args:
        out: Folder of everything that the notebooks make.
        preset: How much work: smoke (seconds), demo (minutes), full (an hour).
        only: Numbers of the notebooks to run, such as "00,05"; all of them when empty.
    """
    from mgdmkit.cli.headless import run_all
    from mgdmkit.resources import resource

    chosen = [number.strip() for number in only.split(",") if number.strip()] or None
    done("executed notebooks", run_all(resource("notebooks"), out, preset, chosen))


def complexity(
    clip: str = "ViT-L-14",
    frames: int = 16,
    k: int = 7,
    temporal_layers: int = 6,
    semantic_layers: int = 2,
    out: Path | None = None,
) -> None:
    """Count multiply-adds and parameters (Table 8), both as the paper counts them and in truth; needs no weights.

    Args:
        clip: An open_clip model whose towers are CLIP's transformers, a folder made by `mgdm clip`, or small.
        frames: Frames per video, T.
        k: Negatives per video.
        temporal_layers: Blocks of the video representer.
        semantic_layers: Blocks of the semantic discriminator.
        out: Also write the first table as a CSV.
    """
    from mgdmkit.evaluation.complexity import PAPER_TABLE8, SEEN_BY_THE_PAPER, added, parts, splits, table8
    from mgdmkit.files import write_text_atomic

    def show(title: str, rows) -> None:
        print(title, rows.to_string(index=False, float_format="{:.6f}".format), sep="\n")

    depth = {"temporal_layers": temporal_layers, "semantic_layers": semantic_layers}
    table, share = table8(clip, frames, **depth, ks=sorted({0, k})), parts(clip, frames, k, **depth)
    blocks, more = temporal_layers + semantic_layers, added(share)
    show(f"{clip}, one video of {frames} frames: 1e9 multiply-adds (gmac), 1e6 parameters (mparams)", table)
    printed = "; ".join(f"{model} {gmac} G, {mparams} M" for model, (gmac, mparams) in PAPER_TABLE8.items())
    print(f"The paper prints, for ViT-L-14 and 16 frames: {printed}\n{SEEN_BY_THE_PAPER}\n")
    show(f"The parts of MGDM, k = {k}", share)
    print(
        f"The modules add {more['modules']:.3f}% to CLIP with one prompt ({more['paper']:.3f}% as the paper counts),\n"
        f"{k} more prompts {more['prompts']:.3f}%, unless text embeddings are cached.\n"
    )
    depths = splits(clip, blocks, frames)
    fits = "; fits: as the paper prints" if "fits" in depths else ""
    show(f"Splits of {blocks} blocks, as the paper counts{fits}", depths)
    if out:
        write_text_atomic(out, table.to_csv(index=False))
        done("table", out)
