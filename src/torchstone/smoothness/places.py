"""Which line of the user's program is running."""

import linecache
import sys
from pathlib import Path

import torch

from torchstone.smoothness.report import Site

LIBRARIES = (str(Path(torch.__file__).parent), str(Path(__file__).parent))


def site(op: str) -> Site:
    """The innermost line that belongs neither to torch nor to this package."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(LIBRARIES):
        frame = frame.f_back
    file, line = frame.f_code.co_filename, frame.f_lineno
    return Site(op=op, file=file, line=line, source=linecache.getline(file, line, frame.f_globals).strip())
