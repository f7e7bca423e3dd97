"""One call of a torch function, as the rules see it."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from torchstone.smoothness.domain import CONSTANT, REAL, Interval, Value, hull


@dataclass(frozen=True, eq=False)
class Operand:
    """An argument that takes part in the mathematics: its data before the call, and what is known of it."""

    data: Any
    value: Value

    @property
    def depends(self) -> bool:
        """Whether the sources have a part in it."""
        return self.value.depends

    @cached_property
    def range(self) -> Interval:
        """What its entries can be; of a constant, what they are."""
        return self.value.range if self.depends else extent(self.data)

    @property
    def largest(self) -> float:
        """No entry is larger in size."""
        return max(map(abs, self.range))


@dataclass(frozen=True, eq=False)
class Call:
    """``name`` is that of the rule; ``operands`` are the tensors among the arguments, by ``id``, in order."""

    name: str
    function: Callable[..., Any]
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    operands: Mapping[int, Operand]
    result: Any = None

    def given(self, position: int, name: str, default: Any = None) -> Any:
        """An argument as the caller wrote it, by position or by name."""
        return self.args[position] if len(self.args) > position else self.kwargs.get(name, default)

    def operand(self, position: int, name: str = "") -> Operand:
        """An argument with what is known of it; a number is a constant."""
        argument = self.given(position, name)
        return self.operands.get(id(argument), Operand(argument, CONSTANT))

    @property
    def x(self) -> Operand:
        """The first argument (or, where it was given by name or in a list, the first tensor)."""
        return (
            self.operand(0) if self.args and id(self.args[0]) in self.operands else next(iter(self.operands.values()))
        )

    @property
    def dependent(self) -> list[Operand]:
        """The operands that the sources have a part in, each as often as it is an argument."""
        arguments = [self.operands[id(t)] for t in tensors([self.args, self.kwargs]) if id(t) in self.operands]
        return [operand for operand in arguments if operand.depends]

    @property
    def numel(self) -> int:
        """Entries of the result, or of what was written into."""
        results = tensors(self.args[:1] if self.result is None else self.result)
        return sum(tensor.numel() for tensor in results if tensor.is_floating_point() or tensor.is_complex())

    def spread(self, operand: Operand) -> float:
        """Lipschitz bound of an operand after broadcasting to the shape of the result."""
        if not operand.depends:
            return 0.0
        copies = self.numel / max(1, operand.data.numel())
        return operand.value.lipschitz * math.sqrt(max(1.0, copies))

    def again(self, operand: Operand, data: Tensor) -> Tensor:
        """The flat result with other data for one operand, and absolute values of the others, in double precision."""

        def replaced(argument: Any) -> Any:
            if not isinstance(argument, Tensor) or not argument.is_floating_point():
                return argument
            return data if self.operands[id(argument)] is operand else self.operands[id(argument)].data.abs().double()

        result = self.function(*mapped(replaced, self.args), **mapped(replaced, self.kwargs))
        return torch.cat([tensor.flatten() for tensor in tensors(result) if tensor.is_floating_point()])


def apart(call: Call) -> Iterator[Call]:
    """A call for each tensor among the arguments with its own result, where no result has a part in two of them."""
    for tensor, result in zip(tensors([call.args, call.kwargs]), tensors(call.result), strict=True):
        operands = {id(tensor): call.operands[id(tensor)]}
        yield replace(call, args=(tensor,), kwargs={}, operands=operands, result=result)


def tensors(nested: Any) -> Iterator[Tensor]:
    """The tensors in lists, tuples and dictionaries, in order."""
    if isinstance(nested, Tensor):
        yield nested
    elif isinstance(nested, Mapping):
        for item in nested.values():
            yield from tensors(item)
    elif isinstance(nested, list | tuple):
        for item in nested:
            yield from tensors(item)


def mapped(function: Callable[[Any], Any], nested: Any) -> Any:
    """The same lists, tuples and dictionaries with ``function`` of each leaf."""
    if isinstance(nested, Mapping):
        return {key: mapped(function, item) for key, item in nested.items()}
    if isinstance(nested, tuple) and hasattr(nested, "_fields"):
        return type(nested)(*(mapped(function, item) for item in nested))
    if isinstance(nested, list | tuple):
        return type(nested)(mapped(function, item) for item in nested)
    return function(nested)


def extent(data: Any) -> Interval:
    """Smallest and largest entry of a tensor, a number, or a list of them."""
    if isinstance(data, bool | int | float):
        return float(data), float(data)
    if isinstance(data, list | tuple):
        return hull(map(extent, data))
    if not isinstance(data, Tensor) or data.is_complex() or not data.numel():
        return REAL
    low, high = data.detach().aminmax() if data.dtype != torch.bool else (data.min(), data.max())
    return float(low), float(high)
