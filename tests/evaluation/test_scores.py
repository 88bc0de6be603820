"""Scores on logits that can be counted by eye."""

import json
import math

import pytest
import torch

from mgdmkit import MGDM, MGDMConfig
from mgdmkit.evaluation.scores import blind_accuracy, label_rank, mcnemar, paired_difference, score, wilson

LOGITS = torch.tensor([[3.0, 1, 2, 0, 0.5, 0.1], [3, 1, 2, 0, 0.5, 0.1], [0, 5, 1, 2, 3, 4], [0, 5, 1, 2, 3, 4]])


def test_top1_top5_per_class_and_confusion():
    scores = score(LOGITS, torch.tensor([0, 3, 1, 0]))
    assert scores.top1[:1] + scores.top1[3:] == (0.5, 4)
    assert scores.top5.value == 0.5  # ranks 0, 5, 0, 5
    assert scores.per_class[[0, 1, 3]].tolist() == [0.5, 1.0, 0.0]
    assert scores.per_class[[2, 4, 5]].isnan().all()
    assert scores.confusion[0, 0] == 1 and scores.confusion[3, 0] == 1 and scores.confusion[0, 1] == 1
    assert scores.confusion.sum() == 4


def test_ties_never_look_like_skill():
    constant = torch.zeros(10, 6)
    scores = score(constant, torch.zeros(10, dtype=torch.long))
    assert scores.top1.value == 0 and scores.top5.value == 0
    assert label_rank(torch.tensor([[1.0, 1.0, 0.0]]), torch.tensor([0])).tolist() == [1]


def test_diverged_model_is_an_error():
    with pytest.raises(ValueError, match="diverged"):
        score(torch.full((2, 3), math.nan), torch.tensor([0, 1]))


@pytest.mark.parametrize(
    ("correct", "n", "low", "high"),
    [(8, 10, 0.490, 0.943), (0, 10, 0.0, 0.278), (10, 10, 0.722, 1.0), (1254, 1530, 0.7996, 0.8381)],
)
def test_wilson_against_published_values(correct, n, low, high):
    interval = wilson(correct, n)
    assert interval.low == pytest.approx(low, abs=6e-4) and interval.high == pytest.approx(high, abs=6e-4)
    with pytest.raises(ValueError, match="not a share"):
        wilson(n + 1, n)


@pytest.mark.parametrize("n", range(1, 200))
def test_wilson_touches_the_ends_exactly(n):
    """Rounding leaves 4e-17 in places, which would put an interval beside its own value."""
    none, all_ = wilson(0, n), wilson(n, n)
    assert none.low == 0 < none.high < 1 and 0 < all_.low < all_.high == 1


def test_json_has_names_and_null_for_missing_classes(tmp_path):
    path = score(LOGITS, torch.tensor([0, 3, 1, 0])).to_json(tmp_path / "s.json", "abcdef")
    values = json.loads(path.read_text())
    assert values["top1"]["n"] == 4 and values["per_class"]["c"] is None and values["per_class"]["b"] == 1.0


# Three of four clips of b are taken for c, and both of d for a.
CONFUSED = score(torch.eye(6)[[0, 1, 2, 2, 2, 0, 0]], torch.tensor([0, 1, 1, 1, 1, 3, 3]))


def test_the_largest_confusions_are_told_first_and_hits_are_none():
    assert CONFUSED.largest_confusions("abcdef") == ["b -> c: 3 of 4", "d -> a: 2 of 2"]
    assert CONFUSED.largest_confusions("abcdef", n=1) == ["b -> c: 3 of 4"]
    assert score(torch.eye(2), torch.tensor([0, 1])).largest_confusions("ab") == []
    every = score(torch.eye(6)[[1, 0, 3, 2, 5, 4]], torch.arange(6)).largest_confusions("abcdef")
    assert every == [f"{pair[0]} -> {pair[1]}: 1 of 1" for pair in ("ab", "ba", "cd", "dc", "ef")]


def test_the_confusion_as_a_table(tmp_path):
    path = CONFUSED.confusion_to_csv(tmp_path / "c.csv", ["a", "b, or c", *"cdef"])
    assert path.read_text().splitlines() == [
        '"label (rows: true, columns: predicted)",a,"b, or c",c,d,e,f',
        *("a,1,0,0,0,0,0", '"b, or c",0,1,3,0,0,0', "c,0,0,0,0,0,0", "d,2,0,0,0,0,0", "e,0,0,0,0,0,0", "f,0,0,0,0,0,0"),
    ]


def test_paired_difference_of_tables_that_can_be_counted():
    ours = torch.tensor([[1, 1, 1, 0], [1, 1, 0, 0]]).bool()
    theirs = torch.tensor([[1, 0, 0, 0], [1, 0, 0, 0]]).bool()
    found = paired_difference(ours, theirs)
    assert found.value == pytest.approx(3 / 8) and 0 <= found.low < found.value < found.high <= 1
    assert paired_difference(theirs, ours).value == pytest.approx(-3 / 8)
    assert paired_difference(ours, ours)[:] == (0, 0, 0)
    assert paired_difference(ours, theirs) == found, "seeded"
    with pytest.raises(ValueError, match="two tables"):
        paired_difference(ours, theirs[:, :2])


def test_seeds_are_drawn_anew_too():
    ours = torch.tensor([[1] * 50, [0] * 50]).bool()  # all videos alike, the seeds not
    found = paired_difference(ours, torch.zeros(2, 50).bool())
    assert (found.value, found.low, found.high) == (0.5, 0, 1)


def test_paired_interval_matches_the_textbook_for_one_seed_and_many_videos():
    generator = torch.Generator().manual_seed(0)
    ours, theirs = (torch.rand(1, 2000, generator=generator) < share for share in (0.6, 0.5))
    found = paired_difference(ours, theirs)
    half = 1.96 * (ours.double() - theirs.double()).std().item() / math.sqrt(2000)
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.05)


AUDIT = MGDMConfig(dim=16, frames=3, temporal_layers=1, semantic_layers=1, heads=2, temperatures="fixed")


def audited(model, blindfold, N=200, g=4, C=40, seed=0):
    generator = torch.Generator().manual_seed(seed)
    texts, labels = torch.randn(C, 16, generator=generator), torch.arange(N) % C
    groups = torch.stack([(label + torch.arange(g)) % C for label in labels])
    frames = texts[labels][:, None] + 0.1 * torch.randn(N, 3, 16, generator=generator)
    return blind_accuracy(model, frames, texts, groups, blindfold)


def without_modules():
    return MGDM(MGDMConfig(dim=16, frames=3, heads=2, representer=False, discriminator=False, temperatures="fixed"))


def test_a_model_without_shortcut_is_blind_when_blindfolded():
    model = without_modules()
    assert audited(model, "none").value == 1
    assert audited(model, "other").low < 0.25 < audited(model, "other").high
    zeros = audited(model, "zeros")  # all logits are 0: ties must be drawn, not won or lost
    assert zeros.low < 0.25 < zeros.high


def test_a_discriminator_that_marks_the_first_text_is_caught():
    class MarksTheFirst(torch.nn.Module):
        def forward(self, texts, absent=None):
            marked = torch.zeros_like(texts)
            marked[..., 0] = -1
            marked[:, 0, 0] = 1
            return marked

    class SeesNothing(torch.nn.Module):
        def encode(self, frames):
            return torch.ones_like(frames)

        def attend(self, frames, guides):
            return torch.full((len(frames), len(guides), frames.shape[1]), 1 / frames.shape[1])

    model = without_modules()
    model.discriminator, model.representer = MarksTheFirst(), SeesNothing()
    assert audited(model, "zeros").value == audited(model, "other").value == 1


def test_the_audit_needs_a_foreign_video():
    frames, texts = torch.randn(4, 3, 16), torch.randn(2, 16)
    groups = torch.tensor([[0, 1], [1, 0], [0, 1], [1, 0]])
    with pytest.raises(ValueError, match="smaller k"):
        blind_accuracy(MGDM(AUDIT), frames, texts, groups, "other")
    with pytest.raises(ValueError, match="blindfold='eyes'"):
        blind_accuracy(MGDM(AUDIT), frames, texts, groups, "eyes")


def test_mcnemar_is_the_exact_binomial_test_of_the_discordant_videos():
    ours = torch.tensor([True] * 9 + [False] * 2 + [True] * 50)
    theirs = torch.tensor([False] * 9 + [True] * 2 + [True] * 50)
    assert mcnemar(ours, theirs) == pytest.approx(2 * (1 + 11 + 55) / 2**11)
    assert mcnemar(theirs, ours) == mcnemar(ours, theirs)
    assert mcnemar(ours, ours) == 1.0
    with pytest.raises(ValueError, match="two rows"):
        mcnemar(ours, theirs[:3])
