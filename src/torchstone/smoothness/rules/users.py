"""Where rules are found: ours by the name of the operation, users' by name or function."""

import math
from collections.abc import Callable
from typing import Any

from torchstone.smoothness.domain import REAL, Interval
from torchstone.smoothness.orders import Order
from torchstone.smoothness.rules.flat import FLAT
from torchstone.smoothness.rules.kinked import KINKED
from torchstone.smoothness.rules.layers import LAYERS
from torchstone.smoothness.rules.linear import LINEAR
from torchstone.smoothness.rules.powers import POWERS
from torchstone.smoothness.rules.products import PRODUCTS
from torchstone.smoothness.rules.rule import Rule, Table, slope, within
from torchstone.smoothness.rules.smooth import SMOOTH

RULES: Table = SMOOTH | KINKED | FLAT | LINEAR | PRODUCTS | POWERS | LAYERS
REGISTERED: dict[Any, Rule] = {}


def register(
    op: str | Callable[..., Any],
    *,
    order: Order | int,
    lipschitz: float = math.inf,
    range: Interval = REAL,
    flat: bool = False,
) -> None:
    r"""Tell the check what an operation of your own does; it is trusted.

    Args:
        op: ``"mylib::op"`` for an operation of ``torch.ops``, the name of any other, or the function itself.
        order: how often it can be differentiated: an :class:`Order`, or its number.
        lipschitz: it stretches no distance between its arguments, taken together, more than so many times.
        range: the least and the largest entry of what it returns.
        flat: whether its derivative is zero almost everywhere.

    Raises:
        TypeError: ``op`` is neither a name nor callable.
        ValueError: ``lipschitz`` is negative or NaN, or ``range`` is empty.

    Example:
        >>> register("mylib::bump", order=Order.SMOOTH, lipschitz=1, range=(0, 1))
    """
    if not isinstance(op, str) and not callable(op):
        raise TypeError(f"op must be the name of an operation or a function, but it is of type {type(op).__name__}.")
    if not lipschitz >= 0 or not range[0] <= range[1]:
        raise ValueError(
            f"lipschitz must be 0 or more, and range go from low to high, but lipschitz={lipschitz!r} and "
            f"range={range!r}."
        )
    order = order if isinstance(order, Order) else Order(order)
    REGISTERED[op] = Rule(order, lipschitz=slope(lipschitz), range=within(*range), flat=flat)


def find(function: Callable[..., Any], name: str) -> Rule | None:
    """The rule of a function that torch calls ``name``."""
    if REGISTERED:
        for key in (function, getattr(function, "_qualified_op_name", None), name):
            if key in REGISTERED:
                return REGISTERED[key]
    return RULES.get(name)
