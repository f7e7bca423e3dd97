"""A full disk leaves what was there before, and nothing else: files, folders, checkpoints and the store."""

import os
import resource
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from torchstone.files import atomic_directory, read_tensors, write_bytes, write_tensors
from torchstone.lab import Store, Trial
from torchstone.lab.store import Key
from torchstone.training import load_checkpoint, save_checkpoint

MIB = 1 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("only root can mount a disk of one MiB")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Use up what is left; returns the file that does."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    assert shutil.disk_usage(disk).free == 0
    return filler


def state(size: int) -> dict[str, torch.Tensor]:
    return {"x": torch.full((size,), 0.5)}


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def write_folder(target: Path) -> None:
    with atomic_directory(target) as temporary:
        write_tensors(temporary / "x", state(MIB))


@pytest.mark.parametrize(
    "write",
    [
        lambda disk: write_bytes(disk / "x", bytes(2 * MIB)),
        lambda disk: write_tensors(disk / "x", state(MIB)),
        lambda disk: write_folder(disk / "folder"),
        lambda disk: save_checkpoint(disk / "fit", 2, state(MIB), keep=1),
    ],
)
def test_a_write_that_does_not_fit_changes_nothing(disk: Path, write: Callable[[Path], object]) -> None:
    sha256 = write_tensors(disk / "x", state(10))
    save_checkpoint(disk / "fit", 1, state(10), keep=1)
    before = names(disk)
    with pytest.raises(OSError, match="No space left"):
        write(disk)
    assert names(disk) == before
    assert torch.equal(read_tensors(disk / "x", sha256)["x"], state(10)["x"])
    checkpoint = load_checkpoint(disk / "fit")
    assert checkpoint is not None
    assert checkpoint.step == 1


def add(store: Store, seed: int) -> bool:
    trial = Trial("arm", seed)
    key = Key.of("claim", "laptop", trial, "0123456789ab", "cpu")
    return store.add(key, trial, {"seed": seed}, None, seconds=1.0, environment={"note": "x" * 2000})


def add_until_full(store: Store) -> None:
    for seed in range(1, 1000):
        add(store, seed)


def test_a_store_on_a_full_disk_keeps_its_records_and_goes_on_when_there_is_room(disk: Path) -> None:
    store = Store(disk)
    assert add(store, 0)
    filler = fill(disk)
    with pytest.raises(sqlite3.OperationalError, match=r"full|disk I/O error"):
        add_until_full(store)
    filler.unlink()
    kept = [key.seed for key in Store(disk).records("claim", "laptop")]
    assert kept == list(range(len(kept)))
    assert kept
    assert add(store, len(kept))
    assert len(Store(disk).records("claim", "laptop")) == len(kept) + 1


def test_no_store_is_made_on_a_full_disk(disk: Path) -> None:
    filler = fill(disk)
    with pytest.raises((OSError, sqlite3.OperationalError), match=r"full|No space"):
        Store(disk)
    assert names(disk) == ["filler"]
    filler.unlink()
    assert add(Store(disk), 0)


def test_a_limit_on_the_size_of_files_is_a_full_disk_too(tmp_path: Path) -> None:
    """Also where nobody can mount a disk."""
    store = Store(tmp_path)
    assert add(store, 0)
    save_checkpoint(tmp_path / "fit", 1, state(10))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            save_checkpoint(tmp_path / "fit", 2, state(MIB), keep=1)
        with pytest.raises(sqlite3.OperationalError, match=r"full|disk I/O error"):
            add_until_full(store)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    checkpoint = load_checkpoint(tmp_path / "fit")
    assert checkpoint is not None
    assert checkpoint.step == 1
    assert names(tmp_path / "fit") == [
        f"step-00000001{name}" for name in ("", "/manifest.json", "/state.json", "/tensors.safetensors")
    ]
    kept = [key.seed for key in Store(tmp_path).records("claim", "laptop")]
    assert kept == list(range(len(kept)))
    assert add(Store(tmp_path), len(kept))
