import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from torchstone.files import sha256
from torchstone.training import load_checkpoint, save_checkpoint
from torchstone.training.checkpoint import VERSION

FILES = ["manifest.json", "state.json", "tensors.safetensors"]


def state(step: int) -> dict[str, Any]:
    return {"weight": torch.full((3,), float(step)), "lr": 0.1 * step, "betas": (0.9, 0.999), 0: None}


def filled(folder: Path, steps: int = 3) -> Path:
    for step in range(1, steps + 1):
        save_checkpoint(folder, step, state(step))
    return folder / f"step-{steps:08d}"


def loaded_step(folder: Path) -> int | None:
    latest = load_checkpoint(folder)
    return None if latest is None else latest.step


@contextmanager
def damage_named(name: str) -> Iterator[None]:
    with pytest.warns(UserWarning, match=rf"skipped: .*{name}"):
        yield


def test_the_latest_comes_back(tmp_path: Path):
    path = filled(tmp_path)
    latest = load_checkpoint(tmp_path)
    assert latest is not None
    assert (latest.path, latest.step, latest.state["betas"], latest.state[0]) == (path, 3, (0.9, 0.999), None)
    assert torch.equal(latest.state["weight"], torch.full((3,), 3.0))
    assert sorted(file.name for file in path.iterdir()) == FILES


def test_no_folder_and_an_empty_folder_hold_none(tmp_path: Path):
    assert load_checkpoint(tmp_path) is None
    assert load_checkpoint(tmp_path / "absent") is None


def test_order_is_by_number_also_beyond_eight_digits(tmp_path: Path):
    save_checkpoint(tmp_path, 100_000_000, state(1))
    save_checkpoint(tmp_path, 99_999_999, state(1))
    assert loaded_step(tmp_path) == 100_000_000


def test_keep_leaves_the_newest(tmp_path: Path):
    for step in range(1, 6):
        save_checkpoint(tmp_path, step, state(step), keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000004", "step-00000005"]


def test_a_failed_save_leaves_the_old_ones(tmp_path: Path):
    filled(tmp_path)
    with pytest.raises(TypeError, match="of type object"):
        save_checkpoint(tmp_path, 4, {"odd": object()}, keep=1)
    assert loaded_step(tmp_path) == 3
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("name", FILES)
def test_any_flipped_bit_falls_back_to_the_last_good_one(tmp_path: Path, name: str):
    file = filled(tmp_path, 2) / name
    whole = file.read_bytes()
    places = range(len(whole)) if name == "manifest.json" else range(0, len(whole), 7)
    for place in places:
        flipped = bytearray(whole)
        flipped[place] ^= 1 << place % 8
        file.write_bytes(flipped)
        with damage_named(name):
            assert loaded_step(tmp_path) == 1
    file.write_bytes(whole)
    assert loaded_step(tmp_path) == 2


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("length", [0, 10, -1])
def test_a_cut_file_falls_back(tmp_path: Path, name: str, length: int):
    file = filled(tmp_path) / name
    file.write_bytes(file.read_bytes()[:length])
    with damage_named(name):
        assert loaded_step(tmp_path) == 2


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_falls_back(tmp_path: Path, name: str):
    (filled(tmp_path) / name).unlink()
    with damage_named(name):
        assert loaded_step(tmp_path) == 2


def test_two_damaged_ones_fall_back_two(tmp_path: Path):
    filled(tmp_path)
    for step in (2, 3):
        (tmp_path / f"step-0000000{step}" / "state.json").unlink()
    with damage_named("step-00000003"), damage_named("step-00000002"):
        assert loaded_step(tmp_path) == 1


def test_only_damaged_ones_count_as_none(tmp_path: Path):
    (filled(tmp_path, 1) / "state.json").unlink()
    with damage_named("state.json"):
        assert load_checkpoint(tmp_path) is None


def test_a_renamed_checkpoint_is_not_believed(tmp_path: Path):
    filled(tmp_path).rename(tmp_path / "step-00000009")
    with damage_named("manifest.json"):
        assert loaded_step(tmp_path) == 2


def test_a_whole_one_is_never_replaced_and_a_damaged_one_is(tmp_path: Path):
    path = filled(tmp_path)
    with pytest.raises(FileExistsError, match="step-00000003 exists"):
        save_checkpoint(tmp_path, 3, state(7))
    (path / "state.json").unlink()
    save_checkpoint(tmp_path, 3, state(7))
    latest = load_checkpoint(tmp_path)
    assert latest is not None
    assert latest.state["lr"] == 0.1 * 7


def test_a_damaged_later_one_does_not_push_out_the_good_ones(tmp_path: Path):
    for step in (1, 2, 5):
        save_checkpoint(tmp_path, step, state(step))
    (tmp_path / "step-00000005" / "state.json").unlink()
    save_checkpoint(tmp_path, 3, state(3), keep=2)
    assert sorted(int(path.name[5:]) for path in tmp_path.iterdir()) == [2, 3, 5]


def test_a_newer_version_is_refused_politely(tmp_path: Path):
    file = filled(tmp_path) / "manifest.json"
    manifest = json.loads(file.read_bytes())["manifest"] | {"version": VERSION + 1}
    sealed = {"sha256": sha256(json.dumps(manifest, sort_keys=True).encode()), "manifest": manifest}
    file.write_text(json.dumps(sealed, sort_keys=True, indent=1))
    with pytest.raises(ValueError, match=r"newer Torchstone .*Upgrade"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize(("step", "keep"), [(-1, None), (0, 0)])
def test_impossible_numbers_are_refused(tmp_path: Path, step: int, keep: int | None):
    with pytest.raises(ValueError, match="0 or more and keep 1 or more"):
        save_checkpoint(tmp_path, step, {}, keep=keep)
