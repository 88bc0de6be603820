"""What CLIP and MGDM cost in multiply-adds and parameters (Table 8): as the paper counts, and in truth.

Nothing is trained, loaded or multiplied: the modules are built on torch's meta device, and the frames of a video and a
prompt run through them as shapes.

MAC: one multiply-add, half a FLOP of `torch.utils.flop_counter`. Like that counter, both countings leave out LayerNorm,
softmax, activations and additions, and take causal attention as full.

**As the paper counts.** Its figures agree with the counter thop's rule for `nn.Linear` and `nn.Conv2d`: modules of
exactly these types that are called, here the MLPs and the patch convolution. `nn.MultiheadAttention` multiplies
with its weights without calling a Linear; embeddings, positions and CLIP's output projections are plain parameters.
One video: T frames pass the image encoder and the temporal blocks, ONE prompt passes the text encoder whatever k is,
and 1 + k text embeddings pass the semantic blocks. These token counts give every digit of Table 8.

**True.** All matrix products: also attention, output projections, all 1 + k prompts, eq. 4, 15 and 16. All parameters.
"""

import difflib
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import open_clip
import pandas as pd
import torch
from open_clip.transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook
from torch.utils.flop_counter import FlopCounterMode

from mgdmkit.clip.small import SMALL, small_config
from mgdmkit.clip.weights import base_name, open_clip_name
from mgdmkit.config import MGDMConfig, check_counts
from mgdmkit.model import MGDM

PAPER_TABLE8: dict[str, tuple[float, float]] = {
    "CLIP": (834.7, 258.7),
    "MGDM, k = 0": (835.1, 296.5),
    "MGDM, k = 7": (835.2, 296.5),
}
"""The printed Table 8, for ViT-L/14 and 16 frames: model -> GMAC (the paper says FLOP), millions of parameters."""

SEEN_BY_THE_PAPER = (
    "As the paper counts (paper_*): the linear layers of MLPs and the patch convolution, for one prompt. Left out:\n"
    "all of attention, embeddings, positions, norms, output projections, and every prompt after the first."
)

GIGA, MEGA = 1e9, 1e6
SEMANTIC = "semantic blocks (eq. 17-18)"


class Count(NamedTuple):
    """What a call costs, and the parameters of what it calls."""

    macs: int
    params: int
    paper_macs: int
    """Of the layers that the paper's counter sees."""
    paper_params: int


class Part(NamedTuple):
    """One row of `parts`; the multiply-adds are those of all its calls."""

    name: str
    times: int
    macs: int
    params: int = 0
    paper_macs: int = 0
    paper_params: int = 0


def table8(
    clip: str = "ViT-L-14",
    frames: int = 16,
    temporal_layers: int = 6,
    semantic_layers: int = 2,
    ks: Iterable[int] = (0, 7),
) -> pd.DataFrame:
    """Table 8 in both countings: CLIP with one prompt, and MGDM with one group of 1 + k texts for each k.

    Args:
        clip: a model of open_clip, or a folder made by `mgdm clip`.
        frames: T.
        temporal_layers: M_v.
        semantic_layers: M_t.
        ks: negatives per video, a row each.
    Returns:
        Columns model, paper_gmac, true_gmac (1e9 multiply-adds for one video), paper_mparams, true_mparams (1e6).
    Raises:
        ValueError: for an unknown model, one whose towers aren't CLIP's transformers, or sizes that are too small.
    """
    image, prompt, dim = encoders = _encoders(clip, frames)
    config = MGDMConfig(dim, frames, temporal_layers, semantic_layers)
    rows = {"CLIP": [image, Part("text encoder", 1, *prompt), Part("similarity (eq. 4)", 1, dim, params=1)]}
    rows |= {f"MGDM, k = {k}": _mgdm_parts(encoders, config, k) for k in ks}
    return pd.DataFrame([{"model": model} | _totals(row) for model, row in rows.items()])


def splits(clip: str = "ViT-L-14", blocks: int = 8, frames: int = 16) -> pd.DataFrame:
    """Every split of `blocks` into temporal and semantic ones, as the paper counts.

    The paper's parameters give eight blocks, not their split; its two FLOP figures narrow that down.

    Returns:
        Columns temporal (M_v), semantic (M_t), gmac_k0, gmac_k7, and for ViT-L/14 and 16 frames, which the paper
        prints, also fits: whether both figures round to the printed ones.
    Raises:
        ValueError: as `table8`, or for fewer than two blocks.
    """
    if blocks < 2:
        raise ValueError(f"blocks={blocks}: each module needs one, so give 2 or more")
    encoders, rows = _encoders(clip, frames), []
    for temporal in range(blocks - 1, 0, -1):
        config = MGDMConfig(encoders[-1], frames, temporal, blocks - temporal)
        gmac = [_totals(_mgdm_parts(encoders, config, k))["paper_gmac"] for k in (0, 7)]
        rows.append((temporal, blocks - temporal, *gmac))
    table = pd.DataFrame(rows, columns=["temporal", "semantic", "gmac_k0", "gmac_k7"])
    if (base_name(clip), frames) == ("ViT-L-14", 16):
        printed = {f"gmac_k{k}": PAPER_TABLE8[f"MGDM, k = {k}"][0] for k in (0, 7)}
        table["fits"] = (table[list(printed)].round(1) == pd.Series(printed)).all(axis=1)
    return table


def parts(
    clip: str = "ViT-L-14",
    frames: int = 16,
    k: int = 7,
    classes: int = 1,
    temporal_layers: int = 6,
    semantic_layers: int = 2,
) -> pd.DataFrame:
    """Where MGDM's cost for one video lies.

    Args:
        clip, frames, temporal_layers, semantic_layers: as `table8`.
        k: negatives in a group; 0 at inference.
        classes: l, groups of 1 + k texts that the video meets: 1 for its own, as in Table 8, or all classes.
    Returns:
        Columns part, times, gmac, mparams, paper_gmac, paper_mparams. `times`: how often the part runs (per frame,
        prompt, video, guiding text, group or pair); the costs are those of all times together. The text encoder is
        frozen, so its row is paid once for a whole dataset where text embeddings are cached.
    Raises:
        ValueError: as `table8`.
    """
    encoders = _encoders(clip, frames)
    config = MGDMConfig(encoders[-1], frames, temporal_layers, semantic_layers)
    return pd.DataFrame(
        {
            "part": part.name,
            "times": part.times,
            "gmac": part.macs / GIGA,
            "mparams": part.params / MEGA,
            "paper_gmac": part.paper_macs / GIGA,
            "paper_mparams": part.paper_params / MEGA,
        }
        for part in _mgdm_parts(encoders, config, k, classes)
    )


def added(table: pd.DataFrame) -> dict[str, float]:
    """What a table of `parts` adds to the multiply-adds of CLIP with one prompt, in percent.

    Returns:
        "paper": the modules, as the paper counts; "modules": the modules in truth; "prompts": all prompts but the
        first, which the paper's counting leaves out.
    """
    encoder = table["part"].isin(("image encoder", "text encoder"))
    each = table["gmac"].where(table["part"] != "text encoder", table["gmac"] / table["times"])  # one prompt
    clip, own = each[encoder].sum(), each[~encoder].sum()
    paper = table.loc[~encoder, "paper_gmac"].sum() / table.loc[encoder, "paper_gmac"].sum()
    return {"paper": 100 * paper, "modules": 100 * own / clip, "prompts": 100 * (table["gmac"] - each).sum() / clip}


def _totals(rows: list[Part]) -> dict[str, float]:
    _, _, macs, params, paper_macs, paper_params = zip(*rows, strict=True)
    return {
        "paper_gmac": sum(paper_macs) / GIGA,
        "true_gmac": sum(macs) / GIGA,
        "paper_mparams": sum(paper_params) / MEGA,
        "true_mparams": sum(params) / MEGA,
    }


def _mgdm_parts(encoders: tuple[Part, Count, int], config: MGDMConfig, k: int, classes: int = 1) -> list[Part]:
    image, prompt, _ = encoders
    texts = classes * (1 + k)
    # The paper's counter saw one prompt.
    return [image, Part("text encoder", texts, texts * prompt.macs, *prompt[1:]), *module_parts(config, k, classes)]


def module_parts(config: MGDMConfig, k: int, classes: int) -> list[Part]:
    """What a video costs behind CLIP that meets `classes` groups of 1 + k texts."""
    if k < 0 or classes < 1:
        raise ValueError(f"k={k}, classes={classes}: k must be at least 0 and classes at least 1")
    T, D, g = config.frames, config.dim, 1 + k
    with torch.device("meta"):
        model = MGDM(config.for_backbone(D, 100)).eval()  # which temperature it has changes no count
        video, groups = torch.empty(1, T, D), torch.empty(classes, g, D)
    rows = []
    if config.representer:
        temporal = count(model.representer, lambda: model.representer.encode(video))
        rows.append(Part("temporal blocks (eq. 13-14)", 1, *temporal))
        rows.append(Part("attention over frames (eq. 15)", classes, classes * T * D))
    if config.discriminator:
        semantic = count(model.discriminator, lambda: model.discriminator(groups))
        rows.append(Part(SEMANTIC, classes, *semantic))
    return [
        *rows,
        Part("length of V (eq. 16)", 1, T * T * (D + classes)),  # products of the frames, weighted twice
        # The frames with the text; their weighted sum is no matrix product. The one parameter is the logit scale.
        Part("similarity (eq. 4)", classes * g, classes * g * T * D, params=1),
    ]


@torch.enable_grad()  # without gradients attention may be fused, which hides its products from torch's counter
def count(module: nn.Module, call: Callable[[], Tensor]) -> Count:
    """Multiply-adds of the matrix products during `call()`, and the parameters of `module`.

    The paper's part: an `nn.Linear` costs in x out a token, an `nn.Conv2d` its kernel an output.
    """
    seen: Counter[nn.Module] = Counter()

    def note(layer: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        if type(layer) in (nn.Linear, nn.Conv2d):
            seen[layer] += output.numel() * layer.weight[0].numel()

    with register_module_forward_hook(note), FlopCounterMode(display=False) as counter:
        call()
    return Count(counter.get_total_flops() // 2, _size(module), seen.total(), sum(map(_size, seen)))


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _encoders(clip: str, frames: int) -> tuple[Part, Count, int]:
    """The towers of a CLIP, without its logit scale: all frames of a video, one full prompt, and the width D."""
    check_counts(frames=frames)
    model = _build(clip)
    with torch.device("meta"):
        images = torch.empty(frames, 3, *model.visual.image_size)
        prompt = torch.zeros(1, model.context_length, dtype=torch.long)
    image = Part("image encoder", frames, *count(model.visual, lambda: model.visual(images)))
    text = count(model, lambda: model.encode_text(prompt))
    own = text.params - image.params - model.logit_scale.numel()
    return image, text._replace(params=own), model.visual.output_dim


def _build(clip: str) -> open_clip.CLIP:
    """The architecture without weights, in evaluation mode."""
    config = _configuration(clip)
    vision, text = config["vision_cfg"], config["text_cfg"]
    # Known before building: these towers would be fetched or take long.
    foreign = vision.get("timm_model_name") or text.get("hf_model_name") or config.get("custom_text")
    if not foreign:
        with torch.device("meta"):
            model = open_clip.CLIP(**config).eval()
        if isinstance(model.visual, VisionTransformer):
            return model
    raise ValueError(
        f"{clip} can't be counted: its towers must both be CLIP's own transformers, as in ViT-B-32, ViT-B-16, "
        f"ViT-L-14, ViT-H-14 or a folder made by `mgdm clip`; ResNets, CoCa, and timm or Hugging Face towers are not"
    )


def _configuration(clip: str) -> dict:
    if clip == SMALL:
        return small_config()["model_cfg"]
    if Path(clip).is_dir():
        try:
            return open_clip.get_model_config(f"local-dir:{clip}")
        except (OSError, ValueError) as error:
            cure = f"make one with `mgdm clip --manifest MANIFEST.csv --out {clip}`"
            raise ValueError(f"{clip} holds no CLIP ({error}); {cure}") from error
    if open_clip_name(clip) in open_clip.list_models():
        return open_clip.get_model_config(open_clip_name(clip))
    transformers = [name for name in open_clip.list_models() if name.startswith("ViT-")]  # what can be counted
    near = ", ".join(difflib.get_close_matches(clip, transformers, n=3, cutoff=0))
    raise ValueError(
        f"{clip!r} is neither a folder nor a model of open_clip; near names are {near}; "
        f'`python -c "import open_clip; print(*open_clip.list_models())"` lists all'
    )
