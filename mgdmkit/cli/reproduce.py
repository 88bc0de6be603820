"""`mgdm reproduce`: a table of the paper, or its Figure 5."""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from mgdmkit.cli.shared import done
from mgdmkit.replication.options import Options

CLIPS = {"data", "datasets", "official_split"}
ALL = CLIPS | {field.name for field in fields(Options)}
TAKEN: dict[str, set[str]] = {
    "tables 1, 2, 3 and 7": ALL,
    "--dry-run": ALL | {"tflops"},
    "tables 4, 5 and 6": set(),
    "--figure 5": CLIPS | {"clips", "frozen", "corpus", "recipes", "workers", "device"},
}
"""What the command does -> the options that this takes; any other is refused."""
TABLES, DRY_RUN, CITED, FIGURE = TAKEN


def reproduce(
    out: Path,
    options: Annotated[Options, tyro.conf.arg(name="")],
    table: Literal[1, 2, 3, 4, 5, 6, 7] | None = None,
    figure: Literal[5] | None = None,
    data: tuple[Path, ...] = (),
    datasets: tuple[Literal["ucf101", "hmdb51", "kinetics400"], ...] = (),
    official_split: tuple[Literal[1, 2, 3], ...] = (),
    clips: tuple[str, ...] = (),
    dry_run: bool = False,
    tflops: float | None = None,
) -> None:
    """Fill a table of the paper, or draw its Figure 5: features, mining, training and scores, row by row.

    Tables 1, 2 and 3 are for Kinetics-400, HMDB51 and UCF101, Table 7 for any of them. Tables 4, 5 and 6 put finished
    runs in OUT beside the figures that the paper cites; Figure 5 draws them. OUT/table<N>.csv and .md are updated after
    each row. `recipes/` defines each row; the table notes any option that differs from its recipe.

    Args:
        out: Folder of features, runs and tables; several tables and datasets may share it.
        table: The table to fill.
        figure: The figure to draw.
        data: Manifests made by `mgdm manifest ucf101`, `hmdb51` or `kinetics400`; for Table 7 and Figure 5 one per
            dataset. With --frozen, folders made by `mgdm features` will do.
        datasets: The dataset of each of --data, where its labels leave that open.
        official_split: Take split1, split2 or split3 of the data as split; 1 when not given, if there are such. With
            several, as in 1 2 3, each split has its rows, and the table also their mean.
        clips: For Figure 5: the id of the clip of each dataset; the first scored one when not given.
        dry_run: Print every row in full, what is missing and what it would cost; nothing is written.
        tflops: For --dry-run: the 1e12 operations per second that your machine reaches.
    """
    from mgdmkit.config import check_counts
    from mgdmkit.replication.figure import figure5
    from mgdmkit.replication.job import job_recipes, reproduce_table
    from mgdmkit.replication.plan import plan
    from mgdmkit.replication.recipes import TABLE_DATASET, TABLE_ROWS
    from mgdmkit.replication.tables import write_comparison

    if (table is None) == (figure is None):
        raise ValueError("give either --table N or --figure 5")
    if dry_run and table not in TABLE_ROWS:
        raise ValueError("--dry-run is for tables 1, 2, 3 and 7; the others take seconds and train nothing")
    check_counts(seeds=options.seeds)
    mode = FIGURE if figure else CITED if table not in TABLE_ROWS else DRY_RUN if dry_run else TABLES
    dataset = TABLE_DATASET.get(table)
    given = {name: value for name, value in options.to_dict().items() if value != getattr(Options, name)}
    plain = {"data": data, "datasets": datasets, "official_split": official_split, "clips": clips, "tflops": tflops}
    _refuse_idle(given | {name: value for name, value in plain.items() if value not in ((), None)}, mode, dataset)
    if mode == CITED:
        write_comparison(table, out)
        return done("table", out / f"table{table}.md")
    sources = _sources(data, (dataset,) if dataset else datasets, official_split, dry_run)
    if mode == FIGURE:
        return done("figure", figure5(sources, out, options, clips))
    if mode == TABLES:
        reproduce_table(table, sources, out, options)
        return done("table", out / f"table{table}.md")
    for i, source in enumerate(sources):
        again = source.dataset in {earlier.dataset for earlier in sources[:i]}
        print(plan(table, job_recipes(table, source, options), source, out, options, tflops=tflops, again=again))
    return None


def _sources(data: Sequence[Path], names: Sequence[str], splits: Sequence[int], dry_run: bool) -> list[Any]:
    """The clips of each manifest and official split; in a dry run also whole datasets that are not there."""
    from mgdmkit.data.cards import DATASETS
    from mgdmkit.replication.sources import open_sources, whole_dataset

    if not data and not dry_run:
        raise ValueError("give --data, the manifest of the videos; with --dry-run it may be left out")
    if not data:
        return [whole_dataset(name) for name in names or DATASETS]
    if names and len(names) != len(data):
        raise ValueError(f"{len(data)} manifests for {len(names)} datasets; give one for each")
    sources = []
    for path, name in zip(data, names or (None,) * len(data), strict=True):
        absent = dry_run and name and not path.exists()
        sources += [whole_dataset(name, path)] if absent else open_sources(path, name, dict.fromkeys(splits))
    if splits and all(source.dataset == "kinetics400" for source in sources):
        raise ValueError("--official-split has no effect: Kinetics-400 has one split; leave it out")
    return sources


def _refuse_idle(given: dict[str, Any], mode: str, dataset: str | None) -> None:
    """`ValueError` for an option that would do nothing here; `dataset` is the table's, where it has one alone."""
    if idle := sorted(given.keys() - TAKEN[mode]):
        where = ", ".join(other for other, taken in TAKEN.items() if idle[0] in taken)
        raise ValueError(f"{_spelt(idle[0])} has no effect with {mode}, only with {where}; leave it out")
    features_only = "frozen" in given and all(path.is_dir() for path in given.get("data", ()))
    frozen_figure = mode == FIGURE and "frozen" in given
    reasons = {
        "datasets": dataset and f"the table is of {dataset}",
        "pretrained": "clip" not in given and "it goes with --clip",
        "official_split": "data" not in given and "without --data the whole dataset is planned",
        "grad_checkpointing": "frozen" in given and "--frozen trains no image encoder",
        "workers": (features_only or frozen_figure) and "no video is decoded",
        "device": frozen_figure and "nothing is computed that would need one",
    }
    if refused := [f"{_spelt(name)}: {why}" for name, why in reasons.items() if why and name in given]:
        raise ValueError(f"{'; '.join(refused)}. Leave it out")
    if mode == FIGURE and len(given.get("official_split", ())) > 1:
        raise ValueError("--figure 5 shows the runs of one --official-split")


def _spelt(name: str) -> str:
    return f"--{name.replace('_', '-')}"
