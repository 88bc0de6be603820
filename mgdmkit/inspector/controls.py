"""The inspector's controls, each with a label and a word of help, and how they stand on the screen."""

import ipywidgets as w

from mgdmkit.inspector.html import heading, own_keys
from mgdmkit.inspector.inspection import SHOWS, Inspection
from mgdmkit.inspector.playback import Playable

SCOPES = {"it is really in this video": "clip", "it says the same as the true label": "classes"}


class Controls:
    """What can be set and what is shown; nothing answers yet.

    Args:
        known: what there is to choose from.
        split: the split to begin with.
    """

    def __init__(self, known: Inspection, split: str):
        wide = {"style": {"description_width": "64px"}, "layout": w.Layout(width="98%")}
        self.split = w.Dropdown(
            options=[("all splits", ""), *((name, name) for name in known.splits)],
            value=split,
            description="split",
            tooltip="only the videos of this split",
            **wide,
        )
        self.label = w.Dropdown(
            options=[("all classes", ""), *((name, name) for name in known.features.classes)],
            description="class",
            tooltip="only the videos of this class",
            **wide,
        )
        self.text = w.Text(
            description="search",
            placeholder="words of id and label",
            tooltip="only the videos with all of these words in their id or label",
            continuous_update=False,
            **wide,
        )
        shows = SHOWS if known.runs else {name: SHOWS[name] for name in ("all", "misread", "below")}
        self.show = w.Dropdown(
            options=[(words, name) for name, words in shows.items()],
            description="show",
            tooltip="only the videos on which the models behave like this",
            **wide,
        )
        self.rank = w.BoundedIntText(
            value=min(5, len(known.texts.labels) - 1),
            min=1,
            max=len(known.texts.labels) - 1,
            description="r",
            tooltip="with “true label ranked below r”: CLIP ranks it worse than this",
            **wide,
        )
        self.run = w.Dropdown(
            options=list(known.runs) or [("no run", "")],
            description="run",
            tooltip="whose mending, attention and space are shown",
            **wide,
        )
        self.matches = w.Select(
            description="videos",
            rows=10,
            tooltip="the videos that match; at most 50 at a time, previous and next turn the page",
            style={"description_width": "48px"},
            layout=w.Layout(width="98%", height="196px"),
        )
        self.previous = w.Button(description="◀ previous", tooltip="the previous video that matches")
        self.next = w.Button(description="next ▶", tooltip="the next video that matches")
        for button in (self.previous, self.next):
            button.layout.width = "48%"
        self.position = w.HTML()
        self.k = w.IntSlider(
            value=min(3, known.negatives.indices.shape[1]),
            max=9,
            description="k",
            tooltip="how many negatives training takes",
            continuous_update=False,
            style={"description_width": "16px"},
            layout=w.Layout(width="300px"),
        )
        self.which = w.Dropdown(
            options=[("top: the hardest", "top"), ("bot: the end of the nine hardest", "bot")],
            description="window",
            tooltip="which k of the mined negatives",
            style={"description_width": "56px"},
            layout=w.Layout(width="310px"),
        )
        self.chosen = w.Dropdown(
            description="chosen label",
            tooltip="whose attention is drawn, and which label is judged",
            style={"description_width": "90px"},
            layout=w.Layout(width="420px"),
        )
        self.heading, self.strip, self.rankings, self.space, self.words = (w.HTML() for _ in range(5))
        self.player = w.Box(layout=w.Layout(justify_content="center", align_items="center", min_height="200px"))
        self.scope = w.RadioButtons(
            options=list(SCOPES.items()),
            description="because",
            tooltip="a mark holds for this video alone, or for all videos of the two classes",
            style={"description_width": "64px"},
            layout=w.Layout(width="98%"),
        )
        self.note = w.Text(description="note", tooltip="for people; kept in the CSV", **wide)
        self.mark = w.Button(description="Mark as false negative", button_style="primary", icon="times")
        self.undo = w.Button(description="Undo", icon="undo", tooltip="take the last change of this session back")
        self.mark.layout.width, self.undo.layout.width = "200px", "96px"
        self.summary, self.message = w.HTML(), w.HTML()
        self.save_png = w.Button(description="Save PNG", tooltip="save the current view as a PNG")
        self.save_svg = w.Button(description="Save SVG", tooltip="save the current view as an SVG")
        self.save_csv = w.Button(description="Save selection", tooltip="save the videos that match as a CSV")
        for button in (self.save_png, self.save_svg, self.save_csv):
            button.layout.width = "auto"

    def arranged(self) -> list[w.Widget]:
        """All of them, as they stand below one another; rows wrap where a window is narrow."""
        wrap = w.Layout(flex_flow="row wrap", align_items="center", grid_gap="4px 12px")
        column = {"min_width": "250px", "flex": "1 1 0"}
        filters = [self.split, self.label, self.text, self.show, self.rank, self.run]
        turning = w.HBox([self.previous, self.next], layout=w.Layout(width="98%", justify_content="space-between"))
        top = w.HBox(
            [
                w.VBox([w.HTML(heading("Choose")), *filters], layout=w.Layout(**column)),
                w.VBox([self.position, self.matches, turning], layout=w.Layout(**column)),
                w.VBox([self.heading, self.player], layout=w.Layout(**column)),
            ],
            layout=w.Layout(flex_flow="row wrap", grid_gap="4px 16px"),
        )
        judge = w.VBox(
            [
                w.HTML(heading("Judge the chosen label")),
                self.scope,
                self.note,
                w.HBox([self.mark, self.undo]),
                self.summary,
                w.HTML(heading("Export")),
                w.HBox([self.save_png, self.save_svg, self.save_csv], layout=w.Layout(flex_flow="row wrap")),
            ],
            layout=w.Layout(flex="2 1 290px"),
        )
        space = w.VBox([self.space], layout=w.Layout(flex="5 1 560px"))
        below = w.HBox([space, judge], layout=w.Layout(flex_flow="row wrap", grid_gap="4px 16px"))
        settings = w.HBox([self.k, self.which, self.chosen], layout=wrap)
        return [self.message, top, settings, self.strip, self.rankings, below, self.words, w.HTML(own_keys())]


def player(clip: Playable) -> w.Widget:
    """The clip, playing over and over; a browser's own buttons stop it."""
    size = w.Layout(width="auto", height="200px")  # no tooltip: a video with one can't be shown by ipywidgets 8.1
    if clip.kind == "webp":
        return w.Image(value=clip.data, format="webp", layout=size)
    return w.Video(value=clip.data, format=clip.kind, autoplay=True, loop=True, controls=True, layout=size)
