"""Averages of options by the probabilities of a decision, noise for them, and the option of each example."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


def gumbel(generator: torch.Generator) -> Callable[[Tensor], Tensor]:
    """Noise that makes a softmax a relaxed draw.

    Paper: Maddison, Mnih, Teh 2017, arXiv:1611.00712; Jang, Gu, Poole 2017, arXiv:1611.01144.
    """

    def noise(logits: Tensor) -> Tensor:
        uniform = torch.rand(logits.shape, generator=generator, dtype=logits.dtype).to(logits.device)
        tiny = torch.finfo(logits.dtype).tiny
        return -(-uniform.clamp_min(tiny).log()).clamp_min(tiny).log()

    return noise


def aligned(weight: Tensor, value: Tensor) -> Tensor:
    """One number for each example, shaped so that it meets the examples along the first axes of a value."""
    return weight.reshape((*weight.shape, *[1] * (value.ndim - weight.ndim)))


def gathered(index: Tensor, options: Sequence[Any]) -> Tensor:
    """For each example its own option, untouched by what the others are.

    >>> gathered(torch.tensor([1, 0]), [float("nan"), 4.0])
    tensor([4., nan])
    """
    values = [torch.as_tensor(option, device=index.device) for option in options]
    found = values[0]
    for i, value in enumerate(values):
        found = torch.where(aligned(index == i, value if value.ndim > found.ndim else found), value, found)
    return found


def blend(weights: Tensor, options: Sequence[Any]) -> Any:
    """The mean of numbers, or the function whose value is the mean of the functions' values; weights (..., k).

    >>> blend(torch.tensor([0.25, 0.75]), [0.0, 4.0])
    tensor(3.)
    """
    if all(callable(option) for option in options):
        return lambda *arguments: blend(weights, [option(*arguments) for option in options])
    total = torch.zeros((), dtype=weights.dtype, device=weights.device)
    for weight, option in zip(weights.unbind(-1), options, strict=True):
        value = torch.as_tensor(option, device=weights.device)
        total = total + aligned(weight, value) * value
    return total
