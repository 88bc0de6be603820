"""Answers to the exercises of lesson 08: repeated rows, and countings of CLIP and MGDM, made anew here."""

from collections.abc import Iterable, Sequence

import torch

from course.three_videos import groups, logits, video_labels
from mgdmkit import loss
from mgdmkit.evaluation import complexity


def exercise1(answer: Sequence[Sequence[int]]) -> None:
    ours, papers = (tuple(shape) for shape in answer)
    assert ours[1] == papers[1] == 32 * 8, "A column is a text. How many texts does a group of k = 7 bring?"
    assert ours[0] == 32, "In the kit a row is a video, and stands there once (section 5)."
    assert papers[0] == 32 * 8, "The paper repeats each video until the blocks are square (section 5)."


def exercise2(answer: float) -> None:
    cost = complexity.parts(k=0, classes=400).set_index("part")["gmac"]
    right = 100 * cost.drop(["image encoder", "text encoder"]).sum() / cost["image encoder"]
    assert float(answer) < 100, "The text encoder does not run at test: its embeddings are cached."
    assert abs(float(answer) - right) < 0.01, "k=0, classes=400; all rows but the encoders, by the image encoder."


def exercise3(answer: Iterable[str]) -> None:
    rows = {answer} if isinstance(answer, str) else set(answer)
    assert rows <= set(complexity.PAPER_TABLE8), f"Rows are named {', '.join(complexity.PAPER_TABLE8)}."
    equal = complexity.table8(temporal_layers=4, semantic_layers=4).set_index("model")["paper_gmac"].round(1)
    wrong = {row for row, (gmac, _) in complexity.PAPER_TABLE8.items() if equal[row] != gmac}
    assert rows <= wrong, "One of these rows rounds to what is printed."
    assert rows == wrong, "Not all of them: round each row to one digit, and compare with the print."


def exercise4(answer: Sequence[float]) -> None:
    v2t, t2v = (float(term) for term in answer)
    right, equal = _terms([1, 2, 3]), _terms([1, 1, 1])
    halves = abs(2 * v2t - right[0]) + abs(2 * t2v - right[1])
    assert halves > 1e-3, "The half in front of eq. 9 belongs to neither direction."
    assert abs(v2t - equal[0]) > 1e-3, "Video to text is that of equal copies. Does the third row count three times?"
    assert abs(t2v - equal[1]) > 1e-3, "Text to video is that of equal copies. A column's softmax has six rows now."
    assert abs(v2t - right[0]) < 1e-3, "Video to text is the mean of six rows' divergences."
    assert abs(t2v - right[1]) < 1e-3, "Text to video is the mean over the columns with a 1 alone."


def _terms(copies: Sequence[int]) -> tuple[float, float]:
    """The two directions of eq. 9 with video i in `copies[i]` rows."""
    repeats = torch.tensor(copies)
    once = logits.flatten(1), loss.augmented_targets(video_labels, groups)
    sims, Q = (x.repeat_interleave(repeats, dim=0) for x in once)
    seen = Q.any(dim=0)
    rows, columns = Q / Q.sum(dim=1, keepdim=True), (Q / Q.sum(dim=0))[:, seen]
    v2t = (torch.special.xlogy(rows, rows) - rows * sims.log_softmax(dim=1)).sum(dim=1).mean()
    t2v = (torch.special.xlogy(columns, columns) - columns * sims.log_softmax(dim=0)[:, seen]).sum(dim=0).mean()
    return v2t.item(), t2v.item()
