"""The interquartile mean and the probability of improvement: against scipy, by counting, and at the edges."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from torchstone.lab.statistics import iqm, probability_of_improvement


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).numpy()


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=13))
def test_the_interquartile_mean_is_scipys_trimmed_mean(values: list[float]) -> None:
    assert float(iqm(values)) == pytest.approx(stats.trim_mean(values, 0.25), abs=1e-9)


@pytest.mark.parametrize("axis", [0, 1, -1, (0, 1), (-2, -1), None])
def test_along_axes(axis: int | tuple[int, ...] | None) -> None:
    values = draw(5, 4, 3)
    moved = np.moveaxis(values, axis, range(-len(axis), 0)) if isinstance(axis, tuple) else values
    flat = moved.reshape(*moved.shape[: 3 - len(axis)], -1) if isinstance(axis, tuple) else moved
    expected = stats.trim_mean(flat, 0.25, axis=-1 if isinstance(axis, tuple) else axis)
    np.testing.assert_allclose(iqm(values, axis=axis), expected)


def test_an_outlier_does_not_move_it() -> None:
    assert iqm([0.1, 0.2, 0.3, 0.4, 0.5]) == iqm([0.1, 0.2, 0.3, 0.4, 1e9])


def test_nan_is_not_trimmed_away() -> None:
    assert np.isnan(iqm([0.1, 0.2, 0.3, 0.4, np.nan]))
    with pytest.raises(ValueError, match="values must hold at least one score"):
        iqm([])


@given(st.lists(st.lists(st.integers(0, 3), min_size=2, max_size=2), min_size=2, max_size=5))
def test_the_probability_of_improvement_by_counting(rows: list[list[int]]) -> None:
    other = [[1, 2], [2, 0], [0, 3]]
    wins = [(a[j] > b[j]) + 0.5 * (a[j] == b[j]) for a in rows for b in other for j in range(2)]
    found = probability_of_improvement(rows, other)
    assert found.value == pytest.approx(np.mean(wins))
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_one_task_is_the_mann_whitney_statistic() -> None:
    a, b = draw(9, 1), draw(7, 1, seed=1)
    expected = stats.mannwhitneyu(a[:, 0], b[:, 0]).statistic / 63
    assert probability_of_improvement(a, b).value == pytest.approx(expected)


def test_to_exchange_the_arms_mirrors_the_interval() -> None:
    a, b = draw(6, 3), draw(5, 3, seed=1)
    forth, back = probability_of_improvement(a, b), probability_of_improvement(b, a)
    assert (back.value, back.low, back.high) == pytest.approx((1 - forth.value, 1 - forth.high, 1 - forth.low))


def test_the_bounds_solve_newcombes_equation() -> None:
    found = probability_of_improvement(draw(6, 3), draw(5, 3, seed=1))
    quantile, weight = stats.t.ppf(0.975, 27), 11 / 2 - 1
    for theta in (found.low, found.high):
        bracket = 1 + weight * ((1 - theta) / (2 - theta) + theta / (1 + theta))
        variance = theta * (1 - theta) * bracket / (6 * 5 * 3)
        assert (found.value - theta) ** 2 == pytest.approx(quantile**2 * variance)


@pytest.mark.parametrize("runs", [1, 2, 3])
def test_three_wins_of_three_prove_nothing(runs: int) -> None:
    found = probability_of_improvement([[1.0]] * runs, [[0.0]] * runs)
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low < 0.5
    mirrored = probability_of_improvement([[0.0]] * runs, [[1.0]] * runs)
    assert (mirrored.low, mirrored.value) == (0.0, 0.0)
    assert mirrored.high > 0.5


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="a has 3 columns and b has 2"):
        probability_of_improvement(draw(4, 3), draw(4, 2))
    with pytest.raises(ValueError, match=r"b must hold one score per run and task, .* shape \(4,\)"):
        probability_of_improvement(draw(4, 3), draw(4))
