"""One interface to every backbone, and errors that say where weights go. No test touches the network."""

import hashlib
import json
import re
import shutil
import warnings
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from huggingface_hub import constants
from narrow_clip import narrow
from offline import offline  # noqa: F401
from open_clip import factory
from PIL import Image
from safetensors.torch import load_file, save_file
from tiny_clip import TINY, tiny_model  # noqa: F401
from torch import nn

from mgdmkit.clip.backbone import ClipTextWarning, load_clip
from mgdmkit.clip.small import TRAINING, WEIGHTS, difference_from_shipped, new_small_clip, pack, save_small_clip
from mgdmkit.clip.weights import ClipWeightsError, ClipWeightsWarning, activation_doubt
from mgdmkit.data.corpus import prompts
from mgdmkit.stickactions.dataset import LABELS

TEXTS = ["open a door", "This is a video about closing a door"]


def pictures(n=3):
    """Noise from dark to light: n pictures that no encoder maps to one point."""
    noise = np.random.default_rng(0).integers(0, 80, (n, 90, 140, 3))
    return [Image.fromarray((80 * i + image).astype(np.uint8)) for i, image in enumerate(noise)]


def encode(model, preprocess, tokenizer):
    """What open_clip itself says about the pictures and texts."""
    model.eval().requires_grad_(False)  # torch's attention rounds otherwise where gradients could be asked for
    with torch.no_grad():
        images = torch.stack([preprocess(picture) for picture in pictures()])
        return model.encode_image(images), model.encode_text(tokenizer(TEXTS))


def ours(clip):
    return clip.encode_image(torch.stack([clip.preprocess(picture) for picture in pictures()])), clip.encode_text(TEXTS)


def assert_same(one, other):
    for a, b in zip(one, other, strict=True):
        assert torch.equal(a, b)
        assert a.std(dim=0).mean() > 1e-2, "features of different inputs that do not differ would prove nothing"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A small CLIP with fresh weights on disk. Read only."""
    return save_small_clip(new_small_clip(3), tmp_path_factory.mktemp("clip") / "small").parent


def test_a_small_clip_comes_back_from_its_folder(folder):
    clip = load_clip(str(folder))
    assert_same(ours(clip), encode(new_small_clip(3), clip.preprocess, clip.tokenizer))
    assert sorted(path.name for path in folder.iterdir()) == [
        "open_clip_config.json",
        "open_clip_model.safetensors",
        "sha256.json",
    ]


def test_open_clip_itself_opens_the_folder(folder):
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    theirs = encode(model, preprocess, open_clip.get_tokenizer(f"local-dir:{folder}"))
    assert_same(ours(load_clip(str(folder))), theirs)


def test_features_are_raw_float32_on_the_cpu_without_gradients(folder):
    clip = load_clip(str(folder))
    image_features, text_features = ours(clip)
    for features, n in ((image_features, 3), (text_features, 2)):
        assert features.shape == (n, 128) and features.dtype == torch.float32 and features.device.type == "cpu"
        assert not features.requires_grad
        assert not torch.allclose(features.norm(dim=1), torch.ones(n), atol=1e-2), "raw, not normalised"
    assert clip.dim == 128 and not clip.model.training
    assert not any(parameter.requires_grad for parameter in clip.model.parameters())
    assert torch.allclose(clip.encode_text(TEXTS, batch_size=1), text_features, atol=1e-4)


def test_the_preprocessing_is_the_configured_one(folder):
    image = Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 64, 3)).astype(np.uint8))
    expected = (torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255 - 0.5) / 0.25
    assert torch.allclose(load_clip(str(folder)).preprocess(image), expected, atol=1e-6)


def test_the_logit_scale_is_at_most_100(tmp_path, monkeypatch):
    narrow(monkeypatch, tmp_path)
    model = new_small_clip(0)

    def scale(exponent: float) -> float:
        model.logit_scale.data.fill_(exponent)
        save_small_clip(model, tmp_path / "clip")
        return load_clip(str(tmp_path / "clip")).logit_scale

    assert scale(3.0) == pytest.approx(np.exp(3.0), rel=1e-6)
    openai = np.log(100)
    assert {scale(openai), scale(float(np.float16(openai)))} == {100.0}, "to the bit, in both precisions"
    with pytest.warns(ClipWeightsWarning, match=r"logit scale of 148\.4; the kit takes 100"):
        assert scale(5.0) == 100.0


@pytest.fixture(scope="module")
def shipped():
    return load_clip("small")


def test_the_small_clip_that_comes_with_the_kit_is_the_one_of_its_record(shipped):
    record = json.loads(TRAINING.read_text(encoding="utf-8"))
    assert shipped.fingerprint == record["fingerprint"]
    assert shipped.logit_scale == pytest.approx(record["history"][-1]["logit_scale"], rel=2e-3), "half precision"
    assert WEIGHTS.stat().st_size < 4e6
    assert shipped.name == "small" and (shipped.dim, shipped.model.visual.image_size) == (128, (64, 64))


def test_the_small_clip_that_comes_with_the_kit_survives_its_own_packing(shipped, tmp_path):
    weights = shipped.model.state_dict()
    assert difference_from_shipped(weights) == 0
    changed = {name: tensor.clone() for name, tensor in weights.items()}
    changed["visual.proj"][0, 0] += 0.5
    assert difference_from_shipped(changed) == pytest.approx(0.5, rel=1e-3)
    ids = load_file(WEIGHTS)["token_embedding.weight.ids"].tolist()
    assert pack(weights, ids, tmp_path / "again.safetensors").read_bytes() == WEIGHTS.read_bytes()


def test_the_small_clip_knows_every_word_of_the_labels(shipped):
    ids = set(load_file(WEIGHTS)["token_embedding.weight.ids"].tolist())
    assert set(shipped.tokenizer(prompts(LABELS)).flatten().tolist()) <= ids
    assert len(ids) < 500


def test_the_small_clip_is_saved_and_opened_like_any_other(shipped, tmp_path):
    save_small_clip(shipped.model, tmp_path / "clip")
    opened = load_clip(str(tmp_path / "clip"))
    assert opened.fingerprint == shipped.fingerprint
    assert torch.equal(opened.encode_text(prompts(LABELS[:3])), shipped.encode_text(prompts(LABELS[:3])))
    with pytest.raises(ValueError, match="own weights"):
        load_clip("small", "openai")


def test_the_fingerprint_tells_one_changed_weight_and_other_preprocessing(tmp_path, monkeypatch):
    narrow(monkeypatch, tmp_path)
    model = new_small_clip(3)
    save_small_clip(model, tmp_path / "one")
    save_small_clip(new_small_clip(3), tmp_path / "copy")
    same = load_clip(str(tmp_path / "one")).fingerprint
    assert same == load_clip(str(tmp_path / "copy")).fingerprint, "the folder's name does not count"
    model.visual.proj.data[0, 0] += 1e-6
    save_small_clip(model, tmp_path / "weight")
    save_small_clip(new_small_clip(3), tmp_path / "mean")
    config = tmp_path / "mean" / "open_clip_config.json"
    config.write_text(config.read_text().replace("[0.5, 0.5, 0.5]", "[0.5, 0.5, 0.4]"))
    assert len({same, *(load_clip(str(tmp_path / name)).fingerprint for name in ("weight", "mean"))}) == 3


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_registered_model_with_a_local_checkpoint(tiny, tmp_path, suffix):
    torch.manual_seed(7)
    model, _, preprocess = open_clip.create_model_and_transforms(tiny)
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pt":
        torch.save(model.state_dict(), path)
    else:
        save_file(model.state_dict(), path)
    clip = load_clip(tiny, pretrained=str(path))
    assert clip.name == tiny
    assert_same(ours(clip), encode(model, preprocess, open_clip.get_tokenizer(tiny)))
    assert all(torch.equal(clip.preprocess(picture), preprocess(picture)) for picture in pictures())


def test_a_tag_brings_its_activation_and_preprocessing(tiny, tmp_path, monkeypatch):
    """As OpenAI's tags do: QuickGELU under a plain name, which open_clip alone would only warn of."""
    model = open_clip.CLIP(**TINY, quick_gelu=True)
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    tag = {"url": "https://nowhere.invalid/w.pt", "quick_gelu": True, "mean": (0.1, 0.2, 0.3), "std": (0.5, 0.5, 0.5)}
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, tiny, {"mine": tag})
    monkeypatch.setattr(factory, "download_pretrained", lambda *args, **options: str(tmp_path / "weights.pt"))
    clip = load_clip(tiny, pretrained="mine")
    assert_same(ours(clip), encode(model, clip.preprocess, clip.tokenizer))
    plain = open_clip.CLIP(**TINY)
    plain.load_state_dict(model.state_dict())
    assert not torch.allclose(encode(plain, clip.preprocess, clip.tokenizer)[0], ours(clip)[0]), "the test can tell"
    black = clip.preprocess(Image.new("RGB", (40, 40)))
    assert torch.allclose(black[:, 0, 0], torch.tensor([-0.2, -0.4, -0.6]))


def archive(model: nn.Module, path: Path) -> Path:
    """Weights as in OpenAI's archives: TorchScript, in half precision, with three numbers that are no weights."""
    root = nn.Module()
    for name, tensor in model.state_dict().items():
        *parents, last = name.split(".")
        owner = root
        for parent in parents:
            if parent not in owner._modules:
                owner.add_module(parent, nn.Module())
            owner = owner._modules[parent]
        owner.register_parameter(last, nn.Parameter(tensor.half(), requires_grad=False))
    for name, number in (("input_resolution", 32), ("context_length", 77), ("vocab_size", 49408)):
        root.register_buffer(name, torch.tensor(number))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer versions of torch call TorchScript deprecated
        torch.jit.script(root).save(path)
    return path


def test_openai_s_archives_are_known_by_their_checksum(tiny, tmp_path, monkeypatch):
    """Their file says neither that it needs QuickGELU nor that it holds only weights; its checksum says whose it is."""
    model = open_clip.CLIP(**TINY, quick_gelu=True)
    model.load_state_dict({name: tensor.half().float() for name, tensor in model.state_dict().items()})
    path = archive(model, tmp_path / "Tiny-16.pt")
    with pytest.raises(ClipWeightsError, match=r"Tiny-16\.pt does not hold weights of Tiny-16: .*TorchScript"):
        load_clip(tiny, str(path))
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    tag = {"url": f"https://nowhere.invalid/clip/models/{checksum}/Tiny-16.pt", "quick_gelu": True}
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, tiny, {"openai": tag})
    clip = load_clip(tiny, str(path))
    assert_same(ours(clip), encode(model, clip.preprocess, clip.tokenizer))
    assert any(isinstance(part, open_clip.transformer.QuickGELU) for part in clip.model.modules())
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(ClipWeightsError, match="does not hold weights of Tiny-16"):
        load_clip(tiny, str(path))


def test_the_checksums_of_openai_are_those_that_open_clip_records():
    """The addresses that they are read from are open_clip's to change."""
    names = {name for name, tag in open_clip.list_pretrained() if tag == "openai"}
    assert {"ViT-L-14", "ViT-B-32", "ViT-B-16", "RN50"} <= names
    assert all(re.search(r"/[0-9a-f]{64}/", open_clip.get_pretrained_url(name, "openai")) for name in names)


def test_unknown_models_and_tags_are_told_from_the_known_ones(tiny):
    with pytest.raises(ClipWeightsError, match=r"'ViT-L14' is neither a folder.*mgdm clip.*ViT-L-14"):
        load_clip("ViT-L14", "openai")
    with pytest.raises(ClipWeightsError, match=r"ViT-B-32 needs weights: give a tag \(openai, .*path of a checkpoint"):
        load_clip("ViT-B-32")
    with pytest.raises(ClipWeightsError, match=r"'opnai' is neither a file nor .* of ViT-B-32 \(openai, laion400m_e31"):
        load_clip("ViT-B-32", "opnai")
    with pytest.raises(ClipWeightsError, match=r"tag of Tiny-16 \(none are known\)"):
        load_clip(tiny, "openai")


def test_a_folder_without_a_clip_says_what_should_be_there(folder, tmp_path):
    with pytest.raises(ClipWeightsError, match=r"holds no CLIP: open_clip_config\.json.*mgdm clip --manifest"):
        load_clip(str(tmp_path))
    # What an interrupted training leaves: open_clip would take the configuration and random weights.
    (tmp_path / "open_clip_config.json").write_text((folder / "open_clip_config.json").read_text())
    torch.save({}, tmp_path / "checkpoint.pt")
    with pytest.raises(ClipWeightsError, match="holds no CLIP"):
        load_clip(str(tmp_path))
    (tmp_path / "open_clip_model.safetensors").write_bytes(b"not weights")
    with pytest.raises(ClipWeightsError, match="can't be opened"):
        load_clip(str(tmp_path))


def test_a_checkpoint_of_another_model_or_kind_is_refused(tiny, tmp_path, folder):
    with pytest.raises(ClipWeightsError, match=r"open_clip_model\.safetensors does not hold weights of Tiny-16: \w+"):
        load_clip(tiny, str(folder / "open_clip_model.safetensors"))


class RunsWhenRead:
    def __reduce__(self):
        return (print, ("code from a file was run",))


CHECKPOINTS = {
    "a page": b"<html>not found</html>",
    "noise": bytes(range(256)) * 20,
    "half a zip": b"PK\x03\x04" + bytes(range(256)),
    "nothing": b"",
    "code": {"a": RunsWhenRead()},
    "a whole model": nn.Linear(2, 2),
    "a number": 3,
    "other weights": {"weight": torch.zeros(2)},
}


@pytest.mark.parametrize("kind", CHECKPOINTS)
def test_nobody_is_advised_to_load_what_may_run_code(tiny, tmp_path, kind, capsys):
    """torch says of such files that weights_only=False will likely succeed."""
    path, held = tmp_path / "weights.pt", CHECKPOINTS[kind]
    path.write_bytes(held) if isinstance(held, bytes) else torch.save(held, path)
    with pytest.raises(ClipWeightsError) as caught:
        load_clip(tiny, str(path))
    message = str(caught.value)
    assert message.startswith(f"{path} does not hold weights of Tiny-16: ") and len(message) < 600
    assert "weights_only" not in message and "trust" not in message and "\n" not in message
    if kind in ("a page", "noise", "nothing", "code", "a whole model"):
        assert "download it again, or save model.state_dict() alone" in message
    assert "code from a file was run" not in capsys.readouterr().out


def test_a_folder_takes_no_other_weights(folder):
    with pytest.raises(
        ValueError, match=r"small is a folder, which has its own weights; leave --pretrained openai out"
    ):
        load_clip(str(folder), "openai")


def test_missing_weights_without_network_say_where_and_how(offline):  # noqa: F811
    with pytest.raises(ClipWeightsError) as caught:
        load_clip("ViT-B-32", "openai")
    message = str(caught.value)
    assert str(offline) in message
    assert "open_clip.create_model('ViT-B-32', pretrained='openai')" in message
    assert "--pretrained /path/to/file" in message and "mgdm clip" in message
    # By path nothing tells that OpenAI's weights need QuickGELU, so the advice must.
    assert "--clip ViT-B-32-quickgelu" in message
    assert constants.HF_HUB_OFFLINE is False, "the setting is put back"
    with pytest.raises(ClipWeightsError, match="--clip ViT-B-32-gelu --pretrained"):
        load_clip("ViT-B-32", "laion2b_s34b_b79k")


@pytest.fixture
def both(tiny, tmp_path) -> str:
    """The registered model with a variant that has QuickGELU, as OpenAI's models have one."""
    path = tmp_path / f"{tiny}-quickgelu.json"
    path.write_text(json.dumps({**TINY, "quick_gelu": True}))
    open_clip.add_model_config(path)
    return tiny


def test_a_file_whose_checksum_is_recorded_needs_no_telling_name_and_takes_no_wrong_one(both, tmp_path, monkeypatch):
    """LAION's older files are in addresses that end in the beginning of their checksum."""
    model = open_clip.CLIP(**TINY, quick_gelu=True)
    path = tmp_path / "weights.pt"
    torch.save(model.state_dict(), path)
    name = f"tiny-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}.pt"
    for quick_gelu, right, wrong in ((True, "quickgelu", "gelu"), (False, "gelu", "quickgelu")):
        url = f"https://nowhere.invalid/mlfoundations/open_clip/releases/{name}"
        tags = {"laion": {"url": url, "quick_gelu": quick_gelu}}
        monkeypatch.setitem(open_clip.pretrained._PRETRAINED, both, tags)
        with pytest.raises(ClipWeightsError, match=f"'laion' of {both}, which goes with --clip {both}-{right}, "):
            load_clip(f"{both}-{wrong}", str(path))
        for accepted in (both, f"{both}-{right}"):
            clip = load_clip(accepted, str(path))
            assert clip.name == accepted and activation_doubt(accepted, str(path)) is None
            assert ("QuickGELU" in str(clip.model)) == quick_gelu
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(ClipWeightsError, match=rf"does not tell its activation.*--clip {both}-gelu$"):
        load_clip(both, str(path))
    (tmp_path / "open_clip_config.json").write_text("{}")
    assert activation_doubt(both, str(path)).endswith(f"--clip {tmp_path} alone takes it")


def test_what_is_no_file_of_a_model_with_two_activations_raises_no_doubt(tiny, folder, tmp_path):
    weights = str(folder / "open_clip_model.safetensors")
    for name, pretrained in ((str(folder), None), ("ViT-B-32", "openai"), ("ViT-B-32", "none.pt"), (tiny, weights)):
        assert activation_doubt(name, pretrained) is None
    assert "does not tell its activation" in activation_doubt("ViT-B-32", weights)
    with pytest.raises(ClipWeightsError, match="'Tiny-16-gelu' is neither a folder with a CLIP nor a model"):
        load_clip("Tiny-16-gelu", weights)  # no variants, so there is nothing to tell apart


def test_openai_s_weights_are_found_where_their_own_package_keeps_them(both, tmp_path, monkeypatch, offline):  # noqa: F811
    model = open_clip.CLIP(**TINY, quick_gelu=True)
    model.load_state_dict({name: tensor.half().float() for name, tensor in model.state_dict().items()})
    kept = tmp_path / "home" / ".cache" / "clip" / "Tiny-16.pt"
    kept.parent.mkdir(parents=True)
    checksum = hashlib.sha256(archive(model, kept).read_bytes()).hexdigest()
    url = f"https://nowhere.invalid/clip/models/{checksum}/Tiny-16.pt"
    tags = {"openai": {"url": url, "hf_hub": "nobody/tiny/", "quick_gelu": True}}
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, both, tags)
    with pytest.warns(ClipWeightsWarning, match=r"taken from .*home.\.cache.clip.Tiny-16\.pt, where") as told:
        clip = load_clip(both, "openai")
    assert len(told) == 1 and (clip.name, clip.pretrained) == (both, "openai")
    assert_same(ours(clip), encode(model, clip.preprocess, clip.tokenizer))
    kept.write_bytes(kept.read_bytes() + b" ")
    with pytest.raises(ClipWeightsError, match=r"clip.Tiny-16\.pt is there, but by its checksum not OpenAI's"):
        load_clip(both, "openai")


DRESSED = {
    "state_dict": lambda weights: {"state_dict": weights, "epoch": 3},
    "module.": lambda weights: {"state_dict": {f"module.{name}": tensor for name, tensor in weights.items()}},
    "model": lambda weights: {"model": weights, "optimizer": {"state": {}}},
    "model_state_dict and a prefix": lambda weights: {
        "model_state_dict": {f"module.clip.{name}": t for name, t in weights.items()} | {"module.head": torch.ones(2)}
    },
}


@pytest.mark.parametrize("form", DRESSED)
def test_weights_are_found_in_what_training_scripts_put_around_them(tiny, tmp_path, form):
    torch.manual_seed(7)
    model, _, preprocess = open_clip.create_model_and_transforms(tiny)
    torch.save(DRESSED[form](model.state_dict()), tmp_path / "weights.pt")
    clip = load_clip(tiny, str(tmp_path / "weights.pt"))
    assert_same(ours(clip), encode(model, preprocess, open_clip.get_tokenizer(tiny)))


def wider(weights: dict) -> dict:
    return weights | {"visual.positional_embedding": torch.zeros(26, 32).half()}


ONE = torch.ones(())
UNFIT = {
    "Hugging Face's": (lambda w: {"vision_model.a": ONE, "logit_scale": ONE}, "Hugging Face"),
    "ViFi-CLIP's": (lambda w: {"model": {"module.image_encoder.a": ONE, "module.logit_scale": ONE}}, "taken apart"),
    "some": (lambda w: dict(list(w.items())[:5]), r"\d+ of its \d+ weights are missing, first '"),
    "half as wide": (
        lambda w: w | {"visual.conv1.weight": torch.zeros(16, 3, 16, 16)},
        r"visual\.conv1\.weight is \(16, 3, 16, 16\) there, \(32, 3, 16, 16\) in the model: another size",
    ),
    "larger pictures": (wider, r"visual\.positional_embedding is \(26, 32\) there, \(5, 32\) in the model"),
    "larger pictures, in float": (
        lambda w: {name: tensor.float() for name, tensor in wider(w).items()},
        r"visual\.positional_embedding is \(26, 32\) there, \(5, 32\) in the model",
    ),
    "NaN": (
        lambda w: w | {"visual.proj": w["visual.proj"] * float("nan")},
        r"the weight visual\.proj holds numbers",
    ),
}


@pytest.mark.parametrize("kind", UNFIT)
def test_unfit_weights_are_told_in_one_line(tiny, tmp_path, kind):
    change, told = UNFIT[kind]
    torch.save(change(open_clip.create_model(tiny).state_dict()), tmp_path / "weights.pt")
    with pytest.raises(ClipWeightsError, match=told) as caught:
        load_clip(tiny, str(tmp_path / "weights.pt"))
    assert "\n" not in str(caught.value) and str(tmp_path / "weights.pt") in str(caught.value)


@pytest.mark.parametrize("mean", ["[NaN, 0.5, 0.5]", '["a", 0.5, 0.5]'])
def test_a_preprocessing_without_sound_numbers_is_refused(tmp_path, folder, mean):
    shutil.copytree(folder, tmp_path / "clip")
    config = tmp_path / "clip" / "open_clip_config.json"
    config.write_text(config.read_text().replace("[0.5, 0.5, 0.5]", mean))
    with pytest.raises(ClipWeightsError, match=rf"{tmp_path / 'clip'}.*"):
        load_clip(str(tmp_path / "clip"))


def test_a_flipped_bit_of_a_clip_is_told_before_its_first_use(tmp_path, folder):
    shutil.copytree(folder, tmp_path / "clip")
    path = tmp_path / "clip" / "open_clip_model.safetensors"
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    with pytest.raises(ClipWeightsError, match=r"can't be opened: it is not what was written, by its sha256"):
        load_clip(str(tmp_path / "clip"))


@pytest.mark.parametrize(
    ("one", "other", "reason"),
    [
        ("walking", "Walking", "are the same words"),
        ("push_up", "push up", "are the same words"),
        ("caf\u00e9", "cafe\u0301", "are the same words"),
        ("a " * 80 + "cat", "a " * 80 + "dog", r"agree in the \d+ tokens that the text encoder reads"),
    ],
)
def test_labels_that_can_not_be_told_apart_are_named_when_texts_are_made(shipped, one, other, reason):
    with pytest.warns(ClipTextWarning, match=reason) as told:
        shipped.encode_text(prompts(["sit", one, other, one]))
    assert len(told) == 1 and f"{one.strip()}' and 'This is a video about {other.strip()}" in str(told[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shipped.encode_text(prompts(["walking", "jumping", "walking"]))
