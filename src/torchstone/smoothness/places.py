"""Which line of the user's program is running."""

import linecache
import os
import sys
from pathlib import Path

import torch

from torchstone.smoothness.report import Site

FUNCTION = str(Path(torch.autograd.function.__file__))
LIBRARIES = (f"{Path(torch.__file__).parent}{os.sep}", f"{Path(__file__).parent}{os.sep}")
COMMANDS = str(Path(__file__).parents[1] / "cli")


def site(op: str) -> Site:
    """The innermost line that belongs neither to torch nor to this package; none, if a command called the operation."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(LIBRARIES):
        frame = frame.f_back
    file, line = frame.f_code.co_filename, frame.f_lineno
    if file.startswith(COMMANDS):
        return Site(op=op)
    return Site(op=op, file=file, line=line, source=linecache.getline(file, line, frame.f_globals).strip())


def in_hand_written_function() -> bool:
    """Whether the forward pass of an ``autograd.Function`` is running."""
    frame = sys._getframe(1)
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_code.co_name == "apply" and frame.f_code.co_filename == FUNCTION:
            return True
    return False
