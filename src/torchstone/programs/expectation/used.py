"""The parameters that a function uses, those too that no gradient would reach."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from torchstone.smoothness import check
from torchstone.smoothness.call import tensors


def parameters_used(program: Callable[[Tensor], Tensor], xi: Tensor) -> list[Tensor]:
    """What a program takes from outside that gradients pass through, be it in a comparison or behind ``detach``.

    >>> theta = torch.tensor(0.5, requires_grad=True)
    >>> parameters_used(lambda xi: (xi > theta).float(), torch.zeros(2))
    [tensor(0.5000, requires_grad=True)]
    """
    watch = Watch()

    def watched(xi: Tensor) -> Tensor:
        with watch:
            return program(xi)

    check(watched, xi, params=[torch.zeros((), requires_grad=True)])  # which puts back what the program changes
    return list(watch.found.values())


class Watch(TorchFunctionMode):
    """Inside the block takes down the tensors with ``requires_grad`` that were not made there."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[int, Tensor] = {}
        self.made: dict[int, Tensor] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for tensor in tensors([args, kwargs]):
            if tensor.requires_grad and id(tensor) not in self.made:
                self.found[id(tensor)] = tensor
        result = func(*args, **(kwargs or {}))
        self.made |= {id(tensor): tensor for tensor in tensors(result)}
        return result
