"""Retrieval metrics: is what lies near an example of its class? P@1, R-Precision, MAP@R."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float, Int, Int64
from torch import Tensor

from torchstone.metric.inputs import check_embeddings, check_finite, check_labels, warn
from torchstone.metric.pairs import resolve_reference
from torchstone.metric.ranking import BYTES, Space, chunks, nearest, row_bytes, space

MiB = 2**20
ENOUGH = 48 * MiB  # larger chunks gain nothing
EACH = 64  # bytes that labels, places and results take for each query and reference


@dataclass(frozen=True)
class RetrievalMetrics:
    """How well neighbours share the class of the query; each metric in [0, 1], higher is better.

    Args:
        precision_at_1: share of queries whose nearest reference is of their class.
        r_precision: share of their class among their R nearest, R being the size of the class without the query.
        map_at_r: mean average precision at R, which also asks that the right ones come first.
        queries: how many queries are scored.
        dropped: how many are not, because no reference is of their class.
        tied: how many of the scored have two references at one distance among their R + 1 nearest.
        per_query: the three metrics of each query by name, (m,) in float64, nan where it was dropped; empty unless
            asked for.
    """

    precision_at_1: float
    r_precision: float
    map_at_r: float
    queries: int
    dropped: int
    tied: int
    per_query: Mapping[str, Float[Tensor, " m"]] = field(default_factory=dict, repr=False, compare=False)


@torch.no_grad()
def retrieval_metrics(
    query: Float[Tensor, "m d"],
    labels: Int[Tensor, " m"],
    *,
    reference: Float[Tensor, "n d"] | None = None,
    reference_labels: Int[Tensor, " n"] | None = None,
    metric: Literal["euclidean", "cosine"] = "euclidean",
    average: Literal["micro", "class"] = "micro",
    memory: int = 256 * MiB,
    per_query: bool = False,
) -> RetrievalMetrics:
    r"""Precision at 1, R-Precision and MAP@R, exactly, in a stated amount of memory.

    .. math:: \text{R-Precision} = \frac{r_R}{R}, \qquad
              \text{MAP@R} = \frac{1}{R} \sum_{i=1}^{R} \frac{r_i}{i}\,\mathrm{rel}(i)

    For a query with :math:`R` references of its class, :math:`\mathrm{rel}(i)` is 1 where the i-th nearest is of its
    class, and :math:`r_i` counts these among the i nearest. Always 0 ≤ MAP@R ≤ R-Precision ≤ 1, and either is 1 only
    if all the R nearest are right. Each query gets the depth that its own class needs; there is no ``k`` to set.

    References at one distance come in the order of their rows. Distances are taken in float64, and squared ones that
    differ by less than about 2e-15 n of the largest count as equal.

    Args:
        query: (m, d), ranked by their distance to the references.
        labels: class of each, (m,).
        reference: (n, d). Without it, the queries are ranked among themselves, none with itself.
        reference_labels: their classes, (n,).
        metric: ``"euclidean"``, or ``"cosine"``: of rows brought to length 1.
        average: over queries (``"micro"``), or over the means of their classes (``"class"``).
        memory: bytes for all tensors that it makes, float64 copies of queries and references included; less means more
            chunks. What the product of matrices needs for itself, some MB, comes on top.
        per_query: whether the values of each query are kept.

    Returns:
        The means, and how many queries were scored, dropped and tied; see :class:`RetrievalMetrics`.

    Raises:
        TypeError: embeddings are not floating point, or labels not integers.
        ValueError: shapes do not fit, values are not finite, no query has a reference of its class, a row of zeros
            has no cosine, or ``memory`` is too small for one query.

    Warns:
        MetricWarning: more than half of the queries are tied: the embedding has collapsed, or holds duplicates.

    >>> x = torch.tensor([[0.0], [1.0], [3.0], [3.5], [9.0]])
    >>> retrieval_metrics(x, torch.tensor([0, 0, 1, 1, 2]))  # the last has no other of its class
    RetrievalMetrics(precision_at_1=1.0, r_precision=1.0, map_at_r=1.0, queries=4, dropped=1, tied=0)

    Paper: Musgrave, Belongie, Lim 2020, arXiv:2003.08505, section 3.
    Differs from the paper: nothing.
    """
    other_labels = _check(query, labels, reference, reference_labels, metric, average)
    sizes = class_sizes(labels.long(), other_labels.long()) - int(reference is None)  # (m,): R
    if not (sizes > 0).any():
        raise ValueError("No query has a reference of its class: every class has one example, or none in `reference`.")
    budget = _chunk_budget(query, reference, int(sizes.max()), memory)
    places = space(query, reference, metric)
    values, tied = _score(places, labels, other_labels, sizes, budget)
    scored = sizes > 0
    _warn_of_ties(int(tied), int(scored.sum()))
    p1, r_precision, map_at_r = _average(values[scored], labels[scored], average).tolist()
    return RetrievalMetrics(
        precision_at_1=p1,
        r_precision=r_precision,
        map_at_r=map_at_r,
        queries=int(scored.sum()),
        dropped=int((~scored).sum()),
        tied=int(tied),
        per_query=dict(zip(("precision_at_1", "r_precision", "map_at_r"), values.T, strict=True)) if per_query else {},
    )


def class_sizes(labels: Int[Tensor, " m"], reference_labels: Int[Tensor, " n"]) -> Int64[Tensor, " m"]:
    """How many references are of the class of each query."""
    classes, counts = torch.unique(reference_labels, return_counts=True)
    place = torch.searchsorted(classes, labels.contiguous()).clamp(max=len(classes) - 1)
    return torch.where(classes[place] == labels, counts[place], 0)


def _score(
    places: Space, labels: Tensor, reference_labels: Tensor, sizes: Int64[Tensor, " m"], budget: int
) -> tuple[Float[Tensor, "m 3"], Tensor]:
    """The metrics of each query, nan where R is 0, and how many queries are tied."""
    values = places.query.new_full((len(labels), 3), torch.nan)
    tied = sizes.new_zeros(())
    order = sizes.argsort(descending=True, stable=True)[: int((sizes > 0).sum())]
    available, needed = len(places.reference) - places.own, sizes[order].tolist()
    parts = list(chunks(needed, len(places.reference), places.query.shape[1] - 1, min(budget, ENOUGH)))
    longest = max(part.stop - part.start for part in parts)
    buffer = places.query.new_empty(longest * len(places.reference))
    for part in parts:
        rows, most = order[part], needed[part.start]
        columns, equal = nearest(places, rows, min(most + 1, available), buffer)
        right = reference_labels[columns[:, :most]] == labels[rows, None]  # (q, most)
        values[rows] = ranked_metrics(right, sizes[rows])
        ranks = torch.arange(equal.shape[1], device=equal.device)
        tied += (equal & (ranks < sizes[rows, None])).any(1).sum()
    return values, tied


def ranked_metrics(right: Tensor, r: Int64[Tensor, " q"]) -> Float[Tensor, "q 3"]:
    """P@1, R-Precision and MAP@R from which neighbours are right, nearest first, (q, k) with k at least every R."""
    ranks = torch.arange(1, right.shape[1] + 1, device=right.device)
    right = right & (ranks <= r[:, None])
    found = right.cumsum(1, dtype=torch.int32)
    precisions = torch.where(right, found.double() / ranks, 0).sum(1)
    return torch.stack([right[:, 0].double(), found[:, -1] / r.double(), precisions / r], 1)


def _average(values: Float[Tensor, "q 3"], labels: Tensor, average: str) -> Float[Tensor, " 3"]:
    if average == "micro":
        return values.mean(0)
    classes, which, counts = torch.unique(labels, return_inverse=True, return_counts=True)
    sums = values.new_zeros(len(classes), 3).index_add_(0, which, values)
    mean: Tensor = (sums / counts[:, None]).mean(0)
    return mean


def _chunk_budget(query: Tensor, reference: Tensor | None, k: int, memory: int) -> int:
    """What ``memory`` leaves for chunks beside results and float64 copies, of which making takes twice as much."""
    n = len(query if reference is None else reference)
    copies = BYTES * (query.shape[1] + 1) * (n + len(query))
    results = EACH * (n + len(query))
    least = results + max(2 * copies, copies + row_bytes(n, query.shape[1], k + 1))
    if memory < least:
        raise ValueError(
            f"`memory` must be at least {least} bytes ({least / MiB:.1f} MiB) for {len(query)} queries and {n} "
            f"references of {query.shape[1]} features, but is {memory}."
        )
    return memory - copies - results


def _warn_of_ties(tied: int, queries: int) -> None:
    if 2 * tied > queries:
        warn(
            f"{tied} of {queries} queries have two references at one distance among their nearest, which then come in "
            "the order of their rows: the embedding has collapsed, or holds duplicates."
        )


def _check(
    query: Tensor, labels: Tensor, reference: Tensor | None, reference_labels: Tensor | None, metric: str, average: str
) -> Tensor:
    """The labels of the references, after everything has been looked at."""
    check_embeddings(query, "query")
    check_labels(labels, query)
    others, other_labels = resolve_reference(query, labels, reference, reference_labels)
    for name, value, known in [("metric", metric, ("euclidean", "cosine")), ("average", average, ("micro", "class"))]:
        if value not in known:
            raise ValueError(f"`{name}` must be {known[0]!r} or {known[1]!r}, but is {value!r}.")
    for name, x in {"query": query, "reference": others}.items():
        check_finite(x, name)
        if metric == "cosine" and not x.any(1).all():
            raise ValueError(f"`{name}` has {int((~x.any(1)).sum())} rows of zeros, which have no cosine.")
    return other_labels
