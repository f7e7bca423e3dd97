"""Linear CKA picks the cheaper of two equal forms: CPU-seconds of its choice against always one or always the other."""

import time
from collections.abc import Callable

import torch
from torch import Tensor

from torchstone.similarity import cka
from torchstone.similarity.cka import cka_by_features, cka_by_grams
from torchstone.similarity.inputs import pair

SHAPES = [(500, 4000), (2000, 500), (1000, 1000), (2000, 64), (200, 2000)]
ROUNDS = 3


def by_features(x: Tensor, y: Tensor) -> Tensor:
    return cka_by_features(*pair(x, y), "debiased")


def by_grams(x: Tensor, y: Tensor) -> Tensor:
    return cka_by_grams(*pair(x, y), "linear", "debiased", 0.4)


def cost(function: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor) -> float:
    """The least CPU-seconds of a few calls."""
    seconds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        function(x, y)
        seconds.append(time.process_time() - start)
    return min(seconds)


def main() -> None:
    generator = torch.Generator().manual_seed(0)
    print(f"{'n':>6} {'d':>6} {'ours (s)':>9} {'features / ours':>16} {'Grams / ours':>13}")
    for n, d in SHAPES:
        x, y = (torch.randn(n, d, generator=generator) for _ in range(2))
        ours, features, grams = (cost(function, x, y) for function in (cka, by_features, by_grams))
        print(f"{n:6d} {d:6d} {ours:9.3f} {features / ours:16.2f} {grams / ours:13.2f}")


if __name__ == "__main__":
    main()
