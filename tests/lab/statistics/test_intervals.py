"""Intervals: against scipy, against each other, and at the edges."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from torchstone.lab import Check, Estimate, jackknife, mean_interval, paired_difference
from torchstone.lab import statistics as lab
from torchstone.lab.statistics import resampled_difference, unpaired_difference

values = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=12)


def close(a: Estimate, b: Estimate, scale: float = 1.0) -> bool:
    pairs = zip((a.value, a.low, a.high), (b.value, b.low, b.high), strict=True)
    return all(math.isclose(x, y, rel_tol=1e-9, abs_tol=1e-9 * scale) for x, y in pairs)


def draw(n: int, seed: int) -> list[float]:
    return torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).tolist()


def test_the_mean_agrees_with_scipy() -> None:
    v = draw(9, 0)
    low, high = stats.t.interval(0.95, len(v) - 1, loc=np.mean(v), scale=stats.sem(v))
    assert close(mean_interval(v), Estimate(float(np.mean(v)), low, high))


def test_the_paired_difference_agrees_with_scipy() -> None:
    a, b = draw(7, 1), draw(7, 2)
    interval = stats.ttest_rel(a, b).confidence_interval(0.95)
    assert close(paired_difference(a, b), Estimate(float(np.mean(a) - np.mean(b)), interval.low, interval.high))


@pytest.mark.parametrize("level", [0.5, 0.99])
def test_welch_agrees_with_scipy(level: float) -> None:
    a, b = draw(7, 1), [5 * each for each in draw(4, 2)]
    interval = stats.ttest_ind(a, b, equal_var=False).confidence_interval(level)
    found = unpaired_difference(a, b, level=level)
    assert close(found, Estimate(float(np.mean(a) - np.mean(b)), interval.low, interval.high))


def test_welch_of_two_constants_has_zero_width() -> None:
    assert unpaired_difference([0.75, 0.75], [0.5, 0.5, 0.5]) == Estimate(0.25, 0.25, 0.25)


@pytest.mark.parametrize("estimate", [mean_interval, lambda v, level: jackknife(1.0, v, level=level)])
def test_the_level_sets_the_width(estimate: Callable[..., Estimate]) -> None:
    found = {level: estimate(draw(5, 3), level=level) for level in (0.9, 0.99)}
    widths = {level: each.high - each.low for level, each in found.items()}
    assert widths[0.99] / widths[0.9] == pytest.approx(stats.t.ppf(0.995, 4) / stats.t.ppf(0.95, 4))
    for level in (0, 1, 95, math.nan):
        with pytest.raises(ValueError, match="level must be a confidence between 0 and 1"):
            estimate([1.0, 2.0], level=level)


def test_ten_folds_correct_the_interval_by_their_overlap() -> None:
    a, b = draw(10, 1), draw(10, 2)
    plain, corrected = paired_difference(a, b), resampled_difference(a, b, train=90, test=10)
    assert corrected.value == pytest.approx(plain.value)
    assert (corrected.high - corrected.low) / (plain.high - plain.low) == pytest.approx(math.sqrt(1 + 10 / 9))


def test_more_splits_of_the_same_data_do_not_shrink_the_corrected_interval() -> None:
    many = resampled_difference([1.0, 2.0] * 500, [0.0] * 1000, train=80, test=20)
    assert (many.high - many.low) / 2 == pytest.approx(1.96 * 0.5 * math.sqrt(20 / 80), rel=0.01)


@given(values)
def test_the_jackknife_of_the_mean_is_the_interval_of_the_mean(v: list[float]) -> None:
    left_out = [(math.fsum(v) - each) / (len(v) - 1) for each in v]
    assert close(jackknife(math.fsum(v) / len(v), left_out), mean_interval(v), scale=1e3)


@given(values, st.floats(-10, 10), st.floats(0.1, 10))
def test_shift_and_scale_go_through(v: list[float], shift: float, scale: float) -> None:
    plain = mean_interval(v)
    moved = mean_interval([scale * each + shift for each in v])
    expected = Estimate(*(scale * each + shift for each in (plain.value, plain.low, plain.high)))
    assert close(moved, expected, scale=1e4)


def test_the_interval_covers_the_truth_19_times_in_20() -> None:
    covered = sum(estimate.low <= 0 <= estimate.high for estimate in (mean_interval(draw(4, s)) for s in range(2000)))
    assert stats.binomtest(covered, 2000, 0.95).pvalue > 0.001


@pytest.mark.parametrize(
    "estimate",
    [
        mean_interval([2.0]),
        paired_difference([3.0], [1.0]),
        jackknife(2.0, [1.0]),
        unpaired_difference([4.0], [1.0, 3.0]),
        resampled_difference([3.0], [1.0], train=9, test=1),
    ],
)
def test_one_observation_has_an_infinite_interval(estimate: Estimate) -> None:
    assert estimate == Estimate(2.0, -math.inf, math.inf)
    assert Check.at_least("x", estimate, 1.0, zone=0.1).status == "inconclusive"


def test_no_leave_one_out_values_tell_nothing() -> None:
    assert jackknife(2.0, []) == Estimate(2.0, -math.inf, math.inf)


def test_equal_observations_have_an_interval_of_zero_width() -> None:
    assert mean_interval([0.5, 0.5, 0.5]) == jackknife(0.5, [0.5, 0.5]) == Estimate(0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    "estimate",
    [
        mean_interval([1.0, math.nan]),
        mean_interval([1.0, math.inf]),
        mean_interval([math.nan]),
        paired_difference([math.inf, 1.0], [math.inf, 1.0]),
        jackknife(math.nan, [1.0, 2.0]),
        jackknife(1.0, [1.0, math.nan]),
        jackknife(1.0, [1.0, math.inf]),
    ],
)
def test_what_is_not_finite_decides_nothing(estimate: Estimate) -> None:
    assert math.isnan(estimate.low)
    assert math.isnan(estimate.high)
    assert Check.at_least("x", estimate, 1.0, zone=0.1).status == "inconclusive"
    assert Check.near("x", estimate, 1.0, within=0.1).status == "inconclusive"


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="b must hold at least one observation"):
        unpaired_difference([1.0], [])
    with pytest.raises(ValueError, match="test must be a whole number, 1 or more, but it is 0"):
        resampled_difference([1.0], [0.0], train=9, test=0)
    with pytest.raises(ValueError, match="values must hold at least one observation"):
        mean_interval([])
    with pytest.raises(ValueError, match="a has 2 and b has 1"):
        paired_difference([1.0, 2.0], [1.0])
    with pytest.raises(
        ValueError, match=r"leave_one_out must be one number per unit, of shape \(n,\), but .* \(1, 2\)"
    ):
        jackknife(1.0, [[1.0, 2.0]])


STATISTICS: dict[str, Callable[[list], object]] = {
    "mean_interval": mean_interval,
    "paired_difference": lambda v: paired_difference([0.5, 0.5], v),
    "unpaired_difference": lambda v: unpaired_difference(v, [0.5, 0.5]),
    "jackknife": lambda v: jackknife(0.5, v),
    "wilcoxon_test": lambda v: lab.wilcoxon_test(v, [0.5] * 6),
    "bootstrap": lambda v: lab.bootstrap(v, seed=0),
    "stratified_bootstrap": lambda v: lab.stratified_bootstrap(v, seed=0),
    "probability_of_improvement": lambda v: lab.probability_of_improvement(v, [[0.5]]),
    "iqm": lab.iqm,
    "holm": lab.holm,
    "expected_best": lambda v: lab.expected_best(v, 1),
    "worst_for_diverged": lambda v: lab.worst_for_diverged({"ours": v}),
}


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (["0.9", "0.8"], "holds text"),
        ([0.9, "high"], "holds text"),
        ([0.9, None], "holds objects that are no plain numbers"),
        ([0.9, 1j], "holds complex numbers"),
        ([[0.9], [0.8, 0.7]], "cannot be read as one"),
    ],
)
@pytest.mark.parametrize("statistic", STATISTICS.values(), ids=STATISTICS)
def test_what_are_no_numbers_is_refused_in_a_sentence(statistic: Callable, values: list, found: str) -> None:
    with pytest.raises(ValueError, match=rf"^\w+ must .*, but it {found}"):
        statistic(values)
