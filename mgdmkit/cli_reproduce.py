"""`mgdm reproduce`: a table of the paper, or its Figure 5."""

from pathlib import Path
from typing import Literal

from mgdmkit.cli import done


def reproduce(
    out: Path,
    table: Literal[1, 2, 3, 4, 5, 6, 7] | None = None,
    figure: Literal[5] | None = None,
    data: tuple[Path, ...] = (),
    frozen: bool = False,
    rows: tuple[str, ...] = (),
    seeds: int = 1,
    clip: str | None = None,
    pretrained: str | None = None,
    official_split: Literal[1, 2, 3] | None = None,
    datasets: tuple[Literal["ucf101", "hmdb51", "kinetics400"], ...] = (),
    recipes: Path | None = None,
    exclude: tuple[Path, ...] = (),
    clips: tuple[str, ...] = (),
    workers: int | None = None,
    device: str = "auto",
    dry_run: bool = False,
    tflops: float | None = None,
) -> None:
    """Fill a table of the paper, or draw its Figure 5: features, mining, training and scores, row by row.

    Tables 1, 2 and 3 are of Kinetics-400, HMDB51 and UCF101, Table 7 is of any of them. Tables 4, 5 and 6 set finished
    runs in OUT beside the figures that the paper cites, Figure 5 draws them. After each row OUT/table<N>.csv and .md
    are written anew. `recipes/` holds what each row is.

    Args:
        out: Folder of features, runs and tables; several tables and datasets may share it.
        table: The table to fill.
        figure: The figure to draw.
        data: Manifests made by `mgdm manifest ucf101`, `hmdb51` or `kinetics400`; for Table 7 and Figure 5 one for each
            dataset. With --frozen a folder made by `mgdm features` will do.
        frozen: Leave CLIP as it is and train on cached features; without it CLIP is trained, too, as in the paper.
        rows: Some rows only, such as 0 3-top; all of them when not given.
        seeds: Trainings of each row.
        clip: Instead of the recipes' ViT-L-14: a model of open_clip, or a folder made by `mgdm clip`.
        pretrained: With an open_clip model: a pretrained tag such as openai, or the path of a checkpoint.
        official_split: Take split1, split2 or split3 of the data as split; 1 when not given, where there are such.
        datasets: The dataset of each of the data, where their labels leave it open.
        recipes: Other recipes than the kit's: a changed copy of its folder.
        exclude: CSVs made by `mgdm near`, decided by hand, of labels that are not mined for each other.
        clips: For Figure 5: the id of the clip of each dataset; the first scored one when not given.
        workers: Processes that decode; one per core, at most 8, when not given.
        device: auto, cpu, cuda or mps.
        dry_run: Print every row in full, what is missing and what it would cost; nothing is written.
        tflops: For that: 1e12 operations a second that your machine reaches.
    """
    from mgdmkit.config import check_counts
    from mgdmkit.datasets import DATASETS
    from mgdmkit.recipes import TABLE_DATASET
    from mgdmkit.reproduce import job_recipes, reproduce_table
    from mgdmkit.reproduce_data import open_source
    from mgdmkit.reproduce_figure import figure5
    from mgdmkit.reproduce_plan import plan
    from mgdmkit.reproduce_rows import Options
    from mgdmkit.reproduce_tables import CITING, write_comparison

    if (table is None) == (figure is None):
        raise ValueError("give either --table N or --figure 5")
    check_counts(seeds=seeds)
    if dry_run and (figure or table in CITING):
        raise ValueError("--dry-run is for tables 1, 2, 3 and 7; the others take seconds and train nothing")
    if table in CITING:
        write_comparison(table, out)
        return done("table", out / f"table{table}.md")
    if not data and not dry_run:
        raise ValueError("give --data, the manifest of the videos; with --dry-run it may be left out")
    names = (TABLE_DATASET[table],) if table in TABLE_DATASET else datasets or (None,) * len(data) or DATASETS
    if data and len(names) != len(data):
        raise ValueError(f"{len(data)} manifests for {len(names)} datasets; give one for each")
    options = Options(frozen, exclude, workers, device)
    sources = [open_source(path, name, official_split) for path, name in zip(data, names, strict=bool(data))]
    if figure:
        return done("figure", figure5(sources, out, clips=clips, folder=recipes, options=options))
    chosen = {"rows": rows, "folder": recipes, "clip": clip, "pretrained": pretrained}
    if dry_run:
        for source, name in zip(sources or [None] * len(names), names, strict=True):
            job = job_recipes(table, source.dataset if source else name, source, **chosen)
            print(plan(table, job, source, out, seeds=seeds, options=options, tflops=tflops))
        return None
    reproduce_table(table, sources, out, seeds=seeds, options=options, **chosen)
    done("table", out / f"table{table}.md")
