"""What the figures hold, read back from the drawn objects: places, numbers, marks, lines. Looks are for eyes."""

import matplotlib
import numpy as np
import pytest
import torch
from drawn_text import misplaced
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.text import Text

from mgdmkit import plots
from mgdmkit.evaluation import calibration, wilson

matplotlib.use("Agg")

import matplotlib.pyplot as plt

SCENES = ("kitchen", "gym", "kitchen", "beach", "gym", "kitchen")
CLASSES = ("stirring a pot", "doing squats", "closing a fridge", "flying a kite", "punching a bag", "opening a fridge")


@pytest.fixture
def ax():
    """One Axes in the kit's style; afterwards it must draw without a complaint, and is closed."""
    with matplotlib.rc_context():
        plots.style()
        figure, axes = plt.subplots()
        yield axes
        figure.canvas.draw()
        plt.close(figure)


def labels_of(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def positions(line):
    return np.column_stack(line.get_data())


# ---- split_similarity -----------------------------------------------------------------------------------------


def test_halves_are_normalised_on_their_own():
    video = np.array([[3.0, 4, 0, 1], [3, 4, 0, 1], [3, 4, 0, 1]])
    texts = np.array([[30.0, 40, 0, 7], [4, -3, 1, 0], [1, 0, 0, -2]])
    x, y = plots.split_similarity(video, texts)
    assert x == pytest.approx([1, 0, 0.6])
    assert y == pytest.approx([1, 0, -1])


def test_row_c_of_the_video_meets_text_c_only():
    V = torch.tensor([[1.0, 0, 1, 0], [0, 1, 0, 1]], requires_grad=True)  # another vector for each guiding class
    x, y = plots.split_similarity(V, torch.tensor([[1.0, 0, 0, 1], [1, 0, 0, 1]]))
    assert (x.tolist(), y.tolist()) == ([1, 0], [0, 1])


def test_a_mixture_of_the_halves_is_the_whole_cosine():
    rng = np.random.default_rng(0)
    V, E = rng.normal(size=(2, 5, 8))
    x, y = plots.split_similarity(V, E)
    left = np.linalg.norm(V[:, :4], axis=1) * np.linalg.norm(E[:, :4], axis=1)
    right = np.linalg.norm(V[:, 4:], axis=1) * np.linalg.norm(E[:, 4:], axis=1)
    whole = torch.cosine_similarity(torch.tensor(V), torch.tensor(E)).numpy()
    lengths = np.linalg.norm(V, axis=1) * np.linalg.norm(E, axis=1)
    assert (left * x + right * y) / lengths == pytest.approx(whole)


def test_a_half_of_zeros_has_the_cosine_zero():
    assert plots.split_similarity([[0, 0, 1, 0]], [[1, 0, 1, 0]])[0].tolist() == [0]


@pytest.mark.parametrize(
    ("video", "text", "message"),
    [
        ((3, 4), (3, 6), r"\(3, 4\) and text_vectors \(3, 6\)"),
        ((3, 4), (2, 4), r"\(3, 4\) and text_vectors \(2, 4\)"),
        ((4,), (4,), "must be one"),
        ((3, 5), (3, 5), "width 5 can't be cut"),
    ],
)
def test_vectors_that_do_not_fit_are_refused(video, text, message):
    with pytest.raises(ValueError, match=message):
        plots.split_similarity(np.ones(video), np.ones(text))


def test_the_triangle_is_the_true_class(ax):
    x, y = np.array([0.1, 0.9, 0.3]), np.array([0.2, 0.8, 0.4])
    plots.split_vectors(ax, x, torch.tensor(y), true=1, title="a video")
    dots, triangle = (c for c in ax.collections if isinstance(c, PathCollection))
    assert dots.get_offsets().tolist() == [[0.1, 0.2], [0.3, 0.4]]
    assert triangle.get_offsets().tolist() == [[0.9, 0.8]]
    corners = {tuple(corner) for corner in triangle.get_paths()[0].vertices.round(6)}
    heights = sorted(height for _, height in corners)
    assert len(corners) == 3 and heights[0] < heights[1] == heights[2]  # one corner below, two above
    assert len(dots.get_paths()[0].vertices) > 10
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("cosine of the left halves", "cosine of the right halves")


def test_a_hardest_negative_under_the_triangle_is_drawn_on_top_and_enlarged(ax):
    x, y = np.array([0.1, 0.9, 0.3, 0.902]), np.array([0.2, 0.8, 0.4, 0.801])
    plots.split_vectors(ax, x, y, true=1, hardest=3, name="closing a fridge")
    dots, triangle, hardest = (c for c in ax.collections if isinstance(c, PathCollection))
    assert dots.get_offsets().tolist() == [[0.1, 0.2], [0.3, 0.4]]
    assert hardest.get_offsets().tolist() == [[0.902, 0.801]] and hardest.get_zorder() > triangle.get_zorder()
    assert hardest.get_label() == "hardest negative: closing a fridge"
    (inset,) = ax.child_axes
    assert inset.get_xlim()[0] < 0.9 < 0.902 < inset.get_xlim()[1] < 0.95
    assert inset.get_position().x1 < 0.5 < inset.get_position().y0  # where no points are


def test_nothing_is_enlarged_where_the_two_stand_apart(ax):
    plots.split_vectors(ax, [0.1, 0.9, 0.3, 0.4], [0.2, 0.8, 0.4, 0.5], true=1, hardest=3)
    assert ax.child_axes == []


@pytest.mark.parametrize("at", [(0.9, 0.8), (0.1, 0.2)])
def test_a_triangle_at_the_edge_is_whole(ax, at):
    x, y = np.array([at[0], 0.5, 0.6]), np.array([at[1], 0.5, 0.4])
    plots.split_vectors(ax, x, y, true=0)
    ax.figure.canvas.draw()
    place, box = ax.transData.transform(at), ax.get_window_extent()
    half = 110**0.5 / 2 * ax.figure.dpi / 72
    assert box.x0 + half < place[0] < box.x1 - half and box.y0 + half < place[1] < box.y1 - half


# ---- matrices -------------------------------------------------------------------------------------------------


def test_group_lines_stand_between_the_text_groups(ax):
    values = np.arange(24.0).reshape(3, 8)
    plots.matrix(ax, torch.tensor(values), list("abc"), list("12345678"), group=4)
    assert [line.get_xdata()[0] for line in ax.lines] == [3.5]
    assert ax.images[0].get_array().tolist() == values.tolist()
    assert (labels_of(ax.yaxis), labels_of(ax.xaxis)) == (list("abc"), list("12345678"))
    assert len(ax.figure.axes) == 2  # the second is the colour bar


def test_three_groups_have_two_lines(ax):
    plots.matrix(ax, np.eye(3, 6), group=2)
    assert [line.get_xdata()[0] for line in ax.lines] == [1.5, 3.5]


def test_targets_are_annotated_as_0_and_1_from_white_to_dark(ax):
    plots.matrix(ax, np.eye(2, 4), annotate=True)
    assert [text.get_text() for text in ax.texts] == ["1", "0", "0", "0", "0", "1", "0", "0"]
    assert ax.images[0].get_clim() == (0, 1)
    assert ax.texts[0].get_color() == "white" and ax.texts[1].get_color() == plots.INK
    assert len(ax.figure.axes) == 1


def test_annotated_cosines_have_two_digits_at_their_cells(ax):
    plots.matrix(ax, [[0.5, -0.25], [0.125, 1]], annotate=True)
    found = {text.get_position(): text.get_text() for text in ax.texts}
    assert found == {(0, 0): "0.50", (1, 0): "-0.25", (0, 1): "0.12", (1, 1): "1.00"}


def test_a_signed_matrix_is_white_at_0_and_writes_its_signs(ax):
    plots.matrix(ax, [[-0.0, -0.5], [0.25, 0.001]], annotate=True, signed=True)
    image = ax.images[0]
    low, high = image.get_clim()
    assert (low, high) == (-0.5, 0.5)
    colours = [grey(image.cmap(image.norm(x))[:3]) for x in (-0.5, 0.0, 0.5)]
    assert colours[1] > 0.9 and max(colours[0], colours[2]) < 0.5
    assert [text.get_text() for text in ax.texts] == ["0", "-0.50", "+0.25", "+0.00"]
    assert [text.get_color() == "white" for text in ax.texts] == [False, True, False, False]


def test_signs_are_written_where_all_values_are_0_or_1(ax):
    plots.matrix(ax, np.eye(2), annotate=True, signed=True)
    assert ax.texts[0].get_text() == "+1.00" and ax.images[0].get_clim() == (-1, 1)


def test_confusion_sorts_by_group_and_normalises_the_rows(ax):
    counts = np.zeros((6, 6), int)
    counts[0, 0], counts[0, 2], counts[3, 3] = 1, 3, 2  # the other classes have no video
    plots.confusion(ax, torch.tensor(counts), CLASSES, SCENES)
    shown = ax.images[0].get_array()
    order = [3, 1, 4, 0, 2, 5]  # beach, gym, gym, kitchen, kitchen, kitchen
    assert labels_of(ax.yaxis) == labels_of(ax.xaxis) == [CLASSES[c] for c in order]
    assert shown[3].tolist() == [0, 0, 0, 0.25, 0.75, 0]
    assert shown[0, 0] == 1 and shown[1:3].sum() == 0
    rows = [line.get_ydata()[0] for line in ax.lines if line.get_ydata()[0] == line.get_ydata()[1]]
    columns = [line.get_xdata()[0] for line in ax.lines if line.get_xdata()[0] == line.get_xdata()[1]]
    assert rows == columns == [0.5, 2.5]


def test_classes_without_room_give_way_to_their_groups(ax):
    counts = np.eye(60)
    plots.confusion(ax, counts, [f"class {c}" for c in range(60)], [f"place {c % 3}" for c in range(60)])
    assert labels_of(ax.yaxis) == ["place 0", "place 1", "place 2"]
    assert ax.get_yticks().tolist() == [9.5, 29.5, 49.5]


def test_counts_of_another_size_are_refused(ax):
    with pytest.raises(ValueError, match=r"6 classes need counts \(6, 6\)"):
        plots.confusion(ax, np.eye(5), CLASSES)
    with pytest.raises(ValueError, match="6 groups"):
        plots.confusion(ax, np.eye(6), CLASSES, ["kitchen"])


# ---- videos and their negatives -------------------------------------------------------------------------------


def test_frames_hang_in_order_over_bars_of_their_attention(ax):
    pictures = np.arange(4, dtype=np.uint8)[:, None, None, None] * np.full((4, 6, 8, 3), 60, np.uint8)
    title = "a title that is more than twice as wide as the first picture"
    figure, axes = plt.subplots(1, 4)
    drawn = plots.frames(axes, torch.tensor(pictures), torch.tensor([0.1, 0.4, 0.3, 0.2]), title)
    assert [ax.images[0].get_array()[0, 0, 0] for ax in drawn] == [0, 60, 120, 180]
    bars = [ax.lines[0].get_xdata()[1] for ax in drawn]
    assert bars == pytest.approx([0.25, 1, 0.75, 0.5])
    assert [ax.get_xlabel() for ax in drawn] == ["0.10", "0.40", "0.30", "0.20"]
    assert [text.get_text() for text in axes[0].texts] == [title]
    figure.canvas.draw()
    gaps = np.diff([ax.get_position().x0 for ax in axes])
    assert gaps == pytest.approx([gaps[0]] * 3)  # the long title has moved no picture
    plt.close(figure)


def test_a_strip_of_another_length_is_refused(ax):
    with pytest.raises(ValueError, match="1 axes need pictures"):
        plots.frames([ax], np.zeros((2, 4, 4, 3), np.uint8))


@pytest.mark.parametrize(
    ("rank", "names", "at"),
    [
        (0, ["sitting", "standing", "writing"], 0),
        (1, ["standing", "sitting", "writing"], 1),
        (2, ["standing", "writing", "sitting"], 2),
        (7, ["standing", "writing", "sitting (rank 8)"], 2),
    ],
)
def test_the_true_label_stands_at_its_rank(ax, rank, names, at):
    plots.negatives(ax, "sitting", ["standing", "writing"], torch.tensor([0.5, 0.25]), rank, 0.125)
    assert labels_of(ax.yaxis) == names
    assert [bar.get_hatch() for bar in ax.patches].index("///") == at
    assert ax.patches[at].get_width() == 0.125
    assert sorted(bar.get_width() for bar in ax.patches) == [0.125, 0.25, 0.5]
    assert ax.yaxis_inverted()  # the hardest on top
    assert f"rank {rank + 1}" in ax.get_title(loc="left")


# ---- runs and their scores ------------------------------------------------------------------------------------


def test_a_line_a_run_named_at_its_end(ax):
    histories = {
        "k = 0": [{"epoch": e, "loss": 3.0 - e} for e in range(3)],
        "k = 3": [{"epoch": e, "loss": 5.0 - 2 * e} for e in range(3)],
    }
    plots.loss_curves(ax, histories)
    assert [positions(line).tolist() for line in ax.lines] == [[[1, 3], [2, 2], [3, 1]], [[1, 5], [2, 3], [3, 1]]]
    assert len({line.get_linestyle() for line in ax.lines}) == 2  # apart without colour
    assert {text.get_text(): text.get_color() for text in ax.texts} == {
        name: line.get_color() for name, line in zip(histories, ax.lines, strict=True)
    }
    ax.figure.canvas.draw()
    one, other = (Text.get_window_extent(text) for text in ax.texts)  # of the words, without the line that ties them
    assert not one.overlaps(other), "both end at 1, yet both names can be read"
    assert [text.xy for text in ax.texts] == [(3, 1), (3, 1)]


def test_steps_are_counted_as_they_are_and_other_keys_are_named(ax):
    plots.loss_curves(ax, {"clip": [{"step": s, "logit_scale": 10.0 + s} for s in (0, 5)]}, key="logit_scale")
    assert positions(ax.lines[0]).tolist() == [[0, 10], [5, 15]]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("step", "logit scale")
    with pytest.raises(ValueError, match=r"'clip' has no 'val_top1'; it has step, loss"):
        plots.loss_curves(ax, {"clip": [{"step": 0, "loss": 1.0}]}, key="val_top1")


def test_scores_sit_inside_their_intervals(ax):
    plots.scores(ax, [("k = 0", 60, 50, 68), ("k = 3", 70, 66, 75)], n=150)
    points, bars = ax.containers[0].lines[0], ax.containers[0].lines[2][0]
    assert positions(points).tolist() == [[60, 0], [70, 1]]
    assert [segment.tolist() for segment in bars.get_segments()] == [[[50, 0], [68, 0]], [[66, 1], [75, 1]]]
    assert ax.get_xlabel() == "Top-1 in percent, 95% interval, N = 150"
    assert labels_of(ax.yaxis) == ["k = 0", "k = 3"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first row on top


@pytest.mark.parametrize("row", [("k = 0", 60, 61, 68), ("k = 0", 60, 50, 59), ("k = 0", 60, 50, 101)])
def test_a_score_outside_its_interval_is_refused(ax, row):
    with pytest.raises(ValueError, match="not a percentage inside its interval"):
        plots.scores(ax, [row])


def test_a_difference_is_filled_where_its_interval_excludes_0(ax):
    plots.differences(ax, [("better", 2, 1, 3), ("unclear", -1, -3, 1), ("worse", -2, -4, -1)])
    bars, points = ax.lines[0:6:2], ax.lines[1:6:2]
    assert [positions(bar).tolist() for bar in bars] == [[[1, 0], [3, 0]], [[-3, 1], [1, 1]], [[-4, 2], [-1, 2]]]
    assert [positions(point).tolist() for point in points] == [[[2, 0]], [[-1, 1]], [[-2, 2]]]
    assert [point.get_markerfacecolor() == "white" for point in points] == [False, True, False]
    assert ax.lines[6].get_xdata()[0] == 0
    assert labels_of(ax.yaxis) == ["better", "unclear", "worse"] and ax.get_ylim()[0] > ax.get_ylim()[1]


def test_a_difference_outside_its_interval_is_refused(ax):
    with pytest.raises(ValueError, match=r"'rerank': 2 lies outside its interval \[-1, 1\]"):
        plots.differences(ax, [("rerank", 2, -1, 1)])


def test_margins_keep_every_video_and_mark_the_median(ax):
    groups = {"raw": torch.tensor([-0.3, -0.1, 0.2]), "k = 3": torch.tensor([0.1, 0.2, 0.4, 0.5])}
    plots.margins(ax, groups)
    for row, (dots, values) in enumerate(zip(ax.collections, groups.values(), strict=True)):
        x, y = np.asarray(dots.get_offsets()).T
        assert x == pytest.approx(values.numpy())
        assert (abs(y - row) < 0.5).all() and len(set(y)) == len(values)
    medians = [line.get_xdata()[0] for line in ax.lines[:2]]
    assert medians == pytest.approx([-0.1, 0.3])
    assert ax.lines[2].get_xdata()[0] == 0
    assert ax.get_xlim()[0] < -0.3 and ax.get_xlim()[1] > 0.5  # no dot is cut off
    tiny, small, large = ax.transData.transform([(0.001, 0), (0.01, 0), (0.1, 0)])[:, 0]
    assert small - tiny == pytest.approx(large - small)  # logarithmic beyond 0.001, so that small medians are seen
    assert [text.get_text() for text in ax.texts] == ["33% right\nmedian\n-0.1000", "100% right\nmedian\n+0.3000"]
    assert labels_of(ax.yaxis) == ["raw", "k = 3"]


# ---- costs ----------------------------------------------------------------------------------------------------


def test_what_is_counted_and_all_of_it_are_dots_on_a_logarithmic_axis(ax):
    plots.costs(ax, ["encoder", "blocks", "rest"], torch.tensor([800.0, 0.25, 0]), [1296.0, 1.0, 0.5])
    (whole, counted), names = ax.get_legend_handles_labels()
    assert names == ["all of it", "as counted"]
    assert whole.get_xdata().tolist() == [1296, 1, 0.5]
    assert counted.get_xdata().tolist() == [800, 0.25] and counted.get_ydata().tolist() == [0, 1]
    assert whole.get_markerfacecolor() != counted.get_markerfacecolor() == "white"  # apart without colour
    assert [text.get_text() for text in ax.texts] == ["800 of 1296", "0.25 of 1", "0 of 0.5"]
    assert labels_of(ax.yaxis) == ["encoder", "blocks", "rest"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first part on top
    assert ax.get_xscale() == "log"  # bars would need a 0


def test_costs_are_written_without_powers_of_ten(ax):
    plots.costs(ax, ["encoder", "similarity"], [4.35998, 0], [53.1987, 6.1e-6])
    assert [text.get_text() for text in ax.texts] == ["4.36 of 53.2", "0 of <0.001"]


def test_more_than_there_is_cannot_be_counted(ax):
    with pytest.raises(ValueError, match=r"'blocks': 2\.0 GMAC counted of 1\.0 GMAC"):
        plots.costs(ax, ["blocks"], [2], [1])


# ---- the style ------------------------------------------------------------------------------------------------


def grey(colour: str) -> float:
    """Perceived lightness, 0 to 1."""
    return float(np.dot(matplotlib.colors.to_rgb(colour), (0.299, 0.587, 0.114)))


def test_true_and_other_differ_in_grey(ax):
    assert abs(grey(plots.TRUE) - grey(plots.OTHER)) > 0.25
    assert len(plots.DASHES) == len(plots.LINES)


def test_darker_is_larger_all_the_way(ax):
    colours = matplotlib.colormaps[plt.rcParams["image.cmap"]](np.linspace(0, 1, 32))[:, :3]
    assert (np.diff(colours @ [0.299, 0.587, 0.114]) < 0).all()


def test_text_in_vector_files_stays_text(ax, tmp_path):
    plots.negatives(ax, "sitting", ["standing"], [0.5], 1, 0.25)
    ax.figure.savefig(tmp_path / "bars.svg")
    assert ">standing</text>" in (tmp_path / "bars.svg").read_text(encoding="utf-8")


# ---- sampling, predictions ------------------------------------------------------------------------------------


def test_a_dot_for_each_frame_and_a_line_for_each_segment(ax):
    rows = {"centre": [1, 4, 7], "random": [0, 3, 9]}
    plots.sampling(ax, 10, 3, rows)
    taken = {dots.get_label(): dots.get_offsets().tolist() for dots in ax.collections if dots.get_label() in rows}
    assert taken == {name: [[x, row] for x in rows[name]] for row, name in enumerate(rows)}
    frames = [dots.get_offsets() for dots in ax.collections if dots.get_label() not in rows]
    assert [len(offsets) for offsets in frames] == [10, 10]
    assert [line.get_xdata()[0] for line in ax.lines] == [-0.5, 2.5, 5.5, 9.5], "10 frames: segments of 3, 3 and 4"
    assert labels_of(ax.yaxis) == ["centre", "random"] and ax.get_ylim()[0] > ax.get_ylim()[1]


def test_a_frame_that_is_not_there_is_refused(ax):
    with pytest.raises(ValueError, match="'centre': frame 10 is none of 0 to 9"):
        plots.sampling(ax, 10, 3, {"centre": [1, 10]})


def test_the_true_label_stands_out_among_the_predictions(ax):
    plots.predictions(
        ax, ["closing a fridge", "opening a fridge"], torch.tensor([0.61, 0.3]), "opening a fridge", "a.mp4"
    )
    assert [bar.get_width() for bar in ax.patches] == pytest.approx([0.61, 0.3])
    assert [bool(bar.get_hatch()) for bar in ax.patches] == [False, True]
    assert ax.patches[0].get_facecolor() != ax.patches[1].get_facecolor()
    assert [text.get_text() for text in ax.texts] == ["61%", "30%"]
    assert labels_of(ax.yaxis) == ["closing a fridge", "opening a fridge"] and ax.get_title(loc="left") == "a.mp4"
    assert ax.get_ylim()[0] > ax.get_ylim()[1], "best on top"


def test_without_a_true_label_no_bar_is_marked(ax):
    plots.predictions(ax, ["a", "b"], [0.9, 0.1])
    assert not any(bar.get_hatch() for bar in ax.patches)


# ---- k, learning curves ---------------------------------------------------------------------------------------


K_ROWS = [
    ("hardest", 0, [62.0, 64.0], 60, 66),
    ("hardest", 3, [58.0, 61.0], 55, 63),
    ("hardest", 7, [57.0], None, None),
    ("random", 3, [56.0, 57.0], 54, 59),
]


def test_each_series_begins_at_k_0_which_is_drawn_once(ax):
    plots.k_curve(ax, K_ROWS, zero_shot=47.0)
    lines = {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}
    assert [y for _, y in positions(lines["hardest"])] == [63, 59.5, 57]
    assert [y for _, y in positions(lines["random"])] == [63, 56.5]
    assert [round(x) for x, _ in positions(lines["hardest"])] == [0, 3, 7]
    assert lines["zero-shot 47.0"].get_ydata()[0] == 47
    assert len({line.get_linestyle() for line in lines.values()}) == len({line.get_marker() for line in lines.values()})
    assert len([line for line in ax.lines if line.get_marker() == "D"]) == 1
    bars = sorted(tuple(bar.lines[2][0].get_segments()[0][:, 1]) for bar in ax.containers)
    assert np.array(bars) == pytest.approx(np.array([(54, 59), (55, 63), (60, 66)]))
    seeds = sorted(y for line in ax.lines if line.get_marker() == "." for y in line.get_ydata())
    assert seeds == [56, 57, 58, 61, 62, 64], "a single seed is the mean itself"
    assert ax.get_xticks().tolist() == [0, 3, 7]
    assert misplaced(ax.figure) == []


def test_rows_of_k_that_contradict_are_refused(ax):
    with pytest.raises(ValueError, match=r"'hardest', k = 3: the mean 59.50 lies outside its interval \[60, 63\]"):
        plots.k_curve(ax, [("hardest", 3, [58, 61], 60, 63)])
    with pytest.raises(ValueError, match="two rows for k = 3, 'hardest'"):
        plots.k_curve(ax, [K_ROWS[1], K_ROWS[1]])


def test_a_curve_is_the_mean_in_a_band_of_all_seeds(ax):
    curves = {"k = 0": ([1, 2, 3], torch.tensor([[10.0, 20, 31], [20, 40, 29]])), "k = 3": ([1, 2, 3], [5, 10, 30])}
    plots.learning_curves(ax, curves, stop=2, stop_label="20 epochs")
    assert [positions(line)[:, 1].tolist() for line in ax.lines[:2]] == [[15, 30, 30], [5, 10, 30]]
    (band,) = ax.collections  # one run has none
    corners = {tuple(corner) for corner in band.get_paths()[0].vertices.tolist()}
    assert corners == {(1, 10), (2, 20), (3, 29), (1, 20), (2, 40), (3, 31)}
    assert ax.lines[2].get_xdata()[0] == 2
    assert [text.get_text() for text in ax.texts] == ["k = 0", "k = 3", "20 epochs"]
    assert misplaced(ax.figure) == [], "both end at 30, and above them stands where the paper stops"


def test_a_curve_of_another_length_is_refused(ax):
    with pytest.raises(ValueError, match=r"'k = 0': values \(2, 3\) need one x a column, not x \(2,\)"):
        plots.learning_curves(ax, {"k = 0": ([1, 2], np.zeros((2, 3)))})


# ---- classes: who gains, and what a confidence is worth ---------------------------------------------------------


def test_a_third_of_the_classes_has_its_mean(ax):
    x, gain = torch.tensor([50.0, 0, 10, 90, 40, 100]), [2.0, -5, -7, 10, 4, 0]
    plots.gain_by_confusability(ax, x, gain, names=CLASSES)
    assert ax.collections[0].get_offsets().tolist() == np.column_stack([x, gain]).tolist()
    bars = [positions(line).tolist() for line in ax.lines if line.get_linewidth() == 3]
    assert bars == [[[0, -6], [10, -6]], [[40, 3], [50, 3]], [[90, 5], [100, 5]]]
    band = ax.collections[1].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx((-8, -4)), "two standard errors of -5 and -7"
    assert {text.get_text() for text in ax.texts} == {CLASSES[2], CLASSES[3]}
    assert misplaced(ax.figure) == []


def test_gains_of_other_classes_are_refused(ax):
    with pytest.raises(ValueError, match=r"x \(3,\), gain \(2,\)"):
        plots.gain_by_confusability(ax, [1, 2, 3], [1, 2])


def test_a_bin_is_its_mean_confidence_and_its_share_that_is_right(ax):
    plots.calibration(ax, torch.tensor([[2, 0.2, 0.5], [3, 0.9, 2 / 3]]), "k = 3")
    points, bars = ax.containers[0].lines[0], ax.containers[0].lines[2][0].get_segments()
    assert positions(points) == pytest.approx(np.array([[0.2, 0.5], [0.9, 2 / 3]]))
    assert [tuple(bar[:, 1]) for bar in bars] == [pytest.approx(wilson(1, 2)[1:3]), pytest.approx(wilson(2, 3)[1:3])]
    (strip,) = ax.child_axes
    assert [bar.get_height() for bar in strip.patches] == [2, 3]
    assert [text.get_text() for text in strip.texts] == ["2", "3"]
    error = 100 * (2 * 0.3 + 3 * (0.9 - 2 / 3)) / 5
    assert strip.get_title(loc="left") == f"k = 3: error {error:.1f} points, N = 5"
    assert misplaced(ax.figure) == []


def test_an_empty_bin_has_no_point(ax):
    plots.calibration(ax, calibration(torch.tensor([[0.1, 0.0], [3.0, 0.0]]), torch.tensor([1, 0])).bins)
    assert len(positions(ax.containers[0].lines[0])) == 2
    assert [text.get_text() for text in ax.child_axes[0].texts] == [*"0000010001"]


# ---- Figure 5 -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("margins", [None, {"raw": [-0.1, 0.2], "k = 3": [0.1, 0.2]}])
def test_figure_5_has_a_row_a_sample_and_the_margins_beside_it(margins):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(3, 2, 2, 6))
    samples = [plots.Sample(label, i, *points[i]) for i, label in enumerate(CLASSES[:3])]
    with matplotlib.rc_context():
        plots.style()
        figure = plots.fig5(samples, margins)
        panels = figure.axes[:6]
        assert misplaced(figure) == []
    for ax, (sample, points) in zip(panels, ((s, p) for s in samples for p in (s.raw, s.discriminated)), strict=True):
        dots, triangle = (c for c in ax.collections if isinstance(c, PathCollection))
        assert triangle.get_offsets().tolist() == [[points[0][sample.true], points[1][sample.true]]]
        assert len(dots.get_offsets()) == 5
    assert [ax.get_title(loc="left") for ax in panels] == [CLASSES[0], "", CLASSES[1], "", CLASSES[2], ""]
    assert [text.get_text() for ax in panels for text in ax.texts] == ["raw text", "discriminated text"]
    boxes = [ax.get_position() for ax in panels]
    assert all(left.x1 < right.x0 and left.y0 == right.y0 for left, right in zip(boxes[::2], boxes[1::2], strict=True))
    assert panels[0].get_xlim() == panels[4].get_xlim() and panels[1].get_ylim() == panels[3].get_ylim()
    assert [labels_of(ax.yaxis) for ax in figure.axes[6:]] == ([list(margins)] if margins else [])
    assert all(ax.get_position().x0 > boxes[1].x1 for ax in figure.axes[6:])
    plt.close(figure)


def test_figure_5_is_drawn_into_a_figure_of_ones_own():
    own = Figure()
    sample = plots.Sample("a video", 0, ([0.1, 0.2], [0.3, 0.4]), ([0.1, 0.2], [0.3, 0.4]))
    assert plots.fig5([sample], figure=own) is own and len(own.axes) == 2
    with pytest.raises(ValueError, match="samples is empty"):
        plots.fig5([])


def test_figure_5_names_the_hardest_negative_of_each_row():
    x, y = [0.1, 0.9, 0.3], [0.2, 0.8, 0.4]
    figure = plots.fig5([plots.Sample("opening", 1, (x, y), (x, y), 2, "closing")], figure=Figure())
    assert [ax.get_title(loc="left") or ax.get_title() for ax in figure.axes] == [
        "opening",
        "hardest negative:\nclosing",
    ]
    assert [text.get_text() for text in figure.legends[0].get_texts()][2] == "hardest negative"


# ---- label_plane, by_temperature ------------------------------------------------------------------------------


def test_the_mean_of_the_frames_and_every_label_have_their_angle(ax):
    plots.label_plane(ax, {"opening a fridge": 40, "raking leaves": 150}, "opening a fridge", [15, 25, 35])
    words = [text.get_text() for text in ax.texts if text.get_text()]
    assert words == ["opening a fridge, 40°", "raking leaves, 150°"]
    assert [text.get_weight() for text in ax.texts if text.get_text()] == ["bold", "normal"]
    assert "their mean, 25°" in [text.get_text() for text in ax.get_legend().get_texts()]
    (dots,) = [part for part in ax.collections if isinstance(part, PathCollection)]
    assert np.degrees(np.arctan2(*np.asarray(dots.get_offsets()).T[::-1])) == pytest.approx([15, 25, 35])


def test_a_curve_for_each_label_and_a_line_for_each_clip_model(ax):
    scales, curves = [1, 10, 100], {"own": torch.tensor([0.3, 0.5, 0.6]), "other": torch.tensor([0.3, 0.4, 0.4])}
    plots.by_temperature(ax, curves, "own", scales, {"this CLIP's": 14.7, "OpenAI's": 100}, now=20)
    lines = {line.get_label(): line for line in ax.get_lines()}
    assert positions(lines["own"])[:, 1] == pytest.approx([0.3, 0.5, 0.6]) and lines["own"].get_linestyle() == "--"
    assert lines["own"].get_color() == plots.TRUE != lines["other"].get_color()
    assert [line.get_xdata()[0] for line in ax.get_lines() if len(line.get_xdata()) == 2] == [20, 14.7, 100]
    assert [text.get_text() for text in ax.texts] == ["this CLIP's", "OpenAI's"] and ax.get_xscale() == "log"
