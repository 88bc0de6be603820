"""Answers to the exercises of lesson 04: what the trained model makes of moved and shuffled frames."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from mgdmkit import inference
from mgdmkit.experiments import Prepared, Trained, Variant
from mgdmkit.model import MGDM
from mgdmkit.runs import read_run


def exercise1(answer: Iterable[str]) -> None:
    assert not isinstance(answer, str), "A set of words: some of V, E, A and logits."
    words = set(answer)
    assert words <= {"V", "E", "A", "logits"}, "The words are V, E, A and logits."
    assert not words & {"V", "A"}, "V and A are made of the frames and one text. Which one, and is it a negative?"
    assert "E" in words, "What does section 3 (b) say of the rows of a group?"
    assert "logits" in words, "What are the logits made of?"


def exercise2(answer: Sequence[float], model: MGDM, prepared: Prepared) -> None:
    stays, goes = (float(share) for share in answer)
    assert 0 <= stays <= 1 and 0 <= goes <= 1, "Shares, from 0 to 1."
    test, texts = prepared.features.split("test"), prepared.features.text_features
    with torch.no_grad():
        before, after = (
            model(frames, texts[:, None]).attention[range(len(frames)), test.labels].argmax(dim=1)
            for frames in (test.frame_features, test.frame_features.roll(4, dims=1))
        )
    right = _share(after == before), _share(after == (before + 4) % 16)
    backwards = _share(after == (before - 4) % 16)
    assert abs(goes - backwards) > 0.006 or abs(goes - right[1]) < 0.006, "Four places on: in which direction?"
    assert abs(stays - right[0]) < 0.006, "Of all test clips, each guided by its own label: heaviest before = after?"
    assert abs(goes - right[1]) < 0.006, "A picture at place t is now at t + 4; of the last four, at t + 4 - 16."


def exercise3(answer: tuple[float, float, Trained], model: MGDM, prepared: Prepared) -> None:
    lost, without, blind = answer
    right = _lost_by_shuffling(model, prepared)
    assert abs(100 * lost - right) > 0.6 or abs(right) < 0.6, "In points: a share of 0.03 is 3 points."
    assert abs(lost + right) > 0.6 or abs(right) < 0.6, "Lost: in order minus shuffled."
    assert abs(lost - right) < 0.6, "Top-1 of all test clips in order, minus that of the same clips in the given order."
    assert isinstance(blind, Trained), "As the third, hand in what `run` returned for the model without positions."
    assert not blind.model.config.frame_positions, "This model has frame positions."
    assert blind.logits.shape == (len(prepared.videos("test").labels), len(prepared.features.classes)), (
        "Train it on these clips and score the test split."
    )
    mine, usual = read_run(blind.folder), read_run(Variant(3).folder(prepared, 0))
    assert mine["train"] == usual["train"], "It has no positions, but was trained otherwise than the lesson's model."
    assert mine["model"] == usual["model"] | {"frame_positions": False}, (
        "More differs in this model than the positions."
    )
    right = _lost_by_shuffling(blind.model.cpu(), prepared)
    assert abs(without - right) < 0.1, "Without positions the frames are a set. What can their order change then?"


def exercise4(answer: float, fits: Tensor) -> None:
    tau = float(answer)
    assert tau > 0, "A temperature is positive."
    used = torch.special.entr(torch.softmax(fits / tau, dim=1)).sum(dim=1).exp().median().item()
    side = "too sharp" if used < 8 else "too flat"
    assert abs(used - 8) < 0.2, f"There the median clip uses {used:.1f} frames: that is {side}."


def _lost_by_shuffling(model: MGDM, prepared: Prepared) -> float:
    """Points of Top-1 that the test clips lose when all are shown in the exercise's order."""
    test, order = prepared.features.split("test"), torch.randperm(16, generator=torch.Generator().manual_seed(0))
    in_order, shuffled = (
        100 * _share(inference.predict(model, frames, prepared.features.text_features).argmax(dim=1) == test.labels)
        for frames in (test.frame_features, test.frame_features[:, order])
    )
    return in_order - shuffled


def _share(hits: Tensor) -> float:
    return hits.double().mean().item()
