"""The folders in which unfinished trials keep their checkpoints, one for each trial, locked while it is in use."""

import fcntl
import os
import shutil
from contextlib import suppress
from pathlib import Path


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


def sweep(root: Path, study: str, code_version: str) -> int:
    """Delete what no later run of ``study`` can use: folders of other versions of its code, and spare ones.

    Folders are called ``<study>.<code version>.<key>``, spare ones have a suffix more. Those in use stay.
    Returns how many went.
    """
    swept = 0
    for folder in sorted(root.glob(f"{study}.*")):
        useful = folder.name.startswith(f"{study}.{code_version}.") and "-" not in folder.name[len(study) :]
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
