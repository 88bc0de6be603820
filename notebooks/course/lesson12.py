"""The labels that lesson 12 adds to the corpus, and its exercises."""

import torch
from IPython.display import display

from mgdmkit import mining, stickactions
from mgdmkit.data.corpus import normalise

MORE = (
    "a person in a kitchen",
    "climbing a ladder",
    "closing the fridge",
    "digging in the sand",
    "hammering a plank",
    "opening a refrigerator",
    "opening the fridge",
    "putting a laptop on a shelf",
    "raking the leaves",
    "sitting at the desk",
)
"""Ten labels of "another dataset". Which of them are false negatives, and of what, is for the student to find."""


def show(widget, words):
    """Show a widget; a page without a kernel shows the words in its place."""
    display({**widget._repr_mimebundle_(), "text/plain": words}, raw=True)


def exercise1(answer):
    assert answer in ("clip", "classes"), "It is one of 'clip' and 'classes'."
    assert answer == "clip", "Does every clip of someone who sits down show writing?"


def exercise2(answer, mined, labels, corpus):
    column = corpus.index("a person in a kitchen")
    inside = torch.tensor([corpus[c] in stickactions.SCENES["kitchen"] for c in labels.tolist()])
    held = mined.indices == column
    right = int(held[inside, :3].any(dim=1).sum())
    if int(answer) != right:
        assert int(answer) != int(held[inside].any(dim=1).sum()), "Only the first three count: k = 3."
        assert int(answer) != int(held[:, :3].any(dim=1).sum()), "In another scene the label is a real negative."
    assert int(answer) == right, "Another number. Did you count training clips?"


def exercise3(answer, prepared):
    test, classes = prepared.features.split("test"), prepared.features.classes
    logits = mining.zero_shot_logits(test.frame_features, prepared.features.text_features)
    reverse = torch.tensor(stickactions.reverse_of(classes))[test.labels]
    barred = torch.zeros_like(logits, dtype=torch.bool).scatter(1, reverse[:, None], True)
    barred &= reverse[:, None] != test.labels[:, None]  # a label without a reverse is not left out itself
    before = (logits.argmax(dim=1) == test.labels).float().mean()
    after = (logits.masked_fill(barred, -torch.inf).argmax(dim=1) == test.labels).float().mean()
    was, now = answer
    assert max(was, now) <= 1, "Shares between 0 and 1, please."
    assert abs(was - before) < 1e-3, "The first share is another one: all 60 classes, the test clips, frozen CLIP."
    assert abs(now - after) < 1e-3, "The second share is another one. Is the true label ever left out?"


def exercise4(answer):
    pairs = {tuple(map(normalise, pair)) for pair in answer}
    true = {("closing a fridge", "closing the fridge")}
    true |= {(label, "climbing a ladder") for label in ("climbing up a ladder", "climbing down a ladder")}
    true |= {(label, "a person in a kitchen") for label in stickactions.SCENES["kitchen"]}
    debatable = {(label, "sitting at the desk") for label in ("sitting down at a desk", "standing up from a desk")}
    debatable |= {("opening a fridge", "opening the fridge"), ("raking leaves", "raking the leaves")}
    debatable |= {("opening a fridge", "opening a refrigerator"), ("hammering a nail", "hammering a plank")}
    true, debatable = ({tuple(map(normalise, pair)) for pair in some} for some in (true, debatable))
    if wrong := len(pairs - true - debatable):
        raise AssertionError(f"{wrong} of your pairs are real negatives (or have the class second). Look at the clips.")
    assert not (missing := len(true - pairs)), f"{missing} pairs are missing. Which labels hold in a whole scene?"
