"""Class-disjoint splits against the paper's numbers and against leakage."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from torchstone.metric import class_disjoint_folds, class_disjoint_split


def test_the_papers_numbers_for_cub() -> None:
    labels = torch.arange(200).repeat(3)
    first, second = class_disjoint_split(labels)
    assert labels[first].unique().tolist() == list(range(100))
    assert labels[second].unique().tolist() == list(range(100, 200))
    folds = class_disjoint_folds(labels[first])
    for p, fold in enumerate(folds):
        train = sorted((25 * p + i) % 100 for i in range(75))
        assert labels[first][fold.train].unique().tolist() == train
        assert len(labels[first][fold.validation].unique()) == 25


@given(st.integers(2, 40), st.integers(2, 6), st.integers(0, 10_000))
def test_folds_share_no_class_and_lose_no_row(classes: int, folds: int, seed: int) -> None:
    labels = torch.randint(classes, (100,), generator=torch.Generator().manual_seed(seed)) * 3 - 7
    names = labels.unique()
    if len(names) < folds:
        return
    found = class_disjoint_folds(labels, folds)
    assert len(found) == folds
    for fold in found:
        assert not set(labels[fold.train].tolist()) & set(labels[fold.validation].tolist())
        assert torch.cat(fold).sort().values.tolist() == list(range(100))
        assert len(labels[fold.validation].unique()) == len(names) // folds
    if len(names) % folds == 0:
        assert torch.cat([fold.validation for fold in found]).sort().values.tolist() == list(range(100))


def test_a_remainder_trains() -> None:
    folds = class_disjoint_folds(torch.arange(7), folds=3)
    assert [fold.validation.tolist() for fold in folds] == [[5, 6], [0, 1], [2, 3]]


def test_bad_input_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="`folds` must lie between 2 and the number of classes 3, but is 4"):
        class_disjoint_folds(torch.arange(3), 4)
    with pytest.raises(ValueError, match=r"`first` is 1\.5"):
        class_disjoint_split(torch.arange(3), first=1.5)
    with pytest.raises(ValueError, match="either part must get at least one"):
        class_disjoint_split(torch.zeros(3).long())
    with pytest.raises(TypeError, match="`labels` must be a tensor of integers"):
        class_disjoint_folds(torch.rand(3, generator=torch.Generator()))
