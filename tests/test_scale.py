"""The page about several GPUs: its table is the script's, its sums are right by hand, it shows a whole run."""

import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def scale():
    spec = importlib.util.spec_from_file_location("scale", ROOT / "benchmarks" / "scale.py")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "scale", module)
        spec.loader.exec_module(module)
        yield module


def test_the_page_holds_the_table_that_the_script_makes(scale):
    measured = json.loads((ROOT / "results" / "throughput.json").read_text(encoding="utf-8"))
    held = PAGE.partition(scale.START)[2].partition(scale.END)[0]
    assert held.strip() == scale.page("A100", 8, measured)


def test_the_work_of_fine_tuning_by_hand(scale):
    """A frame: patches, 24 blocks of 12 D^2 a token and attention, the projection; 3 passes, 2 FLOP, 16 frames."""
    tokens, width = 257, 1024
    block = 12 * tokens * width**2 + 2 * tokens**2 * width
    frame = 256 * (14 * 14 * 3) * width + 24 * block + width * 768
    work = {step.name: step.flop for step in scale.steps()}
    tuned = work["`finetune`: 20 epochs from clips"]
    assert tuned == pytest.approx(2 * 3 * 16 * frame * 234_619 * 20, rel=2e-3), "the modules add a thousandth"
    assert work["the same with `--grad-checkpointing`"] == pytest.approx(4 / 3 * tuned)
    assert work["`features`: encode every clip"] == pytest.approx(2 * 16 * frame * 254_380, rel=1e-4)
    assert work["the same with `--precision bf16`"] == work["`features`: encode every clip"]


def test_hours_follow_from_work_and_reading(scale):
    half = scale.table("A100", 8, 0.0)
    assert scale.table("H100", 8, 0.0) != half
    row = next(line for line in scale.table("A100", 8, 3600.0).splitlines() if "`features`" in line)
    assert row.split("|")[3:7:2] == [" 254,380.0 ", " 31798 h "] and "| 3975 h |" in row, (
        "an hour a clip: the cores decide"
    )


def cells(table, step):
    return [cell.strip() for cell in next(line for line in table.splitlines() if step in line).split("|")[1:-1]]


def test_hours_are_in_inverse_proportion_to_the_assumed_share(scale, monkeypatch):
    before = cells(scale.table("A100", 8, 0.0), "`features`")
    assert before[4] == "12 h to 23 h", "659 PFLOP at 0.8 and 0.4 of 19.5 TFLOP/s"
    monkeypatch.setattr(scale, "FP32_UTILISATION", {"fast": 0.4, "slow": 0.2})
    assert cells(scale.table("A100", 8, 0.0), "`features`")[4] == "23 h to 47 h"


def test_with_the_cores_to_keep_up_reading_takes_as_long_as_computing(scale):
    seconds = 0.1364
    needed = float(cells(scale.table("A100", 8, seconds), "--precision bf16")[3])
    assert needed == pytest.approx(254_380 * seconds / (659.46e3 / (312 * scale.utilisation()["fast"])), abs=0.06)
    fewer, enough = (cells(scale.table("A100", cores, seconds), "--precision bf16")[4] for cores in (2, 8))
    assert fewer == "4.8 h" and enough.startswith("2.0 h to 4."), "two cores decide, eight do not"


def test_memory_is_said_for_each_process(scale):
    assert "12.5 GB at most, so 100 GB for 8 on one machine" in scale.sizes()


@pytest.mark.parametrize(
    "hours, shown", [(109.2, "109 h"), (1.25, "1.2 h"), (0.5, "30 min"), (0.01, "36 s"), (0, "< 1 s")]
)
def test_times_are_readable(scale, hours, shown):
    assert scale.show(hours) == shown


def commands() -> list[str]:
    """The mgdm commands of the page's shell blocks, whatever starts them."""
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", PAGE, flags=re.DOTALL)).replace("\\\n", " ")
    return [match[1] for line in blocks.splitlines() if (match := re.search(r"(?:mgdm|-m (?:-- )?mgdmkit) (.*)", line))]


def test_the_page_shows_a_whole_run():
    assert [command.split()[0] for command in commands()] == [
        *("manifest", "features", "mine", "finetune", "evaluate", "train", "evaluate")
    ]
