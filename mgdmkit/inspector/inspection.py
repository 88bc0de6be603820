"""What the hard-negative inspector knows: which videos answer a question, and what each model makes of one of them.

No widget and no picture here. CLIP and every run rank the same n labels, those that the negatives were mined from; with
a corpus these are more than the classes, so a rank can be lower here than in an evaluation.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from mgdmkit.clip.features import CorpusTexts, Features, corpus_texts, load_features, read_recipe
from mgdmkit.config import check_choice
from mgdmkit.data.manifest import Manifest, read_manifest
from mgdmkit.evaluation.recognizer import check_features
from mgdmkit.evaluation.scores import label_rank
from mgdmkit.mining import Negatives, load_negatives, negative_names, select, zero_shot_logits
from mgdmkit.model import MGDM, MGDMOutput
from mgdmkit.runs.trained import load_model

Show = Literal["all", "misread", "mended", "broken", "below"]
SHOWS: dict[Show, str] = {
    "all": "all videos",
    "misread": "misread by CLIP",
    "mended": "mended by training",
    "broken": "broken by training",
    "below": "true label ranked below r",
}
CHUNK = 64  # videos scored together


class Question(NamedTuple):
    """Which videos to look at; all conditions hold at once."""

    split: str = ""
    """Empty: every split."""
    label: str = ""
    """Empty: every class."""
    text: str = ""
    """Words that must all stand in the id or the label, whatever their case."""
    show: Show = "all"
    rank: int = 5
    """r of "below": CLIP ranks the true label at r + 1 or worse, counted from 1."""
    run: str = ""
    """Whose training mended or broke."""


class Run:
    """A trained model with the discriminated texts, which no video changes."""

    @torch.no_grad()
    def __init__(self, model: MGDM, text_features: Tensor):
        self.model = model.cpu().eval()
        self.guides = text_features[:, None] if model.config.guide == "each" else text_features
        self.discriminated = self.model.discriminator(text_features[:, None])  # (n, 1, D), each label its own group

    @torch.no_grad()
    def look(self, frame_features: Tensor) -> MGDMOutput:
        """What the model makes of videos (b, T, D) at inference, as in `inference.predict`."""
        f_d = self.model.representer.encode(frame_features)
        return self.model.compare(f_d, self.guides, self.discriminated)


@dataclass(frozen=True)
class Seen:
    """What one run makes of one video."""

    scores: Tensor
    """(n,) softmax of the logits."""
    attention: Tensor
    """(n, T) of eq. 15: the frames that a label looks at; each row sums to 1."""
    video_features: Tensor
    """(n, D) V of eq. 16: the video as each label sees it."""
    discriminated: Tensor
    """(n, D) E of eq. 18."""


@dataclass(frozen=True)
class View:
    """One video with all that the inspector shows of it."""

    row: int
    clip: str
    """Its id."""
    label: str
    split: str
    own: int
    """Index of the true label."""
    labels: tuple[str, ...]
    """The n labels."""
    text_features: Tensor
    """(n, D) raw."""
    clip_scores: Tensor
    """(n,) frozen CLIP's softmax."""
    mined: Negatives
    """Its row of the negatives, (1, depth)."""
    seen: Mapping[str, Seen]
    """By run."""

    @property
    def scores(self) -> dict[str, Tensor]:
        """(n,) by model, CLIP first."""
        return {"CLIP": self.clip_scores} | {name: seen.scores for name, seen in self.seen.items()}

    def window(self, k: int, which: Literal["top", "bot"]) -> list[int]:
        """The k labels that training takes as negatives; `ValueError` where too few were mined."""
        return select(self.mined, k, which)[0].tolist() if k else []

    @property
    def negatives(self) -> list[int]:
        """The mined labels, hardest first."""
        return self.mined.indices[0].tolist()


def rank_of(scores: Tensor, label: int) -> int:
    """Rank of a label among (n,) scores, counted from 1; ties count against it."""
    return int((scores >= scores[label]).sum())


class Inspection:
    """The videos of a feature folder with their mined negatives and some trained runs.

    Args:
        manifest: a manifest, or its path: where the clips are, by id.
        features: a feature folder, or what it holds.
        negatives: the CSV that `mgdm mine` wrote for these features, or what it holds.
        runs: name -> folder of a finished run, or a model. Those that can't be used are in `problems`.
        corpus: what the negatives' indices mean, where they were given as such and are more than the classes.
    Raises:
        FileNotFoundError, FolderError, ValueError: for a manifest, features or negatives that are not there or that do
            not agree.
    """

    def __init__(
        self,
        manifest: Manifest | Path | str,
        features: Features | Path | str,
        negatives: Negatives | Path | str,
        runs: Mapping[str, MGDM | Path | str] | None = None,
        *,
        corpus: CorpusTexts | None = None,
    ):
        manifest = manifest if isinstance(manifest, Manifest) else read_manifest(manifest)
        folder = None if isinstance(features, Features) else Path(features)
        self.features = features if folder is None else load_features(folder)
        self.clips = self.features.clips
        self.ids: list[str] = list(self.clips["id"])
        mined = None if isinstance(negatives, Negatives) else Path(negatives)
        if corpus is None and folder and mined:
            corpus = corpus_texts(folder, negative_names(mined))
        self.texts = corpus or CorpusTexts(self.features.classes, self.features.text_features)
        self.own = self.features.labels
        made_by = self.features.clip_fingerprint
        self.negatives = load_negatives(mined, self.ids, self.texts.labels, self.own, made_by) if mined else negatives
        if len(self.negatives.indices) != len(self.ids):
            raise ValueError(f"{len(self.negatives.indices)} rows of negatives for {len(self.ids)} clips of features")
        self.paths = dict(zip(manifest.table["id"], manifest.video_paths, strict=True))
        self.splits = sorted(set(self.clips["split"]))
        self.problems: list[str] = []
        self.runs: dict[str, Run] = {}
        for name, run in (runs or {}).items():
            self._add(name, run, folder)
        self._texts = (self.clips["id"] + "\n" + self.clips["label"]).str.lower()
        self._ranks: dict[str, np.ndarray] = {}

    def _add(self, name: str, run: MGDM | Path | str, features: Path | None) -> None:
        T, D = self.features.frame_features.shape[1], self.texts.text_features.shape[1]
        try:
            model = run if isinstance(run, MGDM) else load_model(Path(run))
            if (model.config.frames, model.config.dim) != (T, D):
                raise ValueError(
                    f"it was trained on {model.config.frames} frames of width {model.config.dim}, these features have "
                    f"{T} of width {D}; give the features that it was trained on"
                )
            # A model that was trained in Python need not say through which CLIP it sees.
            if features and not isinstance(run, MGDM) and (Path(run) / "labels.json").is_file():
                if other := check_features(Path(run), read_recipe(features), features):
                    self.problems.append(f"The run {name} was trained otherwise; these features have {other.told}.")
            self.runs[name] = Run(model, self.texts.text_features)
        except Exception as error:  # the other models can still be looked at
            self.problems.append(f"The run {name} is left out: {error}")

    def find(self, question: Question) -> np.ndarray:
        """The rows of the videos that answer a question, in the order of the features.

        "mended" and "broken" need every video's rank under a run, which takes a while the first time it is asked for.
        """
        check_choice("show", question.show, tuple(SHOWS))
        hit = np.ones(len(self.ids), dtype=bool)
        for column, value in (("split", question.split), ("label", question.label)):
            if value:
                hit &= (self.clips[column] == value).to_numpy()
        for word in question.text.lower().split():
            hit &= self._texts.str.contains(word, regex=False).to_numpy()
        rank = self.negatives.positive_rank.numpy()
        if question.show == "misread":
            hit &= rank > 0
        elif question.show == "below":
            hit &= rank >= question.rank
        elif question.show in ("mended", "broken"):
            right = self.ranks(question.run) == 0
            hit &= (rank > 0) & right if question.show == "mended" else (rank == 0) & ~right
        return hit.nonzero()[0]

    def ranks(self, run: str) -> np.ndarray:
        """(N,) rank of every video's true label under a run, from 0; computed once.

        `ValueError` for a run that is not there.
        """
        if run not in self.runs:
            raise ValueError(f"no run is called {run!r}: what training mended or broke is known with a run only")
        if run not in self._ranks:
            parts = []
            for start in range(0, len(self.ids), CHUNK):
                rows = slice(start, start + CHUNK)
                logits = self.runs[run].look(self.features.frame_features[rows]).logits[:, :, 0]
                parts.append(label_rank(logits, self.own[rows]))
            self._ranks[run] = torch.cat(parts).numpy()
        return self._ranks[run]

    def view(self, row: int) -> View:
        """All that is shown of one video, but for its frames."""
        frames = self.features.frame_features[row : row + 1]
        texts = self.texts.text_features
        clip = zero_shot_logits(frames, texts, self.features.logit_scale)[0].softmax(dim=0)
        return View(
            row=row,
            clip=self.ids[row],
            label=self.clips["label"].iloc[row],
            split=self.clips["split"].iloc[row],
            own=int(self.own[row]),
            labels=self.texts.labels,
            text_features=texts,
            clip_scores=clip,
            mined=Negatives(*(part[row : row + 1] for part in self.negatives)),
            seen={name: _seen(run.look(frames)) for name, run in self.runs.items()},
        )

    def path(self, clip: str) -> Path:
        """Where a clip is; `FileNotFoundError` for one that the manifest does not list."""
        if clip not in self.paths:
            raise FileNotFoundError(f"the manifest does not list {clip!r}; give the one that the features were made of")
        return self.paths[clip]

    def table(self, rows: np.ndarray) -> pd.DataFrame:
        """A row for each of these videos: id, label, split, ranks from 0 as `mgdm mine` counts, negatives."""
        ranks = {"positive_rank": self.negatives.positive_rank.numpy()[rows]}
        ranks |= {f"rank_{name}": self.ranks(name)[rows] for name in self.runs}
        mined = np.array(self.texts.labels, dtype=object)[self.negatives.indices.numpy()[rows]]
        names = {f"negative_{j}": column for j, column in enumerate(mined.T, start=1)}
        return self.clips[["id", "label", "split"]].iloc[rows].assign(**ranks, **names)


def _seen(output: MGDMOutput) -> Seen:
    """One video's part of a forward pass, whether the positive guides (b, l, D) or each text (b, l, g, D)."""
    attention, video = output.attention[0], output.video_features[0]
    if attention.ndim == 3:
        attention, video = attention[:, 0], video[:, 0]
    return Seen(output.logits[0, :, 0].softmax(dim=0), attention, video, output.text_features[:, 0])
