"""Wilson's interval of a share: the closed form, its coverage, and the chance that it lies above a threshold."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from torchstone.lab.statistics import power_of_share, share_interval


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_closed_form(case: tuple[int, int]) -> None:
    hits, n = case
    z, p = 1.959963984540054, hits / n
    middle, half = p + z**2 / (2 * n), z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    share = share_interval(hits, n)
    assert share.value == p
    assert share.low == pytest.approx((middle - half) / (1 + z**2 / n), abs=1e-12)
    assert share.high == pytest.approx((middle + half) / (1 + z**2 / n), abs=1e-12)


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_covers_the_truth_as_often_as_it_says(level: float) -> None:
    """On average over truths: of one, as many hits as there are cases cover it in steps."""
    n, truths = 200, np.linspace(0.05, 0.95, 181)
    low, high = np.array([(s.low, s.high) for s in (share_interval(h, n, level=level) for h in range(n + 1))]).T
    chances = binom.pmf(np.arange(n + 1), n, truths[:, None])  # (truths, hits)
    covers = (chances * ((low <= truths[:, None]) & (truths[:, None] <= high))).sum(1)
    assert covers.mean() == pytest.approx(level, abs=0.005)


def test_nothing_counted_is_unknown() -> None:
    assert not share_interval(0, 0).known


def test_power_counts_the_hits_that_are_enough() -> None:
    assert power_of_share(1.0, 300, threshold=0.95) == 1.0
    assert power_of_share(1.0, 20, threshold=0.95) == 0.0
    assert power_of_share(0.95, 600, threshold=0.95) < 0.05
    enough = min(hits for hits in range(101) if share_interval(hits, 100).low >= 0.5)
    assert power_of_share(0.6, 100, threshold=0.5) == pytest.approx(
        sum(binom.pmf(hits, 100, 0.6) for hits in range(enough, 101))
    )


@pytest.mark.parametrize(
    ("hits", "n", "words"),
    [(5, 4, "hits=5"), (-1, 4, "hits must be a whole"), (1, 2.0, "n must be a whole"), (True, 2, "hits must")],
)
def test_what_is_no_count_is_refused(hits: Any, n: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        share_interval(hits, n)


def test_what_is_no_probability_is_refused() -> None:
    with pytest.raises(ValueError, match="probability"):
        power_of_share(1.2, 10, threshold=0.5)
    with pytest.raises(ValueError, match="confidence"):
        share_interval(1, 2, level=1.0)
