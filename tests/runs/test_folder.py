"""Result folders: what made them is on record, everything else is refused, every write is whole or absent."""

import json

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import mgdmkit.runs.folder as module
from mgdmkit.runs.folder import (
    FolderError,
    cause,
    claim,
    load_checkpoint,
    load_tensors,
    read_json,
    reading,
    save_checkpoint,
    save_tensors,
)

RECIPE = {"model": {"dim": 8, "head": {"width": 2}}, "data": "abc", "where": "here"}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_claim_is_written_once_and_then_compared(tmp_path):
    path = tmp_path / "new" / "recipe.json"
    claim(path, RECIPE)
    assert json.loads(path.read_text(encoding="utf-8")) == RECIPE
    before = path.stat().st_mtime_ns
    claim(path, json.loads(json.dumps(RECIPE)))
    assert path.stat().st_mtime_ns == before and names(path.parent) == ["recipe.json"]


def test_every_difference_is_listed_nested_ones_by_their_path(tmp_path):
    path = tmp_path / "recipe.json"
    claim(path, RECIPE)
    before = path.read_bytes()
    other = {"model": {"dim": 8, "head": {"width": 3}}, "data": "xyz", "where": "here", "new": True}
    with pytest.raises(FolderError) as caught:
        claim(path, other)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path} holds something else: ")
    for part in (
        "model.head.width is 2 there, 3 here",
        "data is 'abc' there, 'xyz' here",
        "new is not named there, True",
    ):
        assert part in message
    assert "model.dim" not in message and "where" not in message
    assert message.endswith("Take another folder, or delete this one to make it anew")
    assert path.read_bytes() == before


def test_what_is_missing_here_differs_too(tmp_path):
    claim(tmp_path / "recipe.json", RECIPE)
    with pytest.raises(FolderError, match=r"model\.head\.width is 2 there, not named here"):
        claim(tmp_path / "recipe.json", {**RECIPE, "model": {"dim": 8}})


def test_ignored_keys_are_kept_but_not_compared(tmp_path):
    path = tmp_path / "recipe.json"
    claim(path, RECIPE, ignore=("where",))
    claim(path, {**RECIPE, "where": "there"}, ignore=("where",))
    assert json.loads(path.read_text(encoding="utf-8"))["where"] == "here"
    with pytest.raises(FolderError, match="where is 'here' there, 'there' here"):
        claim(path, {**RECIPE, "where": "there"})


def test_a_long_difference_does_not_fill_the_screen(tmp_path):
    claim(tmp_path / "recipe.json", {"classes": ["a"] * 1000})
    with pytest.raises(FolderError) as caught:
        claim(tmp_path / "recipe.json", {"classes": ["b"] * 1000})
    assert len(str(caught.value)) < 1200 and "delete this one" in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"model": {"dim'])
def test_a_damaged_recipe_is_neither_believed_nor_replaced(tmp_path, text):
    path = tmp_path / "recipe.json"
    path.write_text(text)
    with pytest.raises(FolderError, match=r"recipe\.json is damaged \(.+\); put back a good copy, .* delete this one"):
        claim(path, RECIPE)
    assert path.read_text() == text


def test_work_whose_recipe_has_gone_is_not_taken_for_ones_own(tmp_path):
    save_tensors(tmp_path / "part-0.safetensors", {"w": torch.zeros(1)})
    with pytest.raises(FolderError, match=r"holds part-0\.safetensors, but recipe\.json.* is missing: put it back"):
        claim(tmp_path / "recipe.json", RECIPE, work=("*.pt", "part-*.safetensors"))
    assert names(tmp_path) == ["part-0.safetensors", "sha256.json"]
    claim(tmp_path / "recipe.json", RECIPE, work=("*.pt",))
    claim(tmp_path / "recipe.json", RECIPE, work=("part-*.safetensors",))


def test_reading_names_path_cause_and_cure(tmp_path):
    path = tmp_path / "a.json"
    with pytest.raises(FolderError, match=r"a\.json is missing; run it"):
        read_json(path, "run it")
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FolderError, match=r"a\.json is damaged \(.*utf-8.*\); run it"):
        read_json(path, "run it")
    path.write_text('{"k": 1}')
    assert read_json(path, "run it", keys=("k",)) == {"k": 1}
    with pytest.raises(FolderError, match=r"a\.json is damaged \(it lacks 'n'\); run it"):
        read_json(path, "run it", keys=("k", "n"))
    with (
        pytest.raises(FolderError, match=r"damaged \(Error.*Linear: Missing key.*weight.*\); run it"),
        reading(path, "run it"),
    ):
        nn.Linear(1, 1).load_state_dict({})


def test_a_cause_is_one_line_of_bounded_length():
    assert cause(ValueError("one\ntwo")) == "one" and cause(EOFError()) == "EOFError"
    assert len(cause(ValueError("x" * 1000))) < 310


def test_tensors_come_back_also_views_and_those_with_gradients(tmp_path):
    weights = torch.arange(6.0, requires_grad=True).view(2, 3)
    path = save_tensors(tmp_path / "new" / "t.safetensors", {"w": weights, "transposed": weights.T})
    assert path == tmp_path / "new" / "t.safetensors" and names(path.parent) == ["sha256.json", "t.safetensors"]
    loaded = load_file(path)
    assert torch.equal(loaded["w"], weights) and torch.equal(loaded["transposed"], weights.T)


@pytest.mark.parametrize("writer", ["tensors", "checkpoint"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, writer):
    model = nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    path = tmp_path / "file"

    def write():
        if writer == "tensors":
            save_tensors(path, model.state_dict())
        else:
            save_checkpoint(path, model, optimizer, step=1)

    def half(value, file):
        file.write_bytes(b"half")
        raise OSError("No space left on device")

    write()
    before = path.read_bytes()
    monkeypatch.setattr(module, "save_file", half)
    monkeypatch.setattr(module.torch, "save", half)
    with pytest.raises(OSError, match="No space"):
        write()
    left = ["file", "sha256.json"] if writer == "tensors" else ["file"]
    assert names(tmp_path) == left and path.read_bytes() == before


def step(model, optimizer):
    optimizer.zero_grad()
    model(torch.ones(1, 2)).square().sum().backward()
    optimizer.step()


def new():
    torch.manual_seed(0)
    model = nn.Linear(2, 2)
    return model, torch.optim.AdamW(model.parameters(), lr=0.1)


def test_a_checkpoint_restores_model_and_optimiser(tmp_path):
    model, optimizer = new()
    step(model, optimizer)
    save_checkpoint(tmp_path / "c.pt", model, optimizer, step=1, history=[{"loss": 0.5}])
    assert names(tmp_path) == ["c.pt"]
    step(model, optimizer)
    again, its_optimizer = new()
    assert load_checkpoint(tmp_path / "c.pt", again, its_optimizer) == {"step": 1, "history": [{"loss": 0.5}]}
    step(again, its_optimizer)  # with AdamW's moments lost this step would be another
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


def test_no_checkpoint_is_no_progress(tmp_path):
    model, optimizer = new()
    before = [parameter.clone() for parameter in model.parameters()]
    assert load_checkpoint(tmp_path / "c.pt", model, optimizer) == {}
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_a_damaged_or_foreign_checkpoint_says_what_to_do(tmp_path):
    model, optimizer = new()
    save_checkpoint(tmp_path / "c.pt", model, optimizer)
    whole = (tmp_path / "c.pt").read_bytes()
    (tmp_path / "c.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FolderError, match=r"checkpoint .*c\.pt is damaged; delete it"):
        load_checkpoint(tmp_path / "c.pt", model, optimizer)
    wide = nn.Linear(3, 3)
    save_checkpoint(tmp_path / "c.pt", wide, torch.optim.AdamW(wide.parameters()))
    with pytest.raises(FolderError, match="damaged"):
        load_checkpoint(tmp_path / "c.pt", model, optimizer)


class RunsWhenRead:
    def __reduce__(self):
        return (print, ("code from a file was run",))


def test_a_checkpoint_cannot_run_code(tmp_path, capsys):
    torch.save({"model": RunsWhenRead()}, tmp_path / "c.pt")
    with pytest.raises(FolderError, match="damaged"):
        load_checkpoint(tmp_path / "c.pt", *new())
    assert "code from a file was run" not in capsys.readouterr().out


@pytest.mark.parametrize("damage", ["a flipped bit", "another folder's"])
def test_tensors_that_are_not_what_was_written_are_refused(tmp_path, damage):
    path = save_tensors(tmp_path / "a" / "t.safetensors", {"x": torch.ones(3)})
    save_tensors(tmp_path / "a" / "u.safetensors", {"x": torch.ones(4)})
    assert load_tensors(path)["x"].equal(torch.ones(3))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    other = save_tensors(tmp_path / "b" / "t.safetensors", {"x": torch.zeros(3)}).read_bytes()
    path.write_bytes(data if damage == "a flipped bit" else other)
    with pytest.raises(FolderError, match=r"t\.safetensors is damaged \(it is not what was written, by .*sha256\.json"):
        with reading(path, "make it anew"):
            load_tensors(path)
    assert len(load_tensors(path.with_name("u.safetensors"))["x"]) == 4
    (tmp_path / "a" / "sha256.json").write_text("{")
    with pytest.raises(
        FolderError, match=r"sha256\.json is damaged .*or delete it: then the files beside it are taken"
    ):
        load_tensors(path)
    (tmp_path / "a" / "sha256.json").unlink()
    assert len(load_tensors(path)["x"]) == 3, "as a CLIP that somebody else has written"


def test_a_folder_holds_one_thing(tmp_path):
    claim(tmp_path / "features.json", {"frames": 16})
    with pytest.raises(FolderError, match=r"holds features \(features\.json\); take another folder"):
        claim(tmp_path / "config.json", {"k": 3})
    assert not (tmp_path / "config.json").exists()
