"""Mining on vectors that can be solved by eye."""

import pytest
import torch

from mgdmkit import Negatives, mine_negatives, random_negatives, select
from mgdmkit.mining import load_negatives, negative_names, save_negatives, video_embedding, zero_shot_logits

# Texts at 0, 30, 60, 90 and 180 degrees; a video at angle a is nearest to the text of the nearest angle.
ANGLES = torch.tensor([0.0, 30.0, 60.0, 90.0, 180.0])


def at(degrees):
    radians = torch.deg2rad(torch.as_tensor(degrees))
    return torch.stack([radians.cos(), radians.sin()], dim=-1)


TEXTS = at(ANGLES) * torch.tensor([[1.0], [9.0], [0.2], [3.0], [5.0]])  # lengths must not matter


def test_hardest_first_and_the_true_label_left_out():
    negatives = mine_negatives(at([20.0, 80.0]) * 7, TEXTS, torch.tensor([1, 0]), depth=4)
    assert negatives.indices.tolist() == [[0, 2, 3, 4], [3, 2, 1, 4]]
    assert negatives.positive_rank.tolist() == [0, 3]
    assert (negatives.scores.diff(dim=1) <= 0).all()


def test_scores_are_the_softmax_over_the_whole_corpus():
    negatives = mine_negatives(at([20.0]), TEXTS, torch.tensor([1]), depth=4, logit_scale=2.0)
    p = torch.softmax(2 * torch.cos(torch.deg2rad(ANGLES - 20)), dim=0)
    torch.testing.assert_close(negatives.scores[0], p[[0, 2, 3, 4]])
    assert negatives.scores.sum() < 1, "the true label keeps its share"


def test_frames_are_normalised_averaged_and_normalised_again():
    frames = torch.stack([torch.stack([100 * at(0.0), at(90.0)])])  # (1, 2, 2): a long and a short frame
    torch.testing.assert_close(video_embedding(frames), at([45.0]))
    negatives = mine_negatives(frames, TEXTS, torch.tensor([4]), depth=2)
    assert negatives.indices.tolist() == [[1, 2]]
    assert negatives.positive_rank.tolist() == [4]


def test_ties_go_to_the_smaller_index():
    texts = at([0.0, 90.0, 0.0, 90.0, 0.0])
    negatives = mine_negatives(at([0.0, 90.0]), texts, torch.tensor([2, 4]), depth=4)
    assert negatives.indices.tolist() == [[0, 4, 1, 3], [1, 3, 0, 2]]
    assert negatives.positive_rank.tolist() == [1, 4]


def test_no_repeats_and_chunks_agree():
    generator = torch.Generator().manual_seed(0)
    features, texts = torch.randn(5000, 8, generator=generator), torch.randn(12, 8, generator=generator)
    labels = torch.randint(12, (5000,), generator=generator)
    negatives = mine_negatives(features, texts, labels, depth=11)
    everything = torch.cat([negatives.indices, labels[:, None]], dim=1).sort(dim=1).values
    assert (everything == torch.arange(12)).all()
    alone = mine_negatives(features[4500:4501], texts, labels[4500:4501], depth=11)
    assert alone.indices.tolist() == negatives.indices[4500:4501].tolist()
    ranking = zero_shot_logits(features, texts).argsort(dim=1, descending=True)
    at_rank = ranking.gather(1, negatives.positive_rank[:, None])[:, 0]
    assert (at_rank == labels).all()


@pytest.mark.parametrize("depth", [0, 5, 9])
def test_a_depth_beyond_the_corpus_raises(depth):
    with pytest.raises(ValueError, match="offers 1 to 4"):
        mine_negatives(at([20.0]), TEXTS, torch.tensor([1]), depth=depth)


def test_mismatches_raise():
    with pytest.raises(ValueError, match="do not agree"):
        mine_negatives(at([20.0]), TEXTS, torch.tensor([1, 2]), depth=2)
    with pytest.raises(ValueError, match="corpus"):
        mine_negatives(at([20.0]), TEXTS, torch.tensor([5]), depth=2)


def ranked(depth=9):
    return Negatives(torch.arange(1, depth + 1).repeat(2, 1), torch.zeros(2, depth), torch.zeros(2), torch.zeros(2))


def test_select_top_and_bot():
    assert select(ranked(), 3).tolist() == [[1, 2, 3]] * 2
    assert select(ranked(12), 3, which="bot").tolist() == [[7, 8, 9]] * 2
    assert select(ranked(), 0).shape == (2, 0)


def test_select_refuses_what_was_not_mined():
    with pytest.raises(ValueError, match="depth 10"):
        select(ranked(), 10)
    with pytest.raises(ValueError, match="depth 9, but there are 5"):
        select(ranked(5), 3, which="bot")
    with pytest.raises(ValueError, match="'top', 'bot'"):
        select(ranked(), 3, which="middle")


def test_random_negatives_are_even_and_never_the_label():
    labels = torch.arange(6).repeat(500)
    drawn = random_negatives(labels, 6, 5, torch.Generator().manual_seed(1))
    assert (drawn.sort(dim=1).values[labels == 0] == torch.arange(1, 6)).all(), "all others, once each"
    three = random_negatives(labels, 6, 3, torch.Generator().manual_seed(1))
    assert not (three == labels[:, None]).any()
    shares = torch.bincount(three[labels == 2].flatten(), minlength=6) / (500 * 3)
    assert shares[2] == 0 and (shares[[0, 1, 3, 4, 5]] - 0.2).abs().max() < 0.05
    with pytest.raises(ValueError, match="at most 5"):
        random_negatives(labels, 6, 6, torch.Generator())


def test_csv_round_trip_and_its_text(tmp_path):
    names = ["opening a door", "a, b: c", "walking", "élan", "x"]
    labels = torch.tensor([1, 0])
    negatives = mine_negatives(at([20.0, 80.0]), TEXTS, labels, depth=3)
    path = save_negatives(tmp_path / "n.csv", negatives, ["v1", "v2"], labels, names)
    header, first, _ = path.read_text(encoding="utf-8").splitlines()
    assert header == "video,label,positive_rank,positive_score,negative_1,negative_2,negative_3"
    assert first.startswith('v1,"a, b: c",0,0.989137,opening a door:')
    loaded = load_negatives(path, ["v2", "v1"], names)
    assert loaded.indices.tolist() == negatives.indices.flip(0).tolist()
    torch.testing.assert_close(loaded.scores, negatives.scores.flip(0), rtol=1e-5, atol=0)
    assert loaded.positive_rank.tolist() == [3, 0]


def test_labels_in_the_csv_are_names_so_their_order_may_change(tmp_path):
    names, labels = ["a", "b", "c", "d", "e"], torch.tensor([1])
    negatives = mine_negatives(at([20.0]), TEXTS, labels, depth=2)
    path = save_negatives(tmp_path / "n.csv", negatives, ["v1"], labels, names)
    assert load_negatives(path, ["v1"], names[::-1]).indices.tolist() == [[4, 2]]


def test_csv_errors_name_the_file(tmp_path):
    names, labels = ["a", "b", "c", "d", "e"], torch.tensor([1])
    path = tmp_path / "n.csv"
    with pytest.raises(FileNotFoundError, match="mgdm mine"):
        load_negatives(path, ["v1"], names)
    save_negatives(path, mine_negatives(at([20.0]), TEXTS, labels, depth=2), ["v1"], labels, names)
    with pytest.raises(ValueError, match="lacks 1 videos, first 'v2'"):
        load_negatives(path, ["v1", "v2"], names)
    with pytest.raises(ValueError, match="'a', a negative of 'v1', is not a label"):
        load_negatives(path, ["v1"], names[1:])


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (",0,", ",0,,", "line 2 is damaged (7 cells, where the header has 6)"),
        ("c:", "c", "line 2 is damaged ('c3."),
        (",0,", ",zero,", "line 2 is damaged (invalid literal for int"),
        ("c:3.", "c:E.", "line 2 is damaged (could not convert string to float"),
        ("v2,", "v1,", "line 3 is damaged ('v1' stands in more than one row)"),
        ("video,", '"video,', "is not a CSV in UTF-8"),
        ("positive_rank", "rank", "is not a table of negatives"),
        ("v2", "v\udcff", "is not a CSV in UTF-8"),
    ],
)
def test_damage_to_the_csv_names_file_line_and_cure(tmp_path, old, new, told):
    names, labels, path = ["a", "b", "c", "d", "e"], torch.tensor([1, 1]), tmp_path / "n.csv"
    save_negatives(path, mine_negatives(at([20.0, 20.0]), TEXTS, labels, depth=2), ["v1", "v2"], labels, names)
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_bytes(text.replace(old, new, 1).encode(errors="surrogateescape"))
    for read in (lambda: load_negatives(path, ["v1"], names), lambda: negative_names(path)):
        with pytest.raises(ValueError) as caught:
            read()
        assert str(caught.value).startswith(str(path)) and told in str(caught.value)
        assert f"mine again with `mgdm mine --features FEATURES --out {path}`" in str(caught.value)


def test_a_csv_that_was_cut_off_is_not_read_as_a_shorter_one(tmp_path):
    names, labels, path = ["a", "b", "c", "d", "e"], torch.tensor([1]), tmp_path / "n.csv"
    save_negatives(path, mine_negatives(at([20.0]), TEXTS, labels, depth=2), ["v1"], labels, names)
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(ValueError, match=r"line 2 is damaged \(.*mine again with"):
        load_negatives(path, ["v1"], names)


def test_labels_that_say_the_same_are_not_mined_for_each_other():
    videos, labels = at([20.0, 20.0, 80.0]), torch.tensor([1, 0, 0])
    free = mine_negatives(videos, TEXTS, labels, depth=3)
    assert free.indices.tolist() == [[0, 2, 3], [1, 2, 3], [3, 2, 1]]
    bound = mine_negatives(videos, TEXTS, labels, depth=3, exclude=[(1, 0)])
    assert bound.indices.tolist() == [[2, 3, 4], [2, 3, 4], [3, 2, 4]], "in both directions"
    both = mine_negatives(videos, TEXTS, labels, depth=2, exclude=[(0, 1), (1, 0), (2, 0), (3, 3)])
    assert both.indices.tolist() == [[2, 3], [3, 4], [3, 4]]
    assert bound.positive_rank.equal(free.positive_rank)
    torch.testing.assert_close(bound.scores[:, 0], free.scores[[0, 1, 2], [1, 1, 0]])  # the softmax is over all


def test_a_label_is_left_out_for_one_video_only():
    videos, labels = at([20.0, 20.0, 80.0]), torch.tensor([1, 1, 0])
    options = {"exclude_for_video": [(1, 0), (2, 3), (2, 2)], "chunk_size": 2}
    found = mine_negatives(videos, TEXTS, labels, depth=2, **options)
    assert found.indices.tolist() == [[0, 2], [2, 3], [1, 4]]


def test_exclusions_that_leave_too_few_labels_name_the_video():
    videos, labels = at([20.0, 80.0, 80.0]), torch.tensor([1, 0, 0])
    exclude = {"exclude": [(0, 2)], "exclude_for_video": [(2, 4), (2, 2)], "chunk_size": 1}
    assert mine_negatives(videos, TEXTS, labels, depth=2, **exclude).indices.tolist() == [[0, 2], [3, 1], [3, 1]]
    with pytest.raises(ValueError, match=r"depth=3: .* leave 2 of 5 labels to the video c; mine with depth=2 or less"):
        mine_negatives(videos, TEXTS, labels, depth=3, names=["a", "b", "c"], **exclude)
    with pytest.raises(ValueError, match=r"leave 3 of 5 labels to the video number 1;"):
        mine_negatives(videos, TEXTS, labels, depth=4, **exclude)


@pytest.mark.parametrize("options", [{"exclude": [(0, 5)]}, {"exclude_for_video": [(2, 0)]}, {"exclude": [(-1, 0)]}])
def test_exclusions_outside_the_corpus_raise(options):
    with pytest.raises(ValueError, match="lies outside"):
        mine_negatives(at([20.0, 80.0]), TEXTS, torch.tensor([1, 0]), depth=2, **options)


class OnDisk:
    """Features that are only to be had in slices; notes how many videos each slice holds."""

    def __init__(self, features: torch.Tensor):
        self.features, self.shape, self.slices = features, features.shape, []

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, rows: slice) -> torch.Tensor:
        self.slices.append(len(self.features[rows]))
        return self.features[rows]


def test_chunks_bound_the_memory_and_do_not_change_the_result():
    generator = torch.Generator().manual_seed(1)
    frames, texts = torch.randn(700, 3, 16, generator=generator), torch.randn(530, 16, generator=generator)
    labels = torch.randint(100, (700,), generator=generator)
    options = {
        "exclude": torch.randint(530, (400, 2), generator=generator).tolist(),
        "exclude_for_video": torch.stack(
            [torch.randint(high, (900,), generator=generator) for high in (700, 530)], dim=1
        ).tolist(),
    }
    whole = mine_negatives(frames, texts, labels, 9, chunk_size=700, **options)
    on_disk = OnDisk(frames)
    parts = mine_negatives(on_disk, texts, labels, 9, chunk_size=64, **options)
    assert on_disk.slices == [64] * 10 + [60]
    assert parts.indices.equal(whole.indices) and parts.positive_rank.equal(whole.positive_rank)
    torch.testing.assert_close(parts.scores, whole.scores)
    for video, label, negatives in zip(range(700), labels.tolist(), whole.indices.tolist(), strict=True):
        barred = {label, *(b for a, b in options["exclude"] if a == label)}
        barred |= {a for a, b in options["exclude"] if b == label}
        barred |= {j for i, j in options["exclude_for_video"] if i == video}
        ranking = zero_shot_logits(frames[video : video + 1], texts)[0].argsort(descending=True).tolist()
        assert negatives == [j for j in ranking if j not in barred][:9]


def test_some_videos_are_mined_as_among_all():
    videos, labels = at([20.0, 20.0, 80.0, 50.0]), torch.tensor([1, 0, 0, 2])
    options = {"exclude_for_video": [(0, 2), (2, 3)], "chunk_size": 2}
    whole = mine_negatives(videos, TEXTS, labels, 3, **options)
    for rows in (slice(0, 3), slice(1, 4), slice(2, 2)):
        some = mine_negatives(videos, TEXTS, labels, 3, rows=rows, **options)
        assert all(part.equal(found[rows]) for part, found in zip(some, whole, strict=True))


def test_no_videos_have_no_negatives():
    none = mine_negatives(torch.empty(0, 2), TEXTS, torch.empty(0, dtype=torch.long), depth=3)
    assert none.indices.shape == none.scores.shape == (0, 3) and none.positive_rank.shape == (0,)


def test_a_csv_of_other_labels_or_with_the_own_label_is_refused(tmp_path):
    names, labels = ["a", "b", "c", "d", "e"], torch.tensor([1, 0])
    path = tmp_path / "n.csv"
    save_negatives(path, mine_negatives(at([20.0, 20.0]), TEXTS, labels, depth=2), ["v1", "v2"], labels, names)
    text = path.read_text()
    assert load_negatives(path, ["v2", "v1"], names, labels.flip(0)).indices.tolist() == [[1, 2], [0, 2]]
    with pytest.raises(ValueError, match="'v1' is 'b' there and 'c' here; mine again"):
        load_negatives(path, ["v1"], names, torch.tensor([2]))
    for wrong in ("b:", "c:"):
        path.write_text(text.replace(",a:", f",{wrong}"))
        with pytest.raises(ValueError, match="the negatives of 'v1' hold its own label or one label twice"):
            load_negatives(path, ["v1"], names, labels[:1])
    path.write_text("id,path,label,split\n")
    with pytest.raises(ValueError, match=r"n\.csv is not a table of negatives"):
        load_negatives(path, ["v1"], names)


def test_the_names_in_a_csv(tmp_path):
    names, labels, path = ["b", "a: 1", "c", "d", "e"], torch.tensor([1, 1]), tmp_path / "n.csv"
    save_negatives(path, mine_negatives(at([0.0, 80.0]), TEXTS, labels, depth=2), ["v1", "v2"], labels, names)
    assert negative_names(path) == ["b", "c", "d"]
