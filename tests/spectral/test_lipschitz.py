"""Spectral norms against numpy, and bounds that bound."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from torchstone.spectral import lipschitz_bounds, relu_regions_1d, relu_regions_2d, spectral_norms


def mlp(*widths: int, seed: int = 0) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = [layer for d, e in pairwise(widths) for layer in (nn.Linear(d, e), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


def released_power_iteration(weight: Tensor, steps: int) -> float:
    """What the paper's code computes: powers of W, and n times a Rayleigh quotient."""
    vector = torch.randn(len(weight), generator=torch.Generator().manual_seed(0), dtype=weight.dtype)
    for _ in range(steps):
        vector = weight @ vector / (weight @ vector).norm()
    return float(((vector @ weight @ vector) / vector) @ vector)


class TestSpectralNorms:
    @given(st.integers(0, 1000), st.integers(1, 20), st.integers(1, 20))
    def test_are_the_largest_singular_values(self, seed: int, d: int, width: int) -> None:
        net = mlp(d, width, 1, seed=seed)
        expected = [np.linalg.svd(net[i].weight.detach().double().numpy(), compute_uv=False)[0] for i in (0, 2)]
        assert list(spectral_norms(net)) == ["0", "2"]
        assert np.allclose(list(spectral_norms(net).values()), expected, rtol=1e-12)

    def test_the_released_code_computes_another_number(self) -> None:
        layer = mlp(256, 256)[0]
        norm = spectral_norms(layer)[""]
        released = released_power_iteration(layer.weight.detach().double(), 10)
        assert norm == pytest.approx(np.linalg.svd(layer.weight.detach().double().numpy(), compute_uv=False)[0])
        assert abs(released) > 3 * norm
        symmetric = torch.eye(3, dtype=torch.float64)  # of norm 1, where W and its transpose times W are the same
        assert released_power_iteration(symmetric, 10) == pytest.approx(3)

    def test_convolutions_are_refused_with_the_reason(self) -> None:
        with torch.random.fork_rng(devices=[]):
            net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 1))
        with pytest.raises(ValueError, match="'0': the norm of that operator depends on the size of its input"):
            spectral_norms(net)

    def test_no_layer(self) -> None:
        with pytest.raises(ValueError, match=r"no nn\.Linear"):
            spectral_norms(nn.ReLU())


class TestBounds:
    @given(st.integers(0, 1000))
    def test_exact_below_product_below_parameters(self, seed: int) -> None:
        for d, box in ((1, (-2, 2)), (2, ([-2, -2], [2, 2]))):
            bounds = lipschitz_bounds(mlp(d, 6, 5, 1, seed=seed), box)
            assert bounds.exact is not None
            assert bounds.exact <= bounds.product * (1 + 1e-9) <= bounds.parameters * (1 + 1e-9)

    def test_the_formulas(self) -> None:
        net = mlp(3, 7, 5, 1)
        weights = [net[i].weight.detach().double() for i in (0, 2, 4)]
        bounds = lipschitz_bounds(net)
        largest = max(float(w.abs().max()) for w in weights)
        assert bounds.product == pytest.approx(math.prod(np.linalg.norm(w.numpy(), 2) for w in weights))
        assert bounds.parameters == pytest.approx(largest**3 * math.sqrt(3) * 7 * 5)
        assert bounds.exact is None

    def test_the_exact_one_is_that_of_the_pieces(self) -> None:
        one, two = mlp(1, 8, 1), mlp(2, 8, 1)
        assert lipschitz_bounds(one, (0, 1)).exact == relu_regions_1d(one, (0, 1)).lipschitz
        assert lipschitz_bounds(two, ([0, 0], [1, 1])).exact == relu_regions_2d(two, ([0, 0], [1, 1])).lipschitz

    def test_batch_normalisation_and_leaky_slopes_count(self) -> None:
        plain = mlp(1, 4, 1)
        norm = nn.BatchNorm1d(4, eps=0.0).eval()
        norm.running_var.fill_(0.25)  # type: ignore[union-attr,operator]
        net = nn.Sequential(plain[0], nn.Sequential(norm, nn.LeakyReLU(-3.0)), plain[2])
        bounds = lipschitz_bounds(net, (-3, 3))
        assert bounds.product == pytest.approx(6 * lipschitz_bounds(plain).product)
        assert bounds.exact is not None
        assert bounds.exact <= bounds.product

    def test_what_is_no_chain_is_refused(self) -> None:
        with pytest.raises(ValueError, match="Layer '1' is a Softmax"):
            lipschitz_bounds(nn.Sequential(mlp(2, 2), nn.Softmax(1)))
        with pytest.raises(ValueError, match="nothing to bound"):
            lipschitz_bounds(nn.Sequential(nn.ReLU()))
        with pytest.raises(ValueError, match="3 dimensions"):
            lipschitz_bounds(mlp(3, 2, 1), ([0, 0, 0], [1, 1, 1]))
        broken = mlp(1, 2, 1)
        broken[0].weight.data[0] = math.nan
        with pytest.raises(ValueError, match="layer '0' are not finite"):
            lipschitz_bounds(broken)
