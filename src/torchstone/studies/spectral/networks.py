"""The networks of the claims about frequencies, and how they are trained: on the whole signal, by Adam."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from torchstone import spectral
from torchstone.lab import Context, Paper
from torchstone.nets import seeded
from torchstone.training import History, Player, Round, fit

PHASES, PLACES, DIRECTIONS = 1_000_000, 2_000_000, 3_000_000
"""Added to a trial's seed, so that what is drawn for different ends is independent of the initial weights."""
LONG = 10_000  # steps from which on a fit keeps checkpoints; what is shorter is sooner done again


def rahaman(where: str) -> Paper:
    """The paper that named the spectral bias, at a section or figure."""
    return Paper(
        "Rahaman, Baratin, Arpit, Draxler, Lin, Hamprecht, Bengio, Courville",
        2019,
        "On the Spectral Bias of Neural Networks",
        arxiv="1806.08734",
        where=where,
    )


def network(
    depth: int, width: int, *, d_in: int = 1, activation: Callable[[], nn.Module] = nn.ReLU, seed: int
) -> nn.Sequential:
    """``depth`` linear layers of torch's default initialisation with activations between them, to one output."""
    sizes = [d_in, *[width] * (depth - 1), 1]
    with seeded(seed):
        layers = [layer for ends in pairwise(sizes) for layer in (nn.Linear(*ends), activation())]
    return nn.Sequential(*layers[:-1])


def train(
    model: nn.Module,
    x: Float[Tensor, "n d"],
    y: Float[Tensor, " n"],
    *,
    steps: int,
    lr: float,
    context: Context,
    callbacks: Sequence[Callable[[Round], None]] = (),
) -> History:
    """Minimise the mean squared error over all samples at once, by Adam. Model and data are on the context's device."""
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, fused=True)
    player = Player(model, lambda _: (model(x).squeeze(1) - y).square().mean(), optimizer)
    checkpoint = context.scratch / "fit" if steps >= LONG else None
    return fit(player, [None], steps=steps, checkpoint=checkpoint, callbacks=callbacks, progress=context.progress)


def monitor_file(context: Context, steps: int, name: str) -> Path | None:
    """Where a monitor of a fit that may be resumed keeps its records."""
    return context.scratch / f"{name}.safetensors" if steps >= LONG else None


def spectral_norms(model: nn.Module) -> float:
    """The product of the largest singular values of all linear layers: a bound on the slope of a ReLU network."""
    return math.prod(spectral.spectral_norms(model).values())
