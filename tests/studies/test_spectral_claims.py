"""The rules of the claims about frequencies, on planted records whose answer is known."""

import math
from collections.abc import Mapping, Sequence

import pytest
import torch
from torch import Tensor

from torchstone.lab import Record, Status, Trial, Verdict
from torchstone.lab.divergence import judge
from torchstone.studies.spectral.fourier_features_remove_the_bias import ARMS as NETWORKS
from torchstone.studies.spectral.fourier_features_remove_the_bias import FourierFeaturesRemoveTheBias
from torchstone.studies.spectral.low_frequencies_are_robust import LowFrequenciesAreRobust
from torchstone.studies.spectral.low_frequencies_first import ARMS as SIGNALS
from torchstone.studies.spectral.low_frequencies_first import LowFrequenciesFirst
from torchstone.studies.spectral.networks import network, spectral_norms

K = [2, 4, 6, 8, 10, 12]
SEEDS = range(6)
RECORDS, EVERY = 400, 10


def rising(times: Sequence[float]) -> Tensor:
    """Shares that reach a half at the given steps, to the record."""
    steps = EVERY * torch.arange(1, RECORDS + 1, dtype=torch.float64)[:, None]
    return (0.5 * steps / torch.tensor(times, dtype=torch.float64)).clamp(max=1)


def disorder(seed: int) -> list[float]:
    order = torch.randperm(len(K), generator=torch.Generator().manual_seed(seed)).tolist()
    return [100.0 * (place + 1) for place in order]


def learning(arm: str, seed: int, times: Sequence[float], strict: Sequence[float] | None = None) -> Record:
    """A record of learning: by amplitude at ``times``, by what is missing at ``strict``."""
    metrics = {"loss": 0.1, "growth": 100.0, "between": 0.2, "parameters": 1000.0}
    artifacts = {"trace": rising(times), "missing": 1 - rising(strict or times)}
    return Record(
        Trial(arm, seed, {"frequencies": K, "every": EVERY, "steps": EVERY * RECORDS}), metrics, artifacts, 1.0
    )


def primary(verdict: Verdict) -> list[Status | None]:
    return [check.status for check in verdict.checks if check.primary]


class TestLowFrequenciesFirst:
    @staticmethod
    def verdict(times: Mapping[str, Sequence[float]], strict: Sequence[float] | None = None) -> Verdict:
        records = [
            learning(arm, seed, times.get(arm, disorder(seed)), strict if arm == "increasing" else None)
            for arm in SIGNALS
            for seed in SEEDS
        ]
        return LowFrequenciesFirst().judge(records)

    ORDER = (100.0, 200.0, 400.0, 800.0, 1600.0, math.inf)

    def test_order_at_even_places_only_is_confirmed(self) -> None:
        verdict = self.verdict({"equal": self.ORDER, "increasing": self.ORDER})
        assert primary(verdict) == [Status.CONFIRMED] * 4
        assert verdict.checks[0].estimate.value == pytest.approx(1)

    def test_order_by_amplitude_alone_is_not(self) -> None:
        """Large waves at wrong phases pass for small amplitudes that are learned."""
        verdict = self.verdict({"equal": self.ORDER, "increasing": self.ORDER}, strict=[300.0] * 6)
        assert primary(verdict) == [Status.CONFIRMED, Status.CONFIRMED, Status.ABSENT, Status.CONFIRMED]
        assert verdict.status is Status.ABSENT

    def test_the_other_order_with_increasing_amplitudes_is_the_opposite(self) -> None:
        verdict = self.verdict({"equal": self.ORDER, "increasing": self.ORDER[::-1]})
        assert verdict.status is Status.OPPOSITE

    def test_no_order_is_not_confirmed(self) -> None:
        assert primary(self.verdict({}))[3] is not Status.CONFIRMED
        assert self.verdict({arm: [500.0] * 6 for arm in SIGNALS}).status is Status.ABSENT

    def test_order_at_shuffled_places_too_is_no_bias_of_frequency(self) -> None:
        verdict = self.verdict(dict.fromkeys(SIGNALS, self.ORDER))
        assert primary(verdict) == [Status.CONFIRMED, Status.CONFIRMED, Status.CONFIRMED, Status.ABSENT]

    def test_networks_that_learn_nothing_show_no_order(self) -> None:
        assert self.verdict({arm: [math.inf] * 6 for arm in SIGNALS}).status is Status.ABSENT


class TestLowFrequenciesAreRobust:
    DELTAS = torch.linspace(0, 4, 41, dtype=torch.float64)

    def record(self, arm: str, seed: int, rates: Sequence[float], noise: Sequence[float] | None = None) -> Record:
        """Shares fall as exp(−rate·δ); the paper's measure sees noise·δ on top."""
        in_phase = torch.exp(-self.DELTAS[:, None] * torch.tensor(rates, dtype=torch.float64))
        extra = self.DELTAS[:, None] * torch.tensor(noise or [0.0] * len(K), dtype=torch.float64)
        artifacts = {
            "deltas": self.DELTAS,
            "retained": in_phase + extra,
            "retained_in_phase": in_phase,
            "moved": 1 - in_phase,
        }
        return Record(Trial(arm, seed, {"frequencies": K}), {"loss": 0.1, "least_learned": 0.9}, artifacts, 1.0)

    def verdict(self, rates: Sequence[float] | None, noise: Sequence[float] | None = None) -> Verdict:
        even = [self.record("even", seed, rates or [r / 300 for r in disorder(seed)], noise) for seed in SEEDS]
        shuffled = [self.record("shuffled", seed, [r / 300 for r in disorder(seed)]) for seed in SEEDS]
        return LowFrequenciesAreRobust().judge(even + shuffled)

    def test_high_frequencies_that_fall_faster_confirm(self) -> None:
        verdict = self.verdict([0.2, 0.4, 0.6, 0.8, 1.0, 1.2])
        assert primary(verdict) == [Status.CONFIRMED] * 3
        shares = {check.name: check.estimate.value for check in verdict.checks if check.name.startswith("share")}
        low, high = (shares[f"share retained, {end} quarter of frequencies, in phase"] for end in ("lowest", "highest"))
        assert low > 0.7 > 0.5 > high

    def test_noise_at_low_frequencies_does_not_pass_for_signal(self) -> None:
        verdict = self.verdict([0.6] * 6, noise=[0.6, 0.5, 0.4, 0.3, 0.2, 0.1])
        assert primary(verdict)[0] is Status.CONFIRMED
        assert primary(verdict)[1] is Status.ABSENT
        assert verdict.status is not Status.CONFIRMED

    def test_low_frequencies_that_fall_faster_are_the_opposite(self) -> None:
        assert self.verdict([1.2, 1.0, 0.8, 0.6, 0.4, 0.2]).status is Status.OPPOSITE

    def test_no_order_is_not_confirmed(self) -> None:
        assert self.verdict(None).status is not Status.CONFIRMED

    def test_is_judged_where_a_half_is_left(self) -> None:
        verdict = self.verdict([math.log(2)] * 6)
        (delta,) = (check.estimate.value for check in verdict.checks if check.name.startswith("δ"))
        assert delta == pytest.approx(1)
        assert verdict.sentence.startswith("Where 50% is left")

    def test_says_so_where_no_perturbation_is_large_enough_for_that(self) -> None:
        assert self.verdict([0.05] * 6).sentence.startswith("Where 82% is left")


class TestFourierFeaturesRemoveTheBias:
    @staticmethod
    def verdict(**times: tuple[float, float]) -> Verdict:
        """First and last time of each arm; what lies between does not matter."""
        records = []
        for arm in NETWORKS:
            first, last = times.get(arm.replace(" ", "_"), (100.0, 100.0))
            records += [learning(arm, seed, [first, 200.0, 200.0, 200.0, 200.0, last]) for seed in SEEDS]
        return FourierFeaturesRemoveTheBias().judge(records)

    def test_a_planted_bias_that_the_remedies_lack_is_confirmed(self) -> None:
        verdict = self.verdict(relu=(100.0, 2000.0), siren=(200.0, 100.0))
        assert verdict.status is Status.CONFIRMED
        assert verdict.checks[0].estimate.value == pytest.approx(math.log10(20))
        assert verdict.checks[2].estimate.value == pytest.approx(math.log10(0.5))

    def test_a_frequency_that_relu_never_learns_counts_as_long_as_was_looked(self) -> None:
        verdict = self.verdict(relu=(100.0, math.inf))
        assert verdict.status is Status.CONFIRMED
        assert verdict.checks[0].estimate.value == pytest.approx(math.log10(EVERY * RECORDS / 100))

    def test_no_bias_is_absent(self) -> None:
        assert self.verdict().status is Status.ABSENT

    def test_high_frequencies_first_are_the_opposite(self) -> None:
        assert self.verdict(relu=(2000.0, 100.0)).status is Status.OPPOSITE

    def test_a_remedy_that_keeps_the_bias_does_not_remove_it(self) -> None:
        assert self.verdict(relu=(100.0, 2000.0), siren=(100.0, 500.0)).status is Status.OPPOSITE

    @pytest.mark.parametrize("times", [(2000.0, math.inf), (math.inf, 100.0), (math.inf, math.inf)])
    def test_a_remedy_that_never_learns_is_none(self, times: tuple[float, float]) -> None:
        """4000/2000 would pass for an equal time if the last step were taken for it."""
        assert self.verdict(relu=(100.0, 2000.0), siren=times).status is Status.OPPOSITE

    def test_a_remedy_that_forgets_the_signal_is_said_to(self) -> None:
        records = [learning(arm, seed, [100.0] * 6) for arm in NETWORKS for seed in SEEDS]
        assert "lost" not in FourierFeaturesRemoveTheBias().judge(records).sentence
        for record in records:
            if record.trial.arm == "siren":
                record.artifacts["trace"][-1] = 0
        assert "siren has lost the signal" in FourierFeaturesRemoveTheBias().judge(records).sentence

    def test_relu_networks_that_never_learn_the_lowest_say_nothing(self) -> None:
        records = [
            learning(arm, seed, [math.inf] * 6 if arm == "relu" else [100.0] * 6) for arm in NETWORKS for seed in SEEDS
        ]
        assert judge(FourierFeaturesRemoveTheBias(), records).status is Status.INCONCLUSIVE


class TestNetworks:
    def test_have_the_layers_asked_for_and_come_from_the_seed(self) -> None:
        first, again, other = (network(3, 8, seed=seed) for seed in (0, 0, 1))
        weights = [module.weight for module in first if isinstance(module, torch.nn.Linear)]
        assert [tuple(weight.shape) for weight in weights] == [(8, 1), (8, 8), (1, 8)]
        assert torch.equal(first[0].weight, again[0].weight)  # type: ignore[arg-type]
        assert not torch.equal(first[0].weight, other[0].weight)  # type: ignore[arg-type]

    def test_the_product_of_spectral_norms_bounds_every_slope(self) -> None:
        model = network(4, 16, seed=0)
        x = torch.linspace(-3, 3, 1000)[:, None]
        slopes = model(x).detach().diff(dim=0).abs() / (6 / 999)
        assert 0 < float(slopes.max()) <= spectral_norms(model) + 1e-5
