"""Functions of ξ ~ N(θ, 1) whose expectation is known in closed form: some smooth, some with jumps."""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor
from torch.special import ndtr

Function = Callable[[Tensor], Tensor]


class Problem(NamedTuple):
    """A function, and its expectation as a function of the mean θ."""

    f: Function
    expectation: Function


def bell(x: Tensor) -> Tensor:
    """The density of N(0, 1)."""
    return torch.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def rounded_distance(theta: Tensor) -> Tensor:
    """E (round(ξ) - 2)², the sum over the integers that ξ can be rounded to."""
    n = torch.arange(-15, 16, dtype=theta.dtype)
    edges = n - theta.unsqueeze(-1)
    return torch.sum((n - 2) ** 2 * (ndtr(edges + 0.5) - ndtr(edges - 0.5)), dim=-1)


SMOOTH: Mapping[str, Problem] = {
    "square": Problem(torch.square, lambda m: m**2 + 1),
    "absolute value": Problem(torch.abs, lambda m: m * (2 * ndtr(m) - 1) + 2 * bell(m)),
}
JUMPS: Mapping[str, Problem] = {
    "rounding": Problem(lambda xi: (xi.round() - 2) ** 2, rounded_distance),
    "a fine below 1": Problem(lambda xi: xi**2 + 4 * (xi < 1).to(xi), lambda m: m**2 + 1 + 4 * ndtr(1 - m)),
    "a toll above 1": Problem(
        lambda xi: (xi - 2) ** 2 / 2 + 3 * (xi > 1).to(xi), lambda m: ((m - 2) ** 2 + 1) / 2 + 3 * ndtr(m - 1)
    ),
}
PROBLEMS: Mapping[str, Problem] = {**SMOOTH, **JUMPS}


def derivative(problem: Problem, theta: Tensor) -> Tensor:
    """Of the expectation, exactly."""
    theta = theta.detach().requires_grad_()
    (slope,) = torch.autograd.grad(problem.expectation(theta).sum(), theta)
    return slope


def excess(problem: Problem, theta: Tensor) -> float:
    """How far above the least expectation for means in [-4, 4] the expectation at θ lies."""
    grid = torch.linspace(-4, 4, 1601, dtype=theta.dtype)
    return float(problem.expectation(theta.detach()) - problem.expectation(grid).min())
