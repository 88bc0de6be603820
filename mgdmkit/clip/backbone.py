"""Frozen CLIP: any open_clip model, by pretrained tag, local checkpoint or a folder that `mgdm clip` made.

open_clip does the work; this file gives every backbone one interface, a fingerprint, and errors that say what
to do when weights are missing. The towers attend through torch's `scaled_dot_product_attention`; only in fp32
without a mask, which is how pictures are encoded, through `nn.MultiheadAttention`'s fused inference kernel instead.
"""

import difflib
import hashlib
import logging
import math
import pickle
import re
import socket
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

import torch
from huggingface_hub import constants
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from mgdmkit.clip.later import open_clip
from mgdmkit.clip.small import SMALL, new_small_clip, shipped_weights, small_config
from mgdmkit.clip.weights import (
    ClipWeightsError,
    ClipWeightsWarning,
    check_folder,
    doubt,
    misfit,
    missing_weights,
    needs_quick_gelu,
    open_clip_name,
    openai_download,
    other_size,
    plain_weights,
    published_tag,
    tags_of,
)
from mgdmkit.config import check_choice
from mgdmkit.data.corpus import alike, words
from mgdmkit.runs.folder import cause, check_sha256, did_you_mean, lacks_memory
from mgdmkit.runs.processes import PRECISIONS, autocast_dtype, choose_device


class ClipTextWarning(UserWarning):
    """Two texts that a CLIP can't tell apart."""


Parts = tuple[nn.Module, Callable, Callable]  # model, preprocess and tokenizer of a `FrozenClip`


@dataclass(frozen=True)
class FrozenClip:
    """A CLIP backbone in evaluation mode, without gradients, behind the field's usual names."""

    name: str
    """What `load_clip` was asked for."""
    model: nn.Module
    preprocess: Callable[[Image.Image], Tensor]
    """One RGB picture -> (3, S, S): open_clip's own evaluation transform for these weights."""
    tokenizer: Callable[[Sequence[str]], Tensor]
    fingerprint: str
    """sha256 over configuration and weights: equal fingerprints give equal features."""
    pretrained: str | None = None
    """What `load_clip` was asked for beside the name: a tag or the path of a checkpoint."""
    precision: str = "fp32"
    """What encoding computes in, of `PRECISIONS`; by autocast, so weights and fingerprint stay as they are."""

    def __post_init__(self) -> None:
        check_choice("precision", self.precision, tuple(PRECISIONS))
        autocast_dtype(self.precision, self.device)  # may raise

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def logit_scale(self) -> float:
        """CLIP's learned 1/tau, at most 100."""
        return min(100.0, float(self.model.logit_scale.exp()))

    @property
    def dim(self) -> int:
        """D, the width of the joint embedding."""
        return self.encode_text([""]).shape[-1]

    @torch.no_grad()
    def encode_image(self, images: Tensor) -> Tensor:
        """(n, 3, S, S) preprocessed pictures -> (n, D) float32 `image_features`, on the CPU, raw."""
        with self._computing():
            return self.model.encode_image(images.to(self.device)).float().cpu()

    @torch.no_grad()
    def encode_text(self, texts: Sequence[str], batch_size: int = 256) -> Tensor:
        """n sentences -> (n, D) float32 `text_features`, on the CPU, not normalised.

        `ClipWeightsError` for a sentence whose embedding is not finite. `ClipTextWarning` names two different ones that
        come out the same, or are the same words.
        """
        tokens = self.tokenizer(list(texts))
        with self._computing():
            parts = [self.model.encode_text(part.to(self.device)).float().cpu() for part in tokens.split(batch_size)]
        features = torch.cat(parts)
        self.check_finite(features, texts)
        _tell_alike(texts, tokens, features)
        return features

    def check_finite(self, features: Tensor, names: Sequence[str]) -> None:
        """`ClipWeightsError` for features (n, ...) that are not finite, naming the first."""
        bad = (~features.flatten(1).isfinite().all(dim=1)).nonzero()
        if len(bad):
            cure = "take another CLIP, or put back a good copy of this one"
            raise ClipWeightsError(
                f"{self.name} makes numbers that are not finite (NaN or infinity) of {names[int(bad[0])]!r}, computing "
                f"in {self.precision}; {'give --precision bf16 or fp32' if self.precision == 'fp16' else cure}"
            )

    def _computing(self) -> AbstractContextManager:
        dtype = autocast_dtype(self.precision, self.device)
        return torch.autocast(self.device.type, dtype, enabled=dtype is not None)


def load_clip(name: str, pretrained: str | None = None, device: str = "cpu", *, precision: str = "fp32") -> FrozenClip:
    """A frozen backbone.

    Args:
        name: "small", the small CLIP that comes with the package; an open_clip model such as "ViT-L-14"; or a folder
            with `open_clip_config.json` and weights, as `mgdm clip` writes it.
        pretrained: with a model name, one of its pretrained tags ("openai"), or a path to a checkpoint file. A tag
            brings its activation, mean and deviation. A file brings weights only: the name tells the activation,
            "ViT-L-14-quickgelu" or "ViT-L-14-gelu". Under the plain "ViT-L-14" a file is refused, unless its checksum
            says whose it is, as that of OpenAI's own archives does; mean and deviation are OpenAI's, as open_clip has
            them by default.
        device: where the backbone runs, as `choose_device` takes it.
        precision: what encoding computes in, of `PRECISIONS`; features are float32 in any case.
    Raises:
        ClipWeightsError: unknown model or tag, weights that are missing and can't be downloaded, weights of
            another model, or of an activation that nothing tells; the message says what to do.
        ValueError: for another precision, fp16 without CUDA, or `pretrained` beside a folder.
    Warns:
        ClipWeightsWarning: where OpenAI's weights were taken from the cache of OpenAI's own package.
    """
    model, preprocess, tokenizer = _load(name, pretrained, str(choose_device(device)))
    model.eval().requires_grad_(False)
    _check_numbers(f"{name} {pretrained}" if pretrained else name, model, preprocess)
    if (scale := float(model.logit_scale.exp())) > 100.1:  # 100 comes out of a logarithm in half precision as 100.03
        warnings.warn(
            f"{name} has a logit scale of {scale:.1f}; the kit takes 100, the most that CLIP allows itself",
            ClipWeightsWarning,
            stacklevel=2,
        )
    return FrozenClip(name, model, preprocess, tokenizer, _fingerprint(model, preprocess), pretrained, precision)


def _load(name: str, pretrained: str | None, device: str) -> Parts:
    check_folder(name, pretrained)
    if name == SMALL:
        return _load_shipped(device)
    if Path(name).is_dir():
        return _load_folder(Path(name), device)
    if open_clip_name(name) not in open_clip.list_models():
        raise ClipWeightsError(f"{name!r} is neither a folder with a CLIP nor a model of open_clip{_instead(name)}")
    if pretrained is None:
        raise ClipWeightsError(f"{name} needs weights: give a tag ({tags_of(name)}) or the path of a checkpoint")
    tag = open_clip.get_pretrained_cfg(name, pretrained)
    if not tag and not Path(pretrained).is_file():
        raise ClipWeightsError(f"{pretrained!r} is neither a file nor a pretrained tag of {name} ({tags_of(name)})")
    if not tag:
        return _load_file(name, Path(pretrained), device)
    try:
        # OpenAI's weights were trained with QuickGELU; open_clip's plain names are not, and would only warn.
        quick_gelu = needs_quick_gelu(name, pretrained)
        with _offline_if_unreachable():
            return _create(name, pretrained=pretrained, force_quick_gelu=quick_gelu, device=device)
    except Exception as error:
        if lacks_memory(error):
            raise
        path = openai_download(name, pretrained)
        if path is None:
            raise ClipWeightsError(missing_weights(name, pretrained, tag, error)) from error
    warnings.warn(
        f"the weights {pretrained!r} of {name} are not in open_clip's cache and can't be downloaded; taken from "
        f"{path}, where OpenAI's own package keeps them",
        ClipWeightsWarning,
        stacklevel=3,
    )
    return _load_file(name, path, device)


def _instead(name: str) -> str:
    """What may have been meant by a name that is none, or else what there is."""
    beside, models = [str(path) for path in _clips_in(Path(name).parent)], open_clip.list_models()
    if typo := difflib.get_close_matches(name, beside, n=2, cutoff=0 if "/" in name else 0.6):
        return did_you_mean(typo)
    return (
        f"; take {SMALL!r}, which comes with the kit, train one with {_training('CLIP')}, or choose one of open_clip's "
        f"{len(models)} models, such as {', '.join(difflib.get_close_matches(name, models, n=5, cutoff=0))}"
    )


def _training(out: Path | str) -> str:
    """The command that trains a CLIP, quoted."""
    return f"`mgdm clip --manifest MANIFEST.csv --out {out}`"


def _clips_in(folder: Path) -> list[Path]:
    return sorted(found.parent for found in folder.glob("*/open_clip_config.json"))


def _load_file(name: str, path: Path, device: str) -> Parts:
    tag = published_tag(name, path)
    if refused := doubt(name, path, tag):
        raise ClipWeightsError(refused)
    # A TorchScript archive is no plain list of weights, but its checksum says that it is OpenAI's.
    options = {"force_quick_gelu": needs_quick_gelu(name, tag), "weights_only": tag != "openai"}
    weights, wrapped = None, False
    try:
        if tag is None and path.suffix not in (".npz", ".npy"):  # big_vision's, for open_clip alone
            weights, wrapped = plain_weights(path)
        with tempfile.TemporaryDirectory() as folder:
            bare = Path(folder) / "weights.safetensors" if wrapped else path
            if wrapped:  # for open_clip, which converts what it knows, a file of nothing else
                save_file({name: tensor.clone().contiguous() for name, tensor in weights.items()}, bare)
            parts = _create(open_clip_name(name), device, pretrained=str(bare), **options)
    except Exception as error:
        if lacks_memory(error):
            raise
        told = weights and misfit(weights, _create(open_clip_name(name), "cpu", pretrained_text=False)[0].state_dict())
        raise ClipWeightsError(f"{path} does not hold weights of {name}: {told or _unfit(error)}") from error
    # open_clip stretches the positions of another size without a word.
    if weights and (told := other_size(weights, parts[0].state_dict())):
        raise ClipWeightsError(f"{path} does not hold weights of {name}: {told}")
    return parts


def _unfit(error: Exception) -> str:
    """Why a checkpoint is refused. torch would advise to load what may run code; nobody should."""
    if "TorchScript" in str(error):
        return (
            "it is a TorchScript archive, which may run code, and by its checksum not the one of OpenAI; download it "
            "again, or give a file of plain weights (safetensors, or a saved state_dict)"
        )
    if isinstance(error, pickle.UnpicklingError | EOFError):
        return (
            "it is not a file of plain weights (safetensors, or a saved state_dict), or it is damaged; download it "
            "again, or save model.state_dict() alone"
        )
    return cause(error)


def _load_folder(folder: Path, device: str) -> Parts:
    """A folder in open_clip's own form, which open_clip itself opens as `local-dir:<folder>`."""
    # Where open_clip finds none of these it would go on with random weights.
    weights = [p for p in folder.iterdir() if p.suffix in (".safetensors", ".bin", ".pth")]
    if not (folder / "open_clip_config.json").is_file() or not weights:
        raise ClipWeightsError(
            f"{folder} holds no CLIP: open_clip_config.json and open_clip_model.safetensors should be there"
            + (did_you_mean(_clips_in(folder)) or f"; make them with {_training(folder)}")
        )
    try:
        for path in weights:
            check_sha256(path)
        return _create(f"local-dir:{folder}", device=device)
    except Exception as error:
        if lacks_memory(error):
            raise
        raise ClipWeightsError(
            f"the CLIP in {folder} can't be opened: {_unfit(error)}. Put back a good copy, or delete the folder and "
            f"make it again with {_training(folder)}"
        ) from error


def _load_shipped(device: str) -> Parts:
    model, options = new_small_clip(), small_config()["preprocess_cfg"]
    model.load_state_dict(shipped_weights())
    options = open_clip.transform.PreprocessCfg(size=model.visual.image_size, **options)
    open_clip.set_model_preprocess_cfg(model, asdict(options))  # as open_clip's own loader leaves it, for fine-tuning
    preprocess = open_clip.transform.image_transform_v2(options, is_train=False)
    return model.to(device), preprocess, open_clip.tokenizer.SimpleTokenizer(context_length=model.context_length)


def _create(name: str, device: str, **options) -> Parts:
    logging.disable(logging.ERROR)  # open_clip logs what is raised, or set right, here
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model, _, preprocess = open_clip.create_model_and_transforms(name, device=device, **options)
    finally:
        logging.disable(logging.NOTSET)
    return model, preprocess, open_clip.get_tokenizer(name)


def _check_numbers(name: str, model: nn.Module, preprocess: Callable) -> None:
    """`ClipWeightsError` for weights, mean or deviation that are no finite numbers."""
    cure = "put back a good copy, or take another CLIP"
    for weight, tensor in model.named_parameters():
        if not tensor.isfinite().all():
            raise ClipWeightsError(f"{name}: the weight {weight} holds numbers that are not finite; {cure}")
    for step in getattr(preprocess, "transforms", ()):
        if not hasattr(step, "mean"):
            continue
        try:
            sound = all(map(math.isfinite, (*step.mean, *step.std))) and min(step.std) > 0
        except (TypeError, ValueError):  # no numbers at all
            sound = False
        if not sound:
            raise ClipWeightsError(
                f"{name}: mean {step.mean} and std {step.std} of the preprocessing must be finite numbers, std above "
                f"0; mend open_clip_config.json, or {cure}"
            )


def _tell_alike(texts: Sequence[str], tokens: Tensor, features: Tensor) -> None:
    """`ClipTextWarning` for different texts that are one to this CLIP: each would be the other's hardest negative."""
    reasons = {
        "are the same words": [words(text) or text for text in texts],
        f"agree in the {tokens.shape[1]} tokens that the text encoder reads of them": [
            row.numpy().tobytes() for row in tokens
        ],
        "have the same embedding": [row.numpy().tobytes() for row in features],
    }
    for reason, keys in reasons.items():
        if pairs := alike(texts, dict(zip(texts, keys, strict=True)).__getitem__):
            warnings.warn(
                f"{len(pairs)} pairs of texts can't be told apart: {pairs[0][0]!r} and {pairs[0][1]!r} {reason}; "
                f"rename one of the labels, or join the two",
                ClipTextWarning,
                stacklevel=3,
            )
            return


def _fingerprint(model: nn.Module, preprocess: Callable) -> str:
    # A tag gives mean and std as tuples, a folder's JSON the same values as lists.
    transform = re.sub(r"(mean|std)=\(([^)]*)\)", r"\1=[\2]", str(preprocess).split(" at 0x")[0])
    digest = hashlib.sha256(repr((str(model), transform)).encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()[:16]


@contextmanager
def _offline_if_unreachable() -> Iterator[None]:
    """Without network, look into the cache at once instead of retrying for most of a minute."""
    hub, before = urlsplit(constants.ENDPOINT), constants.HF_HUB_OFFLINE
    try:
        if not getproxies():
            socket.create_connection((hub.hostname, hub.port or 443), timeout=5).close()
    except OSError:
        constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
