"""What a right answer has to be in 01, videos and CLIP."""

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor

from mgdmkit.experiments import Prepared
from mgdmkit.mining import zero_shot_logits


def exercise1(answer: tuple[int, int]) -> None:
    first, last = answer
    assert first == 5 * 100 // 16, "The first frame is off: a segment begins at floor(i N / T), and i counts from 0."
    assert last != 6 * 100 // 16, "That frame is the first one of the next segment."
    assert last == 6 * 100 // 16 - 1, "The last frame is off: where does the next segment begin?"


def exercise2(answer: Mapping[int, float], prepared: Prepared) -> None:
    test, texts = prepared.videos("test"), prepared.features.text_features
    assert set(answer) == {1, 2, 4, 8, 16}, "One share for each of 1, 2, 4, 8 and 16 frames is wanted."
    assert all(0 <= share <= 1 for share in answer.values()), "Shares between 0 and 1 are wanted, not percent."
    for count, share in sorted(answer.items()):
        few = zero_shot_logits(test.frame_features[:, :: 16 // count], texts)
        right = (few.argmax(dim=1) == test.labels).float().mean()
        assert abs(share - right) < 0.006, f"With {count} of the 16 frames Top-1 is another. Start at the first frame."


def exercise3(answer: float, prepared: Prepared) -> None:
    test, classes = prepared.videos("test"), prepared.features.classes
    written = ["".join(word.capitalize() for word in name.split()) for name in classes]
    texts = prepared.clip.encode_text([f"This is a video about {name}" for name in written])
    right, plain = (
        (zero_shot_logits(test.frame_features, of).argmax(dim=1) == test.labels).float().mean()
        for of in (texts, prepared.features.text_features)
    )
    assert 0 <= answer <= 1, "A share between 0 and 1 is wanted, not percent."
    assert abs(answer - right) < 0.006 or abs(answer - plain) > 0.006, "This is the Top-1 of the labels in plain words."
    assert abs(answer - right) < 0.006, "Top-1 is another. Is each word capital, without spaces, in the whole sentence?"


def exercise4(answer: Tensor, prepared: Prepared) -> None:
    test, texts = prepared.videos("test"), prepared.features.text_features
    frames, size = test.frame_features, (len(test.labels), len(texts))
    assert tuple(answer.shape) == size, f"One score per clip and label is wanted, {size}, not {tuple(answer.shape)}."
    best = (F.normalize(frames, dim=-1) @ F.normalize(texts, dim=-1).T).amax(dim=1)
    mean = zero_shot_logits(frames, texts)
    same, as_mean = ((answer.argmax(dim=1) == other.argmax(dim=1)).float().mean() for other in (best, mean))
    assert same > 0.99 or as_mean < 0.99, "These rank the labels as the mean of the frames does."
    assert same > 0.99, "The best labels are others. Bring frames and labels to length 1, then look for the largest."
