"""Hyperparameters: which values they may take."""

import math
from collections.abc import Mapping
from typing import Any

HALF_OPEN = ("alpha", "momentum", "momentum_decay", "rho")
NOT_NEGATIVE = ("eps", "initial_accumulator_value", "lr", "lr_decay", "weight_decay")


def check_hyper(hyper: Mapping[str, Any]) -> None:
    """Refuse what no rule can use.

    Raises:
        ValueError: a rate below 0, an average's coefficient outside [0, 1), or nan.
    """
    for name in NOT_NEGATIVE:
        if name in hyper and not 0 <= float(hyper[name]) < math.inf:
            raise ValueError(f"{name} must be a finite number of 0 or more, but it is {hyper[name]}.")
    for name in HALF_OPEN:
        if name in hyper and not 0 <= float(hyper[name]) < 1:
            raise ValueError(f"{name} must lie in [0, 1), but it is {hyper[name]}.")
    check_betas(hyper.get("betas", (0.0, 0.0)))


def check_betas(betas: Any) -> None:
    """Refuse betas that are not two coefficients in [0, 1)."""
    if len(betas) != 2:
        raise ValueError(f"betas must be two numbers, of the first and the second moment, but it is {betas}.")
    for place, beta in enumerate(betas):
        if not 0 <= float(beta) < 1:
            raise ValueError(f"betas[{place}] must lie in [0, 1), but it is {beta}.")
