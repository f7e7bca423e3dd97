"""What a rule says of an operation, and the words that the tables are written in."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from torchstone.smoothness.call import Call, Operand
from torchstone.smoothness.domain import REAL, Interval, Ramp, Shape
from torchstone.smoothness.orders import Order


@dataclass(frozen=True)
class Need:
    """What an operation needs of its argument to be as smooth as its rule says; ``met``: on the sample."""

    text: str
    met: bool


@dataclass(frozen=True)
class Rule:
    """What a call makes of what is known of its operands; the order is besides at most that of each operand.

    Args:
        order: of the operation.
        shape: of the result.
        lipschitz: of the result.
        range: of the entries of the result.
        need: what must hold; ``None`` where it always does.
        ramp: where powers of the result are smoother than it is.
        flat: the derivative is zero almost everywhere.
        hint: what to do about a flat one.
    """

    order: Order | Callable[[Call], Order] = Order.ANALYTIC
    shape: Callable[[Call], Shape] = lambda call: shape_of(call).general()
    lipschitz: Callable[[Call], float] = lambda call: math.inf
    range: Callable[[Call], Interval] = lambda call: REAL
    need: Callable[[Call], Need | None] = lambda call: None
    ramp: Callable[[Call], Ramp | None] = lambda call: None
    flat: bool = False
    hint: str = ""


Table = dict[str, Rule]


def rows(names: str, rule: Rule) -> Table:
    """The same row for several operations."""
    return dict.fromkeys(names.split(), rule)


def shape_of(call: Call) -> Shape:
    """That of the operands, side by side."""
    shape = Shape(0)
    for operand in call.dependent:
        shape = shape | operand.value.shape
    return shape


def slope(steepest: float) -> Callable[[Call], float]:
    """The operation stretches no distance more than so many times."""
    return lambda call: scaled(steepest, math.hypot(*map(call.spread, call.dependent)))


def within(low: float = -math.inf, high: float = math.inf) -> Callable[[Call], Interval]:
    """The entries of the result lie between two numbers."""
    return lambda call: (low, high)


def kept(call: Call) -> Interval:
    """The entries of the result are among those of the operands."""
    ranges = [operand.range for operand in call.operands.values()]
    return min(low for low, _ in ranges), max(high for _, high in ranges)


def scaled(factor: float, bound: float) -> float:
    """A product of bounds, in which 0 times infinity is 0: a constant stays one."""
    return 0.0 if 0 in (factor, bound) else factor * bound


def need(text: str, low: float, high: float, holds: Callable[[Tensor], Tensor]) -> Callable[[Call], Need | None]:
    """The first operand must satisfy ``holds``, which is sure where its range lies in [low, high]."""

    def check(call: Call) -> Need | None:
        return require(call.x, text, low, high, holds)

    return check


def require(x: Operand, text: str, low: float, high: float, holds: Callable[[Tensor], Tensor]) -> Need | None:
    """That an operand satisfies ``holds``, unless it is a constant or its range lies in [low, high]."""
    sure = low <= x.range[0] and x.range[1] <= high
    if not x.depends or sure:
        return None
    return Need(text, all_of(holds, x.data))


def all_of(holds: Callable[[Tensor], Tensor], data: Any) -> bool:
    """Whether every entry satisfies ``holds``."""
    return bool(holds(torch.as_tensor(data).detach()).all())


TINY = math.ulp(0.0)  # the least number above 0: ranges are closed
