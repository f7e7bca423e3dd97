"""Perturbed networks against one-by-one evaluation and against a network whose spectrum is known."""

import math
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from torchstone.spectral import (
    PerturbationSpectrum,
    Siren,
    SumOfSines,
    coefficients,
    perturbation_spectrum,
)

K = [1, 2, 5]
TARGET = SumOfSines(K, amplitudes=[1.0, 2.0, 0.5], n=16, seed=0, dtype=torch.float64)
X = TARGET.z[:, None]


class Sines(nn.Module):
    """Amplitudes are the parameters: moving them by δu moves the spectrum by exactly that."""

    def __init__(self) -> None:
        super().__init__()
        self.amplitudes = nn.Parameter(TARGET.amplitudes.clone())

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(2 * math.pi * TARGET.frequencies * x + TARGET.phases) @ self.amplitudes


def tanh_net() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(1, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Dropout(0.5), nn.Linear(6, 1)).double()


class TestPerturbationSpectrum:
    def test_without_a_perturbation_nothing_is_lost(self) -> None:
        found = perturbation_spectrum(Sines(), X, K, [0.0], n=3, seed=0)
        torch.testing.assert_close(found.unperturbed, TARGET.amplitudes)
        torch.testing.assert_close(found.retained, torch.ones(1, 3, dtype=torch.float64))

    def test_of_a_linear_model_follows_the_sphere(self) -> None:
        """Amplitudes are |A + δu|; with A = 0 their mean is δ E|u₁| = δ/2 in three dimensions."""
        model = Sines()
        nn.init.zeros_(model.amplitudes)
        found = perturbation_spectrum(model, X, K, [1.0, 3.0], n=20_000, seed=0)
        expected = torch.tensor([[0.5], [1.5]], dtype=torch.float64).expand(2, 3)
        torch.testing.assert_close(found.amplitudes, expected, rtol=0.02, atol=0)

    def test_parts_in_phase_average_out_where_magnitudes_do_not(self) -> None:
        """Of a linear model the mean over directions is the unperturbed network; each part moves by δ/2."""
        found = perturbation_spectrum(Sines(), X, K, [6.0], n=20_000, seed=0)
        torch.testing.assert_close(found.in_phase[0], TARGET.amplitudes, rtol=0, atol=0.1)
        torch.testing.assert_close(found.moved[0], torch.full((3,), 3.0, dtype=torch.float64), rtol=0.02, atol=0)
        assert float(found.retained[0, 2]) > 5
        assert abs(float(found.retained_in_phase[0, 2]) - 1) < 0.2

    def test_agrees_with_networks_moved_one_by_one(self) -> None:
        model, size, n = tanh_net().eval(), 0.7, 4
        found = perturbation_spectrum(model, X, K, [size], n=n, seed=3)
        theta = parameters_to_vector(model.parameters()).detach()
        generator = torch.Generator().manual_seed(3)
        drawn = torch.stack([torch.randn(len(theta), generator=generator) for _ in range(n)])
        before, after = coefficients(model(X).detach().flatten(), K), []
        for u in drawn / drawn.norm(dim=1, keepdim=True):
            moved = deepcopy(model)
            vector_to_parameters(theta + size * u, moved.parameters())
            after.append(coefficients(moved(X).detach().flatten(), K))
        c = torch.stack(after)
        torch.testing.assert_close(found.amplitudes[0], c.abs().mean(0))
        torch.testing.assert_close(found.in_phase[0], (c.abs() * (c.angle() - before.angle()).cos()).mean(0))
        torch.testing.assert_close(found.moved[0], (c - before).abs().mean(0))

    def test_chunks_do_not_change_the_result(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def run() -> PerturbationSpectrum:
            return perturbation_spectrum(Siren(1, [6, 6], seed=0), X.float(), K, [0.5, 1.0], n=7, seed=1)

        whole = run()
        monkeypatch.setitem(perturbation_spectrum.__globals__, "_NUMBERS_AT_ONCE", 200)
        torch.testing.assert_close(run().amplitudes, whole.amplitudes, rtol=1e-5, atol=1e-6)

    def test_the_model_is_left_as_it_was(self) -> None:
        model = tanh_net()
        model[3].eval()  # type: ignore[operator]
        before, modes = deepcopy(model.state_dict()), [module.training for module in model.modules()]
        first = perturbation_spectrum(model, X, K, [0.5], n=3, seed=0)
        for name, value in model.state_dict().items():
            assert torch.equal(value, before[name]), name
        assert [module.training for module in model.modules()] == modes
        assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
        assert torch.equal(first.amplitudes, perturbation_spectrum(model, X, K, [0.5], n=3, seed=0).amplitudes)
        assert not torch.equal(first.amplitudes, perturbation_spectrum(model, X, K, [0.5], n=3, seed=1).amplitudes)

    def test_one_of_several_outputs(self) -> None:
        model = Siren(1, [4], 2, seed=0)
        found = perturbation_spectrum(model, X.float(), K, [0.1], n=2, output=1, seed=0)
        torch.testing.assert_close(found.unperturbed, coefficients(model(X.float())[:, 1].detach(), K).abs())
        with pytest.raises(ValueError, match="2 outputs: say which"):
            perturbation_spectrum(model, X.float(), K, [0.1], n=2, seed=0)

    @pytest.mark.parametrize("deltas", [[], [-1.0], [math.nan], 1.0])
    def test_refuses_sizes_that_are_none(self, deltas: list[float]) -> None:
        with pytest.raises(ValueError, match="deltas"):
            perturbation_spectrum(Sines(), X, K, deltas, seed=0)

    def test_refuses_a_network_that_diverged(self) -> None:
        with pytest.raises(ValueError, match="not finite"):
            perturbation_spectrum(Sines(), math.nan * X, K, [1.0], seed=0)

    def test_refuses_nothing_to_do(self) -> None:
        with pytest.raises(ValueError, match="n, the number"):
            perturbation_spectrum(Sines(), X, K, [1.0], n=0, seed=0)
        with pytest.raises(ValueError, match="no parameters"):
            perturbation_spectrum(nn.Flatten(0), X, K, [1.0], seed=0)
