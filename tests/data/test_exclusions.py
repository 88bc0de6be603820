"""What a person decides about labels that say the same: flagged, read, and found among labels and clips."""

import itertools

import pytest
import torch

from mgdmkit.data import exclusions
from mgdmkit.data.exclusions import Exclusion, NearPair, locate, near_duplicates, read_exclusions, write_near


def letters(labels) -> torch.Tensor:
    """A text encoder that sees how often each pair of neighbouring letters occurs: alike words lie together."""
    vectors = torch.zeros(len(labels), 26, 26)
    for vector, label in zip(vectors, labels, strict=True):
        codes = [ord(character) - ord("a") for character in label.replace(" ", "")]
        for pair in itertools.pairwise(codes):
            vector[pair] += 1
    return vectors.flatten(1) * torch.arange(1, len(labels) + 1)[:, None]  # lengths must not matter


def test_near_duplicates_are_flagged_the_most_similar_first():
    labels = ["pull ups", "golf", "juggling", "pullup", "golf driving", "shot put", "shotput"]
    pairs = near_duplicates(labels, letters(labels), threshold=0.5)
    assert [pair[:2] for pair in pairs] == [
        ("shot put", "shotput"),
        ("pull ups", "pullup"),
        ("golf", "golf driving"),
    ]
    assert [pair.similarity for pair in pairs] == pytest.approx([1, 5 / (6 * 5) ** 0.5, 3 / (3 * 10) ** 0.5])
    assert near_duplicates(labels, letters(labels), threshold=0.5, top=2) == pairs[:2]
    everything = near_duplicates(labels, letters(labels), threshold=-1)
    assert len(everything) == 21 and all(labels.index(a) < labels.index(b) for a, b, _ in everything)


def test_pairs_are_the_same_in_small_blocks(monkeypatch):
    labels = [f"label {i}" for i in range(23)]
    texts = torch.randn(23, 4, generator=torch.Generator().manual_seed(0))
    whole = near_duplicates(labels, texts, threshold=0.2, top=9)
    monkeypatch.setattr(exclusions, "BLOCK", 5)
    blocks = near_duplicates(labels, texts, threshold=0.2, top=9)
    assert [pair[:2] for pair in blocks] == [pair[:2] for pair in whole] and len(whole) == 9
    assert [pair.similarity for pair in whole] == sorted((pair.similarity for pair in whole), reverse=True)


def test_two_spellings_are_flagged_however_unlike_clip_finds_them():
    pairs = near_duplicates(["shotput", "golf", "shot put"], torch.eye(3), threshold=0.9)
    assert pairs == [("shotput", "shot put", 0.0)]
    with pytest.raises(ValueError, match="2 labels"):
        near_duplicates(["a", "b"], torch.eye(3))


def test_decisions_are_read_and_never_overwritten(tmp_path):
    path = write_near(tmp_path / "near.csv", [NearPair("golf", "golf driving", 0.91239), NearPair("a", "b, c", 0.5)])
    assert path.read_text().splitlines()[:2] == ["label_a,label_b,similarity,exclude", "golf,golf driving,0.9124,"]
    assert read_exclusions(path) == [], "undecided"
    decided = path.read_text().replace("0.9124,", "0.9124,Yes").replace("0.5000,", "0.5000, no ")
    path.write_text(decided)
    with pytest.raises(FileExistsError, match=r"near\.csv exists and may hold decisions"):
        write_near(path, [])
    assert path.read_text() == decided
    own = tmp_path / "own.csv"
    own.write_text("note,id,label_a,exclude,label_b\nseen,clip 3,run,yes,jump\n,clip 4,golf,no,golf driving\n")
    both = read_exclusions(path, own)
    assert [exclusion[:3] for exclusion in both] == [("golf", "golf driving", ""), ("run", "jump", "clip 3")]
    assert both[0].where == f"{path}, line 2"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a,,yes", r"near\.csv, line 2: label_b is empty"),
        ("a,b,yes\na,c", r"near\.csv, line 3: 3 columns, but 2 in the row 'a,c'"),
        ("a,b,maybe", r"near\.csv, line 2: exclude is 'maybe'; write yes, no or nothing"),
        ("a,b,yes\nB,A,no", r"line 3 says no to a pair that has yes in .*near\.csv, line 2"),
    ],
)
def test_unclear_decisions_are_refused(rows, message, tmp_path):
    path = tmp_path / "near.csv"
    path.write_text(f"label_a,label_b,exclude\n{rows}\n")
    with pytest.raises(ValueError, match=message):
        read_exclusions(path)


def test_a_list_of_exclusions_needs_its_columns(tmp_path):
    (tmp_path / "near.csv").write_text("label_a,label_b\na,b\n")
    with pytest.raises(ValueError, match=r"near\.csv lacks the column 'exclude'"):
        read_exclusions(tmp_path / "near.csv")
    with pytest.raises(FileNotFoundError, match="make it with `mgdm near --corpus CORPUS --clip CLIP --out /"):
        read_exclusions(tmp_path / "none.csv")


def test_exclusions_are_found_among_labels_and_clips():
    labels, clips, clip_labels = ("golf", "PullUps", "run", "golf driving"), ["v1", "v2"], ["run", "golf"]
    wanted = [
        Exclusion("golf driving", "Golf"),
        Exclusion("run", "pull ups", "v1"),
        Exclusion("golf driving", "golf", "v2"),
        Exclusion("golf", "polo"),
        Exclusion("golf", "run", "v9"),
        Exclusion("run", "Run!"),
    ]
    found = locate(wanted, labels, clips, clip_labels)
    assert found.pairs == [(3, 0)] and found.of_clips == [(0, 1), (1, 3)]
    assert found.unused == wanted[3:]
    with pytest.raises(ValueError, match=r"f\.csv, line 7: the clip 'v2' is 'golf', which is neither 'run' nor 'Pull"):
        locate([Exclusion("run", "PullUps", "v2", "f.csv, line 7")], labels, clips, clip_labels)
