"""What the inspector knows: questions are answered rightly at any size, and a view says what the models say."""

import pytest
import torch
from small_inspector import CLASSES, D, T, small_features, small_manifest, small_model, small_negatives

from mgdmkit import plots
from mgdmkit.clip.features import CorpusTexts
from mgdmkit.evaluation.scores import label_rank
from mgdmkit.inference import predict
from mgdmkit.inspector.figure import Look, alone, draw, encode, frames, ordinal, percent, rankings, short, space, words
from mgdmkit.inspector.inspection import Inspection, Question, rank_of
from mgdmkit.mining import mine_negatives, zero_shot_logits


@pytest.fixture
def known(tmp_path):
    features = small_features()
    runs = {"a": small_model(0), "b": small_model(1, guide="each")}
    return Inspection(small_manifest(features, tmp_path, clips=1), features, small_negatives(features), runs)


def test_questions_hold_together(known):
    def ids(**question):
        return known.find(Question(**question)).tolist()

    assert ids() == list(range(6))
    assert ids(split="train") == [0, 3] and ids(label="golf driving") == [1, 5]
    assert ids(text="GOLF 0000") == [0, 1, 4, 5] and ids(text="driving 00005") == [5] and ids(text="polo") == []
    assert ids(show="misread") == [1, 3, 5] and ids(show="misread", split="train") == [3]
    assert ids(show="below", rank=1) == [1, 3, 5]
    assert ids(show="below", rank=4) == []
    with pytest.raises(ValueError, match="show='wrong' is not an option"):
        ids(show="wrong")


@pytest.mark.parametrize("run", ["a", "b"])
def test_mended_and_broken_are_what_changed_between_clip_and_a_run(known, run):
    features = known.features
    model, texts, own = known.runs[run].model, features.text_features, features.labels
    right = label_rank(predict(model, features.frame_features, texts), own) == 0
    by_clip = zero_shot_logits(features.frame_features, texts).argmax(dim=1) == own
    assert known.find(Question(show="mended", run=run)).tolist() == (right & ~by_clip).nonzero()[:, 0].tolist()
    assert known.find(Question(show="broken", run=run)).tolist() == (~right & by_clip).nonzero()[:, 0].tolist()
    with pytest.raises(ValueError, match="no run is called 'c'"):
        known.find(Question(show="mended", run="c"))


@pytest.mark.parametrize("context", ["group", "joint"])
def test_a_view_holds_what_the_models_say(tmp_path, context):
    features = small_features()
    model = small_model(0, context=context)
    known = Inspection(small_manifest(features, tmp_path), features, small_negatives(features), {"a": model})
    view = known.view(3)
    expected = predict(model, features.frame_features[3:4], features.text_features)[0].softmax(dim=0)
    torch.testing.assert_close(view.seen["a"].scores, expected)
    seen = view.seen["a"]
    assert seen.attention.shape == (4, T) and seen.video_features.shape == seen.discriminated.shape == (4, D)
    torch.testing.assert_close(seen.attention.sum(dim=1), torch.ones(4))
    scale = model.logit_scale.exp()
    cosines = torch.cosine_similarity(seen.video_features, seen.discriminated)
    torch.testing.assert_close((cosines * scale).softmax(dim=0), seen.scores)
    assert (view.clip, view.label, view.split) == ("clip_00003", "sit <down>", "train")
    assert rank_of(view.clip_scores, view.own) == 2 and list(view.scores) == ["CLIP", "a"]
    assert view.negatives == known.negatives.indices[3].tolist() and view.window(2, "top") == view.negatives[:2]
    with pytest.raises(ValueError, match="needs negatives mined to depth 9"):
        view.window(2, "bot")


def test_runs_that_do_not_fit_are_reported_and_left_out(tmp_path):
    features = small_features()
    runs = {"none": tmp_path / "none", "wide": small_model(dim=2 * D), "fine": small_model()}
    known = Inspection(small_manifest(features, tmp_path), features, small_negatives(features), runs)
    assert list(known.runs) == ["fine"]
    assert "none" in known.problems[0] and "mgdm train" in known.problems[0]
    assert f"4 frames of width {2 * D}, these features have 4 of width {D}" in known.problems[1]


def test_negatives_of_a_corpus_beyond_the_classes(tmp_path):
    features = small_features()
    corpus = CorpusTexts((*CLASSES, "polo"), torch.cat([features.text_features, torch.ones(1, D)]))
    mined = mine_negatives(features.frame_features, corpus.text_features, features.labels, 4)
    known = Inspection(small_manifest(features, tmp_path), features, mined, {"a": small_model()}, corpus=corpus)
    assert 4 in known.view(0).negatives and len(known.view(0).clip_scores) == len(known.view(0).seen["a"].scores) == 5


def test_what_does_not_belong_together_is_refused(tmp_path):
    features = small_features()
    with pytest.raises(ValueError, match="4 rows of negatives for 6 clips"):
        Inspection(small_manifest(features, tmp_path), features, small_negatives(small_features(4)))
    with pytest.raises(FileNotFoundError, match=r"no file at .*none\.csv; `mgdm manifest"):
        Inspection(tmp_path / "none.csv", features, small_negatives(features))
    known = Inspection(small_manifest(small_features(5), tmp_path), features, small_negatives(features))
    with pytest.raises(FileNotFoundError, match="does not list 'clip_00005'"):
        known.path("clip_00005")


def test_the_selection_as_a_table(known):
    table = known.table([1])
    assert list(table) == [
        "id",
        "label",
        "split",
        "positive_rank",
        "rank_a",
        "rank_b",
        *(f"negative_{j}" for j in (1, 2, 3)),
    ]
    a, b = (known.ranks(run)[1] for run in "ab")
    assert table.to_numpy()[0, :7].tolist() == ["clip_00001", "golf driving", "test", 1, a, b, "run"]


def texts_of(figure):
    axes = [text.get_text() for ax in figure.axes for text in (*ax.texts, ax.title, ax._left_title)]
    beside = [text.get_text() for part in (figure, *figure.subfigs) for text in part.texts]
    return [text for text in (*beside, *axes) if text]


def test_the_picture_says_what_the_view_holds(known):
    plots.style()
    view = known.view(1)
    look = Look(2, "top", "a", view.negatives[0], {"run": "clip"})
    pictures = torch.zeros(T, 6, 8, 3, dtype=torch.uint8).numpy()
    figure = draw(view, look, pictures)
    said = texts_of(figure)
    assert "clip_00001 (test)" in said and "CLIP: the true label is 2nd" in said
    assert any("k = 2 hardest" in text and "judged a false negative" in text for text in said)
    assert said.count("✗ run") == 3, "marked in the ranking of CLIP and of both runs"
    weights = view.seen["a"].attention[view.negatives[0]]
    assert all(f"{weight:.2f}" in said for weight in weights.tolist())
    assert len(encode(figure)) > 5000
    bare = Look(0, "top", "a", view.own)
    assert not any("shaded: the" in text for text in texts_of(alone(rankings, view, bare)))
    assert "the clip is gone" in " ".join(texts_of(draw(view, bare, "the clip is gone")))


def test_the_picture_without_runs_with_many_runs_and_with_many_frames(tmp_path):
    features = small_features()
    mined = small_negatives(features)
    manifest = small_manifest(features, tmp_path)
    view = Inspection(manifest, features, mined).view(0)
    assert any("give a run" in text for text in texts_of(alone(space, view, Look())))
    view = Inspection(manifest, features, mined, {f"r{i}": small_model(i) for i in range(4)}).view(0)
    figure = alone(rankings, view, Look(1, "top", "r0"))
    bottoms = [round(ax.get_position().y0, 3) for ax in figure.axes]
    assert len(bottoms) == 5 and len(set(bottoms[:3])) == 1 and bottoms[3] < bottoms[0]
    many = alone(frames, view, Look(), torch.zeros(20, 6, 8, 3, dtype=torch.uint8).numpy())
    assert len(many.axes) == 3, "a third row"


def test_dollars_and_long_labels_are_drawn_as_they_are(tmp_path):
    features = small_features()
    features.clips["id"] = [f"$x_{i}$ $\\bad" for i in range(6)]
    view = Inspection(small_manifest(small_features(), tmp_path), features, small_negatives(features)).view(0)
    encode(draw(view, Look(1), "a $ \\frac{ b"))
    assert short("a" * 40) == "a" * 25 + "…" and short("golf") == "golf"


def test_ranks_and_scores_in_words(known):
    assert [ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 102, 111)] == [
        *("1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd", "111th")
    ]
    assert [percent(score) for score in (1.0, 0.456, 0.0994, 0.0004)] == ["100%", "46%", "9.9%", "0.0%"]
    said = words(known.view(1))
    assert said.startswith("CLIP ranks the true label 2nd of 4 with ") and "“run” first with " in said
