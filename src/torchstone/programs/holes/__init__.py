"""Holes in ordinary programs, learned from what the whole program should return.

To read it from the mathematics on: ``deciders`` and ``averages`` (what a decision does), ``paths`` (all of them, by
replay), ``objective`` (the loss over paths), ``fitting`` (descent). ``calls`` is what a program writes, ``run`` where
it goes; ``bodies`` and ``choices``, held by a ``container``, fill holes, and ``examples`` make a ``task``. Before
training ``repeatable``, ``survey`` and ``confounding`` look at it; afterwards there are ``explain`` and ``validity``.
``search`` needs no gradient. ``program`` puts all together.
"""

from torchstone.programs.holes.bodies import MLP, Monotone, Poly, Threshold
from torchstone.programs.holes.calls import choose, flag, hole, permute, select
from torchstone.programs.holes.choices import Choose, Permutation
from torchstone.programs.holes.confounding import ConfoundedWarning
from torchstone.programs.holes.deciders import DisagreementError
from torchstone.programs.holes.fallback import FallbackWarning
from torchstone.programs.holes.fitting import Fit, Hardened, Restart
from torchstone.programs.holes.paths import TooManyPathsError
from torchstone.programs.holes.program import Program, program
from torchstone.programs.holes.repeatable import NotRepeatableError
from torchstone.programs.holes.search import Search
from torchstone.programs.holes.survey import UnreachedError
from torchstone.programs.holes.validity import ExtrapolationWarning

__all__ = [
    "MLP",
    "Choose",
    "ConfoundedWarning",
    "DisagreementError",
    "ExtrapolationWarning",
    "FallbackWarning",
    "Fit",
    "Hardened",
    "Monotone",
    "NotRepeatableError",
    "Permutation",
    "Poly",
    "Program",
    "Restart",
    "Search",
    "Threshold",
    "TooManyPathsError",
    "UnreachedError",
    "choose",
    "flag",
    "hole",
    "permute",
    "program",
    "select",
]
