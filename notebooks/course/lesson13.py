"""The exercises of lesson 13."""

from pathlib import Path

import numpy as np

import mgdmkit
from mgdmkit import experiments, inference


def exercise1(answer):
    N = float(answer)
    assert N > 500, "The interval shrinks with the root of N: a tenth of the width takes a hundred times the clips."
    assert abs(N - (98 / 3) ** 2) < 70, "Solve 98 / sqrt(N) = 3 for N."


def exercise2(answer, run, path):
    among_all, among_two = (float(ratio) for ratio in answer)
    first, second = run.classes[:2]
    shares = dict(zip(*run.classify(path, top=len(run.classes)), strict=True))
    right = shares[first] / shares[second]
    assert abs(among_all / right - 1) < 0.02, f"The ratio among all classes is another one: {first!r} over {second!r}."
    assert abs(among_two / right - 1) < 0.02, "The ratio among the two is another one. Do logits know the other labels?"


def exercise3(answer):
    assert 0 <= answer <= 1, "A share lies between 0 and 1."
    assert answer < 1, "Two copies show the same frames, so they get the same answer."
    assert answer == 0.5, "The same answer for both copies: for how many of the two can it be right?"


def exercise4(answer):
    share, black, folder = answer
    assert 0 <= share <= 1, "A share lies between 0 and 1."
    new = mgdmkit.load_run(folder)
    assert "nothing happens" in new.classes, "This run has no class 'nothing happens'. Is it the folder of the new one?"
    made = Path(folder).parent.parent  # features and runs lie side by side
    assert (made / "features").is_dir(), "The run's folder is DIR/runs/NAME, with its features in DIR/features."
    test = experiments.prepare(made, experiments.OWN).features.split("test")
    still = test.labels == new.classes.index("nothing happens")
    assert still.any(), "The test split has no clip of 'nothing happens': draw a larger share of test clips."
    logits = inference.predict(new.model, test.frame_features[still], new.text_features(new.classes))
    right = (logits.argmax(dim=1) == test.labels[still]).double().mean().item()
    assert abs(share - right) < 0.006, "The share is another. Of the still test clips, how many get 'nothing happens'?"
    assert black in new.classes, "The label of black frames is none of the new model's classes."
    said = new.classify(np.zeros((16, 128, 128, 3), np.uint8), top=1).labels[0]
    assert black == said, "The new model says something else of black frames."
