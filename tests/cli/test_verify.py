"""`mgdm doctor FOLDER`: every kind of damage is named with a cure, and a whole folder has none."""

import shutil

import pytest
from shell import mgdm

from mgdmkit.cli.verify import verify
from mgdmkit.experiments.pipeline import prepare, train_and_score


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A whole smoke root: clips, features, negatives, a run."""
    root = tmp_path_factory.mktemp("whole") / "root"
    prepared = prepare(root, "smoke", quiet=True)
    train_and_score(prepared, 3, quiet=True)
    return root


@pytest.fixture
def root(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "root")


def test_a_whole_folder_has_no_fault(whole):
    ended = mgdm("doctor {root}", root=whole)
    assert ended.status == 0 and "none with a fault" in ended.out[0] and ended.out[-1].startswith("1 fine, 0 to know")


def flip(path):
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[:-7])


def unlink(path):
    path.unlink()


@pytest.mark.parametrize(
    ("pattern", "damage", "found", "cure"),
    [
        ("features/*.safetensors", flip, "not what was written", "computes what is damaged"),
        ("features/*.safetensors", unlink, "missing", "computes what is damaged"),
        ("runs/*/model.safetensors", cut, "not what was written", "give the command that made it again"),
        ("runs/*/history.jsonl", cut, "damaged", "put back a good copy"),
        ("features/features.json", cut, "damaged", ""),
        ("runs/*/sha256.json", lambda path: path.write_text("[1]"), "no names with their sums", "put back"),
        ("stickactions/videos/*/*/*.mp4", flip, "not what was written", "draws what is damaged"),
        ("stickactions/videos/*/*/*.mp4", unlink, "missing", "draws what is damaged"),
    ],
)
def test_damage_is_named_with_a_cure(pattern, damage, found, cure, root):
    path = sorted(root.glob(pattern))[0]
    damage(path)
    whole, *faults = verify(root)
    assert [fault.name for fault in faults] == [str(path)] and "1 with a fault" in whole.found
    assert faults[0].status == "fail" and found in faults[0].found and cure in faults[0].advice
    assert mgdm("doctor {root}", root=root).status == 1


def test_tensors_without_a_sum_are_measured_by_their_header(root):
    run = next((root / "runs").iterdir())
    (run / "sha256.json").unlink()
    assert len(verify(root)) == 1
    cut(run / "model.safetensors")
    assert "cut" in verify(root)[1].found


def test_a_temporary_file_is_something_to_know_about(root):
    (root / "features" / ".a.0123-4.tmp").touch()
    assert [check.status for check in verify(root)] == ["ok", "warn"]


def test_no_such_folder(tmp_path):
    ended = mgdm("doctor {root}/none", root=tmp_path)
    assert ended.status == 2 and "is no folder" in ended.err


def test_what_the_cure_says_works(root):
    """Damaged clips and features are made anew by the command that made them."""
    for pattern in ("features/*.safetensors", "stickactions/videos/*/*/*.mp4"):
        flip(sorted(root.glob(pattern))[0])
    prepare(root, "smoke", quiet=True)
    assert len(verify(root)) == 1
