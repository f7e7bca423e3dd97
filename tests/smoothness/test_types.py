"""The words: a nominal chain with its orders, and a bound that must be one."""

import math
from itertools import pairwise
from typing import Annotated, get_args

import pytest
from torch import Tensor

from torchstone.smoothness import C0, C1, C2, Analytic, Lipschitz, PiecewiseLinear, Smooth

CHAIN = [C0, C1, C2, Smooth, Analytic]


def test_each_word_is_a_subclass_of_the_weaker_one_and_of_higher_order() -> None:
    for weak, strong in pairwise(CHAIN):
        assert issubclass(strong, weak)
        assert not issubclass(weak, strong)
        assert weak.order < strong.order


def test_words_annotate_a_type() -> None:
    annotated = Annotated[Tensor, C1, Lipschitz(2), PiecewiseLinear]
    assert get_args(annotated) == (Tensor, C1, Lipschitz(2), PiecewiseLinear)


@pytest.mark.parametrize("bound", [-1.0, math.inf, math.nan])
def test_a_bound_is_finite_and_not_negative(bound: float) -> None:
    with pytest.raises(ValueError, match="must be finite and 0 or more"):
        Lipschitz(bound)


@pytest.mark.parametrize("bound", ["2", None, True])
def test_a_bound_is_a_number(bound: float) -> None:
    with pytest.raises(TypeError, match="must be a number"):
        Lipschitz(bound)
