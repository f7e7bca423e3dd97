"""Batches of some classes with some examples each, with random access by step."""

from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float, Int, Int64, Shaped
from torch import Tensor

from torchstone.data.image_set import unit_floats
from torchstone.data.streams import stream
from torchstone.metric.inputs import check_labels, warn

Augment = Callable[[Float[Tensor, "b c h w"], torch.Generator], Float[Tensor, "b c h w"]]


class ClassBalancedBatches:
    """Batches of ``classes`` different classes with ``instances`` examples each; loss over pairs need such.

    Classes, then examples of each, are drawn without replacement, from (``seed``, step) alone, so that ``at(t)`` needs
    no history and training resumes anywhere. A class with fewer than ``instances`` examples is drawn from with
    replacement, and a warning says how many such classes there are.

    Args:
        images: (n, ...) uint8, delivered as float32 in [0, 1]; or floating point, delivered as they are.
        labels: class of each, (n,).
        classes: different classes in a batch.
        instances: examples of each; the batch has b = ``classes`` × ``instances``, grouped by class.
        seed: seed of the draws and augmentations.
        augment: a change of each batch that draws from the generator it is given.
        device: where images and labels are kept and delivered.

    Raises:
        TypeError: labels are not integers.
        ValueError: lengths differ, there are fewer classes than ``classes``, ``instances`` is below 1, or the images
            are neither uint8 nor floating point.

    Warns:
        MetricWarning: a class has fewer than ``instances`` examples.

    Example:
        >>> labels = torch.arange(100) // 10
        >>> batches = ClassBalancedBatches(torch.zeros(100, 1, 8, 8), labels, classes=3, instances=4, seed=0)
        >>> x, y = batches.at(1_000_000)
        >>> x.shape, y.unique(return_counts=True)[1]
        (torch.Size([12, 1, 8, 8]), tensor([4, 4, 4]))

    Paper: Musgrave, Belongie, Lim 2020, arXiv:2003.08505, section 3 (8 classes of 4).
    """

    def __init__(
        self,
        images: Shaped[Tensor, "n ..."],
        labels: Int[Tensor, " n"],
        *,
        classes: int,
        instances: int,
        seed: int,
        augment: Augment | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        check_labels(labels)
        _check(images, labels)
        self.images, self.labels = images.to(device), labels.to(device)
        self.classes, self.instances, self.seed, self.augment = classes, instances, seed, augment
        sizes = labels.cpu().unique(return_counts=True)[1]  # type: ignore[no-untyped-call]
        self.rows = labels.cpu().argsort(stable=True).split(sizes.tolist())  # type: ignore[no-untyped-call]
        if not 1 <= classes <= len(self.rows) or instances < 1:
            raise ValueError(
                f"A batch needs 1 to {len(self.rows)} classes, as many as there are, and at least 1 instance of each, "
                f"but `classes` is {classes} and `instances` {instances}."
            )
        _warn_of_small(sum(len(rows) < instances for rows in self.rows), len(self.rows), instances)

    def rows_at(self, step: int) -> Int64[Tensor, " b"]:
        """Which examples the batch of a step has, (b,), on the CPU.

        Raises:
            IndexError: ``step`` is negative.
        """
        if step < 0:
            raise IndexError(f"`step` counts from 0, but is {step}.")
        generator = stream(self.seed, "classes", step)
        chosen = torch.randperm(len(self.rows), generator=generator)[: self.classes]
        return torch.cat([_draw(self.rows[which], self.instances, generator) for which in chosen.tolist()])

    def at(self, step: int) -> tuple[Float[Tensor, "b ..."], Int[Tensor, " b"]]:
        """The batch of a step, counted from 0: images (b, ...) and labels (b,)."""
        rows = self.rows_at(step).to(self.images.device)
        x = self.images[rows]
        x = x if x.is_floating_point() else unit_floats(x)
        return (self.augment(x, stream(self.seed, "augment", step)) if self.augment else x), self.labels[rows]

    def __iter__(self) -> Iterator[tuple[Float[Tensor, "b ..."], Int[Tensor, " b"]]]:
        """``at(0)``, ``at(1)``, ... without end."""
        step = 0
        while True:
            yield self.at(step)
            step += 1


def _draw(rows: Int64[Tensor, " n"], m: int, generator: torch.Generator) -> Int64[Tensor, " m"]:
    if len(rows) < m:
        return rows[torch.randint(len(rows), (m,), generator=generator)]
    return rows[torch.randperm(len(rows), generator=generator)[:m]]


def _check(images: Tensor, labels: Tensor) -> None:
    if not (images.dtype == torch.uint8 or images.is_floating_point()):
        raise ValueError(f"`images` must be uint8 (0 to 255) or floating point, but is {images.dtype}: convert it.")
    if images.ndim == 0 or len(images) != len(labels) or not len(labels):
        raise ValueError(
            f"`images` and `labels` must have the same number of rows n, at least 1, but have shapes "
            f"{tuple(images.shape)} and {tuple(labels.shape)}."
        )


def _warn_of_small(small: int, classes: int, instances: int) -> None:
    if small:
        warn(
            f"{small} of {classes} classes have fewer than {instances} examples: theirs are drawn with replacement, "
            "so that batches hold some twice."
        )
