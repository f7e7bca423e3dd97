"""What is known of one tensor, relative to the sources: the abstract value that operations turn into another."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from torchstone.smoothness.orders import Order
from torchstone.smoothness.report import Condition, Kink, Site

T = TypeVar("T")
Interval = tuple[float, float]
REAL: Interval = (-math.inf, math.inf)


@dataclass(frozen=True)
class Shape:
    r"""What kind of function: polynomial of a ``degree`` (∞ for none) on one or on several ``pieces`` of space.

    >>> Shape(1) | Shape(0), Shape(1, pieces=True) * Shape(2), Shape(3).general()
    (affine, piecewise polynomial of degree 3, general)
    """

    degree: float
    pieces: bool = False

    def __or__(self, other: "Shape") -> "Shape":
        """Of a sum."""
        return Shape(max(self.degree, other.degree), self.pieces or other.pieces)

    def __mul__(self, other: "Shape") -> "Shape":
        """Of a product."""
        return Shape(self.degree + other.degree, self.pieces or other.pieces)

    def power(self, n: float) -> "Shape":
        """Of the n-th power."""
        return Shape(self.degree * n, self.pieces)

    def cut(self) -> "Shape":
        """With another formula on each of several pieces."""
        return Shape(self.degree, pieces=True)

    def flat(self) -> "Shape":
        """Constant on each of several pieces."""
        return Shape(0, pieces=True)

    def general(self) -> "Shape":
        """Of no kind that has a name here, unless it is constant."""
        return Shape(math.inf) if self.degree or self.pieces else self

    def __repr__(self) -> str:
        if self.degree == math.inf:
            return "general"
        words = {0.0: "constant", 1.0: "linear" if self.pieces else "affine"}
        word = words.get(self.degree, f"polynomial of degree {self.degree:.0f}")
        return f"piecewise {word}" if self.pieces else word


@dataclass(frozen=True)
class Cut:
    """Why the gradient of a source ends: at ``site``, severed or multiplied by a derivative of zero."""

    kind: Literal["cut", "zero"]
    site: Site
    reason: str
    hint: str


@dataclass(frozen=True, eq=False)
class Ramp:
    """A value that is :math:`|u|^k` or :math:`max(u, 0)^k` up to factors: its kinks lie where it is 0."""

    base: "Value"
    power: int


@dataclass(frozen=True, eq=False)
class Value:
    """What is known of a tensor as a function of the sources.

    Args:
        site: the operation that made it; for a source, ``op`` is its name.
        parents: the values it was made from.
        live: sources with a path of derivatives that are not zero everywhere.
        blocked: sources it depends on by other paths only, and where those end.
        order: of smoothness, where the conditions hold and on the branch taken.
        shape: constant, affine, ...
        lipschitz: upper bound on its change over that of all sources together, in Euclidean norms.
        range: what its entries can be, whatever the sources are.
        kinks: what lowered the order.
        conditions: what must hold.
        ramp: set where powers of this value are smoother than it is.
    """

    site: Site = field(default_factory=Site)
    parents: tuple["Value", ...] = ()
    live: frozenset[str] = frozenset()
    blocked: Mapping[str, Cut] = field(default_factory=dict)
    order: Order = Order.ANALYTIC
    shape: Shape = Shape(0)
    lipschitz: float = 0.0
    range: Interval = REAL
    kinks: tuple[Kink, ...] = ()
    conditions: tuple[Condition, ...] = ()
    ramp: Ramp | None = None

    @property
    def depends(self) -> bool:
        """Whether any source has a part in it."""
        return bool(self.live or self.blocked)

    def path(self, source: str) -> tuple[str, ...]:
        """From ``source`` to here: its name, then the operations with their lines."""
        steps: list[str] = []
        value = self
        while value.parents:
            steps.append(f"{value.site.op} ({value.site.line})" if value.site.line else value.site.op)
            value = next(parent for parent in value.parents if source in parent.live or source in parent.blocked)
        return (source, *reversed(steps))


CONSTANT = Value()


def source(name: str) -> Value:
    """A parameter or an input: itself, as a function of the sources."""
    return Value(site=Site(op=name), live=frozenset([name]), shape=Shape(1), lipschitz=1.0)


def ancestry(value: Value) -> list[Value]:
    """A value and all that it was made from."""
    found, pending = {value: None}, [value]
    while pending:
        fresh = dict.fromkeys(parent for parent in pending.pop().parents if parent not in found)
        found |= fresh
        pending += fresh
    return list(found)


def gradients(values: Iterable[Value]) -> tuple[frozenset[str], dict[str, Cut]]:
    """Which sources are live in any of the values, and where the others end."""
    values = list(values)
    live = frozenset().union(*(value.live for value in values))
    blocked: dict[str, Cut] = {}
    for value in values:
        for name, cut in value.blocked.items():
            if name not in live:
                blocked.setdefault(name, cut)
    return live, blocked


def joined(values: Iterable[Value], site: Site) -> Value:
    """What is known of several tensors side by side."""
    values = list(values)
    if len(values) == 1:
        return values[0]
    live, blocked = gradients(values)
    shape = Shape(0)
    for value in values:
        shape = shape | value.shape
    return Value(
        site=site,
        parents=tuple(value for value in values if value.depends),
        live=live,
        blocked=blocked,
        order=min((value.order for value in values), default=Order.ANALYTIC),
        shape=shape,
        lipschitz=math.hypot(*(value.lipschitz for value in values)),
        range=hull(value.range for value in values),
        kinks=union(value.kinks for value in values),
        conditions=union(value.conditions for value in values),
    )


def hull(ranges: Iterable[Interval]) -> Interval:
    """The least interval that holds all."""
    lows, highs = zip(*ranges, strict=True) if (ranges := list(ranges)) else ([-math.inf], [math.inf])
    return min(lows), max(highs)


def union(groups: Iterable[tuple[T, ...]]) -> tuple[T, ...]:
    """All that is in any of the groups, once, in order."""
    return tuple(dict.fromkeys(item for group in groups for item in group))
