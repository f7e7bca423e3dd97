"""A small training program whose stages go through a gate, where something can go wrong."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

Gate = Callable[..., Tensor]


class Program(NamedTuple):
    """The parameters to be trained, and the loss on a sample: every stage is ``gate(stage, x)`` for ``stage(x)``."""

    net: nn.Module
    loss: Callable[[Gate], Tensor]


def modules(**parts: nn.Module) -> nn.ModuleDict:
    """The parts of a network by name."""
    return nn.ModuleDict(parts)


def labels(n: int, classes: int) -> Tensor:
    """Labels drawn at random."""
    return torch.randint(classes, (n,))
