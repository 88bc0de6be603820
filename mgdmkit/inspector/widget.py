"""The hard-negative inspector: look at a video with what CLIP confuses it with, and judge which of that is wrong.

For JupyterLab and Notebook 7, on ipywidgets alone; nothing touches the network. What it knows is in `inspection.py`,
its picture in `figure.py`, its controls in `controls.py`, what was judged in `data/judgements.py`.
"""

import hashlib
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from pathlib import Path
from threading import RLock

try:
    import ipywidgets
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("the inspector needs ipywidgets: pip install 'mgdmkit[notebooks]'") from error
import numpy as np
from matplotlib.figure import Figure

from mgdmkit import plots
from mgdmkit.clip.features import CorpusTexts, Features
from mgdmkit.data.exclusions import locate
from mgdmkit.data.judgements import Judgements
from mgdmkit.data.manifest import Manifest
from mgdmkit.data.video import VideoError, read_segments
from mgdmkit.files import write_text_atomic
from mgdmkit.inspector import figure as drawing
from mgdmkit.inspector import html
from mgdmkit.inspector.controls import Controls, player
from mgdmkit.inspector.inspection import Inspection, Question, View
from mgdmkit.inspector.playback import playable
from mgdmkit.mining import Negatives
from mgdmkit.model import MGDM

PAGE = 50  # videos in the list at a time, however many match
THUMBNAIL = 128  # pixels of a frame's shorter side
KEPT = 32  # clips whose frames and bytes stay in memory


class HardNegativeInspector(ipywidgets.VBox):
    """The inspector as a widget; put it last in a cell.

    Args:
        manifest, features, negatives, runs, corpus: as `Inspection` takes them.
        judgements: the CSV that keeps the false negatives; the first of them makes it.
        exports: folder for pictures and selections; that of `judgements` when not given.
        split: the split to begin with; empty for all of them.
    Raises:
        FileNotFoundError, FolderError, ValueError: for a manifest, features, negatives or judgements that can't be
            used. A run or a clip that can't be used is reported inside the inspector.
    """

    def __init__(
        self,
        manifest: Manifest | Path | str,
        features: Features | Path | str,
        negatives: Negatives | Path | str,
        runs: Mapping[str, MGDM | Path | str] | None = None,
        *,
        corpus: CorpusTexts | None = None,
        judgements: Path | str = "false_negatives.csv",
        exports: Path | str | None = None,
        split: str = "",
    ):
        self.inspection = Inspection(manifest, features, negatives, runs, corpus=corpus)
        self.judgements = Judgements(judgements)
        known = self.inspection
        marks = locate(self.judgements.exclusions(), known.texts.labels, known.ids, list(known.clips["label"]))
        for *_, where in marks.unused:
            known.problems.append(f"{where}: it names a label or a clip that is not here, so it has no effect.")
        self.exports = Path(exports) if exports is not None else self.judgements.path.parent
        self.rows: np.ndarray = np.empty(0, dtype=int)
        """The videos that match, as rows of the features."""
        self.view: View | None = None
        """The video that is shown; None while no video matches."""
        self._lock, self._quiet = RLock(), False
        self._pictures = lru_cache(maxsize=KEPT)(read_segments)
        self._playable = lru_cache(maxsize=KEPT)(playable)
        self.controls = Controls(self.inspection, split)
        super().__init__(children=self.controls.arranged())
        self.add_class("mgdmkit-inspector")
        self._connect()
        self._guard(self._choose)
        self._guard(self._summarise)
        if self.inspection.problems:
            self._say_what_lasts()

    def _connect(self) -> None:
        c = self.controls
        for answer, *controls in (
            (self._choose, c.split, c.label, c.text, c.show, c.rank),
            (self._change_run, c.run),
            (self._change_window, c.k, c.which),
            (self._show_match, c.matches),
            (partial(self._draw, "strip", "rankings", "space"), c.chosen),
        ):
            for control in controls:
                control.observe(partial(self._guard, answer), "value")
        for answer, button in (
            (partial(self._step, -1), c.previous),
            (partial(self._step, 1), c.next),
            (self._mark, c.mark),
            (self._undo, c.undo),
            (partial(self._save, "png"), c.save_png),
            (partial(self._save, "svg"), c.save_svg),
            (self._save_csv, c.save_csv),
        ):
            button.on_click(partial(self._guard, answer))

    def _guard(self, answer: Callable[[], None], _: object = None) -> None:
        """One answer at a time; an error is shown in the inspector, and what it does not touch goes on.

        JupyterLab lets controls answer in another thread than the one that runs cells.
        """
        with self._lock:
            if self._quiet:
                return
            try:
                answer()
            except Exception as error:
                self._say(f"{type(error).__name__}: {error}", alarm=True)

    # Choosing a video

    def _change_run(self) -> None:
        if self.controls.show.value in ("mended", "broken"):
            self._choose()
        else:
            self._draw("strip", "space")

    def _show_match(self) -> None:
        if (row := self.controls.matches.value) is not None:
            self._show(row)

    def _choose(self) -> None:
        """Find the videos that match and show one: the same as before if it is among them, else the first."""
        c = self.controls
        question = Question(c.split.value, c.label.value, c.text.value, c.show.value, c.rank.value, c.run.value)
        if question.show in ("mended", "broken"):
            self._say(f"Scoring {len(self.inspection.ids)} videos with {question.run} ...")
        self.rows = self.inspection.find(question)
        if len(self.rows):
            row = self.view.row if self.view and self.view.row in self.rows else int(self.rows[0])
            self._list(row)
            self._show(row)
        else:
            self._list(None)
            self._clear()
            self._say("No video matches; loosen the search or the filters.")

    def _step(self, by: int) -> None:
        place = int(np.searchsorted(self.rows, self.view.row)) + by
        if 0 <= place < len(self.rows):
            self._list(int(self.rows[place]))
            self._show(int(self.rows[place]))

    def _list(self, row: int | None) -> None:
        """Fill the list with the page that holds this row."""
        first = 0 if row is None else int(np.searchsorted(self.rows, row)) // PAGE * PAGE
        page = [(self.inspection.ids[r], int(r)) for r in self.rows[first : first + PAGE]]
        self._fill(self.controls.matches, page, row)

    # Showing it

    def _show(self, row: int) -> None:
        c, view = self.controls, self.inspection.view(row)
        self.view = view
        self._say_what_lasts()  # what was said was of another video
        self._fill(c.chosen, self._choices(view), view.own)
        place = int(np.searchsorted(self.rows, row))
        c.position.value = html.heading(f"Video {place + 1} of {len(self.rows)}")
        c.previous.disabled, c.next.disabled = place == 0, place == len(self.rows) - 1
        c.heading.value = html.heading(f"{view.label} ({view.split})")
        self._draw("strip", "rankings", "space")
        try:
            c.player.children = (player(self._playable(self.inspection.path(view.clip))),)
        except (VideoError, OSError):  # the cause stands where the frames would be
            c.player.children = (ipywidgets.HTML("<em>this clip can't be played</em>"),)

    def _clear(self) -> None:
        c, self.view = self.controls, None
        c.player.children = ()
        for part in (c.strip, c.rankings, c.space, c.words, c.heading):
            part.value = ""
        c.position.value = html.heading("No video")
        for button in (c.previous, c.next, c.mark):
            button.disabled = True

    def _choices(self, view: View) -> list[tuple[str, int]]:
        """The true label, the mined ones, and what else a model ranks among its first five."""
        first = {j: "" for scores in view.scores.values() for j in scores.argsort(descending=True)[:5].tolist()}
        mined = {label: f"negative {j}: " for j, label in enumerate(view.negatives, start=1)}
        named = {view.own: "true label: "} | mined
        return [(f"{words}{view.labels[label]}", label) for label, words in (named | first | named).items()]

    def look(self) -> drawing.Look:
        """What the controls say about the picture."""
        c, marked = self.controls, self.judgements.marked(self.view.label, self.view.clip)
        return drawing.Look(c.k.value, c.which.value, c.run.value, c.chosen.value, marked)

    def figure(self) -> Figure:
        """The current view as one figure: for files, and for a notebook that runs without a browser."""
        with self._lock:
            if self.view is None:
                raise ValueError("no video matches, so there is nothing to draw; loosen the search or the filters")
            return drawing.draw(self.view, self.look(), self._frames())

    def _draw(self, *parts: str) -> None:
        """Draw these parts of the view anew, if there is one: "strip", "rankings", "space"."""
        if self.view is None:
            return
        c, view, look = self.controls, self.view, self.look()
        if "strip" in parts:
            c.strip.value = self._strip(look)
        if "rankings" in parts:
            words = drawing.words(view)
            c.rankings.value = html.image(drawing.encode(drawing.alone(drawing.rankings, view, look)), words)
            c.words.value = html.table(view, look, words)
        if "space" in parts:
            words = "The labels of this video by the cosines of half vectors, with raw and with discriminated texts."
            c.space.value = html.image(drawing.encode(drawing.alone(drawing.space, view, look)), words)
        self._offer_mark(look)

    def _strip(self, look: drawing.Look) -> str:
        pictures = self._frames()
        if isinstance(pictures, str):
            return html.alarm(f"{pictures}. What follows is from the features and goes on without it.")
        words = f"The attention of {look.run} for {self.view.labels[look.label]}." if look.run else "The frames."
        strip = drawing.alone(drawing.frames, self.view, look, pictures)
        return html.image(drawing.encode(strip, "webp"), words, "webp")

    def _frames(self) -> np.ndarray | str:
        """(T, H, W, 3) of the clip that is shown, or why they can't be had."""
        T = self.inspection.features.frame_features.shape[1]
        try:
            return self._pictures(self.inspection.path(self.view.clip), T, short_side=THUMBNAIL)
        except (VideoError, OSError) as error:
            return str(error)

    def _change_window(self) -> None:
        self._say("")
        self._draw("rankings", "space")

    # Judging its labels

    def _offer_mark(self, look: drawing.Look) -> None:
        """The button takes a mark back where there is one, and can't be pressed for the true label."""
        mark, name = self.controls.mark, self.view.labels[look.label]
        mark.description = "Take the mark back" if name in look.marked else "Mark as false negative"
        mark.disabled = look.label == self.view.own
        mark.tooltip = "choose a label other than the true one" if mark.disabled else f"{name}: saved at once"

    def _mark(self) -> None:
        c, view, look = self.controls, self.view, self.look()
        name = view.labels[look.label]
        if name in look.marked:
            self.judgements.unmark(view.label, name, view.clip)
            self._judged(f"Taken back: {name}.")
        else:
            clip = view.clip if c.scope.value == "clip" else ""
            self.judgements.mark(view.label, name, clip, c.note.value)
            c.note.value = ""
            self._judged(f"Saved: {name}. `mgdm mine --exclude {self.judgements.path}` leaves it out.")

    def _undo(self) -> None:
        self._judged(f"Undone: {self.judgements.undo()}.")

    def _judged(self, message: str) -> None:
        self._draw("rankings")
        self._summarise()
        self._say(message)

    def _summarise(self) -> None:
        known, marks = self.inspection, self.judgements.exclusions()
        false = self.judgements.false_negatives(known.negatives.indices, known.own, known.texts.labels, known.ids)
        single = sum(bool(mark.clip) for mark in marks)
        kinds = f"marks of single videos: {single}, of class pairs: {len(marks) - single}"
        share = f"{int(false.sum())} of {false.numel()} mined negatives are judged false"
        self.controls.summary.value = html.status(f"{share} ({kinds}), in {self.judgements.path.name}")

    # Exporting

    def _save(self, kind: str) -> None:
        self._say(f"Saved {self.save_picture(kind)}")

    def save_picture(self, kind: str = "png") -> Path:
        """Save the current view as `inspector-ID.png` or `.svg` and return its path."""
        figure = self.figure()
        name = "".join(c if c.isalnum() or c in "-_." else "_" for c in self.view.clip)
        if len(name) > 50:  # a file's name holds 255 bytes, and a letter up to four
            name = f"{name[:40]}-{hashlib.sha256(self.view.clip.encode()).hexdigest()[:8]}"
        return plots.save_as(figure, self.exports / f"inspector-{name}.{kind}", bbox_inches=figure.bbox_inches)

    def _save_csv(self) -> None:
        """Save the videos that match as `selection.csv`, with every model's rank and the negatives."""
        path = self.exports / "selection.csv"
        write_text_atomic(path, self.inspection.table(self.rows).to_csv(index=False, lineterminator="\n"))
        self._say(f"Saved {len(self.rows)} videos to {path}")

    # Small things

    def _fill(self, control: ipywidgets.Widget, options: list, value: int | None) -> None:
        """Say what can be chosen and what is; the control does not answer, as it does to a hand."""
        self._quiet = True
        try:
            control.options, control.value = options, value
        finally:
            self._quiet = False

    def _say_what_lasts(self) -> None:
        """What holds for every video: what had to be left out; mostly nothing."""
        self._say(" ".join(self.inspection.problems), alarm=bool(self.inspection.problems))

    def _say(self, text: str, alarm: bool = False) -> None:
        self.controls.message.value = html.alarm(text) if alarm else html.status(text)
