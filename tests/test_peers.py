"""The benchmark against other people's heads and readers: at tiny sizes all of it runs, and compares like with like."""

import importlib
from pathlib import Path

import pandas as pd
import pytest
import torch

from mgdmkit import MGDM

with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(str(Path(__file__).resolve().parent.parent / "benchmarks"))
    peers = importlib.import_module("peers")


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> pd.DataFrame:
    """A tiny run. Read only."""
    out = tmp_path_factory.mktemp("peers") / "peers.csv"
    peers.main(repeats=1, tiny=True, out=out)
    return pd.read_csv(out)


def test_every_part_has_ours_and_a_peer(table):
    assert list(table.columns) == list(peers.Row._fields)
    assert set(table.part) == {"head", "negatives", "mining", "reading"}
    for (_, case), rows in table.groupby(["part", "case"]):
        assert rows.name.iloc[0] == "ours" and rows.times_ours.iloc[0] == 1 and len(rows) > 1, case
    assert (table.ms > 0).all()


def test_our_reader_returns_no_wrong_frame(table):
    ours = table[(table.part == "reading") & (table.name == "ours")]
    assert len(ours) == len(peers.TINY.films) and (ours.wrong_frames == 0).all()


def test_wrong_and_missing_frames_are_counted(tmp_path):
    film = peers.TINY.films[1]
    right = peers.READERS["ours"][0](peers.draw_film(tmp_path / "film.mp4", film))
    assert peers.errors(right, film.frames) == [0] * peers.T
    assert any(peers.errors(right[::-1], film.frames)) and len(peers.errors(right[:3], film.frames)) == 3


def soft_model(layers: int, **options) -> MGDM:
    """At CLIP's temperature so few videos have a loss of nearly 0, and all losses of 0 are alike."""
    model = peers.head_model(64, layers, **options)
    model.logit_scale.data.fill_(2.0)
    return model


@pytest.mark.parametrize("layers", [0, 1])
@pytest.mark.parametrize("k", [0, 3, 7])
def test_ours_and_the_literal_form_give_the_same_loss(k, layers):
    model, batch = soft_model(layers), peers.draw_batch(6, 64, 10, k)
    loss = peers.ours(model, batch)
    assert loss > 0.01
    torch.testing.assert_close(loss, peers.literal(model, batch), rtol=1e-5, atol=0)


def test_the_heads_are_different_ones():
    """BIKE's head with its text in place of the words is the one without words; the three heads differ."""
    model, batch = soft_model(1, discriminator=False), peers.draw_batch(6, 64, 10, 0)
    same = batch._replace(words=batch.texts)
    torch.testing.assert_close(peers.bike(model, same, words=True), peers.bike(model, batch))
    losses = [loss(model, batch).item() for loss in (peers.ours, peers.bike, peers.actionclip)]
    assert min(losses) > 0.001 and len(set(losses)) == 3
