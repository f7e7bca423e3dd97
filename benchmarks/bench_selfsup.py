"""AET in batches on tensors against the released code's way, one image at a time by Pillow; side by side in one run.

``warps``: the transformations alone. ``steps``: whole training steps, forward, backward and update, where only the way
to the transformed images differs: fractions of a step's time by the medians of alternating steps.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable

os.environ["OMP_WAIT_POLICY"] = "passive"  # threads that wait do not count as work

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from torchstone.nets import NIN
from torchstone.selfsup import AET, RandomAffine, RandomProjective, Recipe

SIDE, WIDTH = 32, 24
TO_PIXELS = np.diag([SIDE, SIDE, 1.0])
FROM_PIXELS = np.linalg.inv(TO_PIXELS)


class ByPillow:
    """A transformation whose images are made one by one, bytes to bytes, as a DataLoader of the released code does."""

    def __init__(self, transform: RandomAffine | RandomProjective) -> None:
        self.transform = transform
        self.sample, self.target, self.head = transform.sample, transform.target, transform.head
        self.kind = Image.Transform.AFFINE if isinstance(transform, RandomAffine) else Image.Transform.PERSPECTIVE

    def apply(self, images: Tensor, t: Tensor) -> Tensor:
        octets = (255 * images).byte().permute(0, 2, 3, 1).numpy()
        return torch.stack([self._one(*pair) for pair in zip(octets, self.transform.matrix(t).numpy(), strict=True)])

    def _one(self, pixels: np.ndarray, matrix: np.ndarray) -> Tensor:
        numbers = (TO_PIXELS @ matrix @ FROM_PIXELS).flatten()
        coefficients = numbers[: 6 if self.kind == Image.Transform.AFFINE else 8].tolist()
        picture = Image.fromarray(pixels)
        moved = picture.transform(
            (SIDE, SIDE), self.kind, coefficients, Image.Resampling.BILINEAR, fillcolor=(128,) * 3
        )
        return torch.from_numpy(np.array(moved)).permute(2, 0, 1).float() / 255


def seconds(first: Callable[[], object], second: Callable[[], object], rounds: int) -> tuple[float, float]:
    """The median time of each, in turn."""
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds + 1):
        for function, times in zip((first, second), taken, strict=True):
            start = time.perf_counter()
            function()
            times.append(time.perf_counter() - start)
    return statistics.median(taken[0][1:]), statistics.median(taken[1][1:])


def step(transform: object, x: Tensor) -> Callable[[], object]:
    method = AET(NIN(WIDTH, seed=0), transform, recipe=Recipe(batch_size=len(x)))
    model = method._model(x, 0)
    player = method.recipe.player(
        model, lambda batch: method._metrics(model["encoder"], model["head"], batch, draws), steps=10_000
    )
    draws = torch.Generator().manual_seed(0)

    def once() -> None:
        player.move(player.evaluate(x)["loss"])

    nn.Module.train(model)
    return once


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--batch", type=int, default=128)
    options = parser.parse_args()
    torch.set_num_threads(1)
    x = torch.rand(options.batch, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    print(f"{options.batch} images of {SIDE}×{SIDE}, one thread, NIN of width {WIDTH}")
    print(f"{'transformation':14} {'':6} {'batched (ms)':>12} {'Pillow (ms)':>12} {'ratio':>6}")
    for name, transform in (("affine", RandomAffine()), ("projective", RandomProjective())):
        slow, t = ByPillow(transform), transform.sample(options.batch, torch.Generator().manual_seed(1))
        pairs = {
            "warps": (lambda a=transform, t=t: a.apply(x, t), lambda a=slow, t=t: a.apply(x, t)),
            "steps": (step(transform, x), step(slow, x)),
        }
        for what, pair in pairs.items():
            ours, theirs = seconds(*pair, options.rounds)
            print(f"{name:14} {what:6} {1e3 * ours:12.1f} {1e3 * theirs:12.1f} {theirs / ours:6.2f}", flush=True)


if __name__ == "__main__":
    main()
