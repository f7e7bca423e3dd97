"""Draws from a distribution, what a function says of them, and where their random numbers come from."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution, Independent, Laplace, MultivariateNormal, Normal, Uniform

Function = Callable[[Tensor], Tensor]
Shape = tuple[int, int]
"""How many estimates r, of how many samples k each."""

SYMMETRIC = (Laplace, MultivariateNormal, Normal, Uniform)


@contextmanager
def drawing_from(generator: torch.Generator) -> Iterator[None]:
    """Inside the block torch's global generators start from a number drawn from ``generator``.

    Those of the CPU and, once CUDA is in use, of its devices: distributions draw from them and take no other.
    Afterwards they stand where they stood.
    """
    seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()  # type: ignore[no-untyped-call]
    with torch.random.fork_rng(devices):
        for own in (torch.default_generator, *(torch.cuda.default_generators[i] for i in devices)):
            own.manual_seed(seed)
        yield


def draw(p: Distribution, shape: Shape, *, reparameterised: bool, antithetic: bool) -> Float[Tensor, "r k ..."]:
    """Samples of p; antithetic ones come in pairs i and i + k/2 that lie opposite each other around the mean.

    Raises:
        ValueError: antithetic samples are wanted of a distribution that is not symmetric, or k is odd.
    """
    sample = p.rsample if reparameterised else p.sample
    if not antithetic:
        return sample(torch.Size(shape))
    check_mirror(p, shape[1])
    half = sample(torch.Size((shape[0], shape[1] // 2)))
    return torch.cat([half, 2 * (p.mean if reparameterised else p.mean.detach()) - half], dim=1)


def check_mirror(p: Distribution, k: int) -> None:
    """Refuse what has no mirror image."""
    base = innermost(p)
    if not isinstance(base, SYMMETRIC):
        raise ValueError(
            f"Antithetic samples are mirrored at the mean, so xi must be symmetric around it, but it is a "
            f"{type(base).__name__}. Known to be: {', '.join(kind.__name__ for kind in SYMMETRIC)}."
        )
    if k % 2:
        raise ValueError(f"samples must be even, since antithetic samples come in pairs, but it is {k}.")


def innermost(p: Distribution) -> Distribution:
    """What an ``Independent`` is made of."""
    while isinstance(p, Independent):
        p = p.base_dist
    return p


def values_of(f: Function, xi: Tensor, p: Distribution) -> Float[Tensor, "n ..."]:
    """What f says of n samples, with every mistake about its shape named.

    Raises:
        TypeError: f returned no floating-point tensor.
        ValueError: it did not return one number for each sample of each problem in the batch, or the batch is empty.
    """
    try:
        values = f(xi)
    except Exception as error:
        error.add_note(
            f"This happened in f, called with {len(xi)} samples at once, of shape {tuple(xi.shape)}, and with what the "
            "expectation was called with."
        )
        raise
    check_kind(values)
    check_shape(values, len(xi), p.batch_shape)
    return values


def check_kind(values: Any) -> None:
    """Refuse what is no floating-point tensor."""
    if not isinstance(values, Tensor):
        raise TypeError(f"f must return a floating-point tensor, but it returned {type(values).__name__}.")
    if not values.is_floating_point():
        raise TypeError(
            f"f must return a floating-point tensor, but it returned {values.dtype}. Try .float() at its end."
        )


def check_shape(values: Tensor, n: int, batch_shape: torch.Size) -> None:
    """Refuse what is not one number for each of n samples of each problem."""
    if not batch_shape.numel():
        raise ValueError(f"The batch_shape {tuple(batch_shape)} of xi is empty, so there is no loss.")
    expected = (n, *batch_shape)
    if values.shape != expected:
        cure = (
            "Sum over the features of each sample, not over the samples."
            if not batch_shape
            else f"The batch_shape {tuple(batch_shape)} of xi counts separate problems; if f sees all of it at once, "
            f"make it one: torch.distributions.Independent(..., {len(batch_shape)})."
        )
        raise ValueError(
            f"f must return one number for each sample, {expected} of {n} samples, but it returned "
            f"{tuple(values.shape)}. {cure}"
        )


def evaluated(f: Function, xi: Float[Tensor, "r k ..."], p: Distribution) -> Float[Tensor, "r k *batch"]:
    """What f says of every sample, all in one call."""
    values = values_of(f, xi.flatten(0, 1), p)
    return values.view(*xi.shape[:2], *values.shape[1:])
