"""What a check costs: CPU-seconds, and as a multiple of one forward and backward pass of the same program."""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from torchstone.nets import seeded
from torchstone.smoothness import check

ROUNDS = 3
LAYERS = 50


def dense() -> tuple[nn.Module, Tensor]:
    """Fifty linear layers, each with a normalisation and an activation."""
    layers = [part for _ in range(LAYERS) for part in (nn.Linear(256, 256), nn.LayerNorm(256), nn.GELU())]
    return nn.Sequential(*layers), torch.ones(32, 256)


def convolutional() -> tuple[nn.Module, Tensor]:
    """Fifty convolutions."""
    layers = [
        part
        for i in range(LAYERS)
        for part in (nn.Conv2d(16 if i else 3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU())
    ]
    return nn.Sequential(*layers).eval(), torch.ones(4, 3, 32, 32)


def attention() -> tuple[nn.Module, Tensor]:
    """Fifty layers of a transformer."""
    layer = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True)
    return nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False), torch.ones(4, 16, 64)


def cost(function: Callable[[], Any]) -> float:
    """The least CPU-seconds of a few calls."""
    seconds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        function()
        seconds.append(time.process_time() - start)
    return min(seconds)


def mean_square(y: Tensor) -> Tensor:
    return y.square().mean()


def main() -> None:
    torch.set_num_threads(1)
    print(f"{'fifty layers':<16}{'wrt':<10}{'check':>9}{'one step':>11}{'ratio':>8}")
    for build in (dense, convolutional, attention):
        with seeded(0):
            net, x = build()
        step = cost(lambda net=net, x=x: mean_square(net(x)).backward())  # type: ignore[misc]
        for wrt in ("params", "inputs"):
            seconds = cost(lambda net=net, x=x, wrt=wrt: check(net, x, loss=mean_square, wrt=wrt))  # type: ignore[misc]
            print(f"{build.__name__:<16}{wrt:<10}{seconds:>7.3f} s{step:>9.3f} s{seconds / step:>7.1f}x")


if __name__ == "__main__":
    main()
