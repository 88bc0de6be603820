"""On a CUDA card: the same numbers as on a processor, half precision without NaN, NCCL."""

import pytest
import torch
from gpu_benchmark import gpu
from safetensors.torch import load_file

from mgdmkit.runs.trained import new_model

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA card"),
    pytest.mark.filterwarnings("default"),  # of another torch, or of the driver: they are no fault of what is tested
]
CUDA = torch.device("cuda")


class Interrupted(Exception):
    pass


@pytest.fixture
def bench(tmp_path):
    """A run at tiny sizes, without `card`, whose rates a share would need."""
    bench = gpu.Bench(CUDA, gpu.TINY, tmp_path / "gpu.json", deadline=0.0)
    bench.report["parts"] = {}
    return bench


@pytest.mark.parametrize("name", ["features", "features, TF32", "features, bf16", "features, fp16"])
def test_features_agree(name):
    found = gpu.compare_features(CUDA, name)
    assert found["agrees"], found


@pytest.mark.parametrize(("name", "dtype"), [("fp32", torch.float32), ("fp64", torch.float64)])
def test_loss_and_gradients_agree(name, dtype):
    found = gpu.compare_gradients(CUDA, dtype, gpu.TOLERANCE[name])
    assert found["agrees"], found


def test_a_training_takes_the_same_course():
    found = gpu.compare_trainings(CUDA, epochs=6)
    assert found["agrees"], found
    assert found["loss_device"] > 0


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_an_interrupted_training_resumes(tmp_path, precision):
    def stop(line: dict) -> None:
        if line["epoch"] == 1:
            raise Interrupted

    whole = gpu.losses(gpu.SMALL_MODEL, "cuda", precision, 4, tmp_path / "whole")
    with pytest.raises(Interrupted):
        gpu.losses(gpu.SMALL_MODEL, "cuda", precision, 4, tmp_path / "parts", on_epoch=stop)
    assert (tmp_path / "parts" / "checkpoint.pt").is_file()
    resumed = gpu.losses(gpu.SMALL_MODEL, "cuda", precision, 4, tmp_path / "parts")
    # A card may add in another order each time, so not to the bit.
    assert resumed == pytest.approx(whole, rel=1e-3 if precision == "fp32" else 2e-2)
    weights, expected = (load_file(tmp_path / name / "model.safetensors") for name in ("parts", "whole"))
    errors = {name: gpu.relative(weights[name], expected[name]) for name in weights if "in_proj_bias" not in name}
    assert max(errors.values()) < (1e-2 if precision == "fp32" else 1e-1), errors


def test_autocast_is_bf16_by_default_and_the_loss_is_not(bench):
    seen, model = [], new_model(gpu.SMALL_MODEL, 0).to(CUDA)
    model.representer.blocks.layers[0].linear1.register_forward_hook(lambda layer, given, made: seen.append(made.dtype))
    frames = torch.randn(3, gpu.SMALL_MODEL.frames, gpu.SMALL_MODEL.dim, device=CUDA)
    with gpu.autocast("auto", CUDA):
        logits = model(frames, torch.randn(3, 2, gpu.SMALL_MODEL.dim, device=CUDA)).logits
    assert seen == [torch.bfloat16] and logits.dtype == torch.float32


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_trains_without_nan(bench, precision):
    found = gpu.half_training(bench, precision)
    assert found["finite"] and found["learns"], found


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_fine_tuning_steps_in_half_precision(bench, precision, checkpointing):
    found = gpu.finetune_step(bench, gpu.Step(precision, checkpointing), 2)  # ValueError for a loss that is not finite
    assert found["loss"] > 0 and found["peak_gib"] > 0


def test_nccl_with_one_process_gives_the_same_loss_and_gradients():
    found = gpu.compare_gathered(CUDA)
    assert found["agrees"] and "nccl" in found["backend"], found


def test_a_batch_that_does_not_fit_is_followed_by_a_smaller_one():
    def take(b: int) -> dict:
        torch.empty(b * 2**40, dtype=torch.uint8, device=CUDA)
        return {"b": b}

    assert gpu.first_that_fits((1, 0), take, CUDA) == {"b": 0, "too_large": [1]}
