"""The nearest references of each query, exactly and in bounded memory; equal distances come in the order of rows."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from torchstone.metric.pairs import unit

LAST = torch.iinfo(torch.int64).max
BYTES = 8  # of a float64, and of a key


@dataclass(frozen=True)
class Space:
    """Queries and references in float64, centred and scaled, so that nothing overflows and little cancels.

    Args:
        query: (m, d).
        reference: (n, d).
        own: whether the queries are the references, and none is its own neighbour.
    """

    query: Float[Tensor, "m d"]
    reference: Float[Tensor, "n d"]
    own: bool

    @property
    def index_bits(self) -> int:
        """How many bits the number of a reference takes."""
        return max(1, (len(self.reference) - 1).bit_length())


def space(query: Tensor, reference: Tensor | None, metric: str) -> Space:
    """Where distances are taken; for the cosine, on the unit sphere, where they rank as angles do."""
    others = (query if reference is None else reference).double()
    points = others if reference is None else query.double()
    if metric == "cosine":
        others = unit(others)
        points = others if reference is None else unit(points)
    center = others.mean(0)
    others = others - center
    scale = (
        others.abs().max() if reference is None else torch.maximum(others.abs().max(), (points - center).abs().max())
    )
    others = others / scale.clamp(min=torch.finfo(torch.float64).tiny)
    if reference is None:
        return Space(others, others, own=True)
    return Space((points - center) / scale.clamp(min=torch.finfo(torch.float64).tiny), others, own=False)


def row_bytes(n: int, k: int) -> int:
    """Memory that ranking one query among ``n`` references takes: its keys, and what is kept of the nearest ``k``."""
    return BYTES * n + 8 * BYTES * k


def nearest(places: Space, rows: Int64[Tensor, " q"], k: int, offset: float) -> tuple[Int64[Tensor, "q k"], Tensor]:
    """References of some queries, nearest first, (q, k), and whether each is as far as the next one, (q, k - 1)."""
    keys = sorted_keys(distance_keys(places, rows, offset), k)
    columns = keys & ((1 << places.index_bits) - 1)
    far = keys >> places.index_bits
    return columns, far[:, 1:] == far[:, :-1]


def key_offset(places: Space) -> float:
    """Three times a power of two that no squared distance exceeds."""
    longest = (places.query.square().sum(1).max().sqrt() + places.reference.square().sum(1).max().sqrt()) ** 2
    return 3.0 * 2.0 ** max(0, int(longest.log2().ceil()) if longest > 0 else 0)


def distance_keys(places: Space, rows: Int64[Tensor, " q"], offset: float) -> Int64[Tensor, "q n"]:
    """One integer for each pair, which orders by distance and, where distances are equal, by reference.

    With M a power of two above all squared distances, |r|² - 2qr + 3M lies in [2M, 4M), where float64 numbers are
    evenly spaced and their bits are integers in their order. The last bits make room for the number of the reference.
    """
    shifted = places.reference.square().sum(1) + offset
    values = torch.addmm(shifted[None], places.query[rows], places.reference.T, alpha=-2)  # (q, n)
    keys = values.view(torch.int64)
    keys.bitwise_and_(-(1 << places.index_bits))
    keys.bitwise_or_(torch.arange(len(places.reference), device=keys.device))
    if places.own:
        keys.scatter_(1, rows[:, None], LAST)
    return keys


def sorted_keys(keys: Int64[Tensor, "q n"], k: int) -> Int64[Tensor, "q k"]:
    """The least ``k`` of each row in order; on the CPU in place, by numpy, whose selection is several times faster."""
    if keys.device.type != "cpu":
        return keys.topk(k, largest=False).values
    array = keys.numpy()
    array.partition(k - 1, axis=1)
    array[:, :k].sort(axis=1)
    return keys[:, :k]


def chunks(order: Int64[Tensor, " m"], sizes: list[int], n: int, budget: int) -> Iterator[tuple[Tensor, int]]:
    """Runs of queries that fit the budget, each with the largest of its ``sizes``, which are in falling order."""
    start = 0
    while start < len(order):
        k = sizes[start]
        stop = start + max(1, budget // row_bytes(n, k))
        yield order[start:stop], k
        start = stop
