from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ortho_group
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from torch import Tensor

from torchstone.probes import ProbeWarning, centroids, knn, nearest_centroid
from torchstone.probes import neighbours as module
from torchstone.probes.neighbours import Metric


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def slowly(x: Tensor, y: Tensor, test: Tensor, k: int) -> Tensor:
    """Squared Euclidean distances one by one, in integers; ties by position, then by class."""
    answers = []
    for row in test.tolist():
        far = [(sum((a - b) ** 2 for a, b in zip(row, other, strict=True)), i) for i, other in enumerate(x.tolist())]
        votes = [int(y[i]) for _, i in sorted(far)[:k]]
        answers.append(min(votes, key=lambda label: (-votes.count(label), label)))
    return torch.tensor(answers)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("k", [1, 4, 60])
def test_neighbours_are_scikit_learns(k: int, metric: Metric) -> None:
    x, test, y = normal(60, 5), normal(40, 5, seed=1), torch.arange(60) % 4
    peer = KNeighborsClassifier(k, metric=metric, algorithm="brute").fit(x.numpy(), y.numpy())
    np.testing.assert_array_equal(knn(x, y, test, k, metric=metric).numpy(), peer.predict(test.numpy()))


@given(k=st.integers(1, 9), seed=st.integers(0, 10_000))
def test_ties_go_to_the_first_example_and_the_lowest_class(k: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x, test = torch.randint(-1, 2, (9, 3), generator=generator), torch.randint(-1, 2, (6, 3), generator=generator)
    y = torch.randint(3, (9,), generator=generator)
    assert torch.equal(knn(x, y, test, k, metric="euclidean"), slowly(x, y, test, k))


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_equal_examples_are_ties_in_spite_of_rounding(metric: Metric) -> None:
    x, test = normal(1, 64).repeat(33, 1) * 1e3 + 0.1, normal(50, 64, seed=1)
    y = torch.arange(33).flip(0)
    assert torch.equal(knn(x, y, test, metric=metric), torch.full((50,), 32))


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_problems_and_blocks_do_not_matter(metric: Metric, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y, test = normal(4, 20, 6), torch.arange(80).view(4, 20) % 3, normal(4, 11, 6, seed=1)
    alone = torch.stack([knn(*one, 3, metric=metric) for one in zip(x, y, test, strict=True)])
    assert torch.equal(knn(x, y, test, 3, metric=metric), alone)
    monkeypatch.setattr(module, "BLOCK", 4 * 20 * 2)
    assert torch.equal(knn(x, y, test, 3, metric=metric), alone)


def test_problems_may_share_test_examples() -> None:
    x, y, test = normal(4, 20, 6), torch.arange(80).view(4, 20) % 3, normal(11, 6, seed=1)
    assert torch.equal(knn(x, y, test, 3), knn(x, y, test.expand(4, -1, -1), 3))


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("classify", [knn, nearest_centroid])
def test_rotations_do_not_matter(classify: Any, metric: Metric) -> None:
    x, test, y = normal(60, 5), normal(40, 5, seed=1), torch.arange(60) % 4
    turn = torch.from_numpy(ortho_group.rvs(5, random_state=0))
    assert torch.equal(classify(x @ turn, y, test @ turn, metric=metric), classify(x, y, test, metric=metric))


def test_a_large_offset_costs_nothing() -> None:
    x, test, y = normal(60, 5), normal(40, 5, seed=1), torch.arange(60) % 4
    far = knn(x + 2**20, y, test + 2**20, metric="euclidean")
    assert torch.equal(far, knn(x, y, test, metric="euclidean"))


def test_an_outlier_makes_no_ties_of_near_examples() -> None:
    x, y = torch.tensor([[0.0], [1.0], [1e6]], dtype=torch.float64), torch.arange(3)
    assert knn(x, y, torch.tensor([[0.9], [0.4]]), metric="euclidean").tolist() == [1, 0]
    near = torch.tensor([[1.0, 0.0], [1.0, 1e-5]], dtype=torch.float64)
    assert knn(near, y[:2], near[1:]).tolist() == [1]


def test_a_row_of_zeros_is_as_far_as_a_right_angle() -> None:
    x, y = torch.tensor([[0.0, 0.0], [-1.0, 0.0], [1.0, 1.0]]), torch.tensor([0, 1, 2])
    with pytest.warns(ProbeWarning, match="1 of 3 rows are all 0"):
        assert knn(x, y, torch.tensor([[1.0, -3.0], [1.0, 0.0]])).tolist() == [0, 2]


def test_centroids_are_scikit_learns() -> None:
    x, test, y = normal(60, 5) + 3, normal(40, 5, seed=1) + 3, torch.arange(60) % 4
    peer = NearestCentroid().fit(x.numpy(), y.numpy())
    np.testing.assert_allclose(centroids(x, y).numpy(), peer.centroids_)
    np.testing.assert_array_equal(nearest_centroid(x, y, test).numpy(), peer.predict(test.numpy()))


def test_one_shot_centroids_are_nearest_neighbours() -> None:
    x, test, y = normal(8, 5, 6), normal(8, 30, 6, seed=1), torch.arange(5).flip(0).expand(8, -1)
    assert torch.equal(nearest_centroid(x, y, test), knn(x, y, test, metric="euclidean"))


def test_centroids_are_a_linear_classifier() -> None:
    """-|x - μ|² ranks classes as w x + b with w = 2 μ, b = -|μ|²: Snell et al. 2017, equation 8."""
    x, test, y = normal(60, 5), normal(40, 5, seed=1), torch.arange(60) % 4
    mu = centroids(x, y)
    assert torch.equal(nearest_centroid(x, y, test), (test @ (2 * mu).T - mu.square().sum(1)).argmax(1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k": 0}, "`k` is 0: it must lie between 1 and the number of training examples, 6"),
        ({"k": 7}, "`k` is 7"),
        ({"metric": "l1"}, "`metric` is 'l1'"),
        ({"x_train": normal(6, 2) / 0}, "`x_train` has NaN"),
        ({"x_test": normal(6, 2) / 0}, "`x_test` has NaN"),
        ({"x_test": normal(6, 3)}, r"`x_test` has shape \(6, 3\), but `x_train` \(6, 2\)"),
        ({"x_test": normal(4, 6, 2)}, r"`x_test` has shape \(4, 6, 2\)"),
        ({"y_train": torch.arange(5)}, r"`y_train` has shape \(5,\)"),
        ({"y_train": torch.arange(6) - 1}, "labels from -1 to 4"),
    ],
)
def test_what_neighbours_refuse(arguments: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {"x_train": normal(6, 2), "y_train": torch.arange(6), "x_test": normal(6, 2)}
    with pytest.raises(ValueError, match=message):
        knn(**(good | arguments))


def test_a_centroid_needs_an_example() -> None:
    with pytest.raises(ValueError, match=r"Class 1 has no example in problem 0 \(of 1\)"):
        nearest_centroid(normal(4, 2), torch.tensor([0, 2, 0, 2]), normal(4, 2))
