"""Lists of tensors cut into blocks that stay in the processor's cache."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

Row = tuple[Tensor, ...]
"""One parameter: itself, its gradient, its states, all of one shape."""

BLOCK = 65_536
"""Elements: small enough that a block's temporaries stay in the second-level cache."""


def blocks(rows: Sequence[Row], size: int = BLOCK) -> Iterator[list[Row]]:
    """Rows of about ``size`` elements together: small parameters are collected, large ones are cut.

    >>> [[len(x) for (x,) in block] for block in blocks([(torch.zeros(3),), (torch.zeros(2),), (torch.zeros(9),)], 5)]
    [[3, 2], [5], [4]]
    """
    block: list[Row] = []
    filled = 0
    for row in rows:
        for piece in pieces(row, size):
            block.append(piece)
            filled += piece[0].numel()
            if filled >= size:
                yield block
                block, filled = [], 0
    if block:
        yield block


def pieces(row: Row, size: int) -> Iterator[Row]:
    """A row cut into pieces of ``size`` elements, which share its memory; whole where it is small or not contiguous."""
    if row[0].numel() <= size or not all(tensor.is_contiguous() for tensor in row):
        yield row
    else:
        yield from zip(*(torch.split(tensor.view(-1), size) for tensor in row), strict=True)
