"""Random Fourier features against their definition and the kernel that they approximate."""

import math

import numpy as np
import pytest
import torch

from torchstone.spectral import FourierFeatures


def points(n: int, d: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.rand(n, d, generator=torch.Generator().manual_seed(1), dtype=dtype)


class TestFourierFeatures:
    def test_is_the_definition(self) -> None:
        features, v = FourierFeatures(2, m=5, scale=3.0, seed=0), points(7, 2)
        phases = 2 * np.pi * v.numpy() @ features.frequencies.double().numpy().T
        np.testing.assert_allclose(features(v), np.hstack([np.cos(phases), np.sin(phases)]), atol=1e-12)

    def test_inner_products_tend_to_the_gaussian_kernel(self) -> None:
        """E cos 2πb(u − v) = exp(−2π²s²|u − v|²), with an error of about 1/√m."""
        features = FourierFeatures(2, m=40_000, scale=0.5, seed=0).double()
        u, v = points(2, 2)
        expected = math.exp(-2 * math.pi**2 * 0.25 * float((u - v).square().sum()))
        assert float(features(u) @ features(v)) / 40_000 == pytest.approx(expected, abs=5 / math.sqrt(40_000))

    def test_every_point_has_length_root_m_and_shifts_keep_inner_products(self) -> None:
        features, v = FourierFeatures(3, m=16, seed=0).double(), points(4, 3)
        torch.testing.assert_close(features(v).square().sum(-1), torch.full((4,), 16.0, dtype=torch.float64))
        gram, shifted = (features(x) @ features(x).T for x in (v, v + 0.37))
        torch.testing.assert_close(gram, shifted)

    def test_the_scale_scales_and_the_seed_decides(self) -> None:
        small, large, other = (
            FourierFeatures(1, seed=0),
            FourierFeatures(1, scale=20.0, seed=0),
            FourierFeatures(1, seed=1),
        )
        torch.testing.assert_close(2 * small.frequencies, large.frequencies)
        assert not torch.equal(small.frequencies, other.frequencies)
        assert torch.equal(small.frequencies, FourierFeatures(1, seed=0).frequencies)

    def test_is_saved_and_not_trained(self) -> None:
        features = FourierFeatures(2, m=4, seed=0)
        assert list(features.parameters()) == []
        other = FourierFeatures(2, m=4, seed=1)
        other.load_state_dict(features.state_dict())
        assert torch.equal(other.frequencies, features.frequencies)

    def test_dtype_and_shape_follow_the_points(self) -> None:
        features = FourierFeatures(2, m=4, seed=0)
        assert features(points(3, 2)).dtype == torch.float64
        assert features(torch.zeros(2, 5, 2)).shape == (2, 5, 8)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_half_precision_loses_no_phase(self, dtype: torch.dtype) -> None:
        features, v = FourierFeatures(2, m=64, scale=30.0, seed=0), points(50, 2).to(dtype)
        exact = features(v.double())
        assert features(v).dtype == dtype
        torch.testing.assert_close(features(v).double(), exact, rtol=0, atol=4e-3)
        with torch.autocast("cpu", torch.bfloat16):
            torch.testing.assert_close(features(v.float()).double(), exact, rtol=0, atol=1e-4)

    def test_gradients(self) -> None:
        v = points(3, 2).requires_grad_()
        assert torch.autograd.gradcheck(FourierFeatures(2, m=4, scale=1.0, seed=0).double(), v)

    def test_bad_input(self) -> None:
        with pytest.raises(ValueError, match="d and m"):
            FourierFeatures(0, seed=0)
        for scale in (0.0, -1.0, math.nan, math.inf):
            with pytest.raises(ValueError, match="scale"):
                FourierFeatures(1, scale=scale, seed=0)
        with pytest.raises(ValueError, match="2 coordinates"):
            FourierFeatures(2, seed=0)(torch.zeros(3, 1))
        with pytest.raises(TypeError, match="floating-point"):
            FourierFeatures(1, seed=0)(torch.zeros(3, 1, dtype=torch.long))
