"""A logistic regression of two weights, small enough to be drawn: examples on two moons, a few of them a step."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

MOONS = 64  # examples
MOONS_BATCH = 4


def moons(point: Tensor) -> Tensor:
    """The loss of logistic regression without offset, of weights (x, y), on all examples of two moons."""
    return _logistic(point, _moons().to(point)).mean(-1)


def moons_batch(point: Tensor, generator: torch.Generator) -> Tensor:
    """The same loss on a few examples, drawn with replacement."""
    drawn = torch.randint(MOONS, (MOONS_BATCH,), generator=generator, device=generator.device)
    return _logistic(point, _moons().to(point)[drawn.to(point.device)]).mean(-1)


def _logistic(weights: Float[Tensor, "*k 2"], signed: Float[Tensor, "n 2"]) -> Float[Tensor, "*k n"]:
    return torch.nn.functional.softplus(-(weights @ signed.T))


def _moons() -> Float[Tensor, "n 2"]:
    """Points on two half circles around the origin, moved a little by a Weyl sequence, times their label ±1."""
    index = torch.arange(MOONS, dtype=torch.float64)
    label = 1 - 2 * (index % 2)
    turn = math.pi * (index // 2) / (MOONS // 2 - 1)
    on_moon = torch.stack([label * turn.cos() - label / 2, label * turn.sin() - label / 4], -1)
    radius, angle = 0.35 * (index * (math.sqrt(5) - 1) / 2 % 1).sqrt(), 2 * math.pi * (index * math.sqrt(2) % 1)
    noise = torch.stack([radius * angle.cos(), radius * angle.sin()], -1)
    return label.unsqueeze(-1) * (on_moon + noise)
