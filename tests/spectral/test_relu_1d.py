"""Exact broken lines: knots, values and transforms against closed forms, quadrature and brute force."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from torchstone.spectral import NotPiecewiseLinearError, PiecewiseLinear1d, relu_regions_1d, relu_regions_on_line
from torchstone.spectral.relu_1d import j0, j1


def mlp(*widths: int, seed: int = 0, activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """A network with He weights, so that it bends often."""
    layers: list[nn.Module] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for d, width in pairwise(widths):
            layer = nn.Linear(d, width)
            nn.init.kaiming_normal_(layer.weight)
            nn.init.normal_(layer.bias, std=0.5)
            layers += [layer, activation()]
    return nn.Sequential(*layers[:-1])


def gauss(function: PiecewiseLinear1d, k: Tensor) -> Tensor:
    """The transform by 60 Gauss points a piece."""
    nodes, weights = (torch.as_tensor(z) for z in np.polynomial.legendre.leggauss(60))
    half = function.knots.diff()[:, None] / 2
    x = function.knots[:-1, None] + half * (1 + nodes)
    mass = half * weights * function(x.flatten()).view_as(x)
    return torch.stack([(mass * torch.exp(-1j * one * x)).sum() for one in k])


class Residual(nn.Module):
    """Everything that is understood, once: functions as well as modules, and a skip connection."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = mlp(1, 8), mlp(8, 8, seed=1), mlp(8, 1, seed=2)
        self.norm, self.leaky, self.parametric = nn.BatchNorm1d(8), nn.LeakyReLU(0.2), nn.PReLU(8)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.norm(self.first(x)))
        h = h + self.parametric(self.second(nn.functional.dropout(h, 0.5, self.training)))
        h = torch.maximum(self.leaky(h), -h) + nn.functional.relu6(h) + h.clamp(-0.1, 0.2) + nn.functional.hardtanh(h)
        return self.last(h).abs()


class TestTheBrokenLine:
    def test_a_shallow_network_bends_where_minus_bias_over_weight_says(self) -> None:
        net = mlp(1, 30, 1)
        first = net[0]
        at = (-first.bias / first.weight[:, 0]).detach().double().sort().values
        inside = at[(at > -2) & (at < 2)]
        assert torch.allclose(relu_regions_1d(net, (-2, 2)).knots[1:-1], inside, atol=1e-6, rtol=0)

    @pytest.mark.parametrize("net", [mlp(1, 32, 32, 32, 1), mlp(1, 16, 16, 1, activation=nn.LeakyReLU), Residual()])
    def test_is_the_network_everywhere(self, net: nn.Module) -> None:
        line = relu_regions_1d(net, (-1.5, 2))
        x = torch.rand(2000, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 3.5 - 1.5
        with torch.no_grad():
            expected = net.double().eval()(x[:, None])[:, 0]
        assert line.regions > 10
        assert torch.allclose(line(x), expected, atol=1e-12, rtol=1e-10)
        assert torch.allclose(line.slopes * line.knots.diff(), line.values.diff(), atol=1e-12, rtol=1e-9)

    def test_the_lipschitz_constant_is_the_steepest_of_a_fine_grid(self) -> None:
        net = mlp(1, 16, 16, 1)
        line = relu_regions_1d(net, (-1, 1))
        x = torch.linspace(-1, 1, 20001, dtype=torch.float64)
        steepest = float((line(x).diff() / x.diff()).abs().max())
        assert steepest <= line.lipschitz * (1 + 1e-9)
        assert steepest == pytest.approx(line.lipschitz, rel=1e-6)

    def test_the_network_is_left_as_it_was(self) -> None:
        net = Residual().train()
        before = {name: value.clone() for name, value in net.state_dict().items()}
        relu_regions_1d(net, (0, 1))
        assert net.training
        assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
        assert all(parameter.grad is None and parameter.requires_grad for parameter in net.parameters())

    def test_a_convolutional_network_along_a_line_between_pictures(self) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            net = nn.Sequential(
                nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.AvgPool2d(2), nn.Flatten(),
                nn.Linear(36, 3),
            )  # fmt: skip
        generator = torch.Generator().manual_seed(0)
        start, end = torch.randn(2, 2, 8, 8, generator=generator, dtype=torch.float64)
        line = relu_regions_on_line(net, start, end, output=2)
        t = torch.linspace(0, 1, 501, dtype=torch.float64)
        with torch.no_grad():
            expected = net.double().eval()(start + t[:, None, None, None] * (end - start))[:, 2]
        assert line.regions > 50
        assert torch.allclose(line(t), expected, atol=1e-12)


class TestItsTransform:
    @given(st.integers(0, 1000), st.floats(-30, 30))
    def test_equals_quadrature(self, seed: int, k: float) -> None:
        line = relu_regions_1d(mlp(1, 8, 8, 1, seed=seed), (-1, 2))
        frequencies = torch.tensor([k, 0.0, 1e-9], dtype=torch.float64)
        assert torch.allclose(line.fourier(frequencies), gauss(line, frequencies), atol=1e-12, rtol=1e-11)

    def test_equals_the_sum_over_knots(self) -> None:
        """The paper's form: end terms, and slopes between knots, divided by ik."""
        line = relu_regions_1d(mlp(1, 16, 16, 1), (-1, 2))
        k = torch.tensor([3.0, 50.0, -700.0], dtype=torch.float64)[:, None]
        wave = torch.exp(-1j * k * line.knots)
        ends = line.values[0] * wave[:, 0] - line.values[-1] * wave[:, -1]
        inner = (line.slopes * (wave[:, :-1] - wave[:, 1:])).sum(1)
        ik = 1j * k[:, 0]
        assert torch.allclose(line.fourier(k[:, 0]), (ends + inner / ik) / ik, rtol=1e-9, atol=1e-15)

    def test_a_hat(self) -> None:
        hat = PiecewiseLinear1d(*(torch.tensor(z).double() for z in ([-1, 0, 1], [0, 1, 0], [1, -1])))
        k = torch.tensor([1e-3, 0.5, 7.0, 200.0], dtype=torch.float64)
        expected = 2 * (2 * (k / 2).sin().square()) / k**2
        assert torch.allclose(hat.fourier(k).real, expected, rtol=1e-11, atol=1e-17)
        assert torch.allclose(hat.fourier(k).imag, torch.zeros(4).double(), atol=1e-15)

    def test_parseval(self) -> None:
        """Σ |f̃|² / length² over all whole numbers of periods is the mean of f²; the tail falls like 1/ν²."""
        line = relu_regions_1d(mlp(1, 8, 1), (0, 1))
        nu = torch.arange(-20000, 20001, dtype=torch.float64)
        left, right = line.values[:-1], line.values[1:]
        mean_square = float((line.knots.diff() * (left**2 + left * right + right**2) / 3).sum())
        jump = float(line.values[-1] - line.values[0])
        tail = 2 * jump**2 / (2 * math.pi) ** 2 / 20000.5
        assert float(line.fourier(2 * math.pi * nu).abs().square().sum()) + tail == pytest.approx(mean_square, rel=1e-9)

    def test_bessel_functions_match_scipy(self) -> None:
        from scipy.special import spherical_jn

        u = torch.tensor([-5.0, -0.41, -0.39, -1e-3, 0.0, 1e-8, 0.1, 0.3999, 0.4001, 2.0, 100.0], dtype=torch.float64)
        for order, ours in ((0, j0), (1, j1)):
            expected = np.sign(u.numpy()) ** order * spherical_jn(order, u.abs().numpy())
            assert np.allclose(ours(u).numpy(), expected, rtol=3e-14, atol=1e-17)


class TestBadInput:
    @pytest.mark.parametrize("activation", [nn.Tanh, nn.GELU, nn.Sigmoid])
    def test_what_is_not_piecewise_linear_is_refused(self, activation: type[nn.Module]) -> None:
        with pytest.raises(NotPiecewiseLinearError, match="departs from a straight line"):
            relu_regions_1d(mlp(1, 8, 8, 1, activation=activation), (-1, 1))

    @pytest.mark.parametrize("box", [(1, 0), (0, math.nan), (0, math.inf), ([0, 0], [1, 1]), (0, 1, 2), "ab"])
    def test_boxes(self, box: object) -> None:
        with pytest.raises(ValueError, match="box must be"):
            relu_regions_1d(mlp(1, 2, 1), box)  # type: ignore[arg-type]

    def test_places_outside(self) -> None:
        line = relu_regions_1d(mlp(1, 4, 1), (0, 1))
        for x in (-0.1, 1.1, math.nan):
            with pytest.raises(ValueError, match=r"x must lie in \[0, 1\]"):
                line(torch.tensor([0.5, x]))

    def test_outputs(self) -> None:
        with pytest.raises(ValueError, match="2 outputs: say which"):
            relu_regions_1d(mlp(1, 4, 2), (0, 1))
        with pytest.raises(ValueError, match="from 0 to 1"):
            relu_regions_1d(mlp(1, 4, 2), (0, 1), output=2)

    def test_weights_that_are_not_finite(self) -> None:
        net = mlp(1, 4, 1)
        net[0].weight.data[0] = math.nan
        with pytest.raises(ValueError, match="not finite"):
            relu_regions_1d(net, (0, 1))

    def test_ends_that_coincide(self) -> None:
        with pytest.raises(ValueError, match="two different"):
            relu_regions_on_line(mlp(2, 4, 1), torch.zeros(2), torch.zeros(2))

    @pytest.mark.parametrize("k", [torch.tensor([math.nan]), torch.ones(2, 2), torch.tensor([1j])])
    def test_frequencies(self, k: Tensor) -> None:
        with pytest.raises(ValueError, match="k must"):
            relu_regions_1d(mlp(1, 4, 1), (0, 1)).fourier(k)
