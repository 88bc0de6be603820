"""What a model's name and `--pretrained` stand for, before anything is loaded: whose weights, with which activation.

A file of weights does not say whether they were trained with QuickGELU, as OpenAI's were, or with GELU, and the other
one makes every feature a little wrong without an error. Files whose checksum open_clip records are known; of any
other the name has to tell: ViT-L-14-quickgelu as open_clip has it, or ViT-L-14-gelu, which is the kit's own spelling.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import constants
from safetensors.torch import load_file
from torch import Tensor

from mgdmkit.clip.later import open_clip
from mgdmkit.clip.small import SMALL
from mgdmkit.files import sha256
from mgdmkit.runs.folder import cause

_CHECKSUM = re.compile(r"/clip/models/(?P<openai>[0-9a-f]{64})/|/open_clip/.*-(?P<open_clip>[0-9a-f]{8})\.pth?$")
"""In the address of a file: OpenAI's whole sha256, or the beginning of it."""


class ClipWeightsError(RuntimeError):
    """Weights or configuration of a backbone can't be had or used; the message says what to do."""


class ClipWeightsWarning(UserWarning):
    """What to know of weights that were taken from another place than asked for."""


def check_folder(name: str, pretrained: str | None) -> None:
    """`ValueError` for weights that are given beside a CLIP that has its own."""
    if pretrained and (name == SMALL or Path(name).is_dir()):
        kind = "the CLIP that comes with the kit" if name == SMALL else "a folder"
        raise ValueError(f"{name} is {kind}, which has its own weights; leave --pretrained {pretrained} out")


def open_clip_name(name: str) -> str:
    """ViT-L-14 for ViT-L-14-gelu; any other name as it is."""
    base = name.removesuffix("-gelu")
    return base if _has_both(base) else name


def base_name(name: str) -> str:
    """ViT-L-14 for ViT-L-14-quickgelu and ViT-L-14-gelu; any other name as it is."""
    return name.removesuffix("-quickgelu").removesuffix("-gelu")


def activation_doubt(name: str, pretrained: str | None) -> str | None:
    """Why `load_clip` refuses a file of weights under this name: the activation is not told, or known to be another.

    None where nothing is in doubt: a folder, a tag, a model without the two variants, or a file that isn't there. No
    weights are loaded; the file is read once, for its checksum.
    """
    if Path(name).is_dir() or not pretrained or not Path(pretrained).is_file():
        return None
    if open_clip.get_pretrained_cfg(name, pretrained):  # a tag goes before a file of its name
        return None
    return doubt(name, Path(pretrained), published_tag(name, Path(pretrained)))


def doubt(name: str, path: Path, tag: str | None) -> str | None:
    """`activation_doubt` of a file, given whose it is by `published_tag`."""
    base = base_name(name)
    if not _has_both(base):
        return None
    told = {f"{base}-quickgelu": True, f"{base}-gelu": False}.get(name)
    if tag is None and told is None:
        configured = (path.parent / "open_clip_config.json").is_file()
        quick = [tag for tag in open_clip.list_pretrained_tags_by_model(base) if needs_quick_gelu(base, tag)]
        return (
            f"{path} does not tell its activation, and the wrong one makes every feature a little wrong. Weights "
            f"trained with QuickGELU, as those of {', '.join(quick)}, need --clip {base}-quickgelu; "
            f"those with GELU, as open_clip trains by default, --clip {base}-gelu"
            + (f". The configuration beside the file tells it: --clip {path.parent} alone takes it" * configured)
        )
    if None not in (tag, told) and told != needs_quick_gelu(base, tag):
        right = f"{base}-gelu" if told else f"{base}-quickgelu"
        return f"{path} is by its checksum {tag!r} of {base}, which goes with --clip {right}, not {name}"
    return None


def published_tag(name: str, path: Path) -> str | None:
    """The tag whose published file this is; None unless open_clip records its checksum, in the file's address."""
    base, recorded = base_name(name), {}
    for tag in open_clip.list_pretrained_tags_by_model(base):
        if found := _CHECKSUM.search(open_clip.get_pretrained_url(base, tag) or ""):
            recorded[found["openai"] or found["open_clip"]] = tag
    digest = sha256(path) if recorded else ""
    return next((tag for checksum, tag in recorded.items() if digest.startswith(checksum)), None)


WRAPPERS = ("state_dict", "model_state_dict", "model")
"""Under which training scripts keep the weights, beside their optimiser and the like."""


def plain_weights(path: Path) -> tuple[dict[str, Tensor], bool]:
    """The weights of a checkpoint by the names of a bare CLIP, and whether anything was around them.

    Every CLIP has one `logit_scale`: what stands before it stands before all of its weights, and what begins otherwise
    is not of the CLIP. No code of the file is run; errors are those of torch and safetensors.
    """
    if path.suffix == ".safetensors":
        held = load_file(path)
    else:
        held = torch.load(path, map_location="cpu", weights_only=True)
    wrapper = next((key for key in WRAPPERS if isinstance(held, dict) and isinstance(held.get(key), dict)), None)
    held = held[wrapper] if wrapper else held
    if not isinstance(held, dict) or not any(isinstance(value, Tensor) for value in held.values()):
        raise ValueError("it holds no weights by name, as model.state_dict() gives them")
    weights = {str(name): value for name, value in held.items() if isinstance(value, Tensor)}
    scales = [name for name in weights if f".{name}".endswith(".logit_scale")]
    prefix = scales[0].removesuffix("logit_scale") if len(scales) == 1 else ""
    bare = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
    return bare, bool(wrapper or prefix)


def misfit(weights: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> str | None:
    """Why weights are not those of a model with `own`, in one line; None where names and shapes agree."""
    if any(name.startswith("vision_model.") for name in weights):
        return (
            "it is in the form of Hugging Face's transformers, which the kit does not read; give the same weights in "
            "open_clip's form (a pretrained tag, or open_clip_model.safetensors of the same repository)"
        )
    if any(name.startswith("image_encoder.") for name in weights):
        return (
            "its CLIP is taken apart (image_encoder., text_encoder.), as ViFi-CLIP and prompt learners keep it, "
            "without all of the text encoder; give it as one CLIP (visual., transformer., token_embedding.weight)"
        )
    missing, more = ([name for name in a if name not in b] for a, b in ((own, weights), (weights, own)))
    if missing:
        there = f"; {len(more)} others are there, first {more[0]!r}" if more else ""
        return f"{len(missing)} of its {len(own)} weights are missing, first {missing[0]!r}{there}"
    if told := other_size(weights, own):
        return told
    return f"{len(more)} weights are there that it does not have, first {more[0]!r}" if more else None


def other_size(weights: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> str | None:
    """Which weight has another shape than a model's of the same name; None for none."""
    for name in (name for name in own if name in weights):
        there, here = tuple(weights[name].shape), tuple(own[name].shape)
        if own[name].numel() > 1 and there != here:  # a scale may be a number or a list of one
            return f"{name} is {there} there, {here} in the model: another size"
    return None


def openai_download(name: str, tag: str | None) -> Path | None:
    """The file of a tag of OpenAI's where their own package keeps it, if it is there and whole."""
    path = _openai_file(name, tag)
    return path if path and published_tag(name, path) == tag else None


def needs_quick_gelu(name: str, tag: str | None) -> bool:
    """Whether the weights of a tag need QuickGELU; False for no tag: the name's own configuration then decides."""
    return tag is not None and bool(open_clip.get_pretrained_cfg(base_name(name), tag).get("quick_gelu"))


def tags_of(name: str) -> str:
    """The pretrained tags of a model, for a message."""
    return ", ".join(open_clip.list_pretrained_tags_by_model(name)) or "none are known"


def missing_weights(name: str, pretrained: str, tag: dict[str, Any], error: Exception) -> str:
    """What to do about weights of a tag that are in no cache and can't be downloaded."""
    repository, base = str(tag.get("hf_hub", "")).strip("/"), base_name(name)
    source = f"{constants.ENDPOINT}/{repository}" if repository else tag.get("url", "their source")
    # A path does not tell what a tag does: with which activation these weights were trained.
    model = f"{base}-{'quickgelu' if tag.get('quick_gelu') else 'gelu'}" if _has_both(base) else name
    load = f"import open_clip; open_clip.create_model('{name}', pretrained='{pretrained}')"
    damaged = _openai_file(name, pretrained)
    return (
        f"the weights {pretrained!r} of {name} are not in the cache ({constants.HF_HUB_CACHE}) and could not "
        f"be downloaded from {source}: {cause(error)}\n"
        + (f"{damaged} is there, but by its checksum not OpenAI's, or damaged: download it again.\n" if damaged else "")
        + f'Either run `python -c "{load}"` on a machine with network and copy its cache folder here, or '
        f"download the checkpoint and give its path instead of {pretrained!r}: "
        f"--clip {model} --pretrained /path/to/file.\n"
        f"To go on without them, train the small CLIP: `mgdm clip --help`."
    )


def _has_both(base: str) -> bool:
    return {base, f"{base}-quickgelu"} <= set(open_clip.list_models())


def _openai_file(name: str, tag: str | None) -> Path | None:
    """Where OpenAI's own package keeps the file of a tag of theirs, if it is there."""
    url = open_clip.get_pretrained_url(base_name(name), tag or "") or ""
    path = Path.home() / ".cache" / "clip" / url.rpartition("/")[2]
    return path if "/clip/models/" in url and path.is_file() else None
