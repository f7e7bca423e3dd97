"""The correct programs by name, and one of them with the weights and the sample that a seed decides."""

from collections.abc import Callable, Mapping

from torchstone.nets import seeded
from torchstone.studies.smoothness.composed_programs import COMPOSED
from torchstone.studies.smoothness.program import Program
from torchstone.studies.smoothness.simple_programs import SIMPLE

PROGRAMS: Mapping[str, Callable[[], Program]] = {make.__name__.replace("_", " "): make for make in (*SIMPLE, *COMPOSED)}


def built(name: str, seed: int) -> Program:
    """The program of a name, with the weights and the sample that a seed decides."""
    with seeded(seed):
        return PROGRAMS[name]()
