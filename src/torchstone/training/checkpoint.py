"""Checkpoints that are whole or absent: folders of safetensors and JSON, with a manifest of SHA-256 sums."""

import json
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torchstone.files import (
    DamagedFileError,
    atomic_directory,
    read_tensors,
    remove_directory,
    sha256,
    tensor_bytes,
)
from torchstone.training.nested import flatten, unflatten

VERSION = 2
_TENSORS, _STATE, _MANIFEST = "tensors.safetensors", "state.json", "manifest.json"
_MAX_MANIFEST = 1 << 16  # bytes; it has some 400


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was read and verified: its folder, its step, and the nested state, with tensors on the CPU."""

    path: Path
    step: int
    state: Any


def save_checkpoint(folder: str | Path, step: int, state: Any, *, keep: int | None = None) -> Path:
    """Write nested ``state`` to ``folder/step-00001200``; a process killed at any moment loses no earlier checkpoint.

    Everything is written and synced under a temporary name, and appears by one rename. Only then are older checkpoints
    removed.

    Args:
        folder: where the checkpoints of one training lie.
        step: how many steps are done, 0 or more.
        state: tensors, numbers, strings, ``None``, and lists, tuples and dicts of them.
        keep: how many checkpoints to keep, this one included; ``None`` keeps all.

    Returns:
        The folder of the new checkpoint.

    Raises:
        FileExistsError: a whole checkpoint of that step is there already (a damaged one is replaced).
        TypeError: the state holds something that is not of these types.

    Example:
        >>> import tempfile, torch
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = save_checkpoint(Path(folder), 12, {"weight": torch.ones(2), "lr": 0.1})
        ...     path.name, load_checkpoint(Path(folder)).state
        ('step-00000012', {'weight': tensor([1., 1.]), 'lr': 0.1})
    """
    if step < 0 or (keep is not None and keep < 1):
        raise ValueError(f"step must be 0 or more and keep 1 or more (or None), but step={step} and keep={keep}.")
    tensors, document = flatten(state)
    folder = Path(folder)
    target = folder / f"step-{step:08d}"
    if target.exists() and not _is_whole(target):
        remove_directory(target)
    with atomic_directory(target) as temporary:
        contents = {_STATE: json.dumps(document).encode(), _TENSORS: tensor_bytes(tensors)}
        sums = {name: sha256(content) for name, content in contents.items()}
        manifest = _seal({"version": VERSION, "step": step, "files": sums})
        for name, content in (contents | {_MANIFEST: manifest}).items():
            (temporary / name).write_bytes(content)  # synced once, before all three appear together
    earlier = [path for path in _checkpoints(folder) if _step(path) <= step]
    for path in earlier[keep:] if keep is not None else []:
        remove_directory(path)
    return target


def load_checkpoint(folder: str | Path) -> Checkpoint | None:
    """Read the latest whole checkpoint in ``folder``; a damaged one is skipped with a warning that names the file.

    Returns:
        The checkpoint, or ``None`` where there is no whole one (or no folder).

    Raises:
        ValueError: the latest checkpoint was written by a newer Torchstone.
    """
    for path in _checkpoints(Path(folder)):
        try:
            return _read(path)
        except DamagedFileError as damage:
            warnings.warn(f"A checkpoint is skipped: {damage}", stacklevel=2)
    return None


def _checkpoints(folder: Path) -> list[Path]:
    found = [path for path in folder.glob("step-*") if re.fullmatch(r"step-\d{8,}", path.name)]
    return sorted(found, key=_step, reverse=True)


def _step(path: Path) -> int:
    return int(path.name.removeprefix("step-"))


def _read(path: Path) -> Checkpoint:
    manifest = _unseal(path / _MANIFEST)
    if manifest["version"] > VERSION:
        raise ValueError(
            f"{path} was written by a newer Torchstone (checkpoint version {manifest['version']}; this one reads up to "
            f"{VERSION}). Upgrade Torchstone, or give another checkpoint folder."
        )
    if manifest["step"] != _step(path):
        raise DamagedFileError(f"{path / _MANIFEST} belongs to another checkpoint: its step is {manifest['step']}.")
    tensors = read_tensors(_existing(path / _TENSORS), manifest["files"][_TENSORS])
    content = _existing(path / _STATE).read_bytes()
    if sha256(content) != manifest["files"][_STATE]:
        raise DamagedFileError(f"{path / _STATE} is damaged: its SHA-256 is not the one in the manifest.")
    return Checkpoint(path, manifest["step"], unflatten(tensors, json.loads(content)))


def _is_whole(path: Path) -> bool:
    try:
        _read(path)
    except DamagedFileError:
        return False
    return True


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise DamagedFileError(f"{path} is missing.")
    return path


def _seal(manifest: Mapping[str, Any]) -> bytes:
    body = json.dumps(manifest, sort_keys=True)
    return json.dumps({"sha256": sha256(body.encode()), "manifest": manifest}, sort_keys=True, indent=1).encode()


def _unseal(path: Path) -> Any:
    with _existing(path).open("rb") as file:
        content = file.read(_MAX_MANIFEST)
    try:
        manifest = json.loads(content)["manifest"]
        whole = _seal(manifest) == content
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedFileError(f"{path} is damaged: it is no manifest of a checkpoint.") from error
    if not whole:
        raise DamagedFileError(f"{path} is damaged: its SHA-256 is not the one recorded in it.")
    return manifest
