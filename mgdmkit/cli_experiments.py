"""`mgdm experiment ...`: grids of trainings over seeds. Beside them `mgdm notebooks` and `mgdm complexity`."""

from pathlib import Path
from typing import Literal

import tyro

from mgdmkit.cli import done

app = tyro.extras.SubcommandApp()
ROOT = Path("runs/demo")


@app.command
def k(out: Path, root: Path = ROOT, preset: str = "demo", seeds: int = 3, workers: int = 1) -> None:
    """No negatives, 3 and 7 hard ones, 3 random ones, on the test split of StickActions.

    With few classes of your own there are not so many negatives; a k that does not exist is left out.

    Args:
        out: The CSV to write, a row for each run.
        root: Where data, weights, features and runs live; what is missing is made.
        preset: smoke, demo or full; own: the root holds features/ and negatives.csv of your own videos.
        seeds: Trainings of each variant.
        workers: Processes that train, one core each.
    """
    from mgdmkit.experiments import K_GRID, run_grid, summary
    from mgdmkit.pipeline import prepare

    prepared = prepare(root, preset)
    variants = [variant for variant in K_GRID if variant.k <= prepared.negatives.indices.shape[1]]
    print(summary(run_grid(prepared, variants, seeds, out, workers=workers)).to_string())
    done("table", out)


@app.command
def recipe(out: Path, root: Path = ROOT, preset: str = "demo", seeds: int = 2, workers: int = 1) -> None:
    """Learning rate and epochs of the small recipe, on the validation split of StickActions.

    Args:
        out: The CSV to write, a row for each run.
        root: Where data, weights, features and runs live; what is missing is made.
        preset: smoke, demo or full; own: the root holds features/ and negatives.csv of your own videos.
        seeds: Trainings of each variant.
        workers: Processes that train, one core each.
    """
    from mgdmkit.experiments import RECIPE_GRID, run_grid, summary
    from mgdmkit.pipeline import prepare

    table = run_grid(prepare(root, preset), RECIPE_GRID, seeds, out, split="val", workers=workers)
    print(summary(table).to_string())
    done("table", out)


@app.command
def readings(
    out: Path, root: Path = ROOT, preset: str = "demo", seeds: int = 3, negatives: int = 3, workers: int = 1
) -> None:
    """Each reading of the paper against the default, paired over the test videos of StickActions and the seeds.

    Args:
        out: The CSV to write, a row for each reading; the runs go beside it, to NAME_runs.csv.
        root: Where data, weights, features and runs live; what is missing is made.
        preset: smoke, demo or full; own: the root holds features/ and negatives.csv of your own videos.
        seeds: Trainings of each reading.
        negatives: k, hard negatives in a group.
        workers: Processes that train, one core each.
    """
    from mgdmkit.experiments import compare_readings
    from mgdmkit.pipeline import prepare

    print(compare_readings(prepare(root, preset), negatives, seeds, out, workers=workers).to_string(index=False))
    done("table", out)


@app.command
def blind(
    out: Path, root: Path = ROOT, preset: str = "demo", seeds: int = 3, negatives: int = 3, workers: int = 1
) -> None:
    """Shortcut audit: can the positive be told from its group without the video? On the test split of StickActions.

    Args:
        out: The CSV to write: context, guide, trained or not, blindfold, seed, accuracy with its interval, chance.
        root: Where data, weights, features and runs live; what is missing is made.
        preset: smoke, demo or full; own: the root holds features/ and negatives.csv of your own videos.
        seeds: Trainings of each variant.
        negatives: k, hard negatives in a group.
        workers: Processes that train, one core each.
    """
    from mgdmkit.experiments import audit
    from mgdmkit.pipeline import prepare

    print(audit(prepare(root, preset), negatives, seeds, out, workers=workers).to_string(index=False))
    done("table", out)


def notebooks(out: Path = ROOT, preset: Literal["smoke", "demo", "full"] = "demo", only: str = "") -> None:
    """Execute the notebooks in order and write a page with their scores and figures.

    Args:
        out: Folder of everything that the notebooks make.
        preset: How much work: smoke (seconds), demo (minutes), full (an hour).
        only: Numbers of the notebooks to run, such as "00,05"; all of them when empty.
    """
    from mgdmkit.headless import run_all

    chosen = [number.strip() for number in only.split(",") if number.strip()] or None
    done("results", run_all(Path("notebooks"), out, preset, chosen))


def complexity(
    clip: str = "ViT-L-14",
    frames: int = 16,
    k: int = 7,
    temporal_layers: int = 6,
    semantic_layers: int = 2,
    out: Path | None = None,
) -> None:
    """Count multiply-adds and parameters (Table 8), as the paper counts and in truth; needs no weights.

    Args:
        clip: An open_clip model whose towers are CLIP's transformers, or a folder made by `mgdm clip`.
        frames: Frames per video, T.
        k: Negatives per video.
        temporal_layers: Blocks of the video representer.
        semantic_layers: Blocks of the semantic discriminator.
        out: Write the first table as a CSV, too.
    """
    from mgdmkit.complexity import PAPER_TABLE8, SEEN_BY_THE_PAPER, added, parts, splits, table8
    from mgdmkit.config import write_text_atomic

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
    show(f"Splits of {blocks} blocks, as the paper counts; fits: as the paper prints", splits(clip, blocks, frames))
    if out:
        write_text_atomic(out, table.to_csv(index=False))
        done("table", out)
