"""The GPU benchmark, rehearsed on a processor: all of it runs, and what was measured survives whatever happens."""

import json
import sys
import time
from functools import partial

import pytest
import torch
from gpu_benchmark import gpu

import mgdmkit.training.loop
from mgdmkit.evaluation.complexity import parts

CPU = torch.device("cpu")


def run(out, *names, **options) -> dict:
    """What the file of a tiny run on the processor holds."""
    gpu.main(device="cpu", tiny=True, parts=names or tuple(gpu.PARTS), out=out, **options)
    return json.loads(out.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory) -> dict:
    """All parts. Read only."""
    return run(tmp_path_factory.mktemp("rehearsal") / "gpu.json")


def test_every_part_runs(rehearsal):
    assert rehearsal["state"] == "finished" and rehearsal["tiny"]
    assert {name: part["state"] for name, part in rehearsal["parts"].items()} == dict.fromkeys(gpu.PARTS, "done")
    assert all(part["cases"] for part in rehearsal["parts"].values())


def test_only_what_a_processor_does_not_have_is_left_out(rehearsal):
    found = {case: made for part in rehearsal["parts"].values() for case, made in part["cases"].items()}
    skipped = {case: made["skipped"] for case, made in found.items() if "skipped" in made}
    assert set(skipped) == {"features, fp16", "fp16, checkpointing", "fp16"}
    assert all("needs a CUDA device" in reason for reason in skipped.values())
    assert len(rehearsal["problems"]) == 3 and "agreement, features, fp16: ValueError" in rehearsal["problems"][0]


def test_problems_are_what_was_left_out_or_is_wrong():
    cases = {
        "a": {"agrees": True},
        "b": {"agrees": False},
        "c": {"finite": False, "learns": False},
        "d": {"skipped": "no"},
    }
    tests = {"pytest": {"exit": 1, "outcome": "1 failed"}, "other": {"exit": 0, "outcome": "2 passed"}}
    parts = {"one": {"cases": cases}, "two": {"cases": tests}, "three": {"cases": {}, "reason": "no time is left"}}
    assert gpu.problems({"parts": parts}) == [
        *("one, b: agrees: no", "one, c: finite, learns: no", "one, d: no", "two, pytest: 1 failed"),
        "three: no time is left",
    ]


def test_the_numbers_are_there(rehearsal):
    cases = {name: part["cases"] for name, part in rehearsal["parts"].items()}
    step = cases["finetuning"]["bf16"]
    assert step["b"] == 2 and step["frames"] == 2 and step["clips_per_s"] > 0 and step["share"] > 0
    assert step["peak_gib"] is None, "a processor does not count it"
    assert cases["finetuning"]["MGDM over the backbone"]["overhead_percent"] > -100
    assert cases["finetuning"]["bf16, checkpointing"]["loss"] == step["loss"], (
        "memory and time change, not what is learned"
    )
    assert cases["compiled"]["bf16, compiled"]["loss"] == pytest.approx(step["loss"], rel=1e-3)
    assert all(case["agrees"] for case in cases["agreement"].values() if "skipped" not in case)
    assert all(case["finite"] and case["learns"] for case in cases["precision"].values() if "skipped" not in case)
    assert cases["nccl"]["gather"]["agrees"] and cases["nccl"]["gather"]["backend"] == "gloo"
    assert cases["loss"]["k = 0, b = 32"]["literal_ms"] > 0
    assert cases["tests"]["pytest -m cuda"]["exit"] == 0 and not cases["tests"]["pytest -m cuda"]["failed"]


def fake(monkeypatch, name: str, **cases) -> None:
    """Let a part have these cases."""
    monkeypatch.setitem(gpu.PARTS, name, (lambda bench: iter(cases.items()), gpu.PARTS[name][1]))


def raises(error: BaseException) -> dict:
    raise error


def test_an_interrupted_run_keeps_what_it_had(monkeypatch, tmp_path):
    fake(monkeypatch, "card", one=lambda: {"tflops": 1.0})
    fake(monkeypatch, "head", first=lambda: {"step_ms": 2.0}, second=partial(raises, KeyboardInterrupt()))
    with pytest.raises(SystemExit, match=r"interrupted; what was measured is in .*gpu\.json"):
        run(tmp_path / "gpu.json", "card", "head", "loss")
    held = json.loads((tmp_path / "gpu.json").read_text(encoding="utf-8"))
    assert held["state"] == "interrupted" and set(held["parts"]) == set(gpu.PARTS)
    assert held["parts"]["card"]["state"] == "done" and held["parts"]["card"]["cases"] == {"one": {"tflops": 1.0}}
    assert held["parts"]["head"]["state"] == "interrupted"
    assert held["parts"]["head"]["cases"] == {"first": {"step_ms": 2.0}, "second": {"skipped": "was running"}}
    assert held["parts"]["loss"]["state"] == "not run"


def test_what_fails_or_does_not_fit_is_said_and_the_next_follows(monkeypatch, tmp_path):
    errors = {"large": torch.OutOfMemoryError("CUDA out of memory.\nMore."), "wrong": ValueError("the loss is nan")}
    cases = {name: partial(raises, error) for name, error in errors.items()}
    fake(monkeypatch, "head", **cases, good=lambda: {"step_ms": 2.0})
    part = run(tmp_path / "gpu.json", "head")["parts"]["head"]
    assert part["state"] == "done" and part["cases"] == {
        "large": {"skipped": "does not fit in memory: CUDA out of memory."},
        "wrong": {"skipped": "ValueError: the loss is nan"},
        "good": {"step_ms": 2.0},
    }


def test_a_part_that_cannot_even_begin_does_not_end_the_run(monkeypatch, tmp_path):
    def broken(bench):
        raise RuntimeError("the card has gone")
        yield

    monkeypatch.setitem(gpu.PARTS, "head", (broken, 10))
    fake(monkeypatch, "loss", one=lambda: {"k": 0})
    parts = run(tmp_path / "gpu.json", "head", "loss")["parts"]
    assert parts["head"] | {"seconds": 0} == {
        "state": "failed",
        "seconds": 0,
        "cases": {},
        "reason": "RuntimeError: the card has gone",
    }
    assert parts["loss"]["state"] == "done"


def test_a_part_stops_at_its_limit_and_the_next_follows(monkeypatch, tmp_path):
    monkeypatch.setitem(gpu.PARTS, "head", (lambda bench: iter([("slow", lambda: time.sleep(60))]), 1.5))
    fake(monkeypatch, "loss", one=lambda: {"k": 0})
    started = time.perf_counter()
    parts = run(tmp_path / "gpu.json", "head", "loss")["parts"]
    assert time.perf_counter() - started < 30
    assert parts["head"]["state"] == "out of time"
    assert parts["head"]["cases"] == {"slow": {"skipped": "not finished within the 2 s of its part"}}
    assert parts["loss"]["state"] == "done"


def test_a_signal_that_got_lost_comes_again(monkeypatch, tmp_path):
    class Finaliser:
        def __del__(self):
            time.sleep(1.2)  # what is raised in here is printed and dropped

    def lose() -> dict:
        Finaliser()
        time.sleep(60)
        return {}

    monkeypatch.setattr(gpu, "RING_AGAIN", 0.5)
    monkeypatch.setattr(sys, "unraisablehook", lambda dropped: None)
    monkeypatch.setitem(gpu.PARTS, "head", (lambda bench: iter([("slow", lose)]), 1.1))
    started = time.perf_counter()
    assert run(tmp_path / "gpu.json", "head")["parts"]["head"]["state"] == "out of time"
    assert time.perf_counter() - started < 30


def test_without_time_nothing_begins(tmp_path):
    held = run(tmp_path / "gpu.json", "card", minutes=gpu.AROUND / 60)
    assert held["state"] == "finished" and held["parts"]["card"]["reason"] == "no time is left"


def test_a_smaller_batch_follows_one_that_does_not_fit():
    def step(b: int) -> dict:
        if b > 8:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return {"b": b}

    assert gpu.first_that_fits((32, 16, 8, 4), step, CPU) == {"b": 8, "too_large": [32, 16]}
    with pytest.raises(torch.OutOfMemoryError):
        gpu.first_that_fits((32, 16), step, CPU)


def test_what_cannot_be_is_refused(tmp_path, monkeypatch):
    with pytest.raises(SystemExit, match="no part is called tail; there are card, agreement"):
        run(tmp_path / "gpu.json", "tail")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="torch finds no CUDA card; --device cpu --tiny rehearses"):
        gpu.main(out=tmp_path / "gpu.json")
    assert not (tmp_path / "gpu.json").exists()


@pytest.mark.parametrize("name", gpu.Sizes().encoders)
def test_the_full_encoders_can_be_built_and_counted(name):
    meta = torch.device("meta")
    one = parts(name, frames=1, k=0).set_index("part")["gmac"]["image encoder"]
    assert gpu.picture_gmac(gpu.image_encoder(name, meta), meta) == pytest.approx(one)


def test_the_tolerances_are_ten_times_what_rounding_does(tmp_path, monkeypatch):
    single, double = (gpu.loss_and_gradients(CPU, dtype) for dtype in (torch.float32, torch.float64))
    assert max(gpu.relative(single[name], double[name]) for name in double) < gpu.TOLERANCE["fp32"] / 10
    rounded = gpu.losses(gpu.SMALL_MODEL, "cpu", "fp32", 10, tmp_path / "single")
    new_model, videos = mgdmkit.training.loop.new_model, gpu.synthetic_videos
    monkeypatch.setattr(mgdmkit.training.loop, "new_model", lambda *args: new_model(*args).double())
    monkeypatch.setattr(gpu, "synthetic_videos", lambda *args, **options: in_double(*videos(*args, **options)))
    exact = gpu.losses(gpu.SMALL_MODEL, "cpu", "fp32", 10, tmp_path / "double")
    assert rounded == pytest.approx(exact, rel=gpu.TOLERANCE["training"] / 10) and rounded != exact


def in_double(videos, texts):
    return gpu.Videos(videos.frame_features.double(), videos.labels), texts.double()
