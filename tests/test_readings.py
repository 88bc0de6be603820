"""Every combination of the readings of the method agrees with the reference, or is refused with the reason."""

from itertools import product

import pytest
import torch
from test_reference import SOFT, assert_agree, build, features, kit, literal

from mgdmkit import MGDMConfig, TrainConfig, augmented_negative_loss, augmented_targets, reference

SIZE = {"dim": 4, "frames": 2, "temporal_layers": 1, "semantic_layers": 1, "heads": 2, "mlp_ratio": 1}
# Option -> values, the default first. `temperatures` says where two numbers come from, and here both are given.
MODEL = dict.fromkeys(("representer", "discriminator", "frame_positions"), (True, False)) | {
    name: values for name, values in MGDMConfig.choices().items() if name != "temperatures"
}
# How the paper's loss is read, and not which negatives it sees or what it is computed in.
LOSS = {name: values for name, values in TrainConfig.choices().items() if name not in ("negatives", "precision")}
NEEDS = dict.fromkeys(("attention", "guide", "frame_positions"), "representer") | {"context": "discriminator"}
# Video 0's positive is a negative of video 1; videos 0 and 2 are of one class; labels 3 and 5 have no video.
LABELS = torch.tensor([0, 1, 0])
TEXTS = torch.tensor([[0, 3, 1], [1, 0, 5], [0, 5, 3]])


def combinations(options):
    return [dict(zip(options, values, strict=True)) for values in product(*options.values())]


def without_effect(readings):
    """Readings other than the default that belong to a module that is off."""
    return [name for name, module in NEEDS.items() if not readings[module] and readings[name] != MODEL[name][0]]


def config_of(readings):
    """A soft attention, where it has any temperature: at 0.01 the softmax would hide differences."""
    soft = SOFT if readings["representer"] and readings["attention"] == "cosine" else {"logit_scale": 100.0}
    return MGDMConfig(**SIZE, **soft, **readings)


def name_of(readings):
    return ",".join(str(value) for value in readings.values())


@pytest.mark.parametrize("readings", combinations(MODEL), ids=name_of)
def test_every_reading_of_the_model_agrees_or_is_refused(readings):
    if unused := without_effect(readings):
        with pytest.raises(ValueError, match=rf"{unused[0]}=.*has no effect with {NEEDS[unused[0]]}=False"):
            config_of(readings)
        return
    config = config_of(readings)
    labels, texts = LABELS[:2], TEXTS[:2, :2]
    model, data = build(config), (*features(config, 2, texts), labels, texts)
    assert_agree(kit(model, *data), literal(model, *data), 1e-9)


@pytest.mark.parametrize("readings", combinations(LOSS), ids=name_of)
def test_every_reading_of_the_loss_agrees(readings):
    config = MGDMConfig(**SIZE, **SOFT)
    model, data = build(config), (*features(config, 3, TEXTS), LABELS, TEXTS)
    assert_agree(kit(model, *data, **readings), literal(model, *data, **readings), 1e-9)


@pytest.mark.parametrize("readings", combinations(LOSS), ids=name_of)
def test_copies_of_the_rows_change_nothing_under_any_reading(readings):
    """The loss on b rows, the literal one on b(1+k), and their gradients: a row's is the sum over its copies."""
    generator = torch.Generator().manual_seed(4)
    logits = (3 * torch.randn(3, 3, 3, generator=generator, dtype=torch.float64)).requires_grad_()
    loss = augmented_negative_loss(logits, augmented_targets(LABELS, TEXTS), **readings)
    sims = logits.detach().flatten(1).repeat_interleave(3, 0).requires_grad_()
    repeated = reference.loss(sims, reference.targets(LABELS, TEXTS), 3, **readings)
    assert loss.item() == pytest.approx(repeated.item(), abs=1e-12)
    copies = torch.autograd.grad(repeated, sims)[0].view(3, 3, 9).sum(1)
    torch.testing.assert_close(torch.autograd.grad(loss, logits)[0].flatten(1), copies, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("readings", combinations(LOSS), ids=name_of)
def test_more_classes_than_videos_agree_or_are_refused(readings):
    config = MGDMConfig(**SIZE, **SOFT)
    labels, texts = torch.tensor([3, 3]), torch.arange(4)[:, None]
    model, data = build(config), (*features(config, 2, texts), labels, texts)
    if readings["empty_columns"] == "mask":
        for form in (kit, literal):
            with pytest.raises(ValueError, match="empty_columns='mask' needs one group per video"):
                form(model, *data, **readings)
        return
    assert_agree(kit(model, *data, **readings), literal(model, *data, **readings), 1e-9)


def others(options):
    """(option, value) for each value that is not the default."""
    return [(name, value) for name, values in options.items() for value in values[1:]]


@pytest.mark.parametrize(("name", "value"), others(MODEL))
def test_each_reading_of_the_model_changes_the_logits(name, value):
    logits = []
    for changed in ({}, {name: value}):
        config = config_of({key: values[0] for key, values in MODEL.items()} | changed)
        logits.append(literal(build(config), *features(config, 3, TEXTS), LABELS, TEXTS)[0])
    assert (logits[0] - logits[1]).abs().max() > 1e-3


@pytest.mark.parametrize(("name", "value"), others(LOSS))
def test_each_reading_of_the_loss_changes_it(name, value):
    sims = torch.linspace(-5, 5, 81, dtype=torch.float64).view(9, 9)
    Q = reference.targets(LABELS, TEXTS)
    change = reference.loss(sims, Q, 3, **{name: value}) - reference.loss(sims, Q, 3)
    assert abs(change) > 1e-4  # softmax10 leaves e^-10 of the weight to each other column
