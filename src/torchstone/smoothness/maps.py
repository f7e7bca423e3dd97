"""Functions with a declared class: that of ``f >> g``, ``f + g`` and ``3 * f`` is computed without running them."""

import math
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar, overload

from torch import Tensor

from torchstone.smoothness.types import C0, Lipschitz, PiecewiseLinear, Property

P = ParamSpec("P")
K = TypeVar("K", bound=C0, covariant=True)
L = TypeVar("L", bound=C0)


class Map(Generic[P, K]):
    r"""A function to tensors, of which a class is declared: order of smoothness, Lipschitz bound, piecewise linear.

    .. math:: f, g \in C^k \Rightarrow g \circ f,\; f + g,\; a f \in C^k, \qquad
              L_{g \circ f} \le L_f L_g, \quad L_{f + g} \le L_f + L_g, \quad L_{a f} = |a| L_f

    ``f >> g`` is :math:`g \circ f` (first f), ``f + g`` and ``a * f`` are pointwise. mypy and pyright know the order:
    ``Map[P, C1]`` is taken where ``Map[P, C0]`` is asked for and not the other way round, and a composition has the
    weaker order of its two sides. The declaration is trusted; :func:`differentiable` makes maps that are checked.

    Args:
        function: takes what it takes (``P``), returns a tensor. ``g`` in ``f >> g`` takes one tensor.
        order: ``C0``, ``C1``, ``C2``, ``Smooth`` or ``Analytic``.
        properties: ``Lipschitz(L)``, ``PiecewiseLinear``, or none.
        name: in messages; by default the function's own.

    Raises:
        TypeError: an argument is none of these, or an operand is not a :class:`Map`.

    Example:
        >>> import torch
        >>> from torchstone.smoothness import C1, Analytic
        >>> relu = Map(torch.relu, C0, Lipschitz(1), PiecewiseLinear)
        >>> double = Map(lambda x: 2 * x, Analytic, Lipschitz(2), PiecewiseLinear, name="double")
        >>> tanh = Map(torch.tanh, Analytic, Lipschitz(1))
        >>> double >> relu
        Map(double >> relu: C0, Lipschitz(2), PiecewiseLinear)
        >>> 3 * (double >> tanh) + tanh
        Map((3 * (double >> tanh)) + tanh: Analytic, Lipschitz(7))
        >>> (double >> relu >> tanh).require(C1)
        Traceback (most recent call last):
        TypeError: double >> relu >> tanh must be C1, but relu is only C0.

    Paper: Elliott 2018, arXiv:1804.00746, for composition as the interface of differentiation.
    Differs from the paper: orders and Lipschitz bounds are composed; derivatives are left to autograd.
    """

    def __init__(
        self,
        function: Callable[P, Tensor],
        order: type[K],
        *properties: Property,
        name: str | None = None,
    ) -> None:
        _check(function, order, properties)
        bounds = [known.bound for known in properties if isinstance(known, Lipschitz)]
        self.function = function
        self.order = order
        self.lipschitz = min(bounds, default=math.inf)
        self.piecewise_linear = PiecewiseLinear in properties
        self.name = name or str(getattr(function, "__name__", type(function).__name__))
        self.pieces: tuple[Map[Any, C0], ...] = (self,)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Tensor:
        """What the function returns."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"Map({self.name}: {', '.join([self.order.__name__, *map(_word, self.properties)])})"

    @property
    def properties(self) -> tuple[Property, ...]:
        """What is known besides the order."""
        bound = () if math.isinf(self.lipschitz) else (Lipschitz(self.lipschitz),)
        return (*bound, PiecewiseLinear) if self.piecewise_linear else bound

    @overload  # the order is a chain: what comes after is as strong as this map, or weaker
    def __rshift__(self: "Map[P, L]", after: "Map[[Tensor], L]") -> "Map[P, L]": ...
    @overload
    def __rshift__(  # type: ignore[overload-cannot-match]
        self: "Map[P, C0]", after: "Map[[Tensor], L]"
    ) -> "Map[P, L]": ...
    def __rshift__(self, after: "Map[[Tensor], Any]") -> "Map[P, Any]":
        first, second = self, _operand(after, "f >> g")
        bound = _product(first.lipschitz, second.lipschitz)
        return _join(lambda *a, **k: second(first(*a, **k)), f"{first.name} >> {second.name}", (first, second), bound)

    @overload
    def __add__(self: "Map[P, L]", other: "Map[P, L]") -> "Map[P, L]": ...
    @overload
    def __add__(  # type: ignore[overload-cannot-match]
        self: "Map[P, C0]", other: "Map[P, L]"
    ) -> "Map[P, L]": ...
    def __add__(self, other: "Map[P, Any]") -> "Map[P, Any]":
        f, g = self, _operand(other, "f + g")
        name = f"{_bracketed(f)} + {_bracketed(g)}"
        return _join(lambda *a, **k: _sum(f(*a, **k), g(*a, **k)), name, (f, g), f.lipschitz + g.lipschitz)

    def __mul__(self, factor: float) -> "Map[P, K]":
        a = _factor(factor)
        name = f"{factor} * {_bracketed(self)}"
        return _join(lambda *b, **k: a * self(*b, **k), name, (self,), _product(abs(a), self.lipschitz))

    __rmul__ = __mul__

    def require(self, order: type[L], *properties: Property) -> "Map[P, L]":
        """This map, for those who need it to be of a class.

        Raises:
            TypeError: it is not known to be; the message names the pieces that are too weak.
        """
        for needed in (order, *properties):
            if why := _lacking(self, needed):
                raise TypeError(f"{self.name} must be {_word(needed)}, but {why}.")
        return self  # type: ignore[return-value]


def _lacking(whole: Map[Any, C0], needed: type[C0] | Property) -> str:
    """Why ``whole`` is not known to be what is ``needed``; empty if it is."""
    if isinstance(needed, Lipschitz):
        factors = ", ".join(f"{piece.name} has {piece.lipschitz:.4g}" for piece in whole.pieces)
        return "" if whole.lipschitz <= needed.bound else f"its bound is {whole.lipschitz:.4g}: {factors}"
    if needed is PiecewiseLinear:
        weak = [f"{piece.name} is not" for piece in whole.pieces if not piece.piecewise_linear]
    else:
        weak = [f"{p.name} is only {p.order.__name__}" for p in whole.pieces if not issubclass(p.order, needed)]
    return " and ".join(dict.fromkeys(weak))


def _join(function: Callable[P, Tensor], name: str, parts: tuple[Map[Any, L], ...], lipschitz: float) -> Map[P, L]:
    """The map of ``function``, which is made of ``parts``: as weak as the weakest of them."""
    order = min((part.order for part in parts), key=lambda order: order.order)
    properties: list[Property] = [Lipschitz(lipschitz)] if math.isfinite(lipschitz) else []
    if all(part.piecewise_linear for part in parts):
        properties.append(PiecewiseLinear)
    joined = Map(function, order, *properties, name=name)
    joined.pieces = tuple(piece for part in parts for piece in part.pieces)
    return joined


def _sum(a: Tensor, b: Tensor) -> Tensor:
    if a.shape != b.shape:
        raise ValueError(
            f"f and g in f + g must return tensors of the same shape, but these are {tuple(a.shape)} and "
            f"{tuple(b.shape)}: with broadcasting the Lipschitz bounds would not add up."
        )
    return a + b


def _product(a: float, b: float) -> float:
    return 0.0 if 0 in (a, b) else a * b  # a constant stays one, whatever comes after it


def _bracketed(part: Map[Any, C0]) -> str:
    return part.name if part.pieces == (part,) else f"({part.name})"


def _word(known: type[C0] | Property) -> str:
    return known.__name__ if isinstance(known, type) else repr(known)


def _operand(value: object, where: str) -> Map[Any, Any]:
    if isinstance(value, Map):
        return value
    name = getattr(value, "__name__", type(value).__name__)
    raise TypeError(
        f"Both sides of {where} must be a Map, but {name} is a {type(value).__name__}, of which nothing is known. "
        f"Declare it, Map({name}, C0), or have it checked, differentiable(C0)({name})."
    )


def _factor(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError(f"a in a * f must be a finite number, but it is {value!r}.")
    return value


def _check(function: object, order: object, properties: tuple[object, ...]) -> None:
    if not callable(function):
        raise TypeError(f"function of Map must be callable, but it is a {type(function).__name__}.")
    if not (isinstance(order, type) and issubclass(order, C0)):
        raise TypeError(f"order of Map must be C0, C1, C2, Smooth or Analytic, but it is {order!r}.")
    for known in properties:
        if not isinstance(known, Lipschitz) and known is not PiecewiseLinear:
            raise TypeError(f"properties of Map must be Lipschitz(L) or PiecewiseLinear, but one is {known!r}.")
