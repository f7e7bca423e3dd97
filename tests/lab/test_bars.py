import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchstone.lab import Check, Estimate
from torchstone.lab.bars import bar, bar_words

sizes = st.floats(-1e3, 1e3).map(lambda value: round(value, 3))


@given(sizes, sizes, sizes, sizes, sizes)
def test_the_bar_keeps_the_order_of_the_numbers(a: float, b: float, c: float, threshold: float, paper: float) -> None:
    low, value, high = sorted([a, b, c])
    check = Check.at_least("", Estimate(value, low, high), threshold, zone=0.1, chance=threshold - 1, reported=paper)
    shape = bar(check)
    if shape is None:
        assert low == high == threshold == paper == 0
        return
    edge = float(f"{threshold:g}")
    assert shape.accepted is not None
    assert shape.reported is not None
    numbers = [low, value, high, edge, paper, 0.0]
    places = [shape.low, shape.value, shape.high, shape.accepted[0], shape.reported, shape.zero]
    assert sorted(places) == [place for _, place in sorted(zip(numbers, places, strict=True))]
    assert all(0 < place < 100 for place in places)
    assert shape.accepted[1] == 100


@pytest.mark.parametrize("estimate", [Estimate(math.nan, 0, 1), Estimate(0.5, -math.inf, 1), Estimate(0, 0, 0)])
def test_there_is_no_bar_without_finite_numbers_that_differ(estimate: Estimate) -> None:
    assert bar(Check.report("", estimate)) is None


def test_the_words_say_what_the_picture_shows() -> None:
    check = Check.at_least("", Estimate(0.5, 0.4, 0.6), 0.9, zone=0.1, reported=0.95)
    assert bar_words(check) == "measured 0.500 [0.400, 0.600], threshold ≥ 0.9, the paper reports 0.950"
