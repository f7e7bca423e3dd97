"""What may be asked of a fit."""

import math
from typing import Any

from torchstone.programs.holes.bodies import count
from torchstone.programs.holes.objective import BRANCHES
from torchstone.programs.holes.task import BATCHING


def check_words(branches: Any, batching: Any) -> None:
    """Refuse words that mean nothing, or nothing together."""
    if branches not in BRANCHES:
        raise ValueError(f"branches must be one of {', '.join(BRANCHES)}, but it is {branches!r}.")
    if batching not in BATCHING:
        raise ValueError(f"batching must be 'vmap', 'native' or 'none', but it is {batching!r}.")
    if branches == "sample" and batching == "native":
        raise ValueError(
            "branches='sample' draws a path for each example alone, so the function must be written for one example; "
            "it can't be with batching='native'."
        )


def check_counts(**counts: tuple[Any, int]) -> None:
    """Refuse what is no whole number, or below the least that comes with it."""
    for name, (value, least) in counts.items():
        count(name, value, least)


def check_rate(lr: Any) -> None:
    """Refuse what is no learning rate."""
    if not (isinstance(lr, int | float) and 0 < lr < math.inf):
        raise ValueError(f"lr must be a positive number, but it is {lr!r}.")
