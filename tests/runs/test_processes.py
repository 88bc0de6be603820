"""Two processes, started by torchrun, do what one does: the same loss, gradients, weights, features and scores."""

import json
import os
import shutil
import time
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from two_processes import (
    CASES,
    FEATURES,
    JOB,
    draw,
    loss_and_gradients,
    mgdm,
    start,
    train_tiny,
    weights_after_steps,
    write_clips,
)

from mgdmkit.runs import processes
from mgdmkit.runs.folder import FolderError
from mgdmkit.runs.trained import read_history

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # of the workers that decode
PROGRAM = Path(__file__).parents[1] / "two_processes.py"


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """As in each of the two processes: with more, sums are made in another order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory) -> tuple[Path, list[str]]:
    """The folder that one process (`alone`) and then two have filled, and the lines that the two printed."""
    folder = tmp_path_factory.mktemp("two_processes")
    write_clips(folder)
    for command in JOB:
        mgdm(command, folder, folder / "alone", batch_size=4)
    shutil.copytree(folder / "alone" / "features", folder / "resumed" / "features")
    (folder / "resumed" / "features" / "frames-00001.safetensors").unlink()
    (folder / "resumed" / "features" / "frames-00003.safetensors").write_bytes(b"damaged")
    status, out, err = start(str(PROGRAM), str(folder))
    assert status == 0, f"{out}\n{err}"
    return folder, out.splitlines()


def compare(folder: Path, file: str, alone: dict[str, Tensor], atol: float) -> None:
    for rank in "01":
        found = load_file(folder / rank / file)
        assert found.keys() == alone.keys()
        for name, value in alone.items():
            torch.testing.assert_close(found[name], value, rtol=1e-9, atol=atol, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize(("reading", "k", "n"), CASES)
def test_loss_and_every_gradient_are_those_of_one_process(two_processes, reading, k, n):
    alone = loss_and_gradients(reading, k, n)
    assert alone["loss"] > 0.01 and alone["encoder.weight"].norm() > 0.01, "the comparison is not of zeros"
    compare(two_processes[0], f"{reading}-{k}-{n}.safetensors", alone, atol=1e-11)


@pytest.mark.parametrize("reading", ["default", "context joint"])
def test_weights_after_several_steps_are_those_of_one_process(two_processes, reading):
    # Keys' biases have no gradient but rounding, which Adam scales up: hence not 1e-11.
    compare(two_processes[0], f"{reading}-weights.safetensors", weights_after_steps(reading), atol=1e-9)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_an_interrupted_training_ends_in_the_weights_of_one_process_with_twice_the_batch(two_processes, tmp_path):
    folder = two_processes[0]
    for rank in "01":
        assert load_file(folder / rank / "interrupted.safetensors")["epochs"] == 2, "it stopped before the last epoch"
    train_tiny(tmp_path / "tiny", batch_size=16)
    left = {path.name for path in (folder / "tiny").iterdir()}
    assert left == {"config.json", "history.jsonl", "model.safetensors", "sha256.json"}
    weights, together = (load_file(run / "tiny" / "model.safetensors") for run in (tmp_path, folder))
    assert weights.keys() == together.keys()
    for name, value in weights.items():
        torch.testing.assert_close(together[name], value, rtol=1e-7, atol=1e-8, msg=lambda m, n=name: f"{n}: {m}")
    for one, two in zip(*(read_history(run / "tiny") for run in (tmp_path, folder)), strict=True):
        for name in ("epoch", "loss", "val_top1", "lr", "logit_scale"):
            assert one[name] == pytest.approx(two[name], rel=1e-9)


def test_another_number_of_processes_cannot_continue_a_run(two_processes):
    with pytest.raises(FolderError, match="processes is 2 there, not named here"):
        train_tiny(two_processes[0] / "tiny", batch_size=8)


@pytest.mark.parametrize("name", ["together", "resumed"])
def test_features_are_those_of_one_process_also_when_continued(two_processes, name):
    alone, found = (content(two_processes[0] / folder / "features") for folder in ("alone", name))
    assert len(alone) == 5 + 4 and found == alone


def test_one_process_continues_the_features_of_two(two_processes, tmp_path):
    folder = two_processes[0]
    shutil.copytree(folder / "together" / "features", tmp_path / "features")
    (tmp_path / "features" / "frames-00002.safetensors").unlink()
    mgdm(FEATURES, folder, tmp_path)
    assert content(tmp_path / "features") == content(folder / "alone" / "features")


@pytest.mark.parametrize("file", ["negatives.csv", "others.csv"])
def test_negatives_are_those_of_one_process(two_processes, file):
    alone, together = ((two_processes[0] / name / file).read_bytes() for name in ("alone", "together"))
    assert alone == together


def test_each_process_mines_its_share_and_what_is_excluded_for_its_clips(two_processes):
    folder = two_processes[0]
    assert [load_file(folder / rank / "mined.safetensors")["clips"].tolist() for rank in "01"] == [[3, 3], [4, 4]]
    rows = (folder / "together" / "others.csv").read_text().splitlines()
    left_out = {"clip 0": "sit:", "clip 5": "run:"}  # of three others each of these two has two left
    assert all(text not in row for clip, text in left_out.items() for row in rows if row.startswith(f"{clip},"))
    assert sum(row.startswith(tuple(left_out)) for row in rows) == 2


@pytest.mark.parametrize("file", ["run/model", "tuned/model", "tuned/clip/open_clip_model"])
def test_the_shell_trains_the_weights_of_one_process_with_twice_the_batch(two_processes, file):
    folder = two_processes[0]
    alone, together = (load_file(folder / name / f"{file}.safetensors") for name in ("alone", "together"))
    for name, value in alone.items():
        if name.endswith("in_proj_bias"):  # keys' biases: no gradient but rounding, which Adam scales up
            D = len(value) // 3
            value[D : 2 * D] = together[name][D : 2 * D] = 0
        torch.testing.assert_close(together[name], value, rtol=0, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("run", ["run", "tuned"])
def test_every_test_video_counts_once(two_processes, run):
    alone, together = (
        json.loads((two_processes[0] / name / run / "scores-test.json").read_text()) for name in ("alone", "together")
    )
    assert alone == together
    assert together["top1"]["n"] == 3 == sum(map(sum, together["confusion"])), "3 do not divide by 2 processes"


def test_only_the_first_process_prints(two_processes):
    results = [line.partition(": /")[0] for line in two_processes[1] if f": {two_processes[0]}" in line]
    made = ["features", "negatives", "negatives", "run", "run", *["confusion", "scores"] * 2]
    assert results == [*made, "features"]
    assert two_processes[1][-1] == "rank 0 of 2 is done"


def test_an_error_of_one_process_ends_all_with_its_message(tmp_path):
    command = f"manifest folder --videos {tmp_path}/nowhere --out {tmp_path}/manifest.csv"
    status, out, err = start("-m", "mgdmkit", *command.split())
    assert status != 0 and out == ""
    found = [line for line in err.splitlines() if line.startswith("mgdm: ")]
    assert len(found) == 1 and f"{tmp_path}/nowhere" in found[0], "the first process alone did it, and the other waited"


def test_one_process_needs_no_torchrun():
    with processes.processes() as rank:
        assert (rank, processes.world_size(), processes.is_main()) == (0, 1, True)
        rows = draw(0, 5, 2).requires_grad_()
        assert processes.gather(rows, 5) is rows and processes.shard(5) == slice(0, 5)
        with processes.main_first():
            processes.barrier()
    assert 1 <= processes.local_cores() <= (os.cpu_count() or 1)


@pytest.mark.parametrize("W", [1, 2, 3, 8])
@pytest.mark.parametrize("n", [0, 1, 7, 8, 1530])
def test_shards_cover_every_row_once_and_in_order(monkeypatch, W, n):
    monkeypatch.setattr(processes, "world_size", lambda: W)
    shards = [processes.shard(n, of=r) for r in range(W)]
    assert shards[0].start == 0 and shards[-1].stop == n
    assert all(one.stop == following.start for one, following in pairwise(shards))
    sizes = [own.stop - own.start for own in shards]
    assert max(sizes) - min(sizes) <= 1 and max(sizes) == -(-n // W)


def test_rows_that_are_not_the_share_are_refused():
    with pytest.raises(ValueError, match="rank 0 holds 4 rows; its share of 5 is 5"):
        processes.gather(torch.zeros(4), 5)


def test_a_machine_with_too_few_gpus_says_what_to_do(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name, value in {"RANK": "1", "LOCAL_RANK": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ValueError, match=r"process 2 of this machine finds 1 GPUs.*--nproc-per-node 1"):
        with processes.processes():
            pytest.fail("it went on without a GPU")


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"WORLD_SIZE": "2"}, r"WORLD_SIZE='2' but no RANK: .*not torchrun.*env -u WORLD_SIZE mgdm"),
        ({"WORLD_SIZE": ""}, r"WORLD_SIZE=''"),
        ({"WORLD_SIZE": "many", "RANK": "0"}, r"WORLD_SIZE='many'"),
    ],
)
def test_half_a_world_is_told_in_words(monkeypatch, told, message):
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=message), processes.processes():
        pass


def test_who_waits_says_for_whom(monkeypatch, capsys):
    world = {"WORLD_SIZE": "4", "RANK": "0", "MASTER_ADDR": "node7", "MASTER_PORT": "29500"}
    for name, value in world.items():
        monkeypatch.setenv(name, value)
    with processes._told_when_waiting(seconds=0.05):
        time.sleep(0.5)
    assert "process 0 waits at node7:29500 until all 4 processes have come" in capsys.readouterr().err
    with processes._told_when_waiting(seconds=0.5):
        pass
    time.sleep(0.7)
    assert capsys.readouterr().err == ""
