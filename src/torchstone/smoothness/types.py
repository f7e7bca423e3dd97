"""What may be known of a function, as types: ``C0 ⊃ C1 ⊃ C2 ⊃ Smooth ⊃ Analytic``, Lipschitz, piecewise linear."""

import math
from dataclasses import dataclass
from typing import ClassVar

from torchstone.smoothness.orders import Order


class C0:
    """Continuous. Each word is a subclass of the weaker one, so type checkers take C1 where C0 is asked for."""

    order: ClassVar[Order] = Order(0)


class C1(C0):
    """Continuously differentiable."""

    order: ClassVar[Order] = Order(1)


class C2(C1):
    """Twice continuously differentiable."""

    order: ClassVar[Order] = Order(2)


class Smooth(C2):
    """Differentiable without end."""

    order: ClassVar[Order] = Order.SMOOTH


class Analytic(Smooth):
    """A power series at every point."""

    order: ClassVar[Order] = Order.ANALYTIC


class PiecewiseLinear:
    """Affine on each of finitely many polyhedra; with :class:`Analytic`, affine."""


@dataclass(frozen=True)
class Lipschitz:
    r"""An upper bound on stretching: :math:`\|f(x) - f(y)\|_2 \le L \|x - y\|_2` for all :math:`x, y`.

    Args:
        bound: :math:`L`, 0 or more, finite.

    Raises:
        TypeError: the bound is no number.
        ValueError: it is negative, infinite or NaN.
    """

    bound: float

    def __post_init__(self) -> None:
        if isinstance(self.bound, bool) or not isinstance(self.bound, int | float):
            raise TypeError(f"bound of Lipschitz must be a number, but it is {self.bound!r}.")
        if not 0 <= self.bound < math.inf:
            raise ValueError(f"bound of Lipschitz must be finite and 0 or more, but it is {self.bound}.")

    def __repr__(self) -> str:
        return f"Lipschitz({self.bound:.4g})"


Property = Lipschitz | type[PiecewiseLinear]
"""What may be said of a function besides its order."""
