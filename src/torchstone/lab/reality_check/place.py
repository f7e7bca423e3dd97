"""Where a reality check stands: the module that makes it, and its name there, by which a worker process finds it."""

import sys
from types import FrameType


def caller() -> str:
    """For ``__post_init__``: the module that makes the object, found as for a named tuple.

    What ``dataclasses.replace`` makes is of the module that calls it.
    """
    frame: FrameType | None = sys._getframe(3)  # above this function, __post_init__ and __init__
    while frame and frame.f_globals.get("__name__") == "dataclasses":
        frame = frame.f_back
    return str(frame.f_globals.get("__name__", "__main__")) if frame else "__main__"


def name_of(value: object, module: str) -> str:
    """The name of ``value`` in its module; one that no other process can find where it has none."""
    named = vars(sys.modules[module]).items() if module in sys.modules else ()
    return next((name for name, other in named if other is value), "<locals>.check")
