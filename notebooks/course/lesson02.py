"""What a right answer has to be in 02, mining hard negatives."""

from collections.abc import Sequence

from torch import Tensor

from mgdmkit.experiments import Prepared
from mgdmkit.mining import mine_negatives, zero_shot_logits


def exercise1(answer: tuple[int, int]) -> None:
    rank, changed = answer
    assert rank == 2, "The rank is off: what does the library call the first place?"
    assert changed == 0, "The negatives are off: which part of eq. 10-12 decides the order?"


def exercise2(answer: tuple[float, float], prepared: Prepared) -> None:
    share, kept = map(float, answer)
    videos, mined = prepared.videos("train"), prepared.negatives_of("train").indices
    bare = prepared.clip.encode_text(list(prepared.features.classes))
    found = mine_negatives(videos.frame_features, bare, videos.labels, depth=9).indices
    other = (found[:, 0] != mined[:, 0]).float().mean()
    stayed = (found[:, :, None] == mined[:, None]).any(dim=2).sum(dim=1).float().mean()
    assert 0 <= share <= 1 and 0 <= kept <= 9, "A share between 0 and 1 and a number out of nine are wanted."
    assert abs(share - other) < 0.006, "The share of another first negative is off. Training clips, bare names?"
    assert abs(kept - stayed) < 0.05, "The mean number is off. Compare the nine as sets: their order does not matter."


def exercise3(answer: tuple[Sequence[str], Sequence[str]]) -> None:
    before, after = (list(names) for names in answer)
    assert len(before) == len(after) == 3, "Two lists of three names are wanted."
    twin = "opening the refrigerator"
    assert twin in before, "The first list is off: the new label is nearer to the mean than you have it."
    assert before == ["closing a fridge", twin, "stirring a pot"], "The first list is off. Hardest first?"
    assert twin not in after, "The new label is still mined: `exclude` takes pairs of label indices."
    assert after == ["closing a fridge", "stirring a pot", "flying a kite"], "The second list is off. Hardest first?"


def exercise4(answer: Tensor, prepared: Prepared) -> None:
    videos, features = prepared.videos("train"), prepared.features
    assert answer.shape == (len(videos.labels), 3), f"Indices of shape {(len(videos.labels), 3)} are wanted."
    assert (answer != videos.labels[:, None]).all(), "Some clip has its own label among its negatives."
    logits = zero_shot_logits(videos.frame_features, features.text_features, features.logit_scale)
    scores = logits.softmax(dim=1)
    relative = (scores / scores.mean(dim=0)).scatter(1, videos.labels[:, None], -1)
    best = relative.topk(3, dim=1).indices
    assert not answer.equal(prepared.negatives_of("train").indices[:, :3]), "These are the negatives with the hubs."
    same = (answer == best).float().mean()
    assert same > 0.99, "Others come first. Take the mean of each label's score, after the softmax, over all clips."
