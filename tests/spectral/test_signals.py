"""Sums of sines, and the coefficients that take them apart again."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from torchstone.spectral.signals import SumOfSines, coefficients


class TestSumOfSines:
    def test_is_the_sum_of_its_sines(self) -> None:
        target = SumOfSines([2, 5], amplitudes=[1.0, 0.3], phases=[0.4, 1.7], n=30, dtype=torch.float64)
        z = np.arange(30) / 30
        expected = np.sin(2 * np.pi * 2 * z + 0.4) + 0.3 * np.sin(2 * np.pi * 5 * z + 1.7)
        np.testing.assert_allclose(target.values, expected, atol=1e-14)
        np.testing.assert_allclose(target(torch.tensor(z)), expected, atol=1e-14)

    def test_the_grid_leaves_out_the_end(self) -> None:
        target = SumOfSines(3, phases=0.0, n=10)
        assert target.z.tolist() == pytest.approx([j / 10 for j in range(10)])
        assert torch.equal(target.grid(8)[::8], target.z)
        assert len(target.grid(8)) == 80

    @given(st.integers(0, 2**31))
    def test_parseval_gives_half_the_squared_amplitudes(self, seed: int) -> None:
        target = SumOfSines([1, 4, 9], amplitudes=[1.0, 2.0, 0.5], n=32, dtype=torch.float64, seed=seed)
        assert float(target.values.square().mean()) == pytest.approx((1 + 4 + 0.25) / 2)

    def test_phases_come_from_the_seed(self) -> None:
        first, again, other = (SumOfSines([2, 3], seed=seed) for seed in (1, 1, 2))
        assert torch.equal(first.values, again.values)
        assert not torch.equal(first.values, other.values)
        assert bool(((first.phases >= 0) & (first.phases < 2 * math.pi)).all())

    def test_shape_and_dtype_follow_the_places(self) -> None:
        target = SumOfSines(2, phases=0.0)
        assert target(torch.zeros(3, 4, dtype=torch.float64)).shape == (3, 4)
        assert target(torch.zeros(2, dtype=torch.float64)).dtype == torch.float64
        assert SumOfSines(2, phases=0.0, dtype=torch.float64).z.dtype == torch.float64
        with pytest.raises(TypeError, match="floating-point"):
            target(torch.tensor([1, 2]))

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"frequencies": [5], "n": 10}, "look like lower ones"),
            ({"frequencies": [2.5]}, "leak"),
            ({"frequencies": [2, 2]}, "all different"),
            ({"frequencies": [0]}, "positive"),
            ({"frequencies": []}, "a list of numbers"),
            ({"frequencies": [math.nan]}, "finite"),
            ({"frequencies": [1, 2], "amplitudes": [1.0]}, "one for each frequency"),
            ({"frequencies": [1, 2], "amplitudes": [1.0, 0.0]}, "positive"),
            ({"frequencies": [1, 2], "phases": [math.inf, 0.0]}, "finite"),
            ({"frequencies": [1], "seed": None}, "seed is missing"),
        ],
    )
    def test_refuses(self, arguments: dict[str, object], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            SumOfSines(**({"seed": 0} | arguments))  # type: ignore[arg-type]

    def test_frequencies_that_leak_are_there_for_who_asks(self) -> None:
        assert SumOfSines([2.5], phases=0.0, whole=False).frequencies.tolist() == [2.5]

    def test_fineness_below_one_is_refused(self) -> None:
        with pytest.raises(ValueError, match="fineness"):
            SumOfSines(1, phases=0.0).grid(0)


class TestCoefficients:
    @given(st.integers(0, 2**31))
    def test_of_a_signal_are_its_phases_on_the_unit_circle(self, seed: int) -> None:
        target = SumOfSines([2, 3, 7], amplitudes=[0.1, 1.0, 3.0], n=20, dtype=torch.float64, seed=seed)
        found = coefficients(target.values, target.frequencies, target.amplitudes)
        torch.testing.assert_close(found, torch.polar(torch.ones(3, dtype=torch.float64), target.phases))

    def test_agree_with_numpys_fft(self) -> None:
        values = torch.randn(3, 25, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        found = coefficients(values, [1, 5, 12], amplitudes=[1.0, 2.0, 3.0])
        fft = np.fft.fft(values.numpy())[:, [1, 5, 12]] / 25
        np.testing.assert_allclose(found, 2j * fft / np.array([1.0, 2.0, 3.0]), atol=1e-14)

    def test_a_constant_and_other_frequencies_do_not_count(self) -> None:
        values = 5 + SumOfSines([3, 8], n=24, dtype=torch.float64, seed=0).values
        assert float(coefficients(values, [1, 2, 4, 11]).abs().max()) < 1e-13

    def test_a_finer_grid_tells_wiggles_between_the_samples_apart(self) -> None:
        """On 20 points a sine of frequency 23 passes for one of 3; on 160 it does not."""
        signal = SumOfSines([3], phases=0.0, n=20, dtype=torch.float64)
        wiggle = SumOfSines([23], phases=0.0, n=160, dtype=torch.float64)
        coarse, fine = (coefficients(wiggle(signal.grid(fineness)), [3]) for fineness in (1, 8))
        assert float(coarse.abs()) == pytest.approx(1)
        assert float(fine.abs()) == pytest.approx(0, abs=1e-12)

    def test_nan_stays_nan(self) -> None:
        assert coefficients(torch.tensor([1.0, math.nan, 0.0, 1.0]), [1]).isnan().all()

    def test_whole_numbers_and_halves_are_taken_in_float64(self) -> None:
        assert coefficients(torch.tensor([1, 0, -1, 0]), 1) == pytest.approx(1j)
        assert coefficients(torch.tensor([1, 0, -1, 0], dtype=torch.half), 1).dtype == torch.complex128

    def test_bad_input(self) -> None:
        with pytest.raises(TypeError, match="real"):
            coefficients(torch.ones(4, dtype=torch.complex64), 1)
        with pytest.raises(ValueError, match="last axis"):
            coefficients(torch.tensor(1.0), 1)
        with pytest.raises(ValueError, match="half the number"):
            coefficients(torch.ones(4), 2)
