"""What a reality check refuses."""

import math
from collections.abc import Mapping
from typing import Any

from torchstone.lab.reality_check.parts import Parts
from torchstone.lab.search.ranges import space_of


def check_methods(methods: Any, controls: Any) -> None:
    """Refuse what cannot be compared."""
    if not isinstance(methods, Mapping) or len(methods) < 2:
        raise ValueError("methods must map two or more names to (factory, recipe), or there is nothing to compare.")
    for name, pair in methods.items():
        if not (isinstance(name, str) and isinstance(pair, tuple) and len(pair) == 2 and callable(pair[0])):
            raise TypeError(f"methods must map a name to (factory, recipe), but {name!r} maps to {pair!r}.")
        space_of(pair[1])
    for name, factory in controls.items():
        if name in methods or not callable(factory):
            raise ValueError(f"controls must map a name that no method has to a factory, but {name!r}: {factory!r}.")


def check_count(name: str, number: object) -> None:
    """Refuse what is no whole number above 0."""
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise ValueError(f"{name} must be a whole number above 0, but it is {number!r}.")


def check_parts(parts: object, folds: int) -> None:
    """Refuse what ``split`` must not give."""
    if not isinstance(parts, Parts):
        raise TypeError(f"split must give Parts(folds, test), but it gave {type(parts).__name__}.")
    if len(parts.folds) != folds:
        raise ValueError(f"split must give the {folds} folds that it was asked for, but it gave {len(parts.folds)}.")


def check_zone(zone: float) -> None:
    """Refuse what is no half-width of an interval."""
    if not 0 < zone < math.inf:
        raise ValueError(f"zone must be a number above 0, in the unit of the metric, but it is {zone!r}.")
