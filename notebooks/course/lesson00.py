"""What a right answer has to be in 00, start here."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mgdmkit import stickactions
from mgdmkit.experiments import Prepared, Trained
from mgdmkit.inference import predict


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


def exercise3(answer: Sequence[Sequence[int]], Q: Tensor) -> None:
    given = {(int(row), int(column)) for row, column in answer}
    assert all(0 <= row < len(Q) and 1 <= column < 4 for row, column in given), "Only columns 1 to 3 were changed."
    wrong = [pair for pair in sorted(given) if Q[pair] == 0]
    assert not wrong, f"{wrong[0]} was 0 in Q before: nothing true was declared false there."
    assert len(given) == int(Q[:, 1:4].sum()), "There are more. Compare Q and your copy, cell by cell."


def exercise4(answer: Trained, prepared: Prepared) -> None:
    assert isinstance(answer, Trained), "The whole result of `run` is wanted, not its scores."
    videos = prepared.videos("test")
    assert answer.logits.shape == (len(videos.labels), len(prepared.features.classes)), "Score the test split."
    frames = videos.frame_features.flip(1)
    played_back = predict(answer.model.cpu(), frames, prepared.features.text_features)
    assert torch.allclose(played_back, answer.logits.cpu(), atol=1e-2), (
        "Played backwards, the clips get other scores from this model: it still knows where a frame stands."
    )
    assert "k3" in answer.name, "The model is blind to order, but k is not 3."
