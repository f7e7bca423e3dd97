"""Hyperparameters: which values they may take."""

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

COEFFICIENTS = ("alpha", "beta1", "momentum", "rho")
RATES = ("eps", "initial_accumulator_value", "lr", "lr_decay", "momentum_decay", "weight_decay")
FLAGS = ("amsgrad", "centered", "eps_in_root", "maximize", "nesterov")


def check_hyper(hyper: Mapping[str, Any]) -> None:
    """Refuse what no rule can use; names that are not known here are left to the optimizer.

    Raises:
        ValueError: a rate that is negative or not finite, or an average's coefficient outside [0, 1).
        TypeError: no number where there must be one, or a flag that is not True or False.
    """
    for name, value in hyper.items():
        if name in RATES:
            check_number(name, value, math.inf)
        elif name in COEFFICIENTS:
            check_number(name, value, 1.0)
        elif name == "beta1_decay" and not (value == 1 or (0 < value < 1)):
            raise ValueError(f"beta1_decay must lie in (0, 1], but it is {value}.")
        elif name in FLAGS and not isinstance(value, bool):
            raise TypeError(f"{name} must be True or False, but it is {value!r}.")
        elif name == "betas":
            check_betas(value)


def check_number(name: str, value: Any, end: float) -> None:
    """Refuse what is not a number in [0, ``end``)."""
    if isinstance(value, bool) or not isinstance(value, (int, float, Tensor)):
        raise TypeError(f"{name} must be a number, but it is {value!r}, a {type(value).__name__}.")
    if isinstance(value, Tensor) and value.numel() != 1:
        raise ValueError(f"{name} must be one number, but it is a tensor of shape {tuple(value.shape)}.")
    if not 0 <= float(value) < end:
        wanted = "a finite number of 0 or more" if end == math.inf else "a number in [0, 1)"
        raise ValueError(f"{name} must be {wanted}, but it is {value}.")


def check_betas(betas: Any) -> None:
    """Refuse betas that are not two coefficients in [0, 1)."""
    if not isinstance(betas, (tuple, list)) or len(betas) != 2:
        raise TypeError(f"betas must be two numbers, for the first and the second moment, but it is {betas!r}.")
    for place, beta in enumerate(betas):
        check_number(f"betas[{place}]", beta, 1.0)
