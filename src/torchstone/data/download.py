"""Files from the internet, checked before anyone sees them."""

import hashlib
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

from torchstone.files import DamagedFileError, atomic_path

CHUNK = 1 << 18  # bytes
TIMEOUT = 30  # seconds without an answer


def download(url: str, target: Path, *, sha256: str) -> None:
    """Fetch ``url`` into ``target`` with a progress bar; the file appears only when it is whole and the right one.

    Args:
        url: where it is; http, https or file.
        target: where it goes; its folder is made.
        sha256: hexadecimal SHA-256 that the file must have.

    Raises:
        ConnectionError: the server cannot be reached, refuses, or stops in the middle; or ``target`` cannot be written.
        DamagedFileError: what came has another SHA-256.
    """
    try:
        with atomic_path(target) as temporary:
            found = _fetch(url, temporary)
            if found != sha256:
                raise DamagedFileError(
                    f"{url} gave a file with SHA-256 {found}, but {sha256} was expected; it was discarded."
                )
    except (OSError, HTTPException) as error:
        raise ConnectionError(f"{url} could not be downloaded: {error}.") from error


def _fetch(url: str, target: Path) -> str:
    """Write what the server sends to ``target``; returns its SHA-256."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    digest = hashlib.sha256()
    with (
        urlopen(url, timeout=TIMEOUT) as response,
        target.open("wb") as sink,
        Progress(*columns, console=Console(stderr=True), transient=True) as progress,
    ):
        size = response.headers.get("Content-Length")
        task = progress.add_task(url.rsplit("/", 1)[-1], total=int(size) if size else None)
        while chunk := response.read(CHUNK):
            sink.write(chunk)
            digest.update(chunk)
            progress.advance(task, len(chunk))
        if size and sink.tell() < int(size):
            raise ConnectionError(f"the connection ended after {sink.tell()} of {size} bytes")
    return digest.hexdigest()
