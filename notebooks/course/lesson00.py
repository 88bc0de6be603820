"""What a right answer has to be in 00, start here."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mgdmkit import stickactions
from mgdmkit.evaluation import wilson
from mgdmkit.experiments import Prepared, Trained, Variant
from mgdmkit.inference import predict
from mgdmkit.runs import read_run


def exercise1(answer: Sequence[str]) -> None:
    named = {" ".join(str(name).lower().split()) for name in ([answer] if isinstance(answer, str) else answer)}
    four = {"image encoder", "text encoder", "video representer", "semantic discriminator"}
    assert named <= four, f"Name some of these, spelled as in the exercise: {', '.join(sorted(four))}."
    assert not named & {"video representer", "semantic discriminator"}, "One of yours is made for this method. See 5."
    assert len(named) == 2, "The map has more than one grey box."


def exercise2(answer: tuple[float, float], prepared: Prepared) -> None:
    clips, negatives = map(float, answer)
    classes, labels = prepared.features.classes, prepared.videos("test").labels
    mined = prepared.negatives_of("test").indices
    reverse = torch.tensor(stickactions.reverse_of(classes))[labels]
    scene = torch.tensor(stickactions.scene_numbers(classes))
    found, paired = (mined == reverse[:, None]).any(dim=1), reverse != labels
    assert 0 <= clips <= 1 and 0 <= negatives <= 1, "Two shares between 0 and 1 are wanted, not percent."
    assert abs(clips - found[paired].float().mean()) < 0.006, (
        "The first share is off. Only clips whose action has a reverse count, below the line of the fraction, too."
    )
    inside = (scene[mined] == scene[labels][:, None]).float().mean()
    assert abs(negatives - inside) < 0.006, "The second share is off. Count all nine negatives of every test clip."


def exercise3(answer: tuple[Sequence[Sequence[int]], str], Q: Tensor) -> None:
    pairs, word = answer
    given = {(int(row), int(column)) for row, column in pairs}
    assert all(0 <= row < len(Q) and 1 <= column < 4 for row, column in given), "Only columns 1 to 3 were changed."
    wrong = [pair for pair in sorted(given) if Q[pair] == 0]
    assert not wrong, f"{wrong[0]} was 0 in Q before: nothing true was declared false there."
    assert len(given) == int(Q[:, 1:4].sum()), "There are more. Compare Q and your copy, cell by cell."
    assert word in ("together", "apart"), 'Beside the pairs: the word "together" or "apart".'
    assert word == "apart", "The pairs are right. A target of 0 says: this text is not true of this clip. What follows?"


def exercise4(answer: tuple[Trained, bool], prepared: Prepared) -> None:
    run, holds = answer
    assert isinstance(run, Trained), "First the whole result of `run`, not its scores; then True or False."
    assert isinstance(holds, bool), "Beside the result: True or False, without quotes."
    videos, classes = prepared.videos("test"), prepared.features.classes
    assert run.logits.shape == (len(videos.labels), len(classes)), "Score the test split."
    frames = videos.frame_features.flip(1)
    played_back = predict(run.model.cpu(), frames, prepared.features.text_features)
    assert torch.allclose(played_back, run.logits.cpu(), atol=1e-2), (
        "Played backwards, the clips get other scores from this model: it still knows where a frame stands."
    )
    mine, right = read_run(run.folder), read_run(Variant(3).folder(prepared, 0))
    assert mine["train"] == right["train"], "It is blind to order, but trained otherwise than k = 3 of section 6."
    blind = right["model"] | {"frame_positions": False}
    assert mine["model"] == blind, "More than the positions differs from the model of section 6."
    reverse = torch.tensor(stickactions.reverse_of(classes))[videos.labels]
    paired = reverse != videos.labels
    own, other = (run.logits.cpu().gather(1, c[:, None])[paired, 0] for c in (videos.labels, reverse))
    interval = wilson(int((own > other).sum()), len(own))
    assert holds == (interval.low <= 0.5 <= interval.high), "Look again at both ends of `prefers_own(run.logits)`."
