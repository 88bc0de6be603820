"""The exercises of lesson 10."""

import pandas as pd
import torch

from mgdmkit import evaluation, experiments, inference, mining, stickactions


def exercise1(answer):
    assert int(answer) in (13, 14, 15, 16), "It is one of the four numbers."
    assert answer not in (13, 14), "Blocks and frame positions go with the representer."
    assert answer == 16, "Weights that do not depend on the text are no attention."


def exercise2(answer, results):
    low, high, said = answer
    table = pd.read_csv(f"{results}/story.csv")
    row = table[table["against"] == "k7-top-discriminator=False"].iloc[0]
    assert low < high, "The lower end comes first."
    assert not (abs(low + row["high"]) < 0.06 and abs(high + row["low"]) < 0.06), "That is what leaving it out gains."
    assert abs(low - row["low"]) < 0.06 and abs(high - row["high"]) < 0.06, (
        "Another row. Look for the run k7-top whose column `against` names the model without the discriminator."
    )
    assert said == "not distinguishable", "Where does 0 lie?"


def exercise3(answer, model, prepared):
    test, classes = prepared.features.split("test"), prepared.features.classes
    T = test.frame_features.shape[1]
    assert sorted(map(int, answer)) == list(range(T)), f"An order holds each of the numbers 0 to {T - 1} once."
    reverse = torch.tensor(stickactions.reverse_of(classes))[test.labels]
    paired = reverse != test.labels
    logits = inference.predict(model, test.frame_features[:, list(answer)], prepared.features.text_features)
    own, other = (logits[paired].gather(1, c[paired, None]) for c in (test.labels, reverse))
    share = (own > other).float().mean().item()
    assert share < 0.5, f"In this order {share:.1%} of the pairs are right. When is 'opening' most like 'closing'?"


def exercise4(answer, prepared):
    half, whole = answer
    validation = prepared.features.split("val")
    zero_shot = mining.zero_shot_logits(validation.frame_features, prepared.features.text_features)
    base = evaluation.score(zero_shot, validation.labels).top1.value
    assert max(abs(half), abs(whole)) > 1 or half == whole, "Points are percent: multiply the shares by 100."
    small = experiments.Variant(3, model={"temporal_layers": 1, "semantic_layers": 1})
    for name, gained, variant in (("2 + 2", whole, experiments.Variant(3)), ("1 + 1", half, small)):
        top1 = variant.run(prepared, 0, "val", quiet=True).scores.top1.value
        assert abs(gained - 100 * (top1 - base)) < 0.1, (
            f"The gain of {name} blocks is another one. Is it seed 0, the validation split, and minus zero-shot CLIP?"
        )
