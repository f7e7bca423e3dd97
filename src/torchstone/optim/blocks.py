"""Lists of tensors cut into blocks that stay in the processor's cache."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

Row = tuple[Tensor, ...]
"""One parameter: itself, its gradient, its states, all of one shape."""

GRADIENT = 1
"""Its place in a row."""

BLOCK = 131_072
"""Elements: few enough that a block's temporaries stay in the cache, enough that calls cost little beside them."""


def blocks(rows: Sequence[Row], size: int = BLOCK) -> Iterator[list[Row]]:
    """Rows of about ``size`` elements together: small parameters are collected, large ones are cut.

    A piece of a quarter or more is a block of its own, as collecting it would cost more than calls for it.

    On accelerators, which keep no such cache, all of them.

    >>> [[len(x) for (x,) in block] for block in blocks([(torch.zeros(n),) for n in (1, 1, 14, 1)], 8)]
    [[8], [6], [1, 1, 1]]
    """
    if rows[0][0].device.type != "cpu":
        yield list(rows)
        return
    block: list[Row] = []
    filled = 0
    for row in rows:
        for piece in pieces(row, size):
            if 4 * piece[0].numel() >= size:
                yield [piece]
                continue
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


def flat(tensors: tuple[Tensor, ...]) -> Tensor:
    """One tensor with all numbers: of one tensor itself, of many a copy."""
    return tensors[0] if len(tensors) == 1 else torch._C._nn.flatten_dense_tensors(list(tensors))


def unflatten(numbers: Tensor, tensors: tuple[Tensor, ...]) -> None:
    """Put the numbers of :func:`flat` back where they came from."""
    if numbers is not tensors[0]:
        torch._foreach_copy_(tensors, torch._C._nn.unflatten_dense_tensors(numbers, list(tensors)))
