"""The folders in which unfinished trials keep their checkpoints, one for each trial, locked while it is in use."""

import fcntl
import os
import shutil
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from torchstone.lab.store import Key


class Scratch:
    """A trial's folder, locked against other runs until it is removed or released; the lock ends with the process.

    When another run holds the folder, this one gets a folder of its own beside it, and starts the trial afresh.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder
        descriptor = _lock(folder)
        while descriptor is None:
            self.path = folder.with_name(f"{folder.name}-{os.getpid()}-{os.urandom(2).hex()}")
            descriptor = _lock(self.path)
        self._descriptor = descriptor

    def remove(self) -> None:
        """Delete the folder: its trial is on record."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.release()

    def release(self) -> None:
        """Leave the folder to the next run of its trial."""
        os.close(self._descriptor)


def folder_name(key: Key) -> str:
    """What the folder of the trial with this key is called."""
    return f"{key.study}.{key.code_version}.{key.digest}"


def sweep(root: Path, study: str, code_version: str, on_record: Collection[Key]) -> int:
    """Delete what no later run of ``study`` can use; returns how many folders went.

    These are the folders of trials on record, of other versions of the study's code, and spare ones of killed runs.
    Those that another run has locked stay.
    """
    finished = {folder_name(key) for key in on_record}
    swept = 0
    for folder in sorted(root.glob(f"{study}.*")):
        of_this_version = folder.name.startswith(f"{study}.{code_version}.")
        useful = of_this_version and folder.name not in finished and "-" not in folder.name[len(study) :]
        descriptor = None if useful else _lock(folder)
        if descriptor is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(descriptor)
            swept += 1
    return swept


def _lock(folder: Path) -> int | None:
    """Make and lock ``folder``; ``None`` when another process holds it."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:  # removed by its owner just now
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        if _is_still(folder, descriptor):
            return descriptor
        os.close(descriptor)


def _is_still(folder: Path, descriptor: int) -> bool:
    """Whether the open folder is the one of that name, not a removed one."""
    with suppress(FileNotFoundError):
        return os.path.samestat(folder.stat(), os.fstat(descriptor))
    return False
