"""The front door: a sine has its amplitude, exact and sampled agree, and what cannot be seen is refused."""

import importlib
import math
import subprocess
import sys
import warnings
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from torchstone.nets import tiny10
from torchstone.pictures import svg
from torchstone.spectral import (
    NotPiecewiseLinearError,
    SpectralWarning,
    TooManyRegionsError,
    decay_exponent,
    measure,
    relu_regions_1d,
    relu_regions_2d,
)


def mlp(*widths: int, activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    layers: list[nn.Module] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for d, e in pairwise(widths):
            layers += [nn.Linear(d, e), activation()]
            nn.init.kaiming_normal_(layers[-2].weight)
            nn.init.normal_(layers[-2].bias, std=0.3)
    return nn.Sequential(*layers[:-1])


def wave(nu: list[float], amplitude: float, phase: float = 0.4, mean: float = 0.0):  # type: ignore[no-untyped-def]
    return lambda x: amplitude * torch.sin(2 * math.pi * x @ torch.tensor(nu, dtype=x.dtype) + phase) + mean


class TestAmplitudes:
    def test_a_sine_has_its_own_amplitude_and_only_there(self) -> None:
        spectrum = measure(wave([5.0], 3.0, mean=2.0), (0, 1), [0, 4, 5, 6, 11])
        assert spectrum.method == "sampled"
        assert torch.allclose(spectrum.amplitudes, torch.tensor([2.0, 0, 3, 0, 0]).double(), atol=1e-12)

    def test_tapered_it_keeps_it_and_spills_half_into_each_neighbour(self) -> None:
        spectrum = measure(wave([5.0], 3.0), (0, 1), [3, 4, 5, 6, 7])
        assert torch.allclose(spectrum.tapered, torch.tensor([0, 1.5, 3.0, 1.5, 0]).double(), atol=1e-12)

    def test_on_another_box_frequencies_are_per_unit_of_x(self) -> None:
        spectrum = measure(wave([2.5], 3.0), (-0.7, 1.3), [2.0, 2.5, 3.0])
        assert torch.allclose(spectrum.amplitudes, torch.tensor([0, 3.0, 0]).double(), atol=1e-12)

    def test_on_the_plane(self) -> None:
        spectrum = measure(wave([2.0, -1.5], 0.7), ([0, -1], [1, 1]), [[2, -1.5], [2, 1.5], [1, 0]])
        assert torch.allclose(spectrum.amplitudes, torch.tensor([0.7, 0, 0]).double(), atol=1e-12)

    def test_default_frequencies_are_whole_periods_each_direction_once(self) -> None:
        one = measure(wave([1.0], 1.0), (0, 2), n=32)
        assert torch.allclose(one.frequencies, torch.arange(9).double() / 2)
        two = measure(wave([1.0, 0.0], 1.0), ([0, 0], [1, 1]), n=32)
        assert len(two.frequencies) == (5 * 5 - 1) / 2 + 1
        seen = {tuple(nu) for nu in two.frequencies.tolist()}
        assert not any((-a, -b) in seen for a, b in seen if (a, b) != (0, 0))


class TestMethods:
    def test_exact_and_sampled_agree_in_one_dimension(self) -> None:
        net = mlp(1, 16, 16, 1)
        exact, sampled = (measure(net, (-1, 1), method=method, n=n) for method, n in (("auto", 64), ("sampled", 4096)))
        assert (exact.method, sampled.method) == ("exact", "sampled")
        assert exact.regions == relu_regions_1d(net, (-1, 1)).regions
        few = len(exact.frequencies)
        assert torch.allclose(exact.amplitudes, sampled.amplitudes[:few], atol=1e-3)
        assert torch.allclose(exact.tapered[2:], sampled.tapered[2:few], atol=1e-6)

    def test_exact_and_sampled_agree_on_the_plane(self) -> None:
        net = mlp(2, 8, 1)
        nu = [[0.0, 0.0], [0.5, 0.0], [1.0, -1.5], [2.0, 0.5]]
        exact, sampled = (measure(net, ([-1, -1], [1, 1]), nu, method=method, n=512) for method in ("exact", "sampled"))
        assert exact.regions == relu_regions_2d(net, ([-1, -1], [1, 1])).regions
        assert torch.allclose(exact.tapered, sampled.tapered, atol=1e-5)
        assert torch.allclose(exact.amplitudes, sampled.amplitudes, atol=1e-2)

    def test_a_smooth_network_is_sampled_and_exact_refuses_it(self) -> None:
        net = mlp(1, 8, 1, activation=nn.Tanh)
        assert measure(net, (0, 1)).method == "sampled"
        with pytest.raises(NotPiecewiseLinearError):
            measure(net, (0, 1), method="exact")

    def test_the_tapered_spectrum_of_a_relu_network_falls_with_the_square(self) -> None:
        nu = torch.arange(20, 2000)
        spectrum = measure(mlp(1, 16, 1), (-1, 1), nu)
        assert spectrum.decay == pytest.approx(-2, abs=0.1)
        assert decay_exponent(nu, spectrum.amplitudes) == pytest.approx(-1, abs=0.1)  # the jump at the box's ends

    def test_a_plane_of_too_many_pieces_is_sampled_unless_exact_insists(self, monkeypatch: pytest.MonkeyPatch) -> None:
        net, box, nu = mlp(2, 16, 16, 1), ([-3, -3], [3, 3]), [[0.5, 0.5]]
        monkeypatch.setattr(importlib.import_module("torchstone.spectral.measure"), "MOST_ON_PLANE", 1000)
        assert measure(net, box, nu).method == "sampled"
        assert measure(net, box, nu, method="exact").method == "exact"
        with pytest.raises(TooManyRegionsError, match="a layer of 16 units is to be cut at"):
            relu_regions_2d(net, box, most=1000)


class TestLines:
    def test_through_a_picture_network_of_which_one_output_is_chosen(self) -> None:
        net = nn.Sequential(nn.Flatten(), mlp(12, 16, 4))
        box = (torch.zeros(3, 2, 2), torch.ones(3, 2, 2))
        spectrum = measure(net, box, [1, 2, 3], lines=5, output=2, seed=3)
        assert spectrum.amplitudes.shape == spectrum.tapered.shape == (5, 3)
        assert (spectrum.method, spectrum.unit) == ("exact", "line")
        again = measure(net, box, [1, 2, 3], lines=5, output=2, seed=3)
        other = measure(net, box, [1, 2, 3], lines=5, output=2, seed=4)
        assert torch.equal(spectrum.amplitudes, again.amplitudes)
        assert not torch.equal(spectrum.amplitudes, other.amplitudes)

    def test_along_given_lines_a_wave_shows_how_often_it_is_crossed(self) -> None:
        ends = torch.tensor([[[0.0, 0, 0], [1.0, 0, 0]], [[0, 0, 0], [0, 2.0, 0]]])
        model = wave([3.0, 2.0, 0.0], 1.5)
        spectrum = measure(model, (torch.zeros(3), torch.ones(3)), [2, 3, 4], lines=ends)
        assert torch.allclose(spectrum.amplitudes, torch.tensor([[0, 1.5, 0], [0, 0, 1.5]]).double(), atol=1e-12)

    def test_a_line_in_one_dimension_is_the_interval(self) -> None:
        net = mlp(1, 8, 8, 1)
        along = measure(net, (torch.zeros(1), torch.ones(1)), [1, 2], lines=torch.tensor([[[0.0], [1.0]]]))
        assert torch.allclose(along.amplitudes[0], measure(net, (0, 1), [1, 2]).amplitudes, atol=1e-12)

    def test_all_lines_are_exact_or_all_are_sampled(self) -> None:
        """Max pooling is not understood: the first line does not see it switch, the second does."""
        model = nn.Sequential(nn.Unflatten(1, (1, 2)), nn.MaxPool1d(2), nn.Flatten())
        ends = torch.tensor([[[0.0, 2.0], [1.0, 3.0]], [[0.0, 0.3], [1.0, 0.0]]])
        box = (torch.zeros(2), torch.ones(2))
        assert measure(model, box, [1], lines=ends[:1]).method == "exact"
        both = measure(model, box, [1], lines=ends)
        assert (both.method, both.regions) == ("sampled", 0)
        sampled = measure(model, box, [1], lines=ends, method="sampled")
        assert torch.equal(both.amplitudes, sampled.amplitudes)

    def test_a_line_of_too_many_pieces_is_sampled_unless_exact_insists(self, monkeypatch: pytest.MonkeyPatch) -> None:
        net, ends = mlp(3, 16, 16, 1), torch.tensor([[[-3.0, -3, -3], [3, 3, 3]]])
        monkeypatch.setattr(importlib.import_module("torchstone.spectral.measure"), "MOST_ON_LINE", 100)
        box = (torch.zeros(3), torch.ones(3))
        assert measure(net, box, lines=ends).method == "sampled"
        assert measure(net, box, lines=ends, method="exact").method == "exact"

    def test_classifiers_of_pictures(self) -> None:
        flat = nn.Sequential(nn.Flatten(), mlp(27, 16, 16, 4))
        box = (torch.zeros(3, 9, 9), torch.ones(3, 9, 9))
        for net in (nn.Sequential(nn.AvgPool2d(3), flat), tiny10(4, width=0.25, seed=0)):
            exact, sampled = (measure(net, box, [1, 2], lines=2, output=3, method=way) for way in ("auto", "sampled"))
            assert exact.method == "exact"
            assert torch.allclose(exact.tapered, sampled.tapered, atol=1e-6)


class TestPictures:
    def test_one_is_drawn(self) -> None:
        drawing = svg(measure(mlp(1, 8, 1), (0, 1)).plot())
        assert drawing.startswith("<svg")

    def test_too_few_frequencies_have_no_exponent(self) -> None:
        assert math.isnan(measure(mlp(1, 8, 1), (0, 1), [1, 2]).decay)


class TestDecay:
    @pytest.mark.parametrize("power", [-1.0, -2.0, -3.5])
    def test_a_power_law_with_zeros(self, power: float) -> None:
        k = torch.logspace(1, 4, 2000, dtype=torch.float64)
        assert decay_exponent(k, k**power * (3 * k).sin().abs()) == pytest.approx(power, abs=0.02)

    @pytest.mark.parametrize(
        ("k", "a", "windows"),
        [([1.0, 2.0], [1.0], 10), ([0.0, 1.0], [1.0, 1.0], 10), ([1.0, 2.0], [1.0, -1.0], 10), ([1.0], [1.0], 2)],
    )
    def test_bad_input(self, k: list[float], a: list[float], windows: int) -> None:
        with pytest.raises(ValueError, match="frequencies"):
            decay_exponent(torch.tensor(k), torch.tensor(a), windows=windows)


class TestBadInput:
    def test_aliases_are_refused_where_it_is_sampled_and_only_there(self) -> None:
        with pytest.raises(ValueError, match="Nyquist frequency, 16"):
            measure(wave([1.0], 1.0), (0, 2), [16], n=64)
        assert measure(mlp(1, 8, 1), (0, 1), [10_000]).method == "exact"

    def test_a_frequency_that_does_not_fit_leaks_and_says_so(self) -> None:
        with pytest.warns(SpectralWarning, match="leaks"):
            measure(wave([1.0], 1.0), (0, 1), [1.5])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            measure(wave([1.0], 1.0), (0, 0.7), [10 / 0.7])

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"method": "fft"}, "method must be"),
            ({"n": 4}, "n must be"),
            ({"frequencies": [[1.0, 2.0]]}, "one row of 1 numbers"),
            ({"frequencies": [math.nan]}, "finite real"),
            ({"frequencies": []}, "at least one"),
            ({"box": (torch.zeros(3), torch.ones(3))}, "lines="),
            ({"lines": 0}, "lines must be a whole number of at least 1"),
            ({"lines": 2.0}, "lines must be a whole number of at least 1"),
            ({"output": 0.0}, "output must be a whole number"),
            ({"lines": torch.zeros(2, 3)}, "lines must be finite, of shape"),
            ({"box": (1, 0)}, "box must be"),
        ],
    )
    def test_is_refused_in_words(self, changes: dict[str, object], message: str) -> None:
        arguments: dict[str, object] = {"model": mlp(1, 4, 1), "box": (0, 1)} | changes
        with pytest.raises(ValueError, match=message):
            measure(**arguments)  # type: ignore[arg-type]

    def test_an_error_of_the_model_says_what_it_was_given(self) -> None:
        with pytest.raises(RuntimeError) as wrong_inputs:
            measure(mlp(2, 4, 1), (0, 1))
        assert "input of shape (2, 1), torch.float64" in wrong_inputs.value.__notes__[0]
        net = mlp(1, 4, 1)
        with pytest.raises(RuntimeError) as wrong_dtype:
            measure(lambda x: net(x), (0, 1))
        assert "pass the module" in wrong_dtype.value.__notes__[0]
        with pytest.raises(TypeError, match="model must be"):
            measure("net", (0, 1))  # type: ignore[arg-type]

    def test_torchs_compiler_is_not_imported(self) -> None:
        """It would take longer than all else that happens at the first use."""
        code = (
            "import sys, torch; from torchstone.spectral import measure; measure(torch.nn.ReLU(), (-1, 1)); "
            "sys.exit('torch._dynamo' in sys.modules)"
        )
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

    def test_a_model_that_gives_something_else(self) -> None:
        def one_number(x: Tensor) -> Tensor:
            return x.sum()[None]

        with pytest.raises(ValueError, match="must map"):
            measure(one_number, (0, 1), method="sampled")
