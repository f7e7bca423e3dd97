"""How often a function can be differentiated: one small value, ordered from nothing known to analytic."""

import math
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, order=True, repr=False)
class Order:
    r"""The k of :math:`C^k`: -1 for a function that may jump, 0 for a continuous one, ∞ for a smooth one.

    Orders form a chain, and the order of a composition, sum or product is the lowest of its parts:

    .. math:: \text{unknown} < C^{-1} < C^0 < C^1 < \dots < C^\infty < C^\omega, \qquad
              \mathrm{order}(g \circ f) = \min(\mathrm{order}(g), \mathrm{order}(f))

    Args:
        times: k: -1, 0, 1, 2, ... or ``math.inf``; ``-math.inf`` for unknown.
        analytic: equal to its Taylor series around every point; only with ``times`` = ∞.

    Raises:
        ValueError: ``times`` is no such number.

    Example:
        >>> min(Order.ANALYTIC, Order(2), Order(0))
        C0
        >>> Order(1) >= Order(0), Order.UNKNOWN >= Order.DISCONTINUOUS, Order.SMOOTH > Order(1000)
        (True, False, True)
        >>> Order(2).derivative(), Order.ANALYTIC.derivative(), Order(0).derivative()
        (C1, analytic, discontinuous)

    Paper: ``smoothOrder`` of the Modelica Language Specification, section 12.8.
    Differs from the paper: unknown, discontinuous and analytic functions have orders too.
    """

    times: float
    analytic: bool = False

    UNKNOWN: ClassVar["Order"]
    DISCONTINUOUS: ClassVar["Order"]
    SMOOTH: ClassVar["Order"]
    ANALYTIC: ClassVar["Order"]

    def __post_init__(self) -> None:
        whole = math.isinf(self.times) or (self.times >= -1 and self.times == int(self.times))
        if not whole or (self.analytic and self.times != math.inf):
            raise ValueError(
                f"times must be -1, 0, 1, 2, ... or infinite, and infinite if analytic, but times={self.times!r} and "
                f"analytic={self.analytic}."
            )

    def derivative(self) -> "Order":
        """The order of the derivative: one less, if this one is finite."""
        return Order(max(self.times - 1, -1)) if math.isfinite(self.times) else self

    def __repr__(self) -> str:
        return NAMES.get(self, f"C{self.times:.0f}")


Order.UNKNOWN = Order(-math.inf)
Order.DISCONTINUOUS = Order(-1)
Order.SMOOTH = Order(math.inf)
Order.ANALYTIC = Order(math.inf, analytic=True)

NAMES = {
    Order.UNKNOWN: "unknown",
    Order.DISCONTINUOUS: "discontinuous",
    Order.SMOOTH: "smooth",
    Order.ANALYTIC: "analytic",
}
