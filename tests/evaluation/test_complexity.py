"""Table 8: the paper's digits by its own counting rule, and true costs against torch's FLOP counter."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import open_clip
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mgdmkit.clip.small import CONFIG, new_small_clip, save_small_clip
from mgdmkit.config import MGDMConfig
from mgdmkit.evaluation import complexity
from mgdmkit.evaluation.complexity import PAPER_TABLE8, added, count, parts, splits, table8
from mgdmkit.model import MGDM

L14_PARAMETERS = 427_616_513
MLP = 2 * 768 * 3072
"""Multiply-adds of a token in the MLP of a block of width 768."""


@contextmanager
def no_fastpath() -> Iterator[None]:
    """The fused attention of evaluation mode hides its products from the FLOP counter."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


@torch.no_grad()
def multiply_adds(call) -> int:
    """Half of what torch's FLOP counter counts."""
    with no_fastpath(), FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops() // 2


@pytest.fixture(scope="module")
def large():
    return table8().set_index("model")


def rounded(column, unit: float = 1e9) -> list[int]:
    return [round(unit * value) for value in column]


def test_every_digit_of_table_8_as_the_paper_counts(large):
    assert list(large.index) == list(PAPER_TABLE8)
    assert rounded(large["paper_gmac"]) == [834_681_176_064, 835_143_598_080, 835_209_658_368]
    assert rounded(large["paper_mparams"], 1e6) == [258_720_768, 296_500_224, 296_500_224]
    for model, (gmac, mparams) in PAPER_TABLE8.items():
        assert large["paper_gmac"][model] == pytest.approx(gmac, abs=0.05)
        assert large["paper_mparams"][model] == pytest.approx(mparams, abs=0.05)


def test_the_token_counts_behind_these_digits(large):
    patches = 16 * 256 * (3 * 14 * 14 * 1024)
    frames = 16 * 24 * 257 * (2 * 1024 * 4096)
    one_prompt = 12 * 77 * MLP
    clip, none, seven = rounded(large["paper_gmac"])
    assert clip == patches + frames + one_prompt
    assert none - clip == 6 * 16 * MLP + 2 * 1 * MLP, "16 frames through 6 blocks, one text through 2"
    assert seven - none == 2 * 7 * MLP, "7 more texts through 2 blocks, and no more prompts through the text encoder"


def test_only_two_splits_of_eight_fit_the_printed_figures():
    table = splits()
    assert list(zip(table["temporal"], table["semantic"], strict=True)) == [(v, 8 - v) for v in range(7, 0, -1)]
    fitting = table[table["fits"]]
    assert list(zip(fitting["temporal"], fitting["semantic"], strict=True)) == [(6, 2), (5, 3)]
    assert [round(table[column][0], 1) for column in ("gmac_k0", "gmac_k7")] == [835.2, 835.2], "7 + 1"
    assert [round(table[column][3], 1) for column in ("gmac_k0", "gmac_k7")] == [835.0, 835.1], "4 + 4"


def test_true_parameters(large):
    clip, none, seven = rounded(large["true_mparams"], 1e6)
    assert clip == L14_PARAMETERS
    with torch.device("meta"):
        model = MGDM(MGDMConfig(temperatures="fixed"))
    own = sum(p.numel() for p in model.parameters()) - 1  # its logit scale takes the place of CLIP's
    assert none == seven == clip + own
    block = 12 * 768**2 + 13 * 768
    assert own == 8 * block + 16 * 768 and 8 * block == 56_702_976, "eight full blocks and the frame positions"


def test_true_cost_of_clip_is_half_as_much_again_as_the_paper_counts(large):
    assert large["true_gmac"]["CLIP"] / large["paper_gmac"]["CLIP"] == pytest.approx(1.561, abs=1e-3)


UNUSUAL = [("vision_cfg", "attentional_pool"), ("text_cfg", "qk_norm")]
"""Attention that is not torch's own `nn.MultiheadAttention` alone."""


@pytest.mark.parametrize("clip", ["ViT-B-32", "ViT-L-14", "ViT-M-16-alt", "ViT-L-14-CLIPA", "small", *UNUSUAL])
def test_encoders_against_the_flop_counter(clip, tmp_path):
    if clip == "small" or clip in UNUSUAL:
        held = json.loads(CONFIG.read_text(encoding="utf-8"))
        config = held["model_cfg"]
        if clip in UNUSUAL:
            config[clip[0]][clip[1]] = True
        (tmp_path / "open_clip_config.json").write_text(json.dumps(held), encoding="utf-8")
        clip = str(tmp_path)
    else:
        config = open_clip.get_model_config(clip)
    with torch.device("meta"):
        model = open_clip.CLIP(**config).eval()
        image = torch.empty(1, 3, *model.visual.image_size)
        prompt = torch.zeros(1, model.context_length, dtype=torch.long)
        frame, text = (
            multiply_adds(lambda: model.encode_image(image)),
            multiply_adds(lambda: model.encode_text(prompt)),
        )
    table = parts(clip, frames=3, k=1).set_index("part")
    assert rounded(table["gmac"][:2]) == [3 * frame, 2 * text]
    assert list(table["times"][:2]) == [3, 2]
    total = sum(p.numel() for p in model.parameters())
    clip_parts = ["image encoder", "text encoder", "similarity (eq. 4)"]
    assert round(1e6 * table["mparams"][clip_parts].sum()) == total


@pytest.mark.parametrize("frames, k, classes", [(16, 7, 1), (16, 0, 1), (8, 3, 5), (16, 0, 400)])
def test_modules_against_the_flop_counter(frames, k, classes):
    table = parts("ViT-B-32", frames, k, classes, temporal_layers=3, semantic_layers=1)
    with torch.device("meta"):
        model = MGDM(MGDMConfig(512, frames, temporal_layers=3, semantic_layers=1, temperatures="fixed")).eval()
        video, texts = torch.empty(1, frames, 512), torch.empty(classes, 1 + k, 512)
        whole = multiply_adds(lambda: model(video, texts))
        blocks = (
            multiply_adds(lambda: model.representer.blocks(video)),
            multiply_adds(lambda: model.discriminator(texts)),
        )
    modules = table.set_index("part")["gmac"][2:]
    assert round(1e9 * modules.sum()) == whole
    assert rounded(modules[["temporal blocks (eq. 13-14)", "semantic blocks (eq. 17-18)"]]) == list(blocks)
    assert list(table["times"]) == [frames, classes * (1 + k), 1, classes, classes, 1, classes * (1 + k)]


def test_parts_add_up_to_the_table(large):
    table = parts()
    assert table[["gmac", "mparams", "paper_gmac", "paper_mparams"]].sum().tolist() == pytest.approx(
        large.loc["MGDM, k = 7", ["true_gmac", "true_mparams", "paper_gmac", "paper_mparams"]].tolist(), rel=1e-12
    )


def test_what_mgdm_adds(large):
    more = added(parts(k=7))
    clip, mgdm = large["true_gmac"]["CLIP"], large["true_gmac"]["MGDM, k = 7"]
    assert more["modules"] + more["prompts"] == pytest.approx(100 * (mgdm - clip) / clip, abs=1e-6)
    paper = large["paper_gmac"]
    assert more["paper"] == pytest.approx(100 * (paper["MGDM, k = 7"] / paper["CLIP"] - 1), abs=1e-9)
    assert more["prompts"] > 50 * more["modules"], "the paper's count leaves the larger part out"
    assert added(parts("ViT-B-32", k=0))["prompts"] == 0


def test_other_sizes():
    table = table8("ViT-B-32", frames=8, temporal_layers=2, semantic_layers=1, ks=(3,))
    assert list(table["model"]) == ["CLIP", "MGDM, k = 3"]
    assert rounded(table["true_mparams"], 1e6)[0] == 151_277_313
    more = rounded(table["paper_gmac"])
    assert more[1] - more[0] == (2 * 8 + 1 * 4) * 2 * 512 * 2048
    assert list(splits("ViT-B-32", blocks=3)) == ["temporal", "semantic", "gmac_k0", "gmac_k7"]
    assert "fits" not in splits(frames=8), "the paper prints figures of ViT-L/14 and 16 frames"


def test_the_two_countings_of_one_layer():
    """A subclass of Linear escapes the paper's counter; attention does, too."""

    class OwnLinear(nn.Linear):
        pass

    x = torch.empty(2, 5, 8, device="meta")
    with torch.device("meta"):
        plain, own, attention = nn.Linear(8, 3), OwnLinear(8, 3), nn.MultiheadAttention(8, 2, batch_first=True)
        convolution = nn.Conv2d(3, 4, kernel_size=2, stride=2, bias=False)
        picture = torch.empty(1, 3, 6, 6)
    assert count(plain, lambda: plain(x)) == (2 * 5 * 24, 27, 2 * 5 * 24, 27)
    assert count(own, lambda: own(x)) == (2 * 5 * 24, 27, 0, 0)
    assert count(attention, lambda: attention(x, x, x)) == (2 * 5 * 4 * 64 + 2 * 2 * 25 * 8, 4 * 64 + 32, 0, 0)
    assert count(convolution, lambda: convolution(picture)) == (9 * 4 * 12, 48, 9 * 4 * 12, 48)
    assert not plain._forward_hooks, "counting leaves no hook behind"


def test_counting_loads_no_weights_and_draws_no_random_numbers(monkeypatch):
    monkeypatch.setattr(open_clip.factory, "load_checkpoint", lambda *args, **kw: pytest.fail("weights"))
    before = torch.get_rng_state()
    assert all(p.is_meta for p in complexity._build("ViT-B-32").parameters())
    parts("ViT-B-32")
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "clip", ["RN50", "EVA02-B-16", "ViT-B-16-SigLIP", "roberta-ViT-B-32", "coca_ViT-B-32", "MobileCLIP2-S0"]
)
def test_other_towers_are_refused_with_what_is_supported(clip):
    with pytest.raises(ValueError, match=rf"{clip} can't be counted: .*ViT-B-32, ViT-B-16.*`mgdm clip`"):
        table8(clip)


def test_the_shipped_clip_is_counted_as_its_folder(tmp_path):
    save_small_clip(new_small_clip(), tmp_path)
    assert table8("small").equals(table8(str(tmp_path)))


def test_an_unknown_name_is_told_with_near_ones_and_how_to_list_all():
    with pytest.raises(ValueError, match=r"'ViT-L14' is neither .* near names are ViT-L-14.*list_models"):
        table8("ViT-L14")


def test_a_folder_without_a_clip(tmp_path):
    with pytest.raises(ValueError, match=rf"{tmp_path} holds no CLIP .*open_clip_config.json.*mgdm clip --manifest"):
        table8(str(tmp_path))
    (tmp_path / "open_clip_config.json").write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match=rf"{tmp_path} holds no CLIP"):
        table8(str(tmp_path))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: parts("ViT-B-32", k=-1), "k=-1"),
        (lambda: parts("ViT-B-32", classes=0), "classes=0"),
        (lambda: parts("ViT-B-32", frames=0), "frames must be at least 1"),
        (lambda: table8("ViT-B-32", semantic_layers=0), "semantic_layers must be at least 1"),
        (lambda: splits("ViT-B-32", blocks=1), "blocks=1"),
    ],
)
def test_sizes_that_make_no_model(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_activation_in_a_name_costs_nothing():
    plain, named = (complexity._configuration(name) for name in ("ViT-L-14", "ViT-L-14-gelu"))
    assert plain == named
