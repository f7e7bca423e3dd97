"""Episodes: what an episode is, that it is reproducible, and what is refused."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from torchstone.fewshot import Episodes, check_disjoint

LABELS = torch.tensor([7, 3, 3, 9, 7, 3, 9, 9, 7, 3, 9, 7, 1, 1, 1, 1, 3, 7])


@given(ways=st.integers(2, 4), shots=st.integers(1, 2), queries=st.integers(1, 2), seed=st.integers(0, 10_000))
def test_an_episode_has_distinct_classes_and_disjoint_parts(ways: int, shots: int, queries: int, seed: int) -> None:
    episodes = Episodes(LABELS, ways, shots, queries, count=5, seed=seed)
    assert len(list(episodes)) == len(episodes) == 5
    for episode in episodes:
        assert len(set(episode.classes.tolist())) == ways
        rows = torch.cat([episode.support, episode.query]).tolist()
        assert len(set(rows)) == len(rows) == ways * (shots + queries) == episodes.images_each
        assert torch.equal(LABELS[episode.support], episode.classes[episode.support_labels])
        assert torch.equal(LABELS[episode.query], episode.classes[episode.query_labels])
        assert torch.equal(episode.support_labels.bincount(), torch.full((ways,), shots))
        assert torch.equal(episode.query_labels.bincount(), torch.full((ways,), queries))


def test_an_episode_is_a_function_of_seed_and_index() -> None:
    first, again = (Episodes(LABELS, 3, 1, 2, count=count, seed=4) for count in (20, 10))
    assert torch.equal(again.at(9).support, first.at(9).support)  # not of what was drawn before, nor of the count
    assert torch.equal(first.support[9], first.at(9).support)
    assert torch.equal(first.query[:10], again.query)
    other = Episodes(LABELS, 3, 1, 2, count=20, seed=5)
    assert not torch.equal(other.query, first.query)
    assert len(first.query.unique(dim=0)) > 10


def test_other_shots_keep_classes_and_queries() -> None:
    one, two = (Episodes(LABELS, 3, shots, 2, count=30, seed=0) for shots in (1, 2))
    assert torch.equal(one.query, two.query)
    assert torch.equal(one.support, two.support.view(30, 3, 2)[:, :, 0])


def test_every_class_and_every_place_come_up_alike() -> None:
    episodes = Episodes(torch.arange(40) // 4, 2, 1, 1, count=4000, seed=0)
    places = torch.stack([episode.classes for episode in episodes])
    for place in (0, 1):
        counts = places[:, place].bincount(minlength=10)
        assert (counts - 400).abs().max() < 4 * 19  # 19 is the standard deviation of a binomial of 4000 and 0.1
    rows = episodes.support.flatten().bincount(minlength=40)
    assert (rows - 200).abs().max() < 4.5 * 14


def test_a_small_class_is_named_with_the_numbers() -> None:
    labels = torch.cat([LABELS, torch.tensor([12, 12])])
    with pytest.raises(ValueError, match=r"Class 12 has 2 examples.* 1 shots \+ 2 queries = 3 .*1 of 5 classes"):
        Episodes(labels, 2, 1, 2, count=1, seed=0)


def test_too_few_classes() -> None:
    with pytest.raises(ValueError, match="`ways` is 5, but `labels` has only 4 classes"):
        Episodes(LABELS, 5, 1, 1, count=1, seed=0)


@pytest.mark.parametrize("sizes", [(1, 1, 1, 1), (2, 0, 1, 1), (2, 1, 0, 1), (2, 1, 1, 0)])
def test_senseless_numbers_are_refused(sizes: tuple[int, int, int, int]) -> None:
    ways, shots, queries, count = sizes
    with pytest.raises(ValueError, match="`ways` must be at least 2"):
        Episodes(LABELS, ways, shots, queries, count=count, seed=0)


@pytest.mark.parametrize("labels", [LABELS.float(), LABELS > 3, LABELS.tolist()])
def test_labels_are_integers(labels: torch.Tensor) -> None:
    with pytest.raises(TypeError, match="`labels`"):
        Episodes(labels, 2, 1, 1, count=1, seed=0)


@pytest.mark.parametrize("labels", [LABELS.view(2, -1), LABELS[:0]])
def test_labels_are_a_vector(labels: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="one class number for each example"):
        Episodes(labels, 2, 1, 1, count=1, seed=0)


@pytest.mark.parametrize("i", [-1, 3])
def test_an_episode_that_is_not_there(i: int) -> None:
    with pytest.raises(IndexError, match="there are 3"):
        Episodes(LABELS, 2, 1, 1, count=3, seed=0).at(i)


def test_base_and_novel_classes_must_not_overlap() -> None:
    check_disjoint(["a", "b"], ["c"])
    with pytest.raises(ValueError, match=r"both have 'c', 'b'\."):
        check_disjoint(["a", "b", "c"], ["c", "d", "b", "c"])
    with pytest.raises(ValueError, match=r"0, 1, 2, 3, 4 and 15 more"):
        check_disjoint(range(20), range(30))
