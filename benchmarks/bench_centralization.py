"""What gradient centralization adds to a training step: CPU-seconds of whole steps with and without it, in turn."""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

os.environ["OMP_WAIT_POLICY"] = "passive"  # threads that wait do not count as work

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from torchstone.optim import GradientCentralization

BATCH = 64
WARM_UP = 20


def conv_net() -> nn.Module:
    layers: list[nn.Module] = []
    for before, after, stride in ((3, 32, 1), (32, 32, 2), (32, 64, 2), (64, 64, 1)):
        layers += [nn.Conv2d(before, after, 3, stride=stride, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def mlp() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)
    )


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "conv net": (conv_net, (BATCH, 3, 32, 32)),
    "MLP": (mlp, (BATCH, 784)),
}
OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "SGD": lambda p: torch.optim.SGD(p, 0.01, momentum=0.9),
    "SGD, decay": lambda p: torch.optim.SGD(p, 0.01, momentum=0.9, weight_decay=5e-4),
    "Adam": lambda p: torch.optim.Adam(p, 1e-3),
}


def stepper(
    make: Callable[[], nn.Module],
    optimizer_of: Callable[[Any], torch.optim.Optimizer],
    batch: tuple[Tensor, Tensor],
    location: Any,
) -> Callable[[], None]:
    model = make()
    optimizer = optimizer_of(model.parameters())
    if location:
        GradientCentralization(optimizer, model, location=location)

    def step() -> None:
        optimizer.zero_grad()
        cross_entropy(model(batch[0]), batch[1]).backward()
        optimizer.step()

    return step


def seconds(step: Callable[[], None]) -> float:
    start = time.process_time()
    step()
    return time.process_time() - start


def overhead(plain: Callable[[], None], centred: Callable[[], None], pairs: int) -> tuple[float, float]:
    """The median CPU-seconds of a plain step, and the median over pairs of steps of what centring adds to it."""
    for _ in range(WARM_UP):
        plain(), centred()
    measured = []
    for i in range(pairs):  # each goes first in turn
        first, second = (plain, centred) if i % 2 else (centred, plain)
        a, b = seconds(first), seconds(second)
        measured.append((a, b) if i % 2 else (b, a))
    base = statistics.median(a for a, _ in measured)
    return base, statistics.median(b - a for a, b in measured) / base


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=200)
    pairs = parser.parse_args().pairs
    torch.manual_seed(0)
    print(f"{'network':10} {'optimizer':12} {'location':10} {'threads':>7} {'step (ms)':>10} {'added':>7}")
    for threads in (1, 2):
        torch.set_num_threads(threads)
        for name, (make, shape) in NETWORKS.items():
            batch = torch.randn(shape), torch.arange(BATCH) % 10
            for rule, optimizer_of in OPTIMIZERS.items():
                for location in ("gradient", "update"):
                    plain, centred = (stepper(make, optimizer_of, batch, where) for where in (None, location))
                    base, added = overhead(plain, centred, pairs)
                    print(f"{name:10} {rule:12} {location:10} {threads:7d} {1e3 * base:10.2f} {100 * added:6.1f}%")


if __name__ == "__main__":
    main()
