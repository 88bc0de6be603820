"""The diagrams say what the code says, and every word can be read."""

import matplotlib
import numpy as np
import pytest
import torch
from drawn_text import crossed, misplaced, words
from matplotlib.colors import to_hex
from matplotlib.patches import FancyBboxPatch, Rectangle

from mgdmkit import loss, mining, model, plots
from mgdmkit.plots import diagrams
from mgdmkit.plots.boxes import FROZEN, SHADE

matplotlib.use("Agg")

import matplotlib.pyplot as plt

PARTS = {
    diagrams.paradigms: ("usual", "augmented", "targets"),
    diagrams.framework: (
        *("videos", "clip", "corpus", "mining", "representer", "discriminator", "model", "similarity", "loss"),
    ),
    diagrams.modules: ("representer", "discriminator", "blocks", "residual", "attention"),
    diagrams.split_vector: ("vectors", "halves", "plane"),
}
every_diagram = pytest.mark.parametrize("draw", PARTS, ids=lambda draw: draw.__name__)


@pytest.fixture(autouse=True)
def _style():
    with matplotlib.rc_context():
        plots.style()
        yield
        plt.close("all")


def texts(ax) -> list[str]:
    return [text.get_text() for text in ax.texts if text.get_text()]


def shaded(ax) -> int:
    return sum(to_hex(patch.get_facecolor()) == SHADE for patch in ax.patches)


@every_diagram
def test_words_stay_inside_apart_and_free_of_lines(draw):
    figure = draw().figure
    assert (misplaced(figure), crossed(figure)) == ([], [])


@every_diagram
def test_words_stay_inside_their_boxes(draw):
    ax = draw()
    boxes = [patch.get_window_extent() for patch in ax.patches if isinstance(patch, FancyBboxPatch)]
    for text, word in words(ax.figure).items():
        centre = (word.x0 + word.x1) / 2, (word.y0 + word.y1) / 2
        around = [box for box in boxes if box.contains(*centre)]
        for box in around:
            assert box.x0 + 2 < word.x0 and word.x1 < box.x1 - 2, text.get_text()
            assert box.y0 < word.y0 and word.y1 < box.y1, text.get_text()


@every_diagram
def test_half_the_width_has_the_same_drawing_with_titles_that_can_be_read(draw):
    whole = draw()
    figure, axes = plt.subplots(1, 2, figsize=(6.6, 3.2))
    half = draw(axes[0])
    assert texts(half) == texts(whole)
    assert misplaced(figure) == []
    inches = half.get_window_extent().width / figure.dpi
    whole_inches = whole.get_window_extent().width / whole.figure.dpi
    sizes = [text.get_fontsize() for ax in (half, whole) for text in ax.texts if text.get_text()]
    shrunk = np.array(sizes[: len(sizes) // 2]) / np.array(sizes[len(sizes) // 2 :])
    assert shrunk == pytest.approx(shrunk[0]) and shrunk[0] <= inches / whole_inches + 1e-3
    titles = [text.get_fontsize() for text in whole.texts if text.get_fontweight() == "bold"]
    assert max(titles) * 330 / 72 / whole_inches > 7.5  # pixels, when the page shows it 330 wide


@pytest.mark.parametrize(("draw", "part"), [(draw, part) for draw, parts in PARTS.items() for part in parts])
def test_a_part_is_shaded_and_moves_nothing(draw, part):
    plain, marked = draw(), draw(highlight=part)
    assert texts(plain) == texts(marked)
    assert [text.get_position() for text in plain.texts] == [text.get_position() for text in marked.texts]
    assert shaded(plain) == 0
    if part == "targets":  # cells, in the accent's own colour
        assert sum(to_hex(patch.get_facecolor()) == plots.TRUE for patch in marked.patches) > 3
    else:
        assert shaded(marked) > 0


@every_diagram
def test_it_can_be_saved_twice(draw, tmp_path):
    figure = draw().figure
    for kind in ("png", "svg", "pdf"):
        figure.savefig(tmp_path / f"diagram.{kind}", dpi=30)
    bold = next(text.get_text() for text in figure.axes[0].texts if text.get_fontweight() == "bold")
    assert f">{bold}</text>" in (tmp_path / "diagram.svg").read_text(encoding="utf-8")


@every_diagram
def test_an_unknown_part_is_refused_with_those_there_are(draw):
    with pytest.raises(ValueError, match=f"'hands' is none of {', '.join(PARTS[draw])}"):
        draw(highlight="hands")


def test_the_names_are_those_of_the_code():
    for name in ("VideoRepresenter", "SemanticDiscriminator"):
        assert hasattr(model, name) and name in texts(diagrams.modules())
    spelled = "".join(texts(diagrams.framework()))
    for module, name in (
        *((model, "VideoRepresenter"), (model, "SemanticDiscriminator")),
        *((mining, "mine_negatives"), (loss, "augmented_negative_loss")),
    ):
        assert hasattr(module, name) and name in spelled


def targets_of_the_example() -> torch.Tensor:
    names = sorted({text for group in diagrams.EXAMPLE for text in group})
    text_labels = torch.tensor([[names.index(text) for text in group] for group in diagrams.EXAMPLE])
    return loss.augmented_targets(text_labels[:, 0], text_labels)


def test_the_frozen_encoders_are_grey_and_say_so():
    ax = diagrams.framework()
    grey = [patch for patch in ax.patches if to_hex(patch.get_facecolor()) == FROZEN]
    said = [text for text in ax.texts if text.get_text() == "frozen"]
    assert len(grey) == len(said) == 3  # two encoders and the key
    assert texts(ax).count("CLIP image") == texts(ax).count("CLIP text") == 1


def test_the_little_matrix_of_the_framework_is_that_of_the_loss():
    cells = [patch for patch in diagrams.framework().patches if isinstance(patch, Rectangle) and patch.get_fill()]
    dark = torch.tensor([to_hex(cell.get_facecolor()) == plots.INK for cell in cells])
    targets = targets_of_the_example()
    assert dark.view(3, 9).equal(targets.flatten(1).bool()) and dark.sum() > len(targets)


def test_the_targets_drawn_are_those_of_the_loss():
    groups, targets = diagrams.EXAMPLE, targets_of_the_example()
    ones = [text.get_position() for text in diagrams.paradigms().texts if text.get_text() == "1"]
    assert len(ones) == len(groups) + targets.sum()
    augmented = np.array(ones[len(groups) :])
    rows = (diagrams.CELLS_TOP - augmented[:, 1]) // diagrams.CELL
    by_row = targets.flatten(1).sum(dim=1).tolist()
    assert [int((rows == i).sum()) for i in range(len(groups))] == by_row == [2, 2, 1]


def test_the_checks_themselves_see_what_is_wrong():
    figure, ax = plt.subplots(layout="none")
    ax.set(xlim=(0, 1), ylim=(0, 1))
    ax.text(0.5, 0.5, "one word")
    ax.text(0.52, 0.51, "another")
    ax.text(1.1, 0.2, "far too long to stay inside of the figure")
    ax.plot([0.4, 0.9], [0.45, 0.6])
    assert set(misplaced(figure)) == {"'another' over 'one word'", "far too long to stay inside of the figure"}
    assert set(crossed(figure)) == {"one word", "another"}
