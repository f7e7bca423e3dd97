"""Labelled images as one tensor: uint8 stored, float in [0, 1] delivered."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

Index = Tensor | Sequence[int] | Sequence[bool] | slice
"""Which rows: positions, a mask of all rows, or a slice."""


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images with their classes.

    Args:
        images: uint8 (n, c, h, w), 0 to 255.
        labels: int64 (n,), positions in ``classes``.
        classes: the names of the classes.

    Raises:
        ValueError: shapes, dtypes or labels don't fit together.

    Example:
        >>> grey = torch.full((4, 1, 8, 8), 51, dtype=torch.uint8)
        >>> pictures = ImageSet(grey, torch.tensor([0, 1, 1, 0]), ("cat", "dog"))
        >>> dogs = pictures.subset(pictures.labels == 1)
        >>> len(dogs), dogs.floats().shape, dogs.floats().max()
        (2, torch.Size([2, 1, 8, 8]), tensor(0.2000))
    """

    images: UInt8[Tensor, "n c h w"]
    labels: Int64[Tensor, " n"]
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.ndim != 4:
            raise ValueError(f"`images` must be a uint8 tensor (n, c, h, w), but is {_describe(self.images)}.")
        if self.labels.dtype != torch.int64 or self.labels.shape != self.images.shape[:1]:
            raise ValueError(
                f"`labels` must be an int64 tensor with one label for each of the {len(self.images)} images, "
                f"but is {_describe(self.labels)}."
            )
        if len(self) and not 0 <= int(self.labels.min()) <= int(self.labels.max()) < len(self.classes):
            raise ValueError(
                f"`labels` must lie between 0 and {len(self.classes) - 1}, the positions in `classes`, but lie between "
                f"{int(self.labels.min())} and {int(self.labels.max())}."
            )

    def __len__(self) -> int:
        """The number of images n."""
        return len(self.images)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(images={tuple(self.images.shape)}, classes={len(self.classes)})"

    def floats(self, index: Index | None = None) -> Float[Tensor, "n c h w"]:
        """The images, or those that ``index`` names, as float32 in [0, 1], converted in one step."""
        chosen = self.images if index is None else self.images[positions(index, len(self))]
        return unit_floats(chosen)

    def subset(self, index: Index) -> Self:
        """The images that ``index`` (positions, mask or slice) names, under the same ``classes``."""
        rows = positions(index, len(self))
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        chosen: dict[str, Any] = {name: value[rows] for name, value in values.items() if isinstance(value, Tensor)}
        return replace(self, **chosen)


def unit_floats(images: UInt8[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Bytes 0 to 255 as float32 in [0, 1]."""
    return images.to(torch.float32).div_(255)


def positions(index: Index, n: int, argument: str = "index") -> Int64[Tensor, " k"]:
    """The rows of n that an index names, as positions from 0 to n - 1; ``argument`` is what errors call it.

    Raises:
        ValueError: ``index`` is no vector of integers, or a mask of another length.
        IndexError: a position lies outside of the n rows.
    """
    if isinstance(index, slice):
        return torch.arange(n)[index]
    try:
        rows = torch.as_tensor(index if isinstance(index, Tensor) else list(index)).cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"`{argument}` must be a vector of positions or a mask, but is {index!r}. For one row, write [3]."
        ) from error
    rows = rows if rows.numel() else rows.to(torch.int64)
    if rows.ndim != 1 or rows.is_floating_point() or rows.is_complex():
        raise ValueError(f"`{argument}` must be a vector of positions or a mask, but is {_describe(rows)}.")
    if rows.dtype == torch.bool:
        if len(rows) != n:
            raise ValueError(
                f"`{argument}` is a mask of {len(rows)} entries for {n} rows; it needs one entry for each row."
            )
        return rows.nonzero().flatten()
    rows = rows.to(torch.int64)
    if len(rows) and not -n <= int(rows.min()) <= int(rows.max()) < n:
        raise IndexError(
            f"`{argument}` must lie between {-n} and {n - 1}, but reaches from {rows.min()} to {rows.max()}."
        )
    return rows % max(n, 1)


def _describe(tensor: Tensor) -> str:
    return f"{tensor.dtype} of shape {tuple(tensor.shape)}"
