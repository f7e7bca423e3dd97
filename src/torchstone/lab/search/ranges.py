"""What may be tuned: ranges, written as the fields of a frozen dataclass.

A range maps a number ``u`` in [0, 1] to a value, so that any way of spreading points over the unit cube is a search.
"""

import math
from collections.abc import Mapping
from dataclasses import Field, asdict, dataclass, field, fields, is_dataclass
from typing import Any, TypeGuard, TypeVar

Value = str | int | float | bool | None
Choice = TypeVar("Choice", bound=Value)
METADATA = "torchstone.range"
LARGEST_INTEGER = 2**53  # the last one up to which a float counts every integer


@dataclass(frozen=True)
class Linear:
    """All numbers from ``low`` to ``high``, equally likely."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_bounds("linear", self.low, self.high)

    def at(self, u: float) -> float:
        """The value at ``u`` in [0, 1]."""
        return min(self.high, self.low * (1 - u) + self.high * u)

    def holds(self, value: object) -> bool:
        """Whether ``value`` lies in the range."""
        return _is_number(value) and self.low <= value <= self.high

    def code(self, value: float) -> float:
        """``value`` as a number, for a record."""
        return float(value)


@dataclass(frozen=True)
class Log(Linear):
    """All numbers from ``low`` to ``high``, their logarithms equally likely."""

    def __post_init__(self) -> None:
        _check_bounds("log", self.low, self.high)
        _check_positive("log", self.low)

    def at(self, u: float) -> float:
        """The value at ``u`` in [0, 1]."""
        value = math.exp(math.log(self.low) * (1 - u) + math.log(self.high) * u)
        return min(self.high, max(self.low, value))


@dataclass(frozen=True)
class Integer:
    """The whole numbers from ``low`` to ``high``, both included; with ``log``, small ones are likelier."""

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        _check_bounds("integer", self.low, self.high)
        for bound in (self.low, self.high):
            if not isinstance(bound, int) or abs(bound) > LARGEST_INTEGER:
                raise ValueError(f"integer needs whole numbers of at most 2**53 as bounds, but one is {bound!r}.")
        if self.log:
            _check_positive("integer with log=True", self.low)

    def at(self, u: float) -> int:
        """The value at ``u`` in [0, 1]: every whole number n owns the part of the range from n to n + 1."""
        whole = Log if self.log else Linear
        return min(self.high, math.floor(whole(self.low, self.high + 1).at(u)))

    def holds(self, value: object) -> bool:
        """Whether ``value`` lies in the range."""
        return isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high

    def code(self, value: float) -> float:
        """``value`` as a number, for a record."""
        return float(value)


@dataclass(frozen=True)
class Categorical:
    """One of ``choices``, equally likely."""

    choices: tuple[Value, ...]

    def __post_init__(self) -> None:
        for choice in self.choices:
            if not isinstance(choice, Value) or (isinstance(choice, float) and not math.isfinite(choice)):
                raise ValueError(f"categorical needs text, finite numbers, booleans or None, but one is {choice!r}.")
        kinds = {(type(choice), choice) for choice in self.choices}
        if len(kinds) < len(self.choices) or len(kinds) < 2:
            raise ValueError(f"categorical needs two or more choices, all different, but it has {self.choices!r}.")

    def at(self, u: float) -> Value:
        """The value at ``u`` in [0, 1]."""
        return self.choices[min(int(u * len(self.choices)), len(self.choices) - 1)]

    def holds(self, value: object) -> bool:
        """Whether ``value`` is one of the choices."""
        return any(type(value) is type(choice) and value == choice for choice in self.choices)

    def code(self, value: Value) -> float:
        """The place of ``value`` among the choices, for a record, which keeps numbers."""
        return float(next(i for i, c in enumerate(self.choices) if type(c) is type(value) and c == value))


Range = Linear | Integer | Categorical


def linear(low: float, high: float, *, default: float | None = None) -> float:
    """A field for a number from ``low`` to ``high``; its default is the middle, unless given."""
    number: float = _field(Linear(low, high), default)
    return number


def log(low: float, high: float, *, default: float | None = None) -> float:
    r"""A field for a positive number searched on a logarithmic scale; its default is :math:`\sqrt{low \cdot high}`."""
    number: float = _field(Log(low, high), default)
    return number


def integer(low: int, high: int, *, log: bool = False, default: int | None = None) -> int:
    """A field for a whole number from ``low`` to ``high``, both included; its default is the middle, unless given."""
    whole: int = _field(Integer(low, high, log), default)
    return whole


def categorical(*choices: Choice) -> Choice:
    """A field for one of ``choices``; the first is its default."""
    choice: Choice = _field(Categorical(choices), choices[0] if choices else None)
    return choice


def space_of(recipe: type) -> Mapping[str, Range]:
    """The ranges of the dataclass ``recipe``, by field, in their order.

    Raises:
        TypeError: ``recipe`` is no frozen dataclass.
        ValueError: no field is a range, or a field that is none has no default.

    Example:
        >>> @dataclass(frozen=True)
        ... class Recipe:
        ...     lr: float = log(1e-4, 1e-1)
        ...     width: int = integer(8, 64)
        ...     momentum: float = 0.9
        >>> space_of(Recipe)
        {'lr': Log(low=0.0001, high=0.1), 'width': Integer(low=8, high=64, log=False)}
        >>> Recipe(lr=0.01)
        Recipe(lr=0.01, width=36, momentum=0.9)
    """
    if not (isinstance(recipe, type) and is_dataclass(recipe) and recipe.__dataclass_params__.frozen):  # type: ignore[attr-defined]
        raise TypeError(f"recipe must be a class decorated with @dataclass(frozen=True), but it is {recipe!r}.")
    space = {each.name: each.metadata[METADATA] for each in fields(recipe) if METADATA in each.metadata}
    if not space:
        raise ValueError(
            f"{recipe.__name__} has nothing to search: give a field a range, such as lr: float = log(...)."
        )
    try:
        recipe()
    except TypeError as error:
        raise ValueError(f"Every field of {recipe.__name__} needs a range or a default: {error}.") from error
    return space


def describe(recipe: type) -> dict[str, Any]:
    """What ``recipe`` is searched over, and what it fixes, as JSON values for a record."""
    space = space_of(recipe)
    searched = {name: {"range": type(span).__name__.lower()} | asdict(span) for name, span in space.items()}
    fixed = [each.name for each in fields(recipe) if each.name not in space]
    return searched | {name: {"range": "fixed", "value": getattr(recipe(), name)} for name in fixed}


def _field(span: Range, default: Any) -> Any:
    """A dataclass field that carries its range. ``Any``, since a type checker shall see the type of the value."""
    default = span.at(0.5) if default is None and not isinstance(span, Categorical) else default
    if not span.holds(default):
        raise ValueError(f"default must lie in {span}, but it is {default!r}.")
    made: Field[Any] = field(default=default, metadata={METADATA: span})
    return made


def _check_bounds(name: str, low: object, high: object) -> None:
    if not (_is_number(low) and _is_number(high) and -math.inf < low < high < math.inf):
        raise ValueError(f"{name} needs two finite numbers, the lower first, but it has {low!r} and {high!r}.")


def _check_positive(name: str, low: float) -> None:
    if low <= 0:
        raise ValueError(f"{name} needs bounds above 0, but the lower one is {low!r}. Use linear for a range with 0.")


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
