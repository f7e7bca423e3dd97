"""Times to half, and what is said of frequencies that were never learned."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from torchstone.spectral.times import Ratio, Times, time_to_fraction

STEPS = torch.tensor([10, 20, 30])
NEVER = math.inf


def times(*steps: float, horizon: int = 100) -> Times:
    return Times(torch.tensor(steps, dtype=torch.float64), horizon)


class TestTimeToFraction:
    def test_is_the_first_time_even_if_the_amplitude_falls_again(self) -> None:
        trace = torch.tensor([[0.6, 0.1, 0.0], [0.4, 0.5, 0.0], [0.9, 0.2, 0.49]])
        found = time_to_fraction(trace, STEPS)
        assert found.steps.tolist() == [10, 20, NEVER]
        assert found.reached.tolist() == [True, True, False]
        assert found.horizon == 30

    def test_another_fraction(self) -> None:
        assert time_to_fraction(torch.tensor([[0.5], [0.8], [0.9]]), STEPS, fraction=0.85).steps.tolist() == [30]

    @given(st.floats(0.5, 5), st.floats(0.1, 0.9))
    def test_exponential_learning_takes_the_closed_form_time(self, rate: float, fraction: float) -> None:
        """a(t) = 1 − exp(−rt/100) reaches q at −100 ln(1−q)/r, seen at the next whole step."""
        steps = torch.arange(1, 501)
        trace = 1 - torch.exp(-rate * steps.double() / 100)[:, None]
        expected = -100 * math.log1p(-fraction) / rate
        found = float(time_to_fraction(trace, steps, fraction).steps)
        assert 0 <= found - expected + 1e-6 <= 1 + 2e-6

    @pytest.mark.parametrize(
        ("trace", "steps", "fraction", "message"),
        [
            (torch.zeros(3), STEPS, 0.5, "table"),
            (torch.zeros(0, 2), torch.zeros(0, dtype=torch.long), 0.5, "table"),
            (torch.zeros(2, 2), STEPS, 0.5, "one entry for each record"),
            (torch.full((3, 1), math.nan), STEPS, 0.5, "NaN"),
            (torch.zeros(3, 1), STEPS.flip(0), 0.5, "ascend"),
            (torch.zeros(3, 1), STEPS, 0.0, "positive"),
        ],
    )
    def test_refuses(self, trace: torch.Tensor, steps: torch.Tensor, fraction: float, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            time_to_fraction(trace, steps, fraction)


class TestRankCorrelation:
    def test_order_and_reversed_order(self) -> None:
        assert times(1, 2, 9).rank_correlation([1, 2, 3]) == pytest.approx(1)
        assert times(9, 2, 1).rank_correlation(torch.tensor([1.0, 2.0, 3.0])) == pytest.approx(-1)

    @given(st.lists(st.sampled_from([1.0, 2.0, 3.0, 4.0, NEVER]), min_size=3, max_size=8))
    def test_is_pearsons_correlation_of_mid_ranks(self, steps: list[float]) -> None:
        found = times(*steps).rank_correlation(list(range(len(steps))))
        if len(set(steps)) == 1:
            assert found == 0
            return
        ranks = torch.tensor(rankdata([1e9 if math.isinf(step) else step for step in steps]))
        expected = torch.corrcoef(torch.stack([torch.arange(len(steps), dtype=torch.float64), ranks]))[0, 1]
        assert found == pytest.approx(float(expected))

    def test_all_never_is_no_order(self) -> None:
        assert times(NEVER, NEVER, NEVER).rank_correlation([1, 2, 3]) == 0

    @pytest.mark.parametrize("frequencies", [[1, 2], [1, 1, 2], 3.0])
    def test_refuses_frequencies_of_others(self, frequencies: list[float]) -> None:
        with pytest.raises(ValueError, match="3 different numbers"):
            times(1, 2, 3).rank_correlation(frequencies)


class TestRatio:
    def test_last_over_first(self) -> None:
        assert times(10, 1, 40).ratio() == Ratio(4.0, censored=False)

    def test_never_gives_a_lower_bound(self) -> None:
        assert times(10, NEVER).ratio() == Ratio(10.0, censored=True)

    def test_nothing_is_known_where_the_first_was_never_reached(self) -> None:
        ratio = times(NEVER, 10).ratio()
        assert math.isnan(ratio.value)
        assert ratio.censored
