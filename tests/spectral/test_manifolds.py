"""Petal curves, seen as what they are: circles with a radius that waves."""

import cmath
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from torchstone.spectral import SumOfSines, coefficients, petal_manifold

Z = torch.arange(64, dtype=torch.float64) / 64


class TestPetalManifold:
    def test_without_petals_is_the_unit_circle(self) -> None:
        circle = torch.polar(torch.ones_like(Z), 2 * math.pi * Z)
        torch.testing.assert_close(petal_manifold(Z, 0), torch.view_as_real(circle))

    @given(st.integers(1, 15))
    def test_the_radius_is_a_sine_with_one_wave_a_petal(self, petals: int) -> None:
        radius = torch.linalg.vector_norm(petal_manifold(Z, petals), dim=-1)
        found = coefficients(radius - 1, list(range(1, 32)))
        expected = torch.zeros(31, dtype=torch.float64).index_fill(0, torch.tensor([petals - 1]), 0.5)
        torch.testing.assert_close(found, expected.to(torch.complex128), atol=1e-12, rtol=0)

    @given(st.integers(1, 20))
    def test_turning_by_a_petal_maps_the_flower_onto_itself(self, petals: int) -> None:
        points = torch.view_as_complex(petal_manifold(Z, petals))
        turned = points * cmath.exp(2j * math.pi / petals)
        torch.testing.assert_close(torch.view_as_complex(petal_manifold(Z + 1 / petals, petals)), turned)

    @given(st.integers(0, 20))
    def test_closes(self, petals: int) -> None:
        torch.testing.assert_close(petal_manifold(Z + 1, petals), petal_manifold(Z, petals))

    def test_a_slow_function_of_the_plane_is_a_fast_signal_on_it(self) -> None:
        """The distance from the centre is a sine of frequency L."""
        signal = SumOfSines(8, phases=0.0, n=64, dtype=torch.float64).values
        points = petal_manifold(Z, 8)
        torch.testing.assert_close(2 * (torch.linalg.vector_norm(points, dim=-1) - 1), signal)

    def test_gradients_are_those_of_the_curve(self) -> None:
        assert torch.autograd.gradcheck(lambda z: petal_manifold(z, 3), Z[:5].clone().requires_grad_())

    def test_shape_and_dtype_follow_the_places(self) -> None:
        points = petal_manifold(torch.zeros(2, 3, dtype=torch.float32), 4)
        assert points.shape == (2, 3, 2)
        assert points.dtype == torch.float32
        assert petal_manifold(torch.zeros(0), 4).shape == (0, 2)

    def test_half_precision_is_computed_in_full(self) -> None:
        z = torch.tensor([0.3, 0.7]).bfloat16()
        assert torch.equal(petal_manifold(z, 16), petal_manifold(z.double(), 16).bfloat16())

    def test_places_that_are_not_finite_give_nan_there_only(self) -> None:
        points = petal_manifold(torch.tensor([math.nan, math.inf, 0.5]), 2)
        assert points.isnan().all(-1).tolist() == [True, True, False]

    @pytest.mark.parametrize(
        ("z", "petals", "error", "message"),
        [
            (torch.tensor([0, 1]), 2, TypeError, "floating-point"),
            (torch.zeros(2), 2.5, TypeError, "close"),
            (torch.zeros(2), True, TypeError, "close"),
            (torch.zeros(2), -1, ValueError, "0 \\(a circle\\) or more"),
        ],
    )
    def test_refuses(self, z: torch.Tensor, petals: int, error: type[Exception], message: str) -> None:
        with pytest.raises(error, match=message):
            petal_manifold(z, petals)
