"""Radial label noise against NumPy, and the two conventions against each other."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from torchstone.spectral import radial_label_noise

X = torch.randn(50, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


class TestRadialLabelNoise:
    def test_agrees_with_numpy(self) -> None:
        lengths = np.sqrt((X.numpy() ** 2).sum(1))
        np.testing.assert_allclose(radial_label_noise(X, 0.7, 1.5), 1.5 * np.sin(0.7 * lengths), atol=1e-14)
        code = radial_label_noise(X, 0.7, 1.5, convention="code")
        np.testing.assert_allclose(code, 1.5 * np.sin(2 * np.pi * 0.7 * lengths), atol=1e-13)

    @given(st.floats(0, 5))
    def test_a_cycle_is_two_pi_radians(self, frequency: float) -> None:
        paper = radial_label_noise(X, 2 * math.pi * frequency)
        torch.testing.assert_close(radial_label_noise(X, frequency, convention="code"), paper)

    @given(st.integers(0, 2**31))
    def test_sees_nothing_but_the_length(self, seed: int) -> None:
        square = torch.randn(7, 7, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        rotated = X @ torch.linalg.qr(square).Q
        torch.testing.assert_close(radial_label_noise(rotated, 2.0), radial_label_noise(X, 2.0))

    @given(st.floats(0.1, 10))
    def test_inputs_twice_as_long_are_a_frequency_twice_as_high(self, scale: float) -> None:
        torch.testing.assert_close(radial_label_noise(scale * X, 0.5), radial_label_noise(X, scale * 0.5))

    def test_is_proportional_to_beta_and_nothing_at_frequency_zero(self) -> None:
        torch.testing.assert_close(radial_label_noise(X, 0.5, 3.0), 3 * radial_label_noise(X, 0.5))
        assert not radial_label_noise(X, 0.0).any()
        assert not radial_label_noise(X, 0.5, 0.0).any()

    def test_has_slopes(self) -> None:
        assert torch.autograd.gradcheck(lambda x: radial_label_noise(x, 2.0), X[:3].clone().requires_grad_())

    def test_dtype_follows_the_inputs_and_the_phase_is_exact(self) -> None:
        noise = radial_label_noise(X.half(), 1000.0)
        assert torch.equal(noise, radial_label_noise(X.half().double(), 1000.0).half())

    def test_inputs_that_are_not_finite_give_nan_there_only(self) -> None:
        x = torch.tensor([[math.nan, 0.0], [math.inf, 0.0], [1.0, 0.0]])
        assert radial_label_noise(x, 1.0).isnan().tolist() == [True, True, False]

    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            ({"x": torch.zeros(2, 3, dtype=torch.int64)}, TypeError, "floating-point"),
            ({"x": torch.zeros(2, 1, 8, 8)}, ValueError, "Flatten"),
            ({"frequency": -1.0}, ValueError, "frequency must be finite"),
            ({"frequency": math.nan}, ValueError, "frequency must be finite"),
            ({"beta": math.inf}, ValueError, "beta must be finite"),
            ({"convention": "repo"}, ValueError, "'paper' or 'code'"),
        ],
    )
    def test_refuses(self, arguments: dict[str, object], error: type[Exception], message: str) -> None:
        with pytest.raises(error, match=message):
            radial_label_noise(**({"x": X, "frequency": 1.0} | arguments))  # type: ignore[arg-type]
