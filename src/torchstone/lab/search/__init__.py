"""Fair search: the same budget for every arm, selection on validation data, settings that any resume repeats."""

from torchstone.lab.search.budget import Budget, tuned_arms
from torchstone.lab.search.journal import Tried
from torchstone.lab.search.ranges import categorical, describe, integer, linear, log, space_of
from torchstone.lab.search.samplers import random_setting, sobol_setting
from torchstone.lab.search.tpe import tpe_setting
from torchstone.lab.search.tune import Attempt, Found, NothingFoundError, tune

__all__ = [
    "Attempt",
    "Budget",
    "Found",
    "NothingFoundError",
    "Tried",
    "categorical",
    "describe",
    "integer",
    "linear",
    "log",
    "random_setting",
    "sobol_setting",
    "space_of",
    "tpe_setting",
    "tune",
    "tuned_arms",
]
