"""What gradient centralization adds to a training step, twice over.

``alone``: the fastest run of its hooks over the fastest plain step, which hardly feels what else the machine does;
``in turn``: the median difference in CPU-seconds of whole steps with and without it, side by side.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from itertools import product
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


class Training:
    """A network with its optimizer and a batch; centred where ``location`` says so."""

    def __init__(
        self,
        make: Callable[[], nn.Module],
        optimizer_of: Callable[[Any], torch.optim.Optimizer],
        batch: tuple[Tensor, Tensor],
        location: Any,
    ) -> None:
        self.model, self.batch, self.location = make(), batch, location
        self.optimizer = optimizer_of(self.model.parameters())
        if location:
            self.centred = GradientCentralization(self.optimizer, self.model, location=location)

    def step(self) -> None:
        self.optimizer.zero_grad()
        cross_entropy(self.model(self.batch[0]), self.batch[1]).backward()
        self.optimizer.step()

    def hooks(self) -> None:
        self.centred._before(self.optimizer, (self.optimizer,), {})
        if self.location == "update":
            self.centred._after(self.optimizer, (self.optimizer,), {})


def fastest(function: Callable[[], None], rounds: int) -> float:
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def cpu_seconds(step: Callable[[], None]) -> float:
    start = time.process_time()
    step()
    return time.process_time() - start


def added_in_turn(plain: Callable[[], None], centred: Callable[[], None], pairs: int) -> float:
    """The median over pairs of steps of the CPU-seconds that centring adds, over those of a plain step."""
    measured = []
    for i in range(pairs):  # each goes first in turn
        first, second = (plain, centred) if i % 2 else (centred, plain)
        a, b = cpu_seconds(first), cpu_seconds(second)
        measured.append((a, b) if i % 2 else (b, a))
    return statistics.median(b - a for a, b in measured) / statistics.median(a for a, _ in measured)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=200)
    pairs = parser.parse_args().pairs
    torch.manual_seed(0)
    print(f"{'network':10} {'optimizer':12} {'location':9} {'threads':>7} {'step (ms)':>9} {'alone':>7} {'in turn':>8}")
    for threads, (name, (make, shape)) in product((1, 2), NETWORKS.items()):
        torch.set_num_threads(threads)
        batch = torch.randn(shape), torch.arange(BATCH) % 10
        for (rule, optimizer_of), location in product(OPTIMIZERS.items(), ("gradient", "update")):
            plain, centred = (Training(make, optimizer_of, batch, where) for where in (None, location))
            fastest(centred.step, WARM_UP)
            step, hooks = fastest(plain.step, pairs), fastest(centred.hooks, 10 * pairs)
            in_turn = added_in_turn(plain.step, centred.step, pairs)
            shown = f"{1e3 * step:9.2f} {100 * hooks / step:6.1f}% {100 * in_turn:7.1f}%"
            print(f"{name:10} {rule:12} {location:9} {threads:7d} {shown}", flush=True)


if __name__ == "__main__":
    main()
