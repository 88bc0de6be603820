"""`mgdm reproduce`: a table of the paper, or its Figure 5."""

import inspect
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from mgdmkit.cli.shared import done

Flag = Annotated[bool, tyro.conf.FlagCreatePairsOff]

TABLES, DRY_RUN, CITED, FIGURE = "tables 1, 2, 3 and 7", "--dry-run", "tables 4, 5 and 6", "--figure 5"
EFFECT: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("data", "frozen", "corpus", "official_split", "datasets", "recipes"), (TABLES, DRY_RUN, FIGURE)),
    **dict.fromkeys(("rows", "seeds", "clip", "pretrained", "exclude", "batch_size"), (TABLES, DRY_RUN)),
    **dict.fromkeys(("accumulate", "precision", "grad_checkpointing", "no_grad_checkpointing"), (TABLES, DRY_RUN)),
    **dict.fromkeys(("workers", "device"), (TABLES, DRY_RUN, FIGURE)),
    "clips": (FIGURE,),
    "tflops": (DRY_RUN,),
}
"""Option -> where it does something; anywhere else it is refused. A dry run takes what the run itself takes."""


def reproduce(
    out: Path,
    table: Literal[1, 2, 3, 4, 5, 6, 7] | None = None,
    figure: Literal[5] | None = None,
    data: tuple[Path, ...] = (),
    frozen: bool = False,
    rows: tuple[str, ...] = (),
    seeds: int = 1,
    official_split: tuple[Literal[1, 2, 3], ...] = (),
    corpus: Literal["own", "union"] | None = None,
    exclude: tuple[Path, ...] = (),
    clip: str | None = None,
    pretrained: str | None = None,
    batch_size: int | None = None,
    accumulate: int | None = None,
    precision: Literal["auto", "bf16", "fp16", "fp32"] | None = None,
    grad_checkpointing: Flag = False,
    no_grad_checkpointing: Flag = False,
    datasets: tuple[Literal["ucf101", "hmdb51", "kinetics400"], ...] = (),
    recipes: Path | None = None,
    clips: tuple[str, ...] = (),
    workers: int | None = None,
    device: str = "auto",
    dry_run: bool = False,
    tflops: float | None = None,
) -> None:
    """Fill a table of the paper, or draw its Figure 5: features, mining, training and scores, row by row.

    Tables 1, 2 and 3 are of Kinetics-400, HMDB51 and UCF101, Table 7 is of any of them. Tables 4, 5 and 6 set finished
    runs in OUT beside the figures that the paper cites, Figure 5 draws them. After each row OUT/table<N>.csv and .md
    are written anew. `recipes/` holds what each row is; an option that is other than there is told in the table.

    Args:
        out: Folder of features, runs and tables; several tables and datasets may share it.
        table: The table to fill.
        figure: The figure to draw.
        data: Manifests made by `mgdm manifest ucf101`, `hmdb51` or `kinetics400`; for Table 7 and Figure 5 one for each
            dataset. With --frozen a folder made by `mgdm features` will do.
        frozen: Leave CLIP as it is and train on cached features; without it CLIP is trained, too, as in the paper.
        rows: Some rows only, such as 0 3-top; all of them when not given.
        seeds: Trainings of each row.
        official_split: Take split1, split2 or split3 of the data as split; 1 when not given, where there are such. Of
            several, as in 1 2 3, each has its rows, and the table their mean.
        corpus: Mine the dataset's own labels, or the union of the three datasets'; as the recipes say when not given:
            the union for HMDB51 and UCF101. Runs of both may share OUT.
        exclude: CSVs made by `mgdm near`, decided by hand, of labels that are not mined for each other.
        clip: Instead of the recipes' ViT-L-14: a model of open_clip, or a folder made by `mgdm clip`.
        pretrained: With an open_clip model: a pretrained tag such as openai, or the path of a checkpoint.
        batch_size: Videos that a process contrasts with one another, 32 in the recipes. The texts of a batch are what
            its videos are told from, so other sizes than the paper's 256 on all GPUs make another row.
        accumulate: Batches per step of the optimiser. It does not add to what a video is contrasted with.
        precision: What training computes in, and features: bf16, fp16 (CUDA only) or fp32; auto trains in bf16 on CUDA
            and has features in fp32. Fine-tuned runs are scored in fp32.
        grad_checkpointing: Compute CLIP's activations twice to save memory, as the kit's recipes do.
        no_grad_checkpointing: Keep CLIP's activations: a quarter less work, several times the memory.
        datasets: The dataset of each of the data, where their labels leave it open.
        recipes: Other recipes than the kit's: a changed copy of its folder.
        clips: For Figure 5: the id of the clip of each dataset; the first scored one when not given.
        workers: Processes that decode; one per core, at most 8, when not given.
        device: auto, cpu, cuda or mps.
        dry_run: Print every row in full, what is missing and what it would cost; nothing is written.
        tflops: For that: 1e12 operations a second that your machine reaches.
    """
    given = _given(locals())
    from mgdmkit.config import check_counts
    from mgdmkit.data.cards import DATASETS
    from mgdmkit.replication.figure import figure5
    from mgdmkit.replication.job import job_recipes, reproduce_table
    from mgdmkit.replication.plan import plan
    from mgdmkit.replication.recipes import TABLE_DATASET, Overrides
    from mgdmkit.replication.settings import Options
    from mgdmkit.replication.sources import open_sources
    from mgdmkit.replication.tables import CITING, write_comparison

    if (table is None) == (figure is None):
        raise ValueError("give either --table N or --figure 5")
    check_counts(seeds=seeds)
    if dry_run and (figure or table in CITING):
        raise ValueError("--dry-run is for tables 1, 2, 3 and 7; the others take seconds and train nothing")
    mode = FIGURE if figure else CITED if table in CITING else DRY_RUN if dry_run else TABLES
    _refuse_idle(given, mode, TABLE_DATASET.get(table))
    if mode == CITED:
        write_comparison(table, out)
        return done("table", out / f"table{table}.md")
    if not data and mode != DRY_RUN:
        raise ValueError("give --data, the manifest of the videos; with --dry-run it may be left out")
    names = (TABLE_DATASET[table],) if table in TABLE_DATASET else datasets or (None,) * len(data) or DATASETS
    if data and len(names) != len(data):
        raise ValueError(f"{len(data)} manifests for {len(names)} datasets; give one for each")
    checkpointing = grad_checkpointing if grad_checkpointing or no_grad_checkpointing else None
    overrides = Overrides(clip, pretrained, corpus, batch_size, accumulate, precision, checkpointing)
    options = Options(frozen, exclude, workers, device, overrides=overrides)
    splits = tuple(dict.fromkeys(official_split))
    given_data = list(zip(data, names, strict=True)) if data else []
    absent = {name: path for path, name in given_data if mode == DRY_RUN and name and not path.exists()}
    there = [(path, name) for path, name in given_data if name not in absent]
    sources = [source for path, name in there for source in open_sources(path, name, splits)]
    if official_split and sources and not any(source.official_split for source in sources):
        raise ValueError("--official-split has no effect: Kinetics-400 has one split; leave it out")
    if mode == FIGURE:
        return done("figure", figure5(sources, out, clips=clips, folder=recipes, options=options))
    chosen = {"rows": rows, "folder": recipes}
    if mode == DRY_RUN:
        planned: set[str] = set()
        unseen = [(None, name) for name in (absent if data else names)]
        for source, name in [*((source, source.dataset) for source in sources), *unseen]:
            job = job_recipes(table, name, source, overrides=overrides, **chosen)
            known = {"again": name in planned, "absent": absent.get(name)}
            print(plan(table, job, source, out, seeds=seeds, options=options, tflops=tflops, **known))
            planned.add(name)
        return None
    reproduce_table(table, sources, out, seeds=seeds, options=options, **chosen)
    done("table", out / f"table{table}.md")


def _given(values: dict[str, Any]) -> dict[str, Any]:
    """The options of `reproduce` that aren't at their defaults."""
    options = inspect.signature(reproduce).parameters
    return {name: value for name, value in values.items() if value != options[name].default}


def _refuse_idle(given: dict[str, Any], mode: str, dataset: str | None) -> None:
    """`ValueError` for an option that would do nothing here.

    Args:
        mode: which of the four things is done.
        dataset: the only one of the table, where it has one.
    """
    for name in given.keys() & EFFECT.keys():
        if mode not in EFFECT[name]:
            where = ", ".join(EFFECT[name])
            raise ValueError(f"{_spelt(name)} has no effect with {mode}, only with {where}; leave it out")
    features_only = "frozen" in given and all(path.is_dir() for path in given.get("data", ()))
    frozen_figure = mode == FIGURE and "frozen" in given
    idle = {
        "datasets": dataset and f"the table is of {dataset}",
        "pretrained": "clip" not in given and "it goes with --clip",
        "official_split": "data" not in given and "without --data the whole dataset is planned",
        "grad_checkpointing": "frozen" in given and "--frozen trains no image encoder",
        "no_grad_checkpointing": "frozen" in given and "--frozen trains no image encoder",
        "workers": (features_only or frozen_figure) and "no video is decoded",
        "device": frozen_figure and "nothing is computed that would need one",
    }
    if refused := [f"{_spelt(name)}: {why}" for name, why in idle.items() if why and name in given]:
        raise ValueError(f"{'; '.join(refused)}. Leave it out")
    if {"grad_checkpointing", "no_grad_checkpointing"} <= given.keys():
        raise ValueError("give either --grad-checkpointing or --no-grad-checkpointing")
    if mode == FIGURE and len(given.get("official_split", ())) > 1:
        raise ValueError("--figure 5 shows the runs of one --official-split")


def _spelt(name: str) -> str:
    return f"--{name.replace('_', '-')}"
