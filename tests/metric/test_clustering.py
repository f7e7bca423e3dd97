"""Clustering metrics against scikit-learn's definitions and what they are known to get wrong."""

import pytest
import torch

from torchstone.metric import clustering_metrics


def test_perfect_clusters_score_one() -> None:
    labels = torch.arange(60) // 20
    x = 10.0 * torch.eye(3)[labels] + 0.01 * torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
    found = clustering_metrics(x, labels, seed=0)
    assert (found.nmi, found.ami, found.f1) == pytest.approx((1, 1, 1))


def test_pairs_are_counted_as_they_are() -> None:
    x = torch.tensor([[0.0], [0.1], [9.0], [9.1], [9.2]])
    found = clustering_metrics(x, torch.tensor([0, 0, 0, 1, 1]), seed=0)
    # clusters {0, 1} and {2, 3, 4}: 2 of 4 pairs of a cluster are of one class, and 2 of 4 of a class in one cluster
    assert found.f1 == pytest.approx(0.5)


def test_nmi_flatters_random_embeddings_of_many_classes() -> None:
    x = torch.randn(200, 8, generator=torch.Generator().manual_seed(0))
    many = clustering_metrics(x, torch.arange(200) // 2, seed=0)
    assert many.nmi > 0.75
    assert abs(many.ami) < 0.1


def test_the_seed_fixes_it() -> None:
    x, labels = torch.randn(100, 4, generator=torch.Generator().manual_seed(0)), torch.arange(100) % 10
    assert clustering_metrics(x, labels, seed=3) == clustering_metrics(x, labels, seed=3)


def test_clusters_may_differ_from_classes_but_not_exceed_the_examples() -> None:
    x, labels = torch.eye(6), torch.tensor([0, 0, 1, 1, 2, 2])
    assert clustering_metrics(x, labels, seed=0, clusters=1).f1 == pytest.approx(2 * 3 / (2 * 3 + 12))
    with pytest.raises(ValueError, match="`clusters` must lie between 1 and the number of examples 6, but is 7"):
        clustering_metrics(x, labels, seed=0, clusters=7)
