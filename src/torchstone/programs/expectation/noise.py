"""Where ξ comes from: a fixed distribution, one made anew from the present parameters, or the batches of a data set."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Transform

from torchstone.programs.expectation.sampling import Function
from torchstone.training.batches import RandomAccess, read

Noise = Distribution | Callable[..., Distribution] | RandomAccess | Iterable[Any]
Source = Callable[..., Any]


def source_of(xi: Noise, seed: int) -> tuple[bool, Source]:
    """Whether ξ is data, and a function that gives a batch of it, or else the distribution at the present parameters.

    Raises:
        TypeError: ξ is nothing of the kind.
        ValueError: it is a distribution made once from parameters that will move.
    """
    if isinstance(xi, Distribution):
        check_fixed(xi)
        return False, lambda *context: xi
    if callable(xi):
        return False, lambda *context: made(xi, context)
    if isinstance(xi, RandomAccess):
        return True, lambda: xi.at(int(torch.randint(2**31, ())))
    if isinstance(xi, Iterable):
        stream = read(xi, 0, {"cpu": torch.default_generator}, seed)
        return True, lambda: next(stream)
    raise TypeError(
        "xi must be a function that makes a distribution, a distribution, batches with a method at(step), or an "
        f"iterable of batches, but it is of type {type(xi).__name__}."
    )


def made(xi: Callable[..., Distribution], context: tuple[Any, ...]) -> Distribution:
    """The distribution at the present parameters.

    Raises:
        TypeError: the function made something else.
    """
    try:
        p = xi(*context)
    except Exception as error:
        error.add_note(
            f"This happened in xi, called with what the expectation was called with: {len(context)} arguments."
        )
        raise
    if not isinstance(p, Distribution):
        raise TypeError(f"xi must make a torch.distributions.Distribution, but it made a {type(p).__name__}.")
    return p


def check_fixed(p: Distribution) -> None:
    """Refuse a distribution that was made once from parameters that will move."""
    if depends_on_parameters(p):
        raise ValueError(
            f"xi is a {type(p).__name__} that was made once, from parameters that will move: it would hold their old "
            "values and an old graph. Give a function that makes it anew: xi=lambda: Normal(mu, log_sigma.exp())."
        )


def depends_on_parameters(part: Any) -> bool:
    """Whether a tensor that gradients pass through is part of a distribution."""
    if isinstance(part, Tensor):
        return part.requires_grad
    if isinstance(part, nn.Module):
        return any(parameter.requires_grad for parameter in part.parameters())
    if isinstance(part, list | tuple):
        return any(map(depends_on_parameters, part))
    if isinstance(part, Distribution | Transform):
        return any(map(depends_on_parameters, vars(part).values()))
    return False


def loss_of(f: Function, batch: Any) -> Tensor:
    """The mean of what f returned for a batch.

    Raises:
        TypeError: it returned no floating-point tensor.
        ValueError: it returned an empty one.
    """
    loss = f(batch)
    if not isinstance(loss, Tensor) or not loss.is_floating_point():
        raise TypeError(f"f must return the loss of a batch as a floating-point tensor, but it is {loss!r}.")
    if not loss.numel():
        raise ValueError("f returned an empty tensor for a batch, so there is no loss.")
    return loss.mean()
