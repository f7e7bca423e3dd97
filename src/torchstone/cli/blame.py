"""An error in a user's code, told as a compiler would: what went wrong, and in which line."""

import linecache
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import walk_tb

from torchstone.cli.common import UsageError

LIBRARIES = (str(Path(__file__).parents[1]), str(Path(os.__file__).parent), "<frozen")
"""What is not the user's, besides torch: this package and the standard library."""


@contextmanager
def blamed(what: str, hint: Callable[[str], str] = lambda message: "") -> Iterator[None]:
    """Inside the block the errors of a user's code are a :class:`UsageError`.

    Args:
        what: what could not be done, for the head of the message.
        hint: how an error with such a message may be mended; nothing where that is not known.
    """
    try:
        yield
    except UsageError:
        raise
    except Exception as error:
        message = f"{what}: {type(error).__name__}: {error}"
        advice = hint(message)
        raise UsageError("\n".join([message, *source(error), *([f"   = hint: {advice}"] if advice else [])])) from error


def source(error: Exception) -> list[str]:
    """The innermost line of the user's in which the error came up; nothing if there is none."""
    file, line, mark = place(error)
    if not file:
        return []
    name = os.path.relpath(file) if Path(file).is_relative_to(Path.cwd()) else file
    lines = [f"  --> {name}:{line}", "   |", f"{line:2} | {linecache.getline(file, line).rstrip()}"]
    return [*lines, f"   | {' ' * mark}^"] if mark >= 0 else lines


def place(error: Exception) -> tuple[str, int, int]:
    """File, line and column; the column is -1 where it is not known."""
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return error.filename, error.lineno, (error.offset or 0) - 1
    import torch

    libraries = (*LIBRARIES, str(Path(torch.__file__).parent))
    frames = [(frame.f_code.co_filename, line) for frame, line in walk_tb(error.__traceback__)]
    users = [(file, line) for file, line in frames if not file.startswith(libraries)]
    return (*users[-1], -1) if users else ("", 0, -1)
