"""Answers to the exercises of lesson 08: countings of CLIP and MGDM, made anew here."""

from collections.abc import Iterable

from mgdmkit.evaluation import complexity


def exercise1(answer: float) -> None:
    counted = complexity.table8().paper_gmac[0]
    assert abs(float(answer) - counted) > 1, "That is the number of multiply-adds. How many operations is one of them?"
    assert abs(float(answer) - 2 * counted) < 1, "Start from the multiply-adds of the row CLIP, as the paper counts."


def exercise2(answer: float) -> None:
    clip, mgdm = complexity.table8("ViT-B-16", frames=8, ks=(0,)).itertuples(index=False)
    right, parameters = (
        100 * (mgdm.true_gmac / clip.true_gmac - 1),
        100 * (mgdm.true_mparams / clip.true_mparams - 1),
    )
    as_counted = 100 * (mgdm.paper_gmac / clip.paper_gmac - 1)
    assert abs(100 * float(answer) - right) > 0.005, "In percent: a share of 0.01 is 1."
    assert abs(float(answer) - parameters) > 0.5, "These are the parameters."
    assert abs(float(answer) - as_counted) > 0.002, "This is as the paper counts; the true columns are asked for."
    assert abs(float(answer) - right) < 0.005, "True multiply-adds of the row k = 0 against the row CLIP, 8 frames."


def exercise3(answer: Iterable[str]) -> None:
    rows = {answer} if isinstance(answer, str) else set(answer)
    assert rows <= set(complexity.PAPER_TABLE8), f"Rows are named {', '.join(complexity.PAPER_TABLE8)}."
    equal = complexity.table8(temporal_layers=4, semantic_layers=4).set_index("model")["paper_gmac"].round(1)
    wrong = {row for row, (gmac, _) in complexity.PAPER_TABLE8.items() if equal[row] != gmac}
    assert rows <= wrong, "One of these rows rounds to what is printed."
    assert rows == wrong, "Not all of them: round each row to one digit, and compare with the print."


def exercise4(answer: float) -> None:
    cost = complexity.parts(k=0, classes=400).set_index("part")["gmac"]
    right = 100 * cost.drop(["image encoder", "text encoder"]).sum() / cost["image encoder"]
    assert float(answer) < 100, "The text encoder does not run at test: its embeddings are cached."
    assert abs(float(answer) - right) < 0.01, "k=0, classes=400; all rows but the encoders, by the image encoder."
