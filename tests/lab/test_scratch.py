"""Folders for checkpoints: one owner at a time, and no litter."""

from pathlib import Path

from torchstone.lab import Trial
from torchstone.lab.scratch import Scratch, folder_name, sweep
from torchstone.lab.store import Key


def key(version: str, seed: int = 0) -> Key:
    return Key.of("claim", "laptop", Trial("a", seed), version, "cpu")


def test_the_next_run_finds_what_a_stopped_one_left(tmp_path: Path) -> None:
    first = Scratch(tmp_path / "trial")
    (first.path / "step").write_text("3")
    first.release()
    second = Scratch(tmp_path / "trial")
    assert (second.path / "step").read_text() == "3"
    second.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    owner, other = Scratch(tmp_path / "trial"), Scratch(tmp_path / "trial")
    assert owner.path != other.path
    owner.remove()
    assert other.path.exists()
    third = Scratch(tmp_path / "trial")
    assert third.path == tmp_path / "trial"
    other.release()
    third.release()


def test_the_sweep_takes_what_no_run_can_use(tmp_path: Path) -> None:
    unfinished, finished, old = key("new"), key("new", seed=1), key("old")
    names = [folder_name(unfinished), folder_name(finished), folder_name(old), f"{folder_name(unfinished)}-12-ab"]
    for name in [*names, "claim-2.old.0123"]:
        (tmp_path / name).mkdir()
    busy = Scratch(tmp_path / folder_name(key("old", seed=2)))
    assert sweep(tmp_path, "claim", "new", {finished}) == 3
    assert {folder.name for folder in tmp_path.iterdir()} == {
        folder_name(unfinished),
        busy.path.name,
        "claim-2.old.0123",
    }
    busy.release()


def test_nothing_to_sweep(tmp_path: Path) -> None:
    assert sweep(tmp_path / "absent", "claim", "new", []) == 0
