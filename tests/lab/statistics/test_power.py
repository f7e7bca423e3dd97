"""Declared power: what simulation gives, what scipy gives, and the seeds that it takes."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from torchstone.lab import Check
from torchstone.lab.statistics import (
    mean_interval,
    paired_difference,
    power,
    power_near,
    seeds_needed,
    unpaired_difference,
)

SIMULATIONS = 2000


@pytest.mark.parametrize(
    ("effect", "sd", "n", "threshold", "paired"),
    [(0.5, 0.5, 10, 0.0, True), (0.4, 0.2, 4, 0.1, True), (0.1, 0.3, 20, 0.0, True), (0.5, 0.4, 8, 0.1, False)],
)
def test_declared_power_is_what_simulation_gives(
    effect: float, sd: float, n: int, threshold: float, paired: bool
) -> None:
    generator = torch.Generator().manual_seed(0)
    noise = sd / math.sqrt(2) if paired else sd  # of each arm, so that differences of pairs have sd
    arms = noise * torch.randn(SIMULATIONS, 2, n, generator=generator, dtype=torch.float64)
    difference = paired_difference if paired else unpaired_difference
    # threshold 0 is not to be had in a check, whose threshold lies above its zone; an offset moves both
    statuses = [
        Check.at_least("x", difference(a + effect + 1, b), threshold + 1, zone=0.0).status for a, b in arms.numpy()
    ]
    declared = power(effect, sd, n, threshold=threshold, paired=paired)
    assert stats.binomtest(statuses.count("confirmed"), SIMULATIONS, declared).pvalue > 0.001


@pytest.mark.parametrize(("sd", "n", "off"), [(0.02, 10, 0.0), (0.01, 3, 0.0), (0.02, 12, 0.01), (0.02, 5, -0.01)])
def test_declared_power_of_a_tolerance_is_what_simulation_gives(sd: float, n: int, off: float) -> None:
    noise = torch.randn(SIMULATIONS, n, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    statuses = [Check.near("x", mean_interval(x), 0.5, within=0.02).status for x in (0.5 + off + sd * noise).numpy()]
    declared = power_near(sd, n, within=0.02, off=off)
    assert stats.binomtest(statuses.count("confirmed"), SIMULATIONS, declared).pvalue > 0.001


@given(st.floats(0.1, 2), st.integers(2, 40), st.floats(0, 1))
def test_a_tolerance_has_the_same_power_on_both_sides_and_less_than_one_side_alone(
    sd: float, n: int, off: float
) -> None:
    chance = power_near(sd, n, within=1.0, off=off)
    assert chance == pytest.approx(power_near(sd, n, within=1.0, off=-off))
    assert 2 * power(1.0 - off, sd, n) - 1 - 1e-3 <= chance <= power(1.0 - off, sd, n) + 1e-3


def test_a_tolerance_that_makes_no_sense() -> None:
    assert power_near(0.1, 1, within=1.0) == 0.0
    with pytest.raises(ValueError, match="within must be a positive tolerance and off finite, but within=0"):
        power_near(0.1, 5, within=0.0)
    with pytest.raises(ValueError, match="sd must be a positive standard deviation"):
        power_near(-0.1, 5, within=0.1)


@given(st.floats(0.01, 2), st.floats(0.1, 2), st.integers(2, 60), st.booleans())
def test_it_is_scipys_noncentral_t(effect: float, sd: float, n: int, paired: bool) -> None:
    freedom = n - 1 if paired else 2 * n - 2
    shift = effect / sd * math.sqrt(n if paired else n / 2)
    expected = stats.nct.sf(stats.t.ppf(0.975, freedom), freedom, shift)
    assert power(effect, sd, n, paired=paired) == pytest.approx(expected, abs=1e-6)


def test_an_effect_at_the_threshold_is_confirmed_by_accident_alone() -> None:
    assert power(0.3, 0.2, 7, threshold=0.3) == pytest.approx(0.025)
    assert power(-0.3, 0.2, 7) < 0.025
    assert power(5.0, 0.1, 1) == 0.0


@pytest.mark.parametrize("n", [2, 19])
@pytest.mark.parametrize("effect", [-60.0, 30.1, 60.0])
def test_however_far_from_the_threshold(effect: float, n: int) -> None:
    """Given the standard deviation W of the sample, the mean is normal: an average over many W."""
    squares = torch.randn(100_000, n - 1, generator=torch.Generator().manual_seed(2), dtype=torch.float64).square()
    half = stats.t.ppf(0.975, n - 1) * squares.mean(1).sqrt().numpy()
    expected = stats.norm.cdf(effect - half).mean()
    assert power(effect / math.sqrt(n), 1.0, n) == pytest.approx(expected, abs=5e-3)


def test_cohens_table() -> None:
    """Cohen (1988), table 2.3.5: 64 in each arm for d = 0.5 with power 0.8, two-sided 0.05."""
    assert seeds_needed(0.5, 1.0, paired=False) == 64
    assert seeds_needed(0.8, 1.0, paired=False) == 26


@given(st.floats(0.2, 3), st.floats(0.2, 2), st.floats(0.1, 0.95), st.booleans())
def test_the_seeds_needed_are_the_fewest_with_that_power(effect: float, sd: float, wanted: float, paired: bool) -> None:
    n = seeds_needed(effect, sd, wanted=wanted, paired=paired, at_most=10_000)
    assert power(effect, sd, n, paired=paired) >= wanted
    assert n == 2 or power(effect, sd, n - 1, paired=paired) < wanted


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"effect": 0.1, "threshold": 0.1}, "no number of seeds confirms what is not there"),
        ({"effect": 0.001}, r"needs more than at_most=1000 seeds for the power 0.8"),
        ({"effect": math.nan}, "effect and threshold must be finite"),
        ({"sd": 0.0}, "sd must be a positive standard deviation, but it is 0.0"),
        ({"wanted": 1.0}, "wanted must be a probability between 0 and 1"),
        ({"at_most": 1}, "at_most must be a whole number, 2 or more"),
        ({"level": 95}, "level must be a confidence between 0 and 1"),
    ],
)
def test_bad_input(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        seeds_needed(**{"effect": 0.5, "sd": 0.5} | arguments)


def test_a_number_of_seeds_is_whole() -> None:
    with pytest.raises(ValueError, match=r"n must be a whole number, 1 or more, but it is 2\.5"):
        power(0.5, 0.5, 2.5)
