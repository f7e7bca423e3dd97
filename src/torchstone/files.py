"""Files that are either whole or absent: atomic writes, checksums, tensors without pickle.

Every writer here goes through a temporary file beside the target, ``fsync`` and ``os.replace``, so a process killed at
any moment leaves the old file or the new one, never a part of either.
"""

import hashlib
import math
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

TEMPORARY_SUFFIX = ".tmp"
MAX_HEADER = 1 << 24  # bytes of names and shapes in a safetensors file: enough for some 100,000 tensors


class DamagedFileError(ValueError):
    """A file's content is not what was written to it."""


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``target`` that becomes ``target`` when the block ends without an error."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(target)
    try:
        yield temporary
        _sync(temporary)
        temporary.replace(target)
        _sync(target.parent)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


@contextmanager
def atomic_directory(target: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``target`` that becomes ``target`` when the block ends without an error.

    Raises:
        FileExistsError: ``target`` exists; no portable call swaps two folders, so a whole one is never replaced.
    """
    if target.exists():
        raise FileExistsError(f"{target} exists, and a folder cannot be replaced atomically. Remove it first.")
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(target)
    temporary.mkdir()
    try:
        yield temporary
        for path in [*temporary.rglob("*"), temporary]:
            _sync(path)
        temporary.replace(target)
        _sync(target.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_directory(target: Path) -> None:
    """Delete a folder and what is in it; a process killed meanwhile leaves no half-deleted folder under that name."""
    temporary = _beside(target)
    target.replace(temporary)
    shutil.rmtree(temporary)


def write_bytes(target: Path, content: bytes) -> None:
    """Write ``content`` to ``target`` atomically."""
    with atomic_path(target) as temporary:
        temporary.write_bytes(content)


def write_text(target: Path, content: str) -> None:
    """Write ``content`` to ``target`` atomically, as UTF-8."""
    write_bytes(target, content.encode())


def sha256(content: bytes) -> str:
    """The hexadecimal SHA-256 of ``content``."""
    return hashlib.sha256(content).hexdigest()


def tensor_bytes(tensors: "Mapping[str, Tensor]", metadata: Mapping[str, str] | None = None) -> bytes:
    """Named tensors, and texts for :func:`read_metadata`, as the content of a safetensors file.

    Tensors that share memory are written by value, and come back apart.

    Raises:
        TypeError: safetensors knows no such type of numbers (complex128, say).
    """
    from safetensors.torch import save

    try:
        return save(_apart(tensors), None if metadata is None else dict(metadata))
    except KeyError as error:
        raise TypeError(
            f"A safetensors file cannot hold tensors of the type {error.args[0]}. Convert them first: a complex tensor "
            "with torch.view_as_real, say."
        ) from error


def write_tensors(target: Path, tensors: "Mapping[str, Tensor]") -> str:
    """Write :func:`tensor_bytes` to ``target`` atomically; returns the SHA-256 of the file."""
    content = tensor_bytes(tensors)
    write_bytes(target, content)
    return sha256(content)


def read_tensors(source: Path, expected_sha256: str | None = None) -> "dict[str, Tensor]":
    """Read named tensors from a safetensors file.

    Args:
        source: the file.
        expected_sha256: what :func:`write_tensors` returned; ``None`` reads without the check.

    Raises:
        DamagedFileError: the file is not the one that was written, or no safetensors file. A file that announces a
            header beyond its own end or beyond 16 MiB (so do pickles and zips) is refused before it is read.
    """
    from safetensors.torch import load

    _check_header(source)
    content = source.read_bytes()
    if expected_sha256 is not None and sha256(content) != expected_sha256:
        raise DamagedFileError(
            f"{source} is damaged: its SHA-256 is not the one recorded when it was written. Delete it and run again."
        )
    with _whole(source):
        tensors: dict[str, Tensor] = load(content)
    return tensors


def read_metadata(source: Path) -> dict[str, str]:
    """The texts that a safetensors file holds beside its tensors; empty, if it has none. No tensor is read.

    Raises:
        DamagedFileError: the file is no safetensors file, as for :func:`read_tensors`.
    """
    from safetensors import safe_open

    _check_header(source)
    with _whole(source), safe_open(source, "pt") as file:
        return dict(file.metadata() or {})


def remove_temporaries(folder: Path, *, older_than: float = 0.0) -> int:
    """Delete what killed writers left in ``folder`` (not below it); returns how many files and folders went.

    Args:
        folder: where to look.
        older_than: seconds since the last change; what is younger stays, in a folder that others may be writing to.
    """
    latest = time.time() - older_than
    orphans = [path for path in folder.glob(f".*{TEMPORARY_SUFFIX}*") if _changed(path) <= latest]
    for orphan in orphans:
        if orphan.is_dir():
            shutil.rmtree(orphan, ignore_errors=True)
        else:
            orphan.unlink(missing_ok=True)
    return len(orphans)


@contextmanager
def _whole(source: Path) -> Iterator[None]:
    """Say of which file it is that safetensors cannot read it."""
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        raise DamagedFileError(f"{source} is not a whole safetensors file ({error}). Get or write it again.") from error


def _check_header(source: Path) -> None:
    with source.open("rb") as file:
        announced = int.from_bytes(file.read(8), "little")
        size = os.fstat(file.fileno()).st_size
    if announced > min(MAX_HEADER, size - 8):
        raise DamagedFileError(
            f"{source} is damaged or not a whole safetensors file: it has {size} bytes and announces a header of "
            f"{announced}. Get or write it again."
        )


def _changed(path: Path) -> float:
    """When a file or folder was last changed, in seconds; never, for one that has just gone."""
    try:
        return path.lstat().st_mtime
    except FileNotFoundError:
        return math.inf


def _apart(tensors: "Mapping[str, Tensor]") -> "dict[str, Tensor]":
    """The tensors on the CPU, each in memory of its own."""
    apart: dict[int, Tensor] = {}  # by the address of the memory
    named = {}
    for name, tensor in tensors.items():
        plain = tensor.detach().cpu().contiguous()
        address = plain.untyped_storage().data_ptr()
        named[name] = plain.clone() if address in apart else apart.setdefault(address, plain)
    return named


def _beside(target: Path) -> Path:
    return target.with_name(f".{target.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}{TEMPORARY_SUFFIX}")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
