"""Siren's initialisation, layer by layer, and its definition."""

import math

import pytest
import torch
from scipy.stats import arcsine, kstest, norm, uniform
from torch import Tensor

from torchstone.spectral import Siren
from torchstone.spectral.siren import SineLayer


def coordinates(n: int, d: int) -> Tensor:
    return 2 * torch.rand(n, d, generator=torch.Generator().manual_seed(1)) - 1


def sine_layers(net: Siren) -> list[SineLayer]:
    return [layer for layer in net if isinstance(layer, SineLayer)]


class TestInitialisation:
    def test_weights_are_uniform_within_the_bounds_of_the_code(self) -> None:
        net = Siren(2, [400, 500], 3, w0=20.0, w0_hidden=10.0, seed=0)
        first, second = (layer.linear.weight for layer in sine_layers(net))
        bounds = [(first, 1 / 2), (second, math.sqrt(6 / 400) / 10), (net.output.weight, math.sqrt(6 / 500) / 10)]
        for weight, bound in bounds:
            values = weight.detach().flatten().numpy()[:5000]
            assert kstest(values, uniform(-bound, 2 * bound).cdf).pvalue > 0.01
            assert abs(values).max() <= bound

    @torch.no_grad()
    def test_through_ten_layers_sums_are_standard_normal_and_activations_arcsine(self) -> None:
        """The theorem of the paper: the distributions do not change with depth."""
        net, h = Siren(1, [512] * 10, seed=0), coordinates(400, 1)
        for depth, layer in enumerate(sine_layers(net)):
            sums, h = layer.w0 * (h @ layer.linear.weight.T), layer(h)
            if depth == 0:
                continue  # sums of a single uniform coordinate are not normal
            assert float(sums.std()) == pytest.approx(1, abs=0.05)
            assert float(h.std()) == pytest.approx(math.sqrt(1 / 2), abs=0.02)
            assert kstest(sums.flatten().numpy(), norm.cdf).statistic < 0.03
            assert kstest(h.flatten().numpy(), arcsine(-1, 2).cdf).statistic < 0.03

    def test_the_seed_decides(self) -> None:
        first, again, other = (
            torch.cat([p.flatten() for p in Siren(1, [8, 8], seed=s).parameters()]) for s in (0, 0, 1)
        )
        assert torch.equal(first, again)
        assert not torch.equal(first, other)


class TestForward:
    def test_is_the_definition(self) -> None:
        net, x = Siren(2, [5, 4], 3, w0=7.0, w0_hidden=2.0, seed=0), coordinates(6, 2)
        one, two = (layer.linear for layer in sine_layers(net))
        h = torch.sin(7 * (x @ one.weight.T + one.bias))
        h = torch.sin(2 * (h @ two.weight.T + two.bias))
        torch.testing.assert_close(net(x), h @ net.output.weight.T + net.output.bias)

    def test_gradients(self) -> None:
        x = coordinates(3, 2).double().requires_grad_()
        assert torch.autograd.gradcheck(Siren(2, [4, 4], w0=3.0, w0_hidden=2.0, seed=0).double(), x)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"widths": []}, "widths"),
            ({"widths": [4, 0]}, "widths"),
            ({"d_in": 0}, "d_in"),
            ({"d_out": 0}, "d_out"),
            ({"w0": 0.0}, "w0"),
            ({"w0_hidden": math.inf}, "w0"),
        ],
    )
    def test_refuses(self, arguments: dict[str, object], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            Siren(**({"d_in": 1, "widths": [4], "seed": 0} | arguments))  # type: ignore[arg-type]
