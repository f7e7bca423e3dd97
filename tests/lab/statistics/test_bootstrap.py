"""The bootstrap: against scipy, against exact quantiles, its invariances and its edges."""

import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from torchstone.lab import Estimate, paired_difference
from torchstone.lab.statistics import bootstrap, bootstrap_difference, iqm, mean_interval, stratified_bootstrap
from torchstone.lab.statistics.bootstrap import expanded_level

SKEWED = [0.1, 0.2, 0.2, 0.3, 0.5, 0.8, 1.3, 2.1, 3.4, 5.5, 8.9, 14.4]
OTHER = [0.3, 0.1, 0.4, 0.1, 0.5, 0.9, 0.2, 0.6, 0.5, 0.3, 0.5, 0.8]


def table(n: int, k: int, seed: int = 0) -> np.ndarray:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, k, generator=generator, dtype=torch.float64).numpy()


def bounds(estimate: Estimate) -> tuple[float, float]:
    return estimate.low, estimate.high


def scipy_bca(samples: tuple[list[float], ...], statistic: object, n: int, **options: object) -> tuple[float, float]:
    level = expanded_level(0.95, n, n - 1)
    found = stats.bootstrap(
        samples, statistic, n_resamples=40000, confidence_level=level, random_state=np.random.default_rng(9), **options
    )
    return found.confidence_interval.low, found.confidence_interval.high


@pytest.mark.parametrize("statistic", [np.mean, np.median, np.std])
def test_it_is_scipys_bca_at_the_expanded_level(statistic: object) -> None:
    found = bootstrap(SKEWED, statistic, resamples=40000, seed=0)
    assert found.value == pytest.approx(statistic(SKEWED))
    assert bounds(found) == pytest.approx(scipy_bca((SKEWED,), statistic, 12), rel=0.1, abs=0.1)


def test_two_samples_by_themselves_agree_with_scipy() -> None:
    found = bootstrap_difference(SKEWED, OTHER[:10], paired=False, resamples=40000, seed=0)
    other = scipy_bca((SKEWED, OTHER[:10]), lambda a, b, axis: a.mean(axis) - b.mean(axis), 10)
    assert bounds(found) == pytest.approx(other, rel=0.1, abs=0.1)


def test_the_mean_of_pairs_is_the_mean_of_their_differences() -> None:
    a, b = table(2, 12)  # no ties, which rounding would break
    differences = a - b
    pairs = bootstrap_difference(a, b, paired=True, seed=4)
    alone = bootstrap(differences, seed=4)
    assert (pairs.value, *bounds(pairs)) == pytest.approx((alone.value, *bounds(alone)))


def test_pairs_see_more_than_two_samples() -> None:
    better = [each + 0.1 for each in SKEWED]
    assert bootstrap_difference(better, SKEWED, paired=True, seed=0).low == pytest.approx(0.1)
    assert bootstrap_difference(better, SKEWED, paired=False, seed=0).low < 0


@pytest.mark.parametrize("n", [6, 8, 15])
def test_the_expanded_level_gives_a_normal_bootstrap_students_width(n: int) -> None:
    quantile = stats.norm.ppf((1 + expanded_level(0.95, n, n - 1)) / 2)
    bootstrap_error = math.sqrt((n - 1) / n / n)  # of the mean, when the variance is estimated to be 1
    assert quantile * bootstrap_error == pytest.approx(stats.t.ppf(0.975, n - 1) / math.sqrt(n))


def test_for_symmetric_samples_it_comes_close_to_student() -> None:
    symmetric = stats.norm.ppf(np.linspace(0.02, 0.98, 25))
    assert bounds(bootstrap(symmetric, seed=0)) == pytest.approx(bounds(mean_interval(symmetric)), abs=0.03)


@given(st.floats(-10, 10), st.floats(0.1, 10))
def test_shift_and_scale_go_through(shift: float, scale: float) -> None:
    values = table(1, 12)[0]  # no ties, which rounding would break
    plain = bootstrap(values, resamples=200, seed=1)
    moved = bootstrap(scale * values + shift, resamples=200, seed=1)
    expected = [scale * each + shift for each in (plain.value, *bounds(plain))]
    assert [moved.value, *bounds(moved)] == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_the_seed_decides() -> None:
    assert bootstrap(SKEWED, seed=3) == bootstrap(torch.tensor(SKEWED, dtype=torch.float64), seed=3)
    assert bootstrap(SKEWED, seed=3) != bootstrap(SKEWED, seed=4)


def test_constants_have_an_interval_of_zero_width() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert bootstrap([0.5] * 10, seed=0) == Estimate(0.5, 0.5, 0.5)
        assert bootstrap_difference([0.75] * 12, [0.5] * 10, paired=False, seed=0) == Estimate(0.25, 0.25, 0.25)
        assert paired_difference([0.75] * 8, [0.5] * 8) == Estimate(0.25, 0.25, 0.25)


def test_where_bca_is_not_defined_the_plain_quantiles_serve() -> None:
    values = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 3.0]  # every jackknife value of the median is 1
    found = bootstrap(values, np.median, seed=0)
    assert (found.value, found.low) == (1.0, 1.0)
    assert found.high in (1.0, 2.0)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"takes at least 10 observations .* but one has 9: .* Take the t interval"):
        bootstrap(SKEWED[:9], seed=0)
    with pytest.raises(ValueError, match="takes at least 10 observations in each sample, but one has 3"):
        bootstrap_difference(SKEWED, [1.0, 2.0, 3.0], paired=False, seed=0)
    with pytest.raises(ValueError, match="a has 12 and b has 3"):
        bootstrap_difference(SKEWED, [1.0, 2.0, 3.0], paired=True, seed=0)
    with pytest.raises(ValueError, match="resamples must be a whole number, 100 or more, but it is 10"):
        bootstrap(SKEWED, resamples=10, seed=0)
    with pytest.raises(ValueError, match="level must be a confidence"):
        bootstrap(SKEWED, level=95, seed=0)


def test_runs_are_drawn_within_tasks() -> None:
    tasks_apart = table(5, 3) + 100 * np.arange(3)
    assert bounds(stratified_bootstrap(tasks_apart, np.mean, seed=0)) == pytest.approx(
        np.add(bounds(stratified_bootstrap(table(5, 3), np.mean, seed=0)), 100.0)
    )


def test_the_mean_over_tasks_has_students_interval_of_stratified_samples() -> None:
    values = table(8, 6)
    error = math.sqrt((values.var(0, ddof=1) / 8).sum()) / 6
    half = stats.t.ppf(0.975, 6 * 7) * error
    found = stratified_bootstrap(values, np.mean, seed=0)
    assert bounds(found) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.1 * half)


def test_one_task_is_a_plain_percentile_bootstrap() -> None:
    values = table(12, 1)
    level = expanded_level(0.95, 12, 11)
    other = stats.bootstrap(
        (values[:, 0],), iqm, method="percentile", n_resamples=40000, confidence_level=level,
        random_state=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    found = stratified_bootstrap(values, resamples=40000, seed=1)
    assert bounds(found) == pytest.approx((other.low, other.high), abs=0.05)


@pytest.mark.parametrize("shape", [(1, 9), (2, 9), (3, 4), (9, 1)])
def test_too_few_runs_are_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=rf"it holds {shape[0]} runs of {shape[1]} tasks: .* Take the t interval"):
        stratified_bootstrap(table(*shape), seed=0)


def test_a_list_of_scores_is_no_table() -> None:
    with pytest.raises(ValueError, match=r"values must hold one score per run and task, .* shape \(12,\)"):
        stratified_bootstrap(SKEWED, seed=0)
