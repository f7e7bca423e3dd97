"""What may be asked of a fit."""

import math
from typing import Any

from torchstone.programs.holes.objective import BRANCHES


def check_options(branches: Any, batching: Any, steps: Any, restarts: Any, lr: Any, batch: Any, *counts: Any) -> None:
    """Refuse what can't be meant."""
    if branches not in BRANCHES:
        raise ValueError(f"branches must be one of {', '.join(BRANCHES)}, but it is {branches!r}.")
    if batching not in ("vmap", "native", "none"):
        raise ValueError(f"batching must be 'vmap', 'native' or 'none', but it is {batching!r}.")
    if branches == "sample" and batching == "native":
        raise ValueError(
            "branches='sample' draws a path for each example alone, so the function must be written for one example; "
            "it can't be with batching='native'."
        )
    if not (isinstance(lr, int | float) and 0 < lr < math.inf):
        raise ValueError(f"lr must be a positive number, but it is {lr!r}.")
    samples, max_paths, max_steps = counts
    wanted = {"steps": (steps, 0), "restarts": (restarts, 1), "samples": (samples, 2)}
    wanted |= {"max_paths": (max_paths, 1), "max_steps": (max_steps, 1), "batch": (1 if batch is None else batch, 1)}
    for name, (value, least) in wanted.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"{name} must be a whole number, {least} or more, but it is {value!r}.")
