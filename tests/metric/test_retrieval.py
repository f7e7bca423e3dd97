"""Retrieval metrics against plain Python, pytorch-metric-learning, hand examples and expectations."""

import math
import re
import weakref
from collections.abc import Sequence
from typing import Any, Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from torchstone.metric import MetricWarning, RetrievalMetrics, retrieval_metrics
from torchstone.metric.ranking import chunks, row_bytes
from torchstone.metric.retrieval import ranked_metrics

KiB = 2**10


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def data(n: int, d: int, classes: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Embeddings that know something of their class, of very different sizes."""
    draw = generator(seed)
    labels = (classes * torch.rand(n, generator=draw) ** 2).long() * 7 - 3
    centers = torch.randn(classes * 7, d, generator=draw)
    return centers[labels + 3] + torch.randn(n, d, generator=draw), labels


def by_hand(
    query: Sequence[Sequence[float]],
    labels: Sequence[int],
    reference: Sequence[Sequence[float]],
    reference_labels: Sequence[int],
    own: bool,
) -> list[tuple[float, float, float]]:
    """The definition, one query at a time; nan for queries without a reference of their class."""
    values = []
    for i, (point, label) in enumerate(zip(query, labels, strict=True)):
        others = [j for j in range(len(reference)) if not (own and i == j)]
        others.sort(key=lambda j, point=point: (math.dist(point, reference[j]), j))  # type: ignore[misc]
        right = [reference_labels[j] == label for j in others]
        r = sum(right)
        if not r:
            values.append((math.nan,) * 3)
            continue
        precisions = [sum(right[:i]) / i for i in range(1, r + 1) if right[i - 1]]
        values.append((float(right[0]), sum(right[:r]) / r, sum(precisions) / r))
    return values


def triple(metrics: RetrievalMetrics) -> Tensor:
    return torch.tensor([metrics.precision_at_1, metrics.r_precision, metrics.map_at_r], dtype=torch.float64)


def of_queries(metrics: RetrievalMetrics) -> Tensor:
    return torch.stack(list(metrics.per_query.values()), 1)


def assert_equal(a: Tensor, b: Tensor) -> None:
    torch.testing.assert_close(a, b.to(a), rtol=1e-12, atol=1e-12, equal_nan=True)


@pytest.mark.parametrize(
    ("places", "wanted"),
    [([1], (1, 0.1, 0.1)), ([1, 10], (1, 0.2, 0.12)), ([1, 2], (1, 0.2, 0.2)), (range(1, 11), (1, 1, 1))],
)
def test_the_papers_hand_examples(places: Sequence[int], wanted: tuple[float, ...]) -> None:
    right = torch.tensor([[i in places for i in range(1, 11)]])
    assert_equal(ranked_metrics(right, torch.tensor([10])), torch.tensor([wanted], dtype=torch.float64))


@pytest.mark.parametrize("seed", range(3))
def test_every_query_is_scored_as_by_the_definition(seed: int) -> None:
    x, labels = data(60, 3, 8, seed)
    found = retrieval_metrics(x, labels, per_query=True)
    wanted = by_hand(x.tolist(), labels.tolist(), x.tolist(), labels.tolist(), own=True)
    assert_equal(of_queries(found), torch.tensor(wanted, dtype=torch.float64))
    assert found.dropped == sum(math.isnan(value) for value, _, _ in wanted)
    assert_equal(triple(found), of_queries(found).nanmean(0))


def test_a_reference_set_is_scored_as_by_the_definition() -> None:
    x, labels = data(20, 4, 6, 1)
    y, reference_labels = data(50, 4, 5, 2)
    found = retrieval_metrics(x, labels, reference=y, reference_labels=reference_labels, per_query=True)
    wanted = by_hand(x.tolist(), labels.tolist(), y.tolist(), reference_labels.tolist(), own=False)
    assert_equal(of_queries(found), torch.tensor(wanted, dtype=torch.float64))
    assert found.dropped > 0


@pytest.mark.parametrize("average", ["micro", "class"])
@pytest.mark.parametrize("split", [False, True])
def test_pytorch_metric_learning_agrees(average: str, split: bool) -> None:
    from pytorch_metric_learning.distances import LpDistance
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
    from pytorch_metric_learning.utils.inference import CustomKNN

    names = ("precision_at_1", "r_precision", "mean_average_precision_at_r")
    theirs = AccuracyCalculator(
        include=names,
        k="max_bin_count",
        avg_of_avgs=average == "class",
        device=torch.device("cpu"),
        knn_func=CustomKNN(LpDistance(normalize_embeddings=False)),
    )
    x, labels = data(200, 8, 12)
    if split:
        ours = retrieval_metrics(x[:80], labels[:80], reference=x[80:], reference_labels=labels[80:], average=average)  # type: ignore[arg-type]
        wanted = theirs.get_accuracy(x[:80], labels[:80], x[80:], labels[80:])
    else:
        ours = retrieval_metrics(x, labels, average=average)  # type: ignore[arg-type]
        wanted = theirs.get_accuracy(x, labels)
    torch.testing.assert_close(triple(ours), torch.tensor([wanted[name] for name in names]).double())


def test_random_embeddings_score_chance() -> None:
    x, labels = torch.randn(600, 16, generator=generator()), torch.arange(600) // 30
    found = retrieval_metrics(x, labels)
    chance = 29 / 599  # E[R-Precision] = R / (n - 1)
    assert abs(found.r_precision - chance) < 5 * math.sqrt(chance / (600 * 29))
    assert abs(found.precision_at_1 - chance) < 5 * math.sqrt(chance / 600)


def test_perfect_clusters_score_one() -> None:
    labels = torch.arange(40) // 8
    x = 10.0 * labels[:, None] + torch.rand(40, 3, generator=generator())
    assert triple(retrieval_metrics(x, labels)).tolist() == [1, 1, 1]


@given(st.integers(0, 10_000))
def test_isometries_scale_and_order_change_nothing(seed: int) -> None:
    x, labels = data(40, 5, 6, seed)
    draw = generator(seed)
    rotation = torch.linalg.qr(torch.randn(5, 5, dtype=torch.float64, generator=draw)).Q
    order = torch.randperm(40, generator=draw)
    before = retrieval_metrics(x, labels, per_query=True)
    after = retrieval_metrics((1e-3 * x.double() @ rotation + 100)[order], labels[order], per_query=True)
    assert_equal(of_queries(after), of_queries(before)[order])
    assert 0 <= before.map_at_r <= before.r_precision <= 1


@given(st.integers(0, 10_000))
def test_the_cosine_ranks_by_angles(seed: int) -> None:
    x, labels = data(30, 4, 5, seed)
    lengths = torch.rand(30, 1, generator=generator(seed)) + 0.1
    unit = torch.nn.functional.normalize(x.double())
    found = retrieval_metrics(lengths * x, labels, metric="cosine", per_query=True)
    assert_equal(of_queries(found), of_queries(retrieval_metrics(unit, labels, per_query=True)))


def test_less_memory_means_more_chunks_and_the_same_numbers() -> None:
    x, labels = data(300, 8, 10)
    ample = retrieval_metrics(x, labels, per_query=True)
    tight = retrieval_metrics(x, labels, memory=130 * KiB, per_query=True)
    assert_equal(of_queries(tight), of_queries(ample))
    assert_equal(triple(tight), triple(ample))


def test_chunks_hold_what_the_budget_allows() -> None:
    sizes = [50] * 10 + [2] * 90
    budget = 8 * row_bytes(1000, 20, 51)
    parts = list(chunks(sizes, n=1000, d=20, budget=budget))
    assert [row for part in parts for row in range(100)[part]] == list(range(100))
    assert all((part.stop - part.start) * row_bytes(1000, 20, sizes[part.start] + 1) <= budget for part in parts)
    assert parts[0].stop == 8
    assert parts[2].stop - parts[2].start > 8  # classes that need less, more of them


class Alive(TorchDispatchMode):
    """Counts the bytes of the tensors that operations gave back and that still live; the most there were at once."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: dict[int, int] = {}
        self.most = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        given = {each.untyped_storage()._cdata for each in args if isinstance(each, Tensor)}
        for each in out if isinstance(out, tuple | list) else [out]:
            if isinstance(each, Tensor) and each.untyped_storage()._cdata not in {*given, *self.sizes}:
                self.watch(each.untyped_storage())
        return out

    def watch(self, storage: torch.UntypedStorage) -> None:
        self.sizes[storage._cdata] = storage.nbytes()
        weakref.finalize(storage, self.sizes.pop, storage._cdata)
        self.most = max(self.most, sum(self.sizes.values()))


@pytest.mark.parametrize("share", [1, 2, 4])
@pytest.mark.parametrize(("n", "d", "each"), [(1000, 6, 100), (1000, 500, 5), (2000, 2, 4), (2000, 64, 10)])
def test_all_tensors_together_stay_within_the_memory_that_was_given(n: int, d: int, each: int, share: int) -> None:
    x, labels = torch.randn(n, d, generator=generator()), torch.arange(n) // each
    with pytest.raises(ValueError, match="`memory` must be at least") as refused:
        retrieval_metrics(x, labels, memory=1)
    memory = share * int(re.findall(r"at least (\d+) bytes", str(refused.value))[0])
    with Alive() as alive:
        retrieval_metrics(x, labels, memory=memory)
    assert memory / 8 < alive.most <= memory


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_a_reference_set_stays_within_the_memory_too(metric: Literal["euclidean", "cosine"]) -> None:
    (x, labels), (y, others) = data(1000, 40, 30), data(500, 40, 30, 1)
    with Alive() as alive:
        retrieval_metrics(y, others, reference=x, reference_labels=labels, metric=metric, memory=1100 * KiB)
    assert alive.most <= 1100 * KiB


def test_equal_distances_come_in_the_order_of_rows() -> None:
    x = torch.tensor([[1.0], [-1.0], [1.0], [-1.0]])
    labels, query = torch.tensor([1, 0, 0, 0]), (torch.zeros(1, 1), torch.tensor([0]))
    with pytest.warns(MetricWarning, match="1 of 1 queries"):
        found = retrieval_metrics(*query, reference=x, reference_labels=labels)
    wanted = RetrievalMetrics(0.0, 2 / 3, (1 / 2 + 2 / 3) / 3, queries=1, dropped=0, tied=1)
    assert found == wanted
    with pytest.warns(MetricWarning):
        turned = retrieval_metrics(*query, reference=x.flip(0), reference_labels=labels.flip(0))
    assert (turned.precision_at_1, turned.r_precision) == (1, 1)


def test_duplicates_far_from_the_origin_are_ties() -> None:
    x = 1e3 + torch.randn(20, 6, generator=generator()).repeat(10, 1)
    labels = torch.arange(200) % 20
    with pytest.warns(MetricWarning, match="200 of 200 queries"):
        found = retrieval_metrics(x, labels)
    assert triple(found).tolist() == [1, 1, 1]


def test_a_collapsed_embedding_is_reported_and_scored_by_rows() -> None:
    labels = torch.tensor([0, 1, 0, 1, 1])
    with pytest.warns(MetricWarning, match="collapsed"):
        found = retrieval_metrics(torch.ones(5, 3), labels, per_query=True)
    wanted = by_hand([[1.0]] * 5, labels.tolist(), [[1.0]] * 5, labels.tolist(), own=True)
    assert_equal(of_queries(found), torch.tensor(wanted, dtype=torch.float64))


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_no_scale_overflows(scale: float) -> None:
    x, labels = data(50, 4, 5)
    assert retrieval_metrics(x.double() * scale**5, labels) == retrieval_metrics(x.double(), labels)


def test_half_precision_is_exact_on_its_own_values() -> None:
    x, labels = data(80, 6, 5)
    assert retrieval_metrics(x.half(), labels) == retrieval_metrics(x.half().double(), labels)


def test_integers_of_any_width_are_labels() -> None:
    x, labels = data(80, 6, 5)
    labels = labels.abs()
    found = retrieval_metrics(x, labels.to(torch.uint8), reference=x, reference_labels=labels.int())
    assert found == retrieval_metrics(x, labels, reference=x, reference_labels=labels)


def test_one_query_of_a_pair() -> None:
    found = retrieval_metrics(torch.tensor([[0.0], [5.0]]), torch.tensor([4, 4]))
    assert triple(found).tolist() == [1, 1, 1]


def test_class_averages_weigh_classes_alike() -> None:
    x = torch.tensor([[0.0], [0.1], [0.2], [5.0], [9.0], [0.05]])
    labels = torch.tensor([0, 0, 0, 1, 1, 2])
    found = retrieval_metrics(x, labels, per_query=True, average="class")
    values = found.per_query["map_at_r"]
    assert found.map_at_r == pytest.approx(float((values[:3].mean() + values[3:5].mean()) / 2))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"query": torch.zeros(4, 2, dtype=torch.int64)}, TypeError, "`query` must be a floating-point"),
        ({"query": torch.zeros(4)}, ValueError, "`query` must be an"),
        ({"query": torch.zeros(0, 2)}, ValueError, "`query` must be an"),
        ({"query": torch.full((4, 2), torch.nan)}, ValueError, "`query` has NaN"),
        ({"labels": torch.zeros(4)}, TypeError, "`labels` must be a tensor of integers"),
        ({"labels": torch.zeros(3, dtype=torch.int64)}, ValueError, r"`labels` must have shape \(4,\)"),
        ({"labels": torch.arange(4)}, ValueError, "No query has a reference"),
        ({"reference": torch.eye(2)}, ValueError, "go together"),
        ({"reference": torch.eye(3), "reference_labels": torch.zeros(3).long()}, ValueError, "2 features"),
        ({"metric": "cosinus"}, ValueError, "`metric` must be"),
        ({"average": "macro"}, ValueError, "`average` must be"),
        ({"memory": 100}, ValueError, "`memory` must be at least"),
        ({"query": torch.zeros(4, 2), "metric": "cosine"}, ValueError, "rows of zeros"),
    ],
)
def test_bad_input_is_refused_in_words(change: dict[str, object], error: type[Exception], words: str) -> None:
    arguments: dict[str, object] = {"query": torch.eye(4, 2), "labels": torch.tensor([0, 0, 1, 1]), **change}
    with pytest.raises(error, match=words):
        retrieval_metrics(**arguments)  # type: ignore[arg-type]
