"""The nearest references of each query, exactly and in bounded memory; equal distances come in the order of rows."""

import math
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
    """Queries and references in float64, so written that one product of matrices gives numbers to rank by.

    The product of [-2q, 1] and [r, |r|² + 3M] is |q - r|² but for a constant of the query. With M a power of two above
    all squared distances it lies in [2M, 4M), where float64 numbers are evenly spaced and their bits are integers in
    their order.

    Args:
        query: (m, d + 1).
        reference: (n, d + 1).
        own: whether the queries are the references, and none is its own neighbour.
    """

    query: Float[Tensor, "m d1"]
    reference: Float[Tensor, "n d1"]
    own: bool

    @property
    def index_bits(self) -> int:
        """How many bits the number of a reference takes."""
        return max(1, (len(self.reference) - 1).bit_length())


def space(query: Tensor, reference: Tensor | None, metric: str) -> Space:
    """Where distances are taken: centred, scaled; for the cosine on the unit sphere, where they rank as angles do."""
    others = _points(query if reference is None else reference, metric)
    center = others.mean(0)
    others = others - center
    points = others if reference is None else _points(query, metric) - center
    ends = torch.stack([*others.aminmax(), *points.aminmax()])
    scale = ends.abs().max().clamp(min=torch.finfo(torch.float64).tiny)
    for x in {id(x): x for x in (others, points)}.values():
        x.div_(scale)
    lengths = torch.linalg.vector_norm(others, dim=1, keepdim=True)
    longest = float(lengths.max() + torch.linalg.vector_norm(points, dim=1).max()) ** 2
    offset = 3 * 2.0 ** math.ceil(math.log2(max(1.0, longest)))
    right = torch.cat([others, lengths.square() + offset], 1)
    left = torch.cat([points, torch.full_like(points[:, :1], -0.5)], 1).mul_(-2)
    return Space(left, right, own=reference is None)


def _points(x: Tensor, metric: str) -> Float[Tensor, "n d"]:
    return unit(x.double()) if metric == "cosine" else x.double()


def row_bytes(n: int, d: int, k: int) -> int:
    """Memory that ranking one query takes: itself, its keys for ``n`` references, what is kept of the nearest ``k``."""
    return BYTES * (n + d + 1) + 8 * BYTES * k


def nearest(places: Space, rows: Int64[Tensor, " q"], k: int, buffer: Float[Tensor, " s"]) -> tuple[Tensor, Tensor]:
    """References of some queries, nearest first, (q, k), and whether each is as far as the next one, (q, k - 1)."""
    keys = sorted_keys(distance_keys(places, rows, buffer), k)
    far = keys >> places.index_bits
    return keys & ((1 << places.index_bits) - 1), far[:, 1:] == far[:, :-1]


def distance_keys(places: Space, rows: Int64[Tensor, " q"], buffer: Float[Tensor, " s"]) -> Int64[Tensor, "q n"]:
    """One integer for each pair, which orders by distance and, where distances are equal, by reference.

    The last bits of the number to rank by make room for the number of the reference. All happens in the buffer.
    """
    n = len(places.reference)
    values = buffer[: len(rows) * n].view(len(rows), n)
    torch.mm(places.query[rows], places.reference.T, out=values)
    keys = values.view(torch.int64)
    keys.bitwise_and_(-(1 << places.index_bits)).bitwise_or_(torch.arange(n, device=keys.device))
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


def chunks(sizes: list[int], n: int, d: int, budget: int) -> Iterator[slice]:
    """Runs of queries that fit the budget, by their ``sizes``, in falling order: how many neighbours each needs."""
    start = 0
    while start < len(sizes):
        stop = start + max(1, budget // row_bytes(n, d, sizes[start] + 1))
        yield slice(start, min(stop, len(sizes)))
        start = stop
