"""Class-disjoint splits: what is tested are classes that were never trained on."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Int, Int64
from torch import Tensor

from torchstone.metric.inputs import check_labels


class ClassDisjointFold(NamedTuple):
    """Rows to train on and rows to select on, which share no class.

    Args:
        train: (n1,) ascending.
        validation: (n2,) ascending.
    """

    train: Int64[Tensor, " n1"]
    validation: Int64[Tensor, " n2"]


def class_disjoint_split(
    labels: Int[Tensor, " n"], *, first: float = 0.5
) -> tuple[Int64[Tensor, " n1"], Int64[Tensor, " n2"]]:
    """Rows of the first part of the sorted classes, for training and validation, and rows of the others, for testing.

    Args:
        labels: class of each, (n,).
        first: the share of classes in the first part, rounded down to whole classes.

    Returns:
        Rows (n1,) and (n2,), each ascending.

    Raises:
        TypeError: labels are not integers.
        ValueError: a part would have no class.

    >>> class_disjoint_split(torch.tensor([7, 3, 3, 5, 7, 9]))
    (tensor([1, 2, 3]), tensor([0, 4, 5]))

    Paper: Musgrave, Belongie, Lim 2020, arXiv:2003.08505, section 3.
    Differs from the paper: nothing.
    """
    classes = _classes(labels)
    count = int(first * len(classes)) if 0 < first < 1 else 0
    if not 0 < count < len(classes):
        raise ValueError(f"`first` is {first}: of {len(classes)} classes, either part must get at least one.")
    inside = torch.isin(labels, classes[:count])
    return _rows(inside), _rows(~inside)


def class_disjoint_folds(labels: Int[Tensor, " n"], folds: int = 4) -> list[ClassDisjointFold]:
    r"""Cross-validation over classes: a fold trains on a run of the sorted classes that wraps around.

    With c classes and k folds, fold p = 0 ... k - 1 starts at class :math:`\lfloor pc/k \rfloor`, trains on
    :math:`c - \lfloor c/k \rfloor` classes from there on, and validates on the :math:`\lfloor c/k \rfloor` that remain.
    Where k does not divide c, some classes validate never.

    Args:
        labels: class of each, (n,), of training and validation together.
        folds: :math:`k`, at least 2.

    Returns:
        The folds, in order.

    Raises:
        TypeError: labels are not integers.
        ValueError: ``folds`` is below 2, or there are fewer classes than folds.

    >>> for fold in class_disjoint_folds(torch.arange(6), folds=3):
    ...     print(fold.train.tolist(), fold.validation.tolist())
    [0, 1, 2, 3] [4, 5]
    [2, 3, 4, 5] [0, 1]
    [0, 1, 4, 5] [2, 3]

    Paper: Musgrave, Belongie, Lim 2020, arXiv:2003.08505, section 3 (4 folds).
    Differs from the paper: nothing.
    """
    classes = _classes(labels)
    if not 2 <= folds <= len(classes):
        raise ValueError(f"`folds` must lie between 2 and the number of classes {len(classes)}, but is {folds}.")
    held = len(classes) // folds
    starts = [p * len(classes) // folds for p in range(folds)]
    held_out = [torch.isin(labels, classes.roll(held - start)[:held]) for start in starts]
    return [ClassDisjointFold(_rows(~inside), _rows(inside)) for inside in held_out]


def _classes(labels: Tensor) -> Int64[Tensor, " c"]:
    check_labels(labels)
    return torch.unique(labels)  # type: ignore[no-any-return]


def _rows(inside: Bool[Tensor, " n"]) -> Int64[Tensor, " m"]:
    return inside.nonzero().squeeze(1)
