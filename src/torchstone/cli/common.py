"""What the commands share: errors a user can mend, finding a claim by its name, strict JSON, the screen."""

import json
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from torchstone.lab import Study

OUT = Path("torchstone-runs")
PLAIN_WIDTH = 120  # of tables that go into a file or a pipe


class UsageError(ValueError):
    """Something that a user asked for cannot be; the message says what, and how to mend it."""


def screen(*, errors: bool = False) -> "Console":
    """The console on stdout, or on stderr; tables keep their width where it is not a terminal."""
    from rich.console import Console

    class Screen(Console):
        def on_broken_pipe(self) -> None:
            raise  # rich would exit with 1, which means here that a trial failed

    stream = sys.stderr if errors else sys.stdout
    return Screen(file=stream, width=None if stream.isatty() else PLAIN_WIDTH, highlight=False)


def print_json(value: Any) -> None:
    """Print ``value`` as strict JSON."""
    print(json_text(value))


def json_text(value: Any) -> str:
    """``value`` as strict JSON: what is not finite becomes ``null``."""
    return json.dumps(finite(value), indent=2, ensure_ascii=False, allow_nan=False)


def finite(value: Any) -> Any:
    """``value`` with ``None`` in the place of every number that JSON cannot say.

    >>> finite({"a": [1.0, float("nan")], "b": "x"})
    {'a': [1.0, None], 'b': 'x'}
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [finite(item) for item in value]
    return value


def find_study(name: str) -> "Study":
    """The study called ``name``.

    Raises:
        UsageError: there is none; the message offers names that come close and claims that contain the word.
    """
    from torchstone.lab.discover import UnknownStudyError, discover, find

    try:
        return find(name)
    except UnknownStudyError as error:
        raise UsageError(f"{error}{_speaking_of(name, discover())}") from None


def _speaking_of(word: str, studies: Mapping[str, "Study"]) -> str:
    claims = [study.claim for study in studies.values() if word and word.lower() in study.claim.sentence.lower()]
    lines = [f"  {claim.name}: {claim.sentence}" for claim in claims]
    return "\n".join(["", f"Claims that speak of '{word}':", *lines]) if lines else ""


def check_writable(out: Path, option: str = "--out") -> None:
    """Make the folder ``out``, which belongs to ``option``.

    Raises:
        UsageError: it cannot be made, or nothing can be written into it.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{option} {out} cannot be made: {error.strerror}. Give another folder.") from None
    if not os.access(out, os.W_OK | os.X_OK):
        raise UsageError(f"{option} {out} cannot be written to. Give another folder.")


def check_file(path: Path) -> None:
    """Refuse, as ``--out``, a folder and a place where no file can be made.

    Raises:
        UsageError: it is one of these.
    """
    from tempfile import TemporaryFile

    if path.is_dir():
        raise UsageError(f"--out {path} is a folder. Give a file in it.")
    try:
        TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise UsageError(f"--out {path} cannot be written: {error.strerror}. Give another place.") from error


@contextmanager
def mendable(out: Path, option: str = "--out") -> Iterator[None]:
    """Turn what is wrong with the store below ``out``, which belongs to ``option``, into a :class:`UsageError`."""
    import sqlite3

    from torchstone.files import DamagedFileError
    from torchstone.lab.store import NewerStoreError

    try:
        yield
    except (DamagedFileError, NewerStoreError) as error:
        raise UsageError(f"{option}: {error}") from error
    except sqlite3.OperationalError as error:
        raise UsageError(f"The records in {option} {out} cannot be used: {error}.") from error
