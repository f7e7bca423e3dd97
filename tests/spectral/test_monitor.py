"""Watching frequencies during a fit, killed and resumed fits included."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from torchstone.spectral import FrequencyMonitor, SumOfSines
from torchstone.training import Player, Round, fit

TARGET = SumOfSines([1, 3], amplitudes=[1.0, 0.5], n=16, seed=0)
X = TARGET.z[:, None]


class Sines(nn.Module):
    """A network whose spectrum is known: it is a sum of sines with amplitudes as parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.learned = nn.Parameter(torch.zeros(2))

    def forward(self, x: Tensor) -> Tensor:
        waves = torch.sin(2 * torch.pi * TARGET.frequencies.float() * x + TARGET.phases.float())
        return waves @ (TARGET.amplitudes.float() * self.learned)


class Twice(nn.Module):
    """Two outputs: nothing, and what a model gives."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([torch.zeros(len(x)), self.model(x)], 1)


def player(model: nn.Module, lr: float = 0.1) -> Player:
    return Player(
        model, lambda _: (model(X).flatten() - TARGET.values).square().mean(), torch.optim.SGD(model.parameters(), lr)
    )


def monitor(**options: object) -> FrequencyMonitor:
    return FrequencyMonitor(TARGET.frequencies, TARGET.amplitudes, X, **({"every": 5} | options))  # type: ignore[arg-type]


def seeded_net() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(1, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Tanh(), nn.Linear(8, 1))


def by_hand(watch: FrequencyMonitor, model: nn.Module, steps: range) -> None:
    for step in steps:
        watch(Round(step, {}, [player(model)]))


class TestTrace:
    def test_follows_gradient_descents_closed_form(self) -> None:
        """Sines are orthogonal: with loss A²(a−1)²/2 each amplitude a is 1 − (1 − lr·A²)^t."""
        watch = monitor()
        fit(player(Sines()), [None], steps=20, callbacks=[watch])
        rates = 1 - 0.1 * TARGET.amplitudes.square()
        torch.testing.assert_close(watch.trace, 1 - rates ** watch.steps[:, None].double(), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(watch.missing(TARGET.phases), 1 - watch.trace, rtol=1e-5, atol=1e-6)
        assert watch.steps.tolist() == [5, 10, 15, 20]

    def test_the_wrong_phase_is_missing_more_than_nothing_is(self) -> None:
        model, watch = Sines(), monitor(every=1)
        nn.init.constant_(model.learned, -1.0)
        by_hand(watch, model, range(1, 2))
        torch.testing.assert_close(watch.trace, torch.ones(1, 2, dtype=torch.float64))
        torch.testing.assert_close(watch.missing(TARGET.phases), torch.full((1, 2), 2.0, dtype=torch.float64))

    def test_before_the_first_record_it_is_empty(self) -> None:
        assert monitor().trace.shape == (0, 2)
        assert len(monitor().steps) == 0

    def test_looking_does_not_change_the_training(self) -> None:
        """Dropout draws from the global generator, batch normalisation averages: a look must leave both alone."""
        watched, alone = seeded_net(), seeded_net()
        fit(player(watched), [None], steps=7, callbacks=[monitor(every=1)])
        fit(player(alone), [None], steps=7)
        for name, value in watched.state_dict().items():
            assert torch.equal(value, alone.state_dict()[name]), name

    def test_modes_stay_as_they_were(self) -> None:
        model = seeded_net()
        model[1].eval()  # type: ignore[operator]
        before = [module.training for module in model.modules()]
        by_hand(monitor(every=1), model, range(1, 2))
        assert [module.training for module in model.modules()] == before

    def test_a_second_player_and_a_chosen_output(self) -> None:
        watch = monitor(every=1, player=1, output=1)
        model = Sines()
        nn.init.constant_(model.learned, 0.25)
        watch(Round(1, {}, [player(Sines()), player(Twice(model))]))
        torch.testing.assert_close(watch.trace, torch.full((1, 2), 0.25, dtype=torch.float64))


class TestResume:
    def test_a_resumed_fit_has_the_trace_of_one_that_never_stopped(self, tmp_path: Path) -> None:
        whole = monitor()
        fit(player(Sines()), [None], steps=30, callbacks=[whole])

        def go(steps: int) -> FrequencyMonitor:
            watch = monitor(file=str(tmp_path / "monitor.safetensors"))
            fit(player(Sines()), [None], steps=steps, checkpoint=tmp_path / "fit", every=7, callbacks=[watch])
            return watch

        go(18)
        resumed = go(30)
        assert torch.equal(resumed.trace, whole.trace)
        assert torch.equal(resumed.steps, whole.steps)

    def test_records_after_the_checkpoint_are_taken_anew(self, tmp_path: Path) -> None:
        file, model = tmp_path / "monitor.safetensors", Sines()
        by_hand(monitor(file=file), model, range(1, 21))
        nn.init.constant_(model.learned, 0.5)
        resumed = monitor(file=file)
        by_hand(resumed, model, range(12, 21))
        assert resumed.trace[:, 0].tolist() == pytest.approx([0, 0, 0.5, 0.5], abs=1e-6)

    def test_without_its_records_it_refuses_to_go_on(self) -> None:
        with pytest.raises(ValueError, match="has not seen what came before: 0 records where 2"):
            by_hand(monitor(), Sines(), range(11, 12))

    def test_a_new_fit_starts_anew(self, tmp_path: Path) -> None:
        watch, model = monitor(file=tmp_path / "monitor.safetensors"), Sines()
        by_hand(watch, model, range(1, 11))
        by_hand(watch, model, range(1, 6))
        assert watch.steps.tolist() == [5]

    def test_the_file_of_another_monitor_is_refused(self, tmp_path: Path) -> None:
        file = tmp_path / "monitor.safetensors"
        by_hand(monitor(file=file), Sines(), range(1, 11))
        other = FrequencyMonitor([2, 3], 1.0, X, every=5, file=file)
        with pytest.raises(ValueError, match="another monitor"):
            by_hand(other, Sines(), range(11, 12))


class TestBadInput:
    def test_at_the_door(self) -> None:
        with pytest.raises(ValueError, match=r"\(n, d\)"):
            FrequencyMonitor([1], 1.0, TARGET.z)
        with pytest.raises(ValueError, match="every"):
            monitor(every=0)
        with pytest.raises(ValueError, match="half the number"):
            FrequencyMonitor([8], 1.0, X)

    def test_players_steps_and_phases_that_are_none(self) -> None:
        with pytest.raises(ValueError, match="player must be from 0 to 0 in this fit, but it is 1"):
            by_hand(monitor(every=1, player=1), Sines(), range(1, 2))
        with pytest.raises(ValueError, match="every must be a whole number"):
            monitor(every=2.5)
        for phases in ([0.0] * 3, float("nan")):
            with pytest.raises(ValueError, match="phases must be"):
                monitor().missing(phases)

    def test_more_than_one_output(self) -> None:
        with pytest.raises(ValueError, match="2 outputs: say which"):
            by_hand(monitor(every=1), Twice(Sines()), range(1, 2))
        with pytest.raises(ValueError, match="output must be a whole number from 0 to 1, but it is 2"):
            by_hand(monitor(every=1, output=2), Twice(Sines()), range(1, 2))
