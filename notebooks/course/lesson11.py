"""The exercises of lesson 11."""

import torch
import torch.nn.functional as F

from mgdmkit import plots, stickactions


def exercise1(answer):
    words = ("class c", "true label", "none")
    assert answer in words, f"It is one of {', '.join(words)}."
    assert answer == "class c", "At test nobody knows the true label, and a logit compares two vectors."


def exercise2(answer, points, true, classes):
    own, others = answer
    x, y = map(torch.tensor, points)
    scenes = torch.tensor(stickactions.scene_numbers(classes))
    distance = ((x - x[true]) ** 2 + (y - y[true]) ** 2).sqrt()
    nine = (scenes == scenes[true]) & (torch.arange(len(classes)) != true)
    whole = distance[scenes == scenes[true]].median()
    right = distance[nine].median()
    assert abs(own - whole) > 1e-2 * whole or abs(whole - right) < 1e-2 * right, (
        "The triangle itself is not one of the nine."
    )
    assert abs(own - right) < 1e-2 * right, "The first median is another one: nine classes, distances in the plane."
    rest = distance[scenes != scenes[true]].median()
    assert abs(others - rest) < 1e-2 * rest, "The second median is another one."


def exercise3(answer, vectors, true):
    V, _, E = vectors
    order, D = [int(i) for i in answer], V.shape[1]
    assert sorted(order) == list(range(D)), f"An order holds each of the numbers 0 to {D - 1} once."
    x, _ = plots.split_similarity(V[:, order], E[:, order])
    further = int((x >= x[true]).sum()) - 1
    assert further == 0, (
        f"{further} dots are as far to the right, or further. In which coordinates does the true class do best?"
    )


def exercise4(answer, V, E):
    points = torch.as_tensor(answer(V, E))
    assert points.shape == (len(V), 2), f"The points have the shape {tuple(points.shape)}; wanted is {(len(V), 2)}."
    products = F.normalize(V, dim=1) * F.normalize(E, dim=1)
    left, lengths, _ = torch.linalg.svd(products - products.mean(dim=0), full_matrices=False)
    left, lengths = left[:, :2], lengths[:2]
    assert points.mean(dim=0).abs().max() < 1e-4, "The mean over the classes is not taken off."
    found = points.norm(dim=0)
    assert torch.allclose(found, lengths, rtol=1e-2), (
        "These are not the directions of largest variance, in their order."
    )
    wanted = left * lengths
    points = points * (points * wanted).sum(dim=0).sign()  # either end of a direction may be the positive one
    assert (points - wanted).abs().max() < 1e-2 * wanted.abs().max(), "The spread is right, the single points are not."
