"""The expected best of n: by enumeration of all draws, with and without replacement."""

from itertools import combinations, pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchstone.lab.statistics import expected_best

results = st.lists(st.floats(-10, 10), min_size=1, max_size=5)


@given(results, st.integers(1, 5), st.booleans())
def test_by_enumeration(values: list[float], n: int, higher_is_better: bool) -> None:
    n = min(n, len(values))
    best = max if higher_is_better else min
    with_replacement = float(np.mean([best(drawn) for drawn in product(values, repeat=n)]))
    without = float(np.mean([best(drawn) for drawn in combinations(values, n)]))
    options = {"higher_is_better": higher_is_better}
    assert expected_best(values, n, **options) == pytest.approx(with_replacement, abs=1e-9)
    assert expected_best(values, n, replacement=False, **options) == pytest.approx(without, abs=1e-9)


@given(results)
def test_the_first_is_the_mean_and_the_last_without_replacement_the_best(values: list[float]) -> None:
    assert expected_best(values, 1) == pytest.approx(np.mean(values), abs=1e-9)
    assert expected_best(values, len(values), replacement=False) == pytest.approx(max(values))


@given(results)
def test_a_larger_budget_finds_no_worse(values: list[float]) -> None:
    curve = [expected_best(values, n) for n in range(1, len(values) + 1)]
    assert all(later >= earlier - 1e-9 for earlier, later in pairwise(curve))


@pytest.mark.parametrize("n", [0, 3, 1.5, True])
def test_a_budget_beyond_what_was_run_is_refused(n: object) -> None:
    with pytest.raises(ValueError, match="n must be a"):
        expected_best([0.1, 0.2], n)


def test_no_results_are_refused() -> None:
    with pytest.raises(ValueError, match="values must hold at least one observation"):
        expected_best([], 1)
