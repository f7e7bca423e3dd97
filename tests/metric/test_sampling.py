"""Distance-weighted negatives against the density they undo."""

import pytest
import torch

from torchstone.metric import distance_weighted_triplets
from torchstone.metric.pairs import distances
from torchstone.metric.sampling import negative_chances


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def points(n: int, d: int) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.randn(n, d, dtype=torch.float64, generator=generator()))


def test_every_positive_pair_gets_a_negative() -> None:
    x, labels = points(12, 4), torch.arange(12) // 3
    a, p, n = distance_weighted_triplets(x, labels, generator=generator())
    assert len(a) == 12 * 2
    assert (labels[a] == labels[p]).all()
    assert (a != p).all()
    assert (labels[a] != labels[n]).all()


@pytest.mark.parametrize("d", [2, 3, 8, 128])
def test_chances_are_the_inverse_density(d: int) -> None:
    distance = torch.tensor([[0.3, 0.5, 0.9, 1.2, 1.39, 1.5]], dtype=torch.float64)
    chances = negative_chances(distance, torch.ones(1, 6, dtype=torch.bool), d, cutoff=0.5, horizon=1.4)[0]
    capped = distance[0, :5].clamp(min=0.5)
    wanted = 1 / (capped ** (d - 2) * (1 - capped**2 / 4) ** ((d - 3) / 2))
    torch.testing.assert_close(chances[:5], wanted / wanted.sum())
    assert chances[5] == 0


def test_distances_of_drawn_negatives_are_spread_evenly() -> None:
    x = points(1500, 3)
    anchor = torch.zeros(1, 3, dtype=torch.float64).index_fill(1, torch.tensor(0), 1.0)
    distance = distances(anchor, x)
    chances = negative_chances(distance, torch.ones_like(distance, dtype=torch.bool), 3, 0.2, 1.4)[0]
    low, middle = (chances[(distance[0] > a) & (distance[0] <= a + 0.4)].sum() for a in (0.2, 0.8))
    assert abs(float(low / middle) - 1) < 0.35


def test_far_negatives_are_drawn_evenly_where_none_is_near() -> None:
    distance = torch.tensor([[1.5, 2.0, 1.6]], dtype=torch.float64)
    chances = negative_chances(distance, torch.tensor([[True, True, False]]), 64, 0.5, 1.4)
    assert chances.tolist() == [[0.5, 0.5, 0]]


def test_the_generator_decides_and_nothing_else() -> None:
    x, labels = points(30, 6), torch.arange(30) // 3
    first, again, other = (distance_weighted_triplets(x, labels, generator=generator(s))[2] for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2]])
def test_without_positives_or_negatives_there_are_no_triplets(labels: list[int]) -> None:
    found = distance_weighted_triplets(points(3, 4), torch.tensor(labels), generator=generator())
    assert [len(rows) for rows in found] == [0, 0, 0]


def test_bad_input_is_refused_in_words() -> None:
    x, labels = points(4, 3), torch.tensor([0, 0, 1, 1])
    with pytest.raises(ValueError, match="`cutoff` must be finite and above 0"):
        distance_weighted_triplets(x, labels, generator=generator(), cutoff=0.0)
    with pytest.raises(ValueError, match="`horizon` must be finite and above 0"):
        distance_weighted_triplets(x, labels, generator=generator(), horizon=-1.0)
    with pytest.raises(ValueError, match="`embeddings` has NaN"):
        distance_weighted_triplets(x * torch.nan, labels, generator=generator())
