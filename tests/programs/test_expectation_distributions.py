"""Noise of all sorts: what ``auto`` takes for it, and that its gradient is that of the closed form."""

import math
from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from scipy.special import ive
from torch import Tensor
from torch.distributions import (
    Binomial,
    Categorical,
    Dirichlet,
    Distribution,
    Gamma,
    Geometric,
    Independent,
    Laplace,
    LogNormal,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    OneHotCategorical,
    TransformedDistribution,
    Uniform,
    VonMises,
)
from torch.distributions.transforms import AffineTransform, ExpTransform

from torchstone.programs.expectation import Enumerate, Estimator, Expectation, Pathwise, Score


class Case(NamedTuple):
    """Noise with parameter θ, a function, and the expectation of it."""

    noise: Callable[[Tensor], Distribution]
    f: Callable[[Tensor], Tensor]
    expectation: Callable[[Tensor], Tensor]
    estimator: Estimator
    theta: tuple[float, ...] | float = 0.3


def number(x: float) -> Tensor:
    return torch.tensor(x, dtype=torch.float64)


def total(xi: Tensor) -> Tensor:
    return xi.square().sum(-1)


VECTOR = (0.3, -0.2)
COVARIANCE = torch.tensor([[1.0, 0.5], [0.5, 2.0]], dtype=torch.float64)
MEANS, COSTS = torch.tensor([0.0, 2.0]).double(), torch.tensor([1.0, 5.0]).double()
CASES = {
    "MultivariateNormal": Case(
        lambda t: MultivariateNormal(t, COVARIANCE), total, lambda t: t.square().sum() + 3, Pathwise(), VECTOR
    ),
    "Independent": Case(
        lambda t: Independent(Normal(t, 1), 1), total, lambda t: t.square().sum() + 2, Pathwise(), VECTOR
    ),
    "Gamma": Case(lambda t: Gamma(t.exp(), number(1.0)), torch.square, lambda t: t.exp() * (t.exp() + 1), Pathwise()),
    "LogNormal": Case(lambda t: LogNormal(t, 0.5), lambda xi: xi, lambda t: torch.exp(t + 0.125), Pathwise()),
    "TransformedDistribution": Case(
        lambda t: TransformedDistribution(Normal(t, 1), [ExpTransform(), AffineTransform(2, 3)]),
        lambda xi: xi,
        lambda t: 2 + 3 * torch.exp(t + 0.5),
        Pathwise(),
    ),
    "Laplace": Case(lambda t: Laplace(t, 1), torch.square, lambda t: t**2 + 2, Pathwise()),
    "Uniform": Case(lambda t: Uniform(0 * t, t.exp()), torch.square, lambda t: torch.exp(2 * t) / 3, Pathwise()),
    "Dirichlet": Case(
        lambda t: Dirichlet(t.exp()), lambda xi: xi[..., 0], lambda t: t.exp()[0] / t.exp().sum(), Pathwise(), VECTOR
    ),
    "MixtureSameFamily": Case(
        lambda t: MixtureSameFamily(Categorical(logits=t), Normal(MEANS, 1)),
        torch.square,
        lambda t: t.softmax(0) @ COSTS,
        Score(),
        VECTOR,
    ),
    "VonMises": Case(
        lambda t: VonMises(t, number(2.0)), torch.cos, lambda t: t.cos() * (ive(1, 2.0) / ive(0, 2.0)), Score()
    ),
    "Geometric": Case(lambda t: Geometric(torch.sigmoid(t)), lambda xi: xi, lambda t: torch.exp(-t), Score()),
    "Binomial": Case(
        lambda t: Binomial(4, torch.sigmoid(t)), lambda xi: xi, lambda t: 4 * torch.sigmoid(t), Enumerate()
    ),
    "OneHotCategorical": Case(
        lambda t: OneHotCategorical(logits=t),
        lambda xi: xi @ COSTS,
        lambda t: t.softmax(0) @ COSTS,
        Enumerate(),
        VECTOR,
    ),
    "impossible outcomes": Case(
        lambda t: Categorical(logits=torch.cat([t, number(-math.inf).view(1)])),
        lambda i: torch.cat([COSTS, COSTS])[i],
        lambda t: t.softmax(0) @ COSTS,
        Enumerate(),
        VECTOR,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_auto_is_right(name: str) -> None:
    case = CASES[name]
    theta = torch.tensor(case.theta, dtype=torch.float64, requires_grad=True)
    loss = Expectation(case.f, lambda: case.noise(theta), samples=10)
    gradient = loss.gradient(theta, repeats=1000, at_once=100)
    (truth,) = torch.autograd.grad(case.expectation(theta).mean(), theta)
    assert loss.estimator == case.estimator
    assert ((gradient.mean[0] - truth).abs() <= 4 * gradient.standard_error[0] + 1e-12).all()
