"""The shell commands: a whole job on somebody's own clips, help everywhere, and mistakes told in one message."""

import csv
import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import warnings
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
import torch
from conftest import write_video
from narrow_clip import narrow_clip  # noqa: F401
from shell import mgdm

import mgdmkit.cli.main
import mgdmkit.clip.features
from mgdmkit.clip.backbone import ClipWeightsWarning, FrozenClip
from mgdmkit.clip.batches import load_batches
from mgdmkit.clip.features import load_features
from mgdmkit.pool import pool
from mgdmkit.runs.trained import read_history, read_run
from mgdmkit.training.optim import Diverged


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    """A folder of two classes with four clips each."""
    root = tmp_path_factory.mktemp("clips")
    for i, name in enumerate(("OpenDoor", "close_door")):
        (root / name).mkdir()
        for j in range(4):
            write_video(root / name / f"{name}_{j}.mp4", 6 + 5 * i + j)
    return root


# What the last line calls its result -> where that is, and the command.
JOB = {
    "manifest": ("data.csv", "manifest folder --videos {clips} --out {job}/data.csv"),
    "small CLIP": ("clip", "clip --manifest {job}/data.csv --out {job}/clip --steps 2 --batch-size 17 --workers 0"),
    "features": (
        "features",
        "features --manifest {job}/data.csv --clip {job}/clip --out {job}/features --frames 4 --workers 0",
    ),
    "negatives": ("negatives.csv", "mine --features {job}/features --out {job}/negatives.csv"),
    "run": (
        "run",
        "train small --features {job}/features --mined {job}/negatives.csv --out {job}/run "
        "--k 1 --epochs 2 --warmup-epochs 0 --batch-size 4 --device cpu",
    ),
    "scores": ("run/scores-test.json", "evaluate --features {job}/features --run {job}/run --device cpu"),
}


NEXT = {
    "manifest": "next: mgdm features --manifest {job}/data.csv --clip ViT-B-32 --pretrained openai "
    "--out {job}/features",
    "small CLIP": "next: mgdm features --manifest {job}/data.csv --clip {job}/clip --out {job}/features",
    "features": "next: mgdm mine --features {job}/features --out {job}/negatives.csv",
    "negatives": "next: mgdm train small --k 1 --features {job}/features --mined {job}/negatives.csv --out {job}/k1",
    "run": "next: mgdm evaluate --features {job}/features --run {job}/run",
}


@pytest.fixture(scope="module")
def job(clips, tmp_path_factory) -> Path:
    """The folder of a whole job, from somebody's clips to scores. Read only."""
    folder = tmp_path_factory.mktemp("job")
    for what, (result, command) in JOB.items():
        ended = mgdm(command, clips=clips, job=folder)
        assert ended.status == 0, f"{what}: {ended.err}"
        *_, last, following = ended.out if what in NEXT else [*ended.out, ""]
        assert last == f"{what}: {folder / result}", "the last line says where the result is"
        assert following == NEXT.get(what, "").format(job=folder)
        assert (folder / result).exists()
    return folder


def test_a_whole_job_on_own_clips(job, clips):
    with (job / "data.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert sorted((row["label"], row["split"]) for row in rows) == [
        *[("close door", "test"), *[("close door", "train")] * 3],
        *[("open door", "test"), *[("open door", "train")] * 3],
    ]
    features = load_features(job / "features")
    assert features.frame_features.shape == (8, 4, 128) and features.text_features.shape == (2, 128)
    with (job / "negatives.csv").open(newline="", encoding="utf-8") as file:
        _, *mined = csv.reader(file)
    other = {"open door": "close door", "close door": "open door"}
    assert [(row[0], row[1]) for row in mined] == [(row["id"], row["label"]) for row in rows]
    assert all(row[4].rpartition(":")[0] == other[row[1]] for row in mined), "of two labels one is the negative"
    made = read_run(job / "run")
    assert (made["model"]["dim"], made["model"]["frames"], made["model"]["temporal_layers"]) == (128, 4, 2)
    assert (made["train"]["k"], made["train"]["epochs"], made["train"]["batch_size"]) == (1, 2, 4)
    assert [line["epoch"] for line in read_history(job / "run")] == [0, 1]
    scores = json.loads((job / "run" / "scores-test.json").read_text(encoding="utf-8"))
    assert scores["top1"]["n"] == 2 and scores["classes"] == ["close door", "open door"]


@pytest.mark.parametrize("what", JOB)
def test_a_command_given_twice_ends_alike_and_computes_nothing_anew(what, job, clips, monkeypatch):
    result, command = JOB[what]
    before = {path: path.read_bytes() for path in job.rglob("*") if path.is_file()}
    monkeypatch.setattr(torch.Tensor, "backward", lambda *args: pytest.fail("trained again"))
    monkeypatch.setattr(mgdmkit.clip.features, "pixels", lambda *args, **options: pytest.fail("decoded again"))
    ended = mgdm(command, clips=clips, job=job)
    assert (ended.status, ended.out[-1 - (what in NEXT)]) == (0, f"{what}: {job / result}")
    assert {path: path.read_bytes() for path in job.rglob("*") if path.is_file()} == before


def test_frozen_clip_is_scored_where_no_run_is_given(job, tmp_path):
    ended = mgdm("evaluate --features {job}/features --split train", job=job)
    path = job / "features" / "scores-train.json"
    assert (ended.status, ended.out[-1]) == (0, f"scores: {path}")
    value = json.loads(path.read_text(encoding="utf-8"))["top1"]
    table = job / "features" / "confusion-train.csv"
    with table.open(newline="", encoding="utf-8") as file:
        header, *counts = csv.reader(file)
    assert header == ["label (rows: true, columns: predicted)", "close door", "open door"]
    assert [sum(map(int, row[1:])) for row in counts] == [3, 3]
    assert ended.out[1] == "chance: Top-1 50.0%", "of two classes there is no Top-5"
    assert "frozen" not in " ".join(ended.out), "it is what was scored"
    path.unlink(), table.unlink()
    assert value["n"] == 6 and ended.out[0].startswith(f"Top-1 {100 * value['value']:.1f}% [")
    assert "(N = 6)" in ended.out[0]
    mined = mgdm("mine --features {job}/features --out {out}/n.csv --depth 1", job=job, out=tmp_path)
    assert mined.out[0].startswith("8 clips; frozen CLIP ranks the true label first for ")


def test_a_run_is_told_beside_chance_and_frozen_clip_with_what_it_confuses(job):
    ended = mgdm("evaluate --features {job}/features --run {job}/run --device cpu", job=job)
    _, chance, frozen, *confused, table, _ = ended.out
    assert (chance, table) == ("chance: Top-1 50.0%", f"confusion: {job}/run/confusion-test.csv")
    assert re.fullmatch(r"frozen CLIP on the same clips: Top-1 (0|50|100)\.0% \[.*\] \(N = 2\)", frozen)
    confusion = json.loads((job / "run" / "scores-test.json").read_text(encoding="utf-8"))["confusion"]
    told = {"close door -> open door: 1 of 1": confusion[0][1], "open door -> close door: 1 of 1": confusion[1][0]}
    head = ["largest confusions, true -> predicted:"] if any(told.values()) else []
    assert confused == head + [f"  {line}" for line, n in told.items() if n]


def test_training_without_negatives_needs_no_mined_ones(job, tmp_path):
    command = "train paper --features {job}/features --out {out}/run --k 0 --epochs 1 --warmup-epochs 0 --device cpu"
    ended = mgdm(command + " --temporal-layers 1 --semantic-layers 1", job=job, out=tmp_path)
    assert (ended.status, ended.out[-2]) == (0, f"run: {tmp_path / 'run'}")
    assert read_run(tmp_path / "run")["train"]["lr"] == 5e-5, "the paper's recipe, not the small model's"


HELP = {
    "": [
        *("toy", "manifest", "clip", "features", "corpus", "near", "mine", "train", "finetune", "evaluate", "predict"),
        *("experiment", "reproduce", "complexity", "notebooks", "doctor"),
    ],
    "toy": ["--out", "--seed"],
    "manifest": ["folder"],
    "manifest folder": ["--videos", "--group-regex", "--test-list"],
    "clip": ["--manifest", "--official-split {None,1,2,3}", "--steps", "--batch-size"],
    "features": ["--clip", "--pretrained", "--frames", "--prompt"],
    "mine": ["--features", "--depth"],
    "train": ["paper", "small"],
    "train paper": [
        "--mined",
        "--official-split",
        "--k INT",
        "(default: 7)",
        "--negatives {top,bot,random,adaptive}",
        "(default: 5e-05)",
    ],
    "train small": ["--mined", "--k INT", "(default: 3)", "--temporal-layers", "(default: 0.003)"],
    "finetune": ["paper", "small"],
    "finetune paper": ["--clip", "--official-split", "(default: 7)", "(default: 5e-05)"],
    "finetune small": ["--clip", "--freeze", "(default: 3)", "(default: 0.003)"],
    "evaluate": ["--run", "--split", "--official-split"],
    "predict": ["--run", "--labels"],
    "reproduce": ["--table", "--figure", "--dry-run"],
    "complexity": ["--clip", "--k"],
    "experiment": ["grid", "grids", "blind"],
    "experiment grid": ["NAME", "--out", "--root", "--vary", "--seeds", "--workers", "--split"],
    "notebooks": ["--preset", "--only"],
    "doctor": [],
}


@pytest.mark.parametrize("command", HELP)
def test_help_of_every_command(command):
    ended = mgdm(f"{command} --help")
    assert ended.status == 0 and ended.err == ""
    text = " ".join(" ".join(ended.out).replace("│", " ").split())  # wherever the lines are broken
    assert text.startswith(f"usage: mgdm {command}".rstrip())
    assert [word for word in HELP[command] if word not in text] == []


def test_the_list_of_commands_has_one_summary_for_each():
    text = " ".join(" ".join(mgdm("--help").out).replace("│", " ").split())
    for summary in (
        "List the clips of a folder",
        "Train MGDM on stored",
        "Train CLIP's image encoder",
        "Train grids of",
    ):
        assert summary in text
    assert "Each official split needs its own CLIP" not in text
    assert "Each official split needs its own CLIP" in " ".join(" ".join(mgdm("clip --help").out).split())
    text = " ".join(" ".join(mgdm("train --help").out).replace("│", " ").split())
    assert "• paper As the paper does" in text and "• small A small model" in text


def test_without_its_packages_the_kit_says_which_python_to_use(tmp_path):
    """An interpreter that finds the standard library and the kit, and nothing else."""
    root = str(Path(mgdmkit.__file__).parents[1])
    code = f"import runpy, sys; sys.path.insert(0, {root!r}); runpy.run_module('mgdmkit')"
    ended = subprocess.run([sys.executable, "-S", "-I", "-c", code], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 1 and "Traceback" not in ended.stderr
    assert ended.stderr.startswith("mgdmkit's packages are not in this Python (tyro is missing from ")
    assert "use .venv/bin/python, or see docs/install.md" in ended.stderr


@pytest.mark.parametrize("option", ["mine --features", "train small --features", "clip --manifest"])
def test_a_missing_input_is_refused_before_anything_heavy_is_imported(option, tmp_path):
    words = [*option.split(), str(tmp_path / "none"), "--out", str(tmp_path / "out")]
    code = (
        f"import sys; sys.argv = {['mgdm', *words]!r}\n"
        "from mgdmkit.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    print(end.code, 'torch' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert ended.stdout.split() == ["2", "False"] and f" at {tmp_path}/none; " in ended.stderr


def test_predict_of_a_folder_names_its_clips(job, clips):
    ended = mgdm("predict --run {job}/run {clips}/OpenDoor {clips} --device cpu", job=job, clips=clips)
    assert ended.status == 2 and "manifest" not in ended.err
    first, second, last = [line for line in ended.err.splitlines() if line.startswith("mgdm: ")]
    assert first == f"mgdm: {clips}/OpenDoor is a folder; give clips: {clips}/OpenDoor/*.mp4"
    assert second == f"mgdm: {clips} is a folder; give clips: {clips}/OpenDoor/*.mp4"
    assert last == "mgdm: 2 of 2 clips could not be read"


def test_features_into_those_of_other_clips_say_what_differs(job, clips, tmp_path):
    lines = (job / "data.csv").read_text().splitlines()
    fewer = job.parent / "fewer.csv"
    fewer.write_text("\n".join([lines[0], *lines[2:]]) + "\n")
    command = JOB["features"][1].replace("{job}/data.csv", str(fewer))
    ended = mgdm(command, job=job)
    first = lines[1].split(",")[0]
    assert ended.status == 2 and "clips_fingerprint is" not in ended.err
    assert f"8 clips there, 7 here, first difference {first}" in ended.err


def test_a_run_on_classes_that_it_never_saw_is_told(job, clips, tmp_path):
    text = (job / "data.csv").read_text()
    other = job.parent / "other.csv"
    other.write_text(text.replace("open door", "fly a kite").replace("close door", "read a book"))
    options = "--frames 4 --workers 0"
    made = mgdm(f"features --manifest {other} --clip {{job}}/clip --out {{out}}/f {options}", job=job, out=tmp_path)
    assert made.status == 0, made.err
    ended = mgdm("evaluate --features {out}/f --run {job}/run --device cpu", job=job, out=tmp_path)
    told = "none of these 2 classes was trained, first 'fly a kite'; the run was trained on 2 others"
    assert ended.status == 0 and told in ended.out[0]
    Path(ended.out[-1].removeprefix("scores: ")).unlink()


def test_the_package_runs_as_a_module():
    ended = subprocess.run([sys.executable, "-m", "mgdmkit", "--help"], capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("usage: mgdm") and "evaluate" in ended.stdout


HEAVY = {"open_clip", "torch", "torchvision", "numpy", "pandas", "av", "decord", "PIL", "matplotlib", "seaborn"}


@pytest.mark.parametrize(
    "line", ["import mgdmkit", *(f"start('mgdm', {words})" for words in ("'--help'", "'mine', '-h'"))]
)
def test_nothing_heavy_is_imported_before_it_is_asked_for(line):
    """In another process: this one has it all. `mgdm --help` is there before torch would be."""
    code = f"""
import sys
def start(*words):
    from mgdmkit.cli.main import main
    sys.argv[:] = words
    try:
        main()
    except SystemExit as end:
        assert not end.code
{line}
print(*sorted({{name.partition(".")[0] for name in sys.modules}}), file=sys.stderr)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    loaded = set(ended.stderr.split())
    assert "mgdmkit" in loaded and not loaded & HEAVY


def test_a_public_name_brings_what_it_needs_and_nothing_more():
    code = "import sys; from mgdmkit import MGDM, mine_negatives; print(*{n.partition('.')[0] for n in sys.modules})"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert "torch" in ended.stdout.split() and not set(ended.stdout.split()) & {"open_clip", "torchvision", "pandas"}
    assert all(hasattr(mgdmkit, name) and name in dir(mgdmkit) for name in mgdmkit.__all__)
    with pytest.raises(AttributeError, match="'mgdmkit' has no attribute 'MGDN'"):
        _ = mgdmkit.MGDN


def test_what_trains_on_features_does_not_wait_for_open_clip():
    code = "import sys, mgdmkit.experiments; print(*{n.partition('.')[0] for n in sys.modules})"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert "torch" in ended.stdout.split() and not set(ended.stdout.split()) & {"open_clip", "torchvision"}


MISTAKES = {
    "clip --manifest {out}/none.csv --out {out}/clip": "no manifest at {out}/none.csv; `mgdm manifest",
    "manifest folder --videos {out}/none --out {out}/m.csv": "{out}/none",
    "features --manifest {job}/data.csv --clip {out}/none --out {out}/f": "neither a folder with a CLIP nor a model",
    "features --manifest {job}/data.csv --clip {job}/clp --out {out}/f": "; did you mean {job}/clip?",
    "features --manifest {job}/data.csv --clip {job} --out {out}/f": "did you mean {job}/clip?",
    "features --manifest {job}/data.csv --clip {job}/clip --out {job} --frames 4": "holds something else (clip, da",
    "features --manifest {job}/data.csv --clip {job}/run --out {out}/f": "{job}/run holds no CLIP",
    "features --manifest {job}/data.csv --clip {job}/clip --out {job}/features": "frames is 4 there, 16 here",
    "features --manifest {job}/data.csv --clip {job}/clip --out {job}/data.csv/f": "{job}/data.csv",
    "mine --features {out}/none --out {out}/n.csv": "no features at {out}/none; make them with `mgdm features --ma",
    "train small --features {job}/features --out {out}/r --mined {out}/n": "`mgdm mine --features FEATURES --out {out}",
    "mine --features {job}/features --out {out}/n.csv --depth 0": "depth=0: a corpus of 2 labels offers 1 to 1",
    "mine --features {job}/features --out {out}/n.csv --depth 2": "depth=2: a corpus of 2 labels offers 1 to 1",
    "train small --features {job}/features --out {out}/run": "give --mined {job}/negatives.csv, made by `mgdm mine "
    "--features {job}/features --out {job}/negatives.csv`",
    "train small --features {job}/features --out {out}/run --mined {job}/negatives.csv": "k=3: 2 classes have 1 other; "
    "give --k 1 or less, or mine more labels: `mgdm mine --features {job}/features --corpus CORPUS --out NEW.csv`",
    "train small --features {job}/features --out {out}/run --k 0 --dim 64": "the features have 128; leave --dim out",
    "features --manifest {job}/data.csv --clip {job}/clip --pretrained openai --out {out}/f": "--pretrained openai out",
    "evaluate --features {job}/features --inference rerank": "--inference rerank needs a --run",
    "train small --features {job}/features --out {out}/run --attention dot --attention-temperature 1": "has no effect",
    "evaluate --features {job}/features --run {out}/none": "{out}/none holds no trained model",
    "evaluate --features {job}/features --run {job}": "{job} holds no trained model (model.safetensors); did you mean "
    "{job}/run?",
    "evaluate --features {job}/features --run {job}/run --split val": "there are ['test', 'train']",
}


@pytest.mark.parametrize("command", MISTAKES)
def test_a_mistake_is_one_message_and_status_2(command, job, tmp_path):
    ended = mgdm(command, job=job, out=tmp_path)
    assert ended.status == 2
    *before, message = [line for line in ended.err.splitlines() if line.strip()]
    assert message.startswith("mgdm: ") and MISTAKES[command].format(job=job, out=tmp_path) in message
    assert not [line for line in before if line.startswith("mgdm: ") or "Traceback" in line]
    assert list(tmp_path.iterdir()) == [], "and nothing is left behind"


@pytest.mark.parametrize(
    "command, told",
    [
        ("clip --out {out}/clip --stepps 3", "--stepps"),
        ("clip --out {out}/clip --steps few", "few"),
        ("train paper --features {out} --out {out}/run --k -1", "mgdm: k must not be negative, but is -1"),
        ("train small --features {out} --out {out}/r --clip-grad-norm -1", "mgdm: clip_grad_norm must not be negative"),
        ("finetune small --manifest {out} --clip c --out {out}/r --dim 0", "mgdm: dim must be at least 1, not 0"),
        (
            "finetune paper --manifest {out} --clip c --out {out}/r --crop-scale 2",
            "mgdm: crop_scale must lie in (0, 1]",
        ),
        ("train small --features {out} --out {out}/run --negatives hard", "hard"),
        ("mine --out {out}/n.csv", "--features"),
        ("manifset", "mgdm: there is no command 'manifset'; did you mean `mgdm manifest`?"),
        ("notebook --only 01", "did you mean `mgdm notebooks`?"),
        ("zzz", "there is no command 'zzz'; there are toy, manifest,"),
        ("train", "paper"),
    ],
)
def test_a_wrong_option_is_told_with_status_2(command, told, tmp_path):
    ended = mgdm(command, out=tmp_path)
    assert ended.status == 2 and told in " ".join(ended.err.split()) and "Traceback" not in ended.err
    assert "tyro" not in ended.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(
    "command",
    [
        "features --manifest {out}/data.csv --clip {job}/clip --out {out}/f --workers ",
        "clip --manifest {out}/data.csv --out {out}/clip --steps 2 --batch-size 17 --workers ",
    ],
)
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_corrupt_clip_is_named_in_one_message(command, workers, job, tmp_path):
    for name in ("bad.mp4", "bad2.mp4"):
        (tmp_path / name).write_bytes(b"this is no video")
    rows = "bad,bad.mp4,open door,train\nbad2,bad2.mp4,close door,train\n"
    (tmp_path / "data.csv").write_text("id,path,label,split\n" + rows)
    ended = mgdm(command + str(workers), job=job, out=tmp_path)
    message = ended.err.splitlines()[-1]
    assert ended.status == 2 and re.match(rf"mgdm: {tmp_path}/bad2?\.mp4 cannot be read", message)
    assert ended.err.count("mgdm: ") == 1 and "Traceback" not in ended.err and "Caught" not in ended.err
    assert command.startswith("manifest") or "--probe --out NEW.csv` lists all clips like it" in message


def test_an_interruption_says_that_the_command_continues(job, tmp_path, monkeypatch):
    def interrupted(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(mgdmkit.clip.features, "pixels", interrupted)
    command = JOB["features"][1].replace("{job}/features", "{out}")
    ended = mgdm(command, job=job, out=tmp_path)
    assert ended.status == "stopped: 0 of 8 clips are done; the same command continues"
    monkeypatch.undo()
    assert mgdm(command, job=job, out=tmp_path).status == 0
    assert torch.equal(load_features(tmp_path).frame_features[:], load_features(job / "features").frame_features[:])


def raising(error):
    def stub(*args, **options):
        raise error

    return stub


MMAP = "unable to mmap 12583008 bytes from file <frames-00000.safetensors>: Cannot allocate memory (12)"
GPU = "CUDA out of memory. Tried to allocate 2.00 GiB.\nmore"


@pytest.mark.parametrize(
    ("command", "error", "told"),
    [
        (
            "train",
            torch.OutOfMemoryError(GPU),
            "a smaller --batch-size or --k, or --precision bf16: each makes another",
        ),
        ("finetune", torch.OutOfMemoryError(GPU), "--grad-checkpointing, with which this run continues; or --freeze N"),
        (
            "features",
            torch.OutOfMemoryError(GPU),
            "a smaller --batch-size, which continues this folder; or --precision",
        ),
        ("evaluate", RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"), "--device cpu"),
        ("mine", RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "a machine with more"),
        ("clip", MemoryError(), "a smaller --batch-size"),
        ("mine", RuntimeError(MMAP), "a smaller --corpus"),
        ("train", RuntimeError(MMAP), "a smaller --batch-size"),
        ("features", OSError(errno.ENOMEM, "Cannot allocate memory"), "a smaller --batch-size"),
        ("experiment", MemoryError("Cannot allocate memory (os error 12)"), "fewer --workers"),
    ],
)
def test_a_machine_too_small_is_one_message_with_a_cure(command, error, told, monkeypatch):
    monkeypatch.setattr(mgdmkit.cli.main, "_run", raising(error))
    ended = mgdm(command)
    assert ended.status == 2 and ended.err.startswith("mgdm: not enough memory (") and ended.err.count("\n") == 1
    assert told in ended.err


def ended_by_the_system(item: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def in_a_pool() -> None:
    with pool(1) as workers:
        workers.submit(os._exit, 9).result()


@pytest.mark.parametrize(
    ("command", "work"),
    [("features", lambda: list(load_batches(ended_by_the_system, [0], 1))), ("experiment", in_a_pool)],
)
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_worker_that_the_system_ends_is_one_message_with_a_cure(command, work, monkeypatch):
    monkeypatch.setattr(mgdmkit.cli.main, "_run", work)
    ended = mgdm(command)
    assert ended.status == 2 and ended.err.startswith("mgdm: a worker process was killed, most likely because mem")
    assert ended.err.endswith("; try --workers 1\n") and ended.err.count("\n") == 1


def test_an_error_in_a_worker_is_not_taken_for_want_of_memory(monkeypatch):
    error = RuntimeError("Caught RuntimeError in DataLoader worker process 0.\nshapes differ")
    monkeypatch.setattr(mgdmkit.cli.main, "_run", raising(error))
    with pytest.raises(RuntimeError, match="shapes differ"):
        mgdm("features")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "runs/k3"), "runs/k3: no space left on its disk; free some"),
        (PermissionError(errno.EACCES, "Permission denied", "runs/k3"), "runs/k3: permission denied; ask its owner"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "out.csv"), "out.csv: it is a folder where a file is"),
        (FileExistsError(errno.EEXIST, "File exists", "out"), "out: it is a file where a folder is wanted"),
        (BrokenProcessPool("A process was terminated abruptly"), "a worker process was killed, most likely"),
        (
            RuntimeError("unable to write to file </torch_1_2_3>: No space left on device (28)"),
            "no space left on /dev/shm",
        ),
        (Diverged("epoch 2", "the loss is nan", 1.0), "diverged in epoch 2: the loss is nan"),
    ],
)
def test_what_the_system_refuses_is_one_line_with_path_and_cure(error, told, monkeypatch):
    monkeypatch.setattr(mgdmkit.cli.main, "_run", raising(error))
    ended = mgdm("train")
    assert ended.status == 2 and ended.err.startswith("mgdm: ") and ended.err.count("\n") == 1
    assert told in ended.err


def test_a_world_without_processes_is_told_and_help_needs_none(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    assert mgdm("train --help").status == 0
    ended = mgdm("mine --features a --out b")
    assert ended.status == 2 and "WORLD_SIZE='2' but no RANK" in ended.err and ended.err.count("\n") == 1


@pytest.mark.parametrize(
    "command",
    ["mine --features {job}/features --out {out}", "train small --features {job}/features --k 0 --out {out}/f"],
)
def test_an_out_of_the_wrong_kind_is_told(command, job, tmp_path):
    (tmp_path / "f").write_text("a file", encoding="utf-8")
    ended = mgdm(command, job=job, out=tmp_path)
    assert ended.status == 2 and str(tmp_path) in ended.err and "[Errno" not in ended.err


def test_a_run_is_not_trained_into_the_folder_of_features(job):
    ended = mgdm("train small --features {job}/features --k 0 --out {job}/features", job=job)
    assert ended.status == 2 and "holds features (features.json); take another folder" in ended.err


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="mounts a /dev/shm of its own")
def test_features_need_no_room_in_dev_shm(job, tmp_path):
    """A container has 64 MB there, which a batch of large frames would fill."""
    inside = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o size=64k tmpfs /dev/shm && exec "$@"', "sh"]
    if subprocess.run([*inside, "true"], capture_output=True).returncode:
        pytest.skip("mounting needs a right that this user has not")
    command = JOB["features"][1].replace("{job}/features", "{out}").format(job=job, out=tmp_path)
    words = [sys.executable, "-m", "mgdmkit", *command.split(), "--workers", "2"]
    subprocess.run([*inside, *words], check=True, timeout=120, capture_output=True)
    assert torch.equal(load_features(tmp_path).frame_features[:], load_features(job / "features").frame_features[:])


def test_fewer_clips_at_a_time_continue_the_features(job, tmp_path, monkeypatch):
    """As the message about memory says."""
    with monkeypatch.context() as patch:
        patch.setattr(FrozenClip, "encode_image", raising(torch.OutOfMemoryError(GPU)))
        command = JOB["features"][1].replace("{job}/features", "{out}")
        assert mgdm(command, job=job, out=tmp_path).status == 2
    assert mgdm(command + " --batch-size 1", job=job, out=tmp_path).status == 0


def test_a_note_of_the_kit_is_one_line_and_others_keep_their_place(monkeypatch):
    def warn():
        warnings.warn("check the weights", ClipWeightsWarning, stacklevel=1)
        warnings.warn("by another package", UserWarning, stacklevel=1)

    monkeypatch.setattr(mgdmkit.cli.main, "_run", warn)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        ended = mgdm("features")
    note, other, *_ = ended.err.splitlines()
    assert note == "mgdm: note: check the weights"
    assert "test_main.py" in other and other.endswith("UserWarning: by another package")


def test_labels_are_compared_in_the_precision_that_is_asked_for(job, tmp_path):
    (tmp_path / "labels.txt").write_text("open a door\nopen the door\nwalk\n")
    command = "near --corpus {out}/labels.txt --clip {job}/clip --threshold -1 --device cpu --out {out}/"
    tables = []
    for precision in ("fp32", "bf16"):
        ended = mgdm(f"{command}{precision}.csv --precision {precision}", job=job, out=tmp_path)
        assert ended.status == 0 and ended.out[0] == "3 labels, 3 pairs to decide on"
        tables.append((tmp_path / f"{precision}.csv").read_text())
    assert tables[0] != tables[1]


DAMAGE = {
    "run/model.safetensors": "evaluate --features {job}/features --run {job}/run --device cpu",
    "run/config.json": "evaluate --features {job}/features --run {job}/run --device cpu",
    "run/labels.json": "predict {job}/../clips0/OpenDoor/OpenDoor_0.mp4 --run {job}/run --device cpu",
    "features/features.json": "mine --features {job}/features --out {job}/n.csv",
    "features/clips.csv": "evaluate --features {job}/features",
    "features/text.safetensors": "evaluate --features {job}/features",
    "features/frames-00000.safetensors": "evaluate --features {job}/features",
    "negatives.csv": "train small --features {job}/features --mined {job}/negatives.csv --k 1 --out {job}/new",
    "clip/open_clip_model.safetensors": "features --manifest {job}/data.csv --clip {job}/clip --out {job}/new",
    "clip/open_clip_config.json": "features --manifest {job}/data.csv --clip {job}/clip --out {job}/new",
}


@pytest.mark.parametrize("name", DAMAGE)
def test_half_a_file_is_named_in_one_message_with_a_cure(name, job, tmp_path):
    copy = Path(shutil.copytree(job, tmp_path / "job"))
    path = copy / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    before = {file: file.read_bytes() for file in copy.rglob("*") if file.is_file()}
    ended = mgdm(DAMAGE[name], job=copy)
    assert ended.status == 2 and ended.err.count("mgdm: ") == 1 and "Traceback" not in ended.err
    assert path.name in ended.err or "the CLIP in" in ended.err
    assert "`mgdm " in ended.err or "ive the command that trained" in ended.err
    assert {file: file.read_bytes() for file in copy.rglob("*") if file.is_file()} == before


def test_a_fault_of_the_program_keeps_its_traceback(job, tmp_path, monkeypatch):
    def faulty(*args, **options):
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(mgdmkit.clip.features, "claim", faulty)
    with pytest.raises(RuntimeError, match="a fault of ours"):
        mgdm(JOB["features"][1].replace("{job}/features", "{out}"), job=job, out=tmp_path)


def test_complexity_shows_three_tables_and_writes_the_first(tmp_path):
    ended = mgdm("complexity --out {out}/new/t.csv", out=tmp_path)
    assert (ended.status, ended.err, ended.out[-1]) == (0, "", f"table: {tmp_path}/new/t.csv")
    words = [" ".join(line.split()) for line in ended.out]
    assert "CLIP 834.681176 1302.854143 258.720768 427.616513" in words
    assert "MGDM, k = 7 835.209658 1350.198620 296.500224 484.331777" in words
    assert [line for line in words if line.endswith(" True")] == [
        "6 2 835.143598 835.209658 True",
        "5 3 835.072819 835.171910 True",
    ]
    assert any(line.startswith("text encoder 8 ") for line in words) and "Left out:" in " ".join(words)
    with (tmp_path / "new" / "t.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["model"] for row in rows] == ["CLIP", "MGDM, k = 0", "MGDM, k = 7"]
    assert float(rows[0]["true_mparams"]) == 427.616513
    other = mgdm("complexity --clip ViT-B-32 --k 0 --frames 8 --temporal-layers 1 --semantic-layers 1")
    assert other.status == 0 and other.out[0].startswith("ViT-B-32, one video of 8 frames")
    assert sum(line.startswith("MGDM, k = ") for line in other.out) == 1


@pytest.mark.parametrize("options, told", [("--clip RN50", "RN50 can't be counted"), ("--k -1", "k=-1, classes=1")])
def test_complexity_tells_a_mistake_in_one_message(options, told):
    ended = mgdm(f"complexity {options}")
    assert ended.status == 2 and ended.err.startswith("mgdm: ") and told in ended.err and ended.out == []
