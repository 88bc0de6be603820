"""The inspector's controls, each with a label and a word of help, and how they stand on the screen."""

from typing import Any

import ipywidgets as w

from mgdmkit.inspector.html import heading, own_keys
from mgdmkit.inspector.inspection import SHOWS, Inspection
from mgdmkit.inspector.playback import Playable


class Controls:
    """What can be set and what is shown; nothing answers yet.

    Args:
        known: what there is to choose from.
        split: the split to begin with.
    """

    def __init__(self, known: Inspection, split: str):
        splits = [("all splits", ""), *((name, name) for name in known.splits)]
        self.split = _named(w.Dropdown, "split", "only the videos of this split", options=splits, value=split)
        classes = [("all classes", ""), *((name, name) for name in known.features.classes)]
        self.label = _named(w.Dropdown, "class", "only the videos of this class", options=classes)
        tip = "only the videos with all of these words in their id or label"
        self.text = _named(w.Text, "search", tip, placeholder="words of id and label", continuous_update=False)
        shows = [(words, name) for name, words in SHOWS.items() if known.runs or name not in ("mended", "broken")]
        self.show = _named(w.Dropdown, "show", "only the videos on which the models behave like this", options=shows)
        tip, worst = "with “true label ranked below r”: CLIP ranks it worse than this", len(known.texts.labels) - 1
        self.rank = _named(w.BoundedIntText, "r", tip, value=min(5, worst), min=1, max=worst)
        runs = list(known.runs) or [("no run", "")]
        self.run = _named(w.Dropdown, "run", "whose mending, attention and space are shown", options=runs)

        tip = "the videos that match; at most 50 at a time, previous and next turn the page"
        self.matches = _named(w.Select, "videos", tip, words="48px", rows=10)
        self.matches.layout.height = "196px"
        self.previous = _button("◀ previous", "the previous video that matches", "48%")
        self.next = _button("next ▶", "the next video that matches", "48%")
        self.position = w.HTML()

        tip, mined = "how many negatives training takes", known.negatives.indices.shape[1]
        slider = {"value": min(3, mined), "max": 9, "continuous_update": False}
        self.k = _named(w.IntSlider, "k", tip, "300px", "16px", **slider)
        ends = [("top: the hardest", "top"), ("bot: the end of the nine hardest", "bot")]
        self.which = _named(w.Dropdown, "window", "which k of the mined negatives", "310px", "56px", options=ends)
        tip = "whose attention is drawn, and which label is judged"
        self.chosen = _named(w.Dropdown, "chosen label", tip, "420px", "90px")

        self.heading, self.strip, self.rankings, self.space, self.words = (w.HTML() for _ in range(5))
        self.player = w.Box(layout=w.Layout(justify_content="center", align_items="center", min_height="200px"))

        tip = "a mark holds for this video alone, or for all videos of the two classes"
        scopes = [("it is really in this video", "clip"), ("it says the same as the true label", "classes")]
        self.scope = _named(w.RadioButtons, "because", tip, options=scopes)
        self.note = _named(w.Text, "note", "for people; kept in the CSV")
        self.mark = _button("Mark as false negative", None, "200px", button_style="primary", icon="times")
        self.undo = _button("Undo", "take the last change of this session back", "96px", icon="undo")
        self.summary, self.message = w.HTML(), w.HTML()
        self.save_png = _button("Save PNG", "save the current view as a PNG")
        self.save_svg = _button("Save SVG", "save the current view as an SVG")
        self.save_csv = _button("Save selection", "save the videos that match as a CSV")

    def arranged(self) -> list[w.Widget]:
        """All of them, as they stand below one another; rows wrap where a window is narrow."""
        turning = w.HBox([self.previous, self.next], layout=w.Layout(width="98%", justify_content="space-between"))
        choose, judging, exporting = (w.HTML(heading(text)) for text in ("Choose", "Judge the chosen label", "Export"))
        filters = [choose, self.split, self.label, self.text, self.show, self.rank, self.run]
        columns = [filters, [self.position, self.matches, turning], [self.heading, self.player]]
        top = _wrapping(*(w.VBox(column, layout=w.Layout(min_width="250px", flex="1 1 0")) for column in columns))
        settings = _wrapping(self.k, self.which, self.chosen, align_items="center", grid_gap="4px 12px")
        marking = [judging, self.scope, self.note, w.HBox([self.mark, self.undo]), self.summary]
        saving = [exporting, _wrapping(self.save_png, self.save_svg, self.save_csv, grid_gap=None)]
        judge = w.VBox([*marking, *saving], layout=w.Layout(flex="2 1 290px"))
        below = _wrapping(w.VBox([self.space], layout=w.Layout(flex="5 1 560px")), judge)
        return [self.message, top, settings, self.strip, self.rankings, below, self.words, w.HTML(own_keys())]


def player(clip: Playable) -> w.Widget:
    """The clip, playing over and over; a browser's own buttons stop it."""
    size = w.Layout(width="auto", height="200px")  # no tooltip: a video with one can't be shown by ipywidgets 8.1
    if clip.kind == "webp":
        return w.Image(value=clip.data, format="webp", layout=size)
    return w.Video(value=clip.data, format=clip.kind, autoplay=True, loop=True, controls=True, layout=size)


def _named(kind: type, name: str, tip: str, width: str = "98%", words: str = "64px", **options: Any) -> w.Widget:
    """A control with its name beside it, on which `words` are spent, and a tooltip."""
    style, layout = {"description_width": words}, w.Layout(width=width)
    return kind(description=name, tooltip=tip, style=style, layout=layout, **options)


def _button(name: str, tip: str | None, width: str = "auto", **look: Any) -> w.Button:
    return w.Button(description=name, tooltip=tip, layout=w.Layout(width=width), **look)


def _wrapping(*parts: w.Widget, grid_gap: str | None = "4px 16px", **look: Any) -> w.HBox:
    return w.HBox(parts, layout=w.Layout(flex_flow="row wrap", grid_gap=grid_gap, **look))
