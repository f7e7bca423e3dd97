"""Linear regions of the plane tile the box, carry the network and give its transform; Lemma 1 has the sign -i."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from torchstone.spectral import (
    NotPiecewiseLinearError,
    PiecewiseLinear2d,
    decay_exponent,
    polygon_indicator_ft,
    relu_regions_2d,
)

BOX = ([-1.0, -0.5], [1.0, 1.5])


def mlp(*widths: int, seed: int = 0, activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    layers: list[nn.Module] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for d, width in pairwise(widths):
            layers += [nn.Linear(d, width), activation()]
            nn.init.kaiming_normal_(layers[-2].weight)
            nn.init.normal_(layers[-2].bias, std=0.3)
    return nn.Sequential(*layers[:-1])


def pyramid(x: Tensor) -> Tensor:
    """A continuous piecewise linear function of compact support: a pyramid over |x| + |y| < 1."""
    return torch.relu(1 - x.abs().sum(1))


def gauss(pieces: PiecewiseLinear2d, k: Tensor) -> Tensor:
    """The transform by 14 × 14 Gauss points on each triangle between a polygon's corner and its edges."""
    nodes, weights = (torch.as_tensor(z) for z in np.polynomial.legendre.leggauss(14))
    u, v = torch.meshgrid((nodes + 1) / 2, (nodes + 1) / 2, indexing="ij")
    mass = (weights[:, None] * weights * (1 - u) / 4).flatten()
    s, t = u.flatten()[:, None], (v * (1 - u)).flatten()[:, None]
    total = torch.zeros(len(k), dtype=torch.complex128)
    for corners, w, b in zip(pieces.vertices, pieces.weights, pieces.offsets, strict=True):
        for second, third in pairwise(corners[1:]):
            e, f = second - corners[0], third - corners[0]
            x = corners[0] + s * e + t * f
            values = (x @ w + b) * mass * (e[0] * f[1] - e[1] * f[0])
            total += torch.exp(-1j * (k @ x.T)) @ values.to(torch.complex128)
    return total


class TestRegions:
    @pytest.mark.parametrize("widths", [(2, 30, 1), (2, 12, 12, 12, 1)])
    def test_tile_the_box_and_carry_the_network(self, widths: tuple[int, ...]) -> None:
        net = mlp(*widths)
        pieces = relu_regions_2d(net, BOX)
        assert float(pieces.areas.sum()) == pytest.approx(4.0, abs=1e-12)
        assert float(pieces.areas.min()) > 0
        generator = torch.Generator().manual_seed(0)
        mix = torch.rand(*pieces.vertices.shape[:2], generator=generator, dtype=torch.float64)
        inside = (pieces.vertices * (mix / mix.sum(1, keepdim=True))[..., None]).sum(1)
        with torch.no_grad():
            expected = net.double()(inside)[:, 0]
        assert torch.allclose((inside * pieces.weights).sum(1) + pieces.offsets, expected, atol=1e-12)

    def test_are_as_many_as_lines_make(self) -> None:
        """n lines, of which m pairs meet inside, cut a convex set into 1 + n + m parts."""
        net = mlp(2, 12, 1)
        box = ([-50.0, -50.0], [50.0, 50.0])  # all lines pass through it, almost all meet in it
        w, b = net[0].weight.detach().double(), net[0].bias.detach().double()
        meet = 0
        for i in range(12):
            for j in range(i):
                point = torch.linalg.solve(w[[i, j]], -b[[i, j]])
                meet += bool((point.abs() < 50).all())
        assert relu_regions_2d(net, box).regions == 1 + 12 + meet

    def test_every_activation_pattern_of_a_fine_grid_is_a_region(self) -> None:
        net = mlp(2, 8, 8, 1)
        pieces = relu_regions_2d(net, BOX)
        line = torch.linspace(0.001, 1.999, 400)
        points = torch.cartesian_prod(line - 1, line - 0.5)
        with torch.no_grad():
            first = net[0](points)
            second = net[2](net[1](first))
        patterns = len(torch.cat([first > 0, second > 0], 1).unique(dim=0))
        assert patterns <= pieces.regions
        assert patterns > 0.8 * pieces.regions  # the smallest fall between the grid's points

    def test_lines_through_corners_and_equal_units_leave_no_slivers(self) -> None:
        net = nn.utils.skip_init(nn.Linear, 2, 6)
        with torch.no_grad():
            net.weight.copy_(torch.tensor([[1, -1], [1, -1], [-1, 1], [1, 0], [0, 1], [1, 1]]).float())
            net.bias.zero_()
        summed = nn.Sequential(net, nn.ReLU(), mlp(6, 1))
        pieces = relu_regions_2d(summed, ([-1, -1], [1, 1]))
        assert pieces.regions == 8
        assert torch.allclose(pieces.areas, torch.full((8,), 0.5).double())

    def test_the_lipschitz_constant_is_that_of_the_steepest_gradient(self) -> None:
        net = mlp(2, 10, 10, 1)
        pieces = relu_regions_2d(net, BOX)
        steepest = pieces.vertices[pieces.weights.norm(dim=1).argmax()]
        middle, tiny = steepest.mean(0), 1e-7 * torch.eye(2, dtype=torch.float64)
        everywhere = torch.rand(4000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2
        places = torch.cat([middle[None], everywhere - torch.tensor([1, 0.5])])
        with torch.no_grad():
            net = net.double()
            slopes = torch.cat([net(places + step) - net(places - step) for step in tiny], 1) / 2e-7
        assert float(slopes[0].norm()) == pytest.approx(pieces.lipschitz, rel=1e-6)
        assert float(slopes.norm(dim=1).max()) <= pieces.lipschitz * (1 + 1e-6)


class TestTransform:
    @given(st.integers(0, 100))
    def test_equals_quadrature(self, seed: int) -> None:
        pieces = relu_regions_2d(mlp(2, 5, 1, seed=seed), BOX)
        k = torch.randn(6, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 4
        k[0], k[1] = 0, torch.tensor([1e-7, 0.3])
        assert torch.allclose(pieces.fourier(k), gauss(pieces, k), atol=1e-10, rtol=0)

    def test_is_additive_over_boxes(self) -> None:
        net = mlp(2, 8, 8, 1)
        k = torch.tensor([[2.0, 1.0], [30.0, -40.0]])
        parts = [relu_regions_2d(net, box) for box in (([-1, -0.5], [0.3, 1.5]), ([0.3, -0.5], [1, 1.5]))]
        whole = relu_regions_2d(net, BOX).fourier(k)
        assert torch.allclose(sum(part.fourier(k) for part in parts), whole, atol=1e-12)  # type: ignore[arg-type]

    def test_lemma_1_holds_with_minus_i_and_not_with_plus_i(self) -> None:
        pieces = relu_regions_2d(pyramid, ([-1.5, -1.5], [1.5, 1.5]))
        k = torch.tensor([[2.0, 1.0]], dtype=torch.float64)
        lemma = torch.zeros(1, dtype=torch.complex128)
        for corners, w in zip(pieces.vertices, pieces.weights, strict=True):
            lemma += (k @ w) / k.square().sum() * polygon_indicator_ft(corners, k)
        line = torch.linspace(-1, 1, 801, dtype=torch.float64)
        points = torch.cartesian_prod(line, line)
        by_sum = (pyramid(points) * torch.exp(-1j * (points @ k[0]))).sum() * (2 / 800) ** 2
        assert torch.allclose(-1j * lemma, by_sum, atol=1e-4)
        assert not torch.allclose(1j * lemma, by_sum, atol=0.5)
        assert torch.allclose(pieces.fourier(k), -1j * lemma, atol=1e-14)

    def test_falls_like_the_theorem_says(self) -> None:
        pieces = relu_regions_2d(pyramid, ([-1.5, -1.5], [1.5, 1.5]))
        k = torch.logspace(2, 5, 600, dtype=torch.float64)
        for direction, slope in (([1.0, 0.0], -2), ([0.5**0.5, 0.5**0.5], -2), ([0.6, 0.8], -3)):
            heights = pieces.fourier(k[:, None] * torch.tensor(direction, dtype=torch.float64)).abs()
            assert decay_exponent(k, heights) == pytest.approx(slope, abs=0.05)


class TestBadInput:
    def test_what_is_not_piecewise_linear_is_refused(self) -> None:
        with pytest.raises(NotPiecewiseLinearError, match="departs from a plane"):
            relu_regions_2d(mlp(2, 8, 8, 1, activation=nn.Tanh), BOX)

    @pytest.mark.parametrize("box", [(0, 1), ([0, 0], [1, 0]), ([0, 0, 0], [1, 1, 1]), ([0, math.nan], [1, 1])])
    def test_boxes(self, box: tuple[object, object]) -> None:
        with pytest.raises(ValueError, match="box must be"):
            relu_regions_2d(mlp(2, 2, 1), box)  # type: ignore[arg-type]

    def test_frequencies(self) -> None:
        with pytest.raises(ValueError, match=r"k must have shape \(n, 2\)"):
            relu_regions_2d(mlp(2, 2, 1), BOX).fourier(torch.zeros(3))
