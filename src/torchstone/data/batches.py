"""Shuffled mini-batches with random access: the batch of a step is a pure function of the seed and the step."""

from collections.abc import Callable, Iterator
from functools import lru_cache

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor

from torchstone.data.image_set import unit_floats
from torchstone.data.streams import stream

Augment = Callable[[Float[Tensor, "b c h w"], torch.Generator], Float[Tensor, "b c h w"]]
"""A random change of a batch of images that draws from the generator that it is given and from nothing else."""


class Batches:
    """An endless source of mini-batches: epoch after epoch, each a new permutation of all examples.

    Step t lies in epoch e = t // ``steps_per_epoch``. The permutation is drawn from (``seed``, e), the augmentation
    from (``seed``, t), so ``at(t)`` needs no history: training resumes in the middle of an epoch. What is left of an
    epoch after its last whole batch (n mod ``size`` examples) is dropped.

    Args:
        images: (n, ...) uint8, delivered as float32 in [0, 1]; or floating point, delivered as they are.
        labels: (n, ...), what is delivered with each image.
        size: examples b in a batch.
        seed: seed of permutations and augmentations.
        augment: a change of each batch, for example :func:`torchstone.data.affine_jitter`; draws on the CPU.
        device: where images and labels are kept and delivered.

    Raises:
        ValueError: lengths differ, ``size`` is not between 1 and n, or the images are neither uint8 nor floating point.

    Example:
        >>> batches = Batches(torch.zeros(100, 1, 8, 8, dtype=torch.uint8), torch.arange(100), size=32, seed=0)
        >>> x, y = batches.at(1_000_000)
        >>> x.shape, x.dtype, batches.steps_per_epoch
        (torch.Size([32, 1, 8, 8]), torch.float32, 3)
    """

    def __init__(
        self,
        images: Shaped[Tensor, "n ..."],
        labels: Shaped[Tensor, "n ..."],
        *,
        size: int,
        seed: int,
        augment: Augment | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        _check(images, labels, size)
        self.images, self.labels = images.to(device), labels.to(device)
        self.size, self.seed, self.augment = size, seed, augment
        self.steps_per_epoch = len(images) // size

    def at(self, step: int) -> tuple[Float[Tensor, "b ..."], Shaped[Tensor, "b ..."]]:
        """The batch of a step, counted from 0: images (b, ...) and labels (b, ...).

        Raises:
            IndexError: ``step`` is negative.
        """
        if step < 0:
            raise IndexError(f"`step` counts from 0, but is {step}.")
        epoch, position = divmod(step, self.steps_per_epoch)
        order = _permutation(len(self.images), self.seed, epoch)
        rows = order[position * self.size : (position + 1) * self.size].to(self.images.device)
        x, y = self.images[rows], self.labels[rows]
        x = x if x.is_floating_point() else unit_floats(x)
        return (self.augment(x, stream(self.seed, "augment", step)) if self.augment else x), y

    def __iter__(self) -> Iterator[tuple[Float[Tensor, "b ..."], Shaped[Tensor, "b ..."]]]:
        """``at(0)``, ``at(1)``, ... without end."""
        step = 0
        while True:
            yield self.at(step)
            step += 1


@lru_cache(maxsize=4)
def _permutation(n: int, seed: int, epoch: int) -> Int64[Tensor, " n"]:
    return torch.randperm(n, generator=stream(seed, "epoch", epoch))


def _check(images: Tensor, labels: Tensor, size: int) -> None:
    if not (images.dtype == torch.uint8 or images.is_floating_point()):
        raise ValueError(
            f"`images` must be uint8 (0 to 255) or floating point, but is {images.dtype}. "
            f"Convert it first, so that its scale is your choice."
        )
    if images.ndim == 0 or labels.ndim == 0 or len(images) != len(labels):
        raise ValueError(
            f"`images` and `labels` must have the same number of rows n, but have shapes {tuple(images.shape)} "
            f"and {tuple(labels.shape)}."
        )
    if not 1 <= size <= len(images):
        raise ValueError(
            f"`size` must lie between 1 and the number of examples {len(images)}, but is {size}: only "
            f"whole batches are delivered."
        )
