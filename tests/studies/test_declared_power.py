"""What the claims about representations declare beforehand is what their rules do, over simulated studies."""

from collections import Counter
from collections.abc import Iterator, Sequence

import pytest
import torch
from scipy import stats
from torch import Tensor

from torchstone.lab import Estimate, Record, Study, Trial, jackknife
from torchstone.similarity import LayerMatch, chance_level
from torchstone.studies.similarity import corresponding_layers, trained_vs_untrained
from torchstone.studies.similarity.corresponding_layers import CorrespondingLayers
from torchstone.studies.similarity.small_sample_bias import GAUSSIAN, Size, SmallSampleBias
from torchstone.studies.similarity.trained_vs_untrained import TrainedVsUntrained

SIMULATIONS = 300
TRUTH = {f"n{n}-p{p}-p{q}": chance_level(n, p, q) for n, p, q in GAUSSIAN} | {"pictures": 0.21}


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def assert_as_declared(study: Study, scale: object, simulated: Iterator[Sequence[Record]]) -> None:
    """Each check whose power is declared confirms in that share of the simulated studies."""
    declared = study.power(scale)
    counts: Counter[str] = Counter()
    for records in simulated:
        checks = [check.name for check in study.judge(records).checks if check.status == "confirmed"]
        counts.update(name for name in declared for check in checks if check.startswith(name))
    assert declared
    for name, chance in declared.items():
        assert stats.binomtest(counts[name], SIMULATIONS, chance).pvalue > 0.001, (name, counts[name], chance)


@pytest.mark.parametrize("scale", [SmallSampleBias.scales["laptop"], Size(seeds=3, draws=2), Size(seeds=6, draws=1)])
def test_small_sample_bias(scale: Size) -> None:
    study = SmallSampleBias()
    sd = {"biased": 0.0039, "debiased": 0.0052}  # of the pilot, for ten draws a seed
    narrower = (10 / scale.draws) ** 0.5

    def simulated() -> Iterator[Sequence[Record]]:
        trials = study.trials(scale)
        for noise in (narrower * draw(SIMULATIONS, len(trials), 2)).tolist():
            yield [
                Record(trial, {"biased": TRUTH[trial.arm] + sd["biased"] * b, "debiased": _sd(trial, sd) * d}, {}, 1.0)
                for trial, (b, d) in zip(trials, noise, strict=True)
            ]

    assert_as_declared(study, scale, simulated())


def _sd(trial: Trial, sd: dict[str, float]) -> float:
    return 0.0036 if trial.arm == "pictures" else sd["debiased"]


def test_trained_vs_untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gaps of 0.40 that vary with the seed: each pair has the mean of those of its two networks."""
    study, scale = TrainedVsUntrained(), TrainedVsUntrained.scales["laptop"]
    tables = []
    for noise in 0.033 * draw(SIMULATIONS, scale.networks):
        alike = (0.40 + (noise[:, None] + noise) / 2)[:, :, None].expand(-1, -1, 9)
        tables.append((alike, torch.zeros_like(alike)))
    monkeypatch.setattr(trained_vs_untrained, "_similarities", lambda records: tables.pop())
    assert_as_declared(study, scale, iter([_accuracies(study, scale)] * SIMULATIONS))
    assert not tables


def test_corresponding_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The paper's accuracies; the leads of CKA vary with the network as in the pilot, CKA itself with one of them."""
    study, scale = CorrespondingLayers(), CorrespondingLayers.scales["laptop"]
    networks = scale.networks
    found = []
    for cka, regression in (0.033 * draw(SIMULATIONS, 2, networks)).unbind():
        behind = (0.045**2 / 0.033**2 - 1) ** 0.5 * regression
        found.append(
            {
                ("flat", "cka"): _match(0.993 + cka),
                ("flat", "hsic"): _match(torch.full((networks,), 0.222, dtype=torch.float64)),
                ("pooled", "linear_regression"): _match(0.454 + behind),
            }
        )
    monkeypatch.setattr(corresponding_layers, "identified", lambda records: found.pop())
    monkeypatch.setattr(corresponding_layers, "smaller_arms", lambda records: {})
    monkeypatch.setattr(corresponding_layers, "estimate", _whole)  # normal numbers go beyond 1
    assert_as_declared(study, scale, iter([_accuracies(study, scale)] * SIMULATIONS))
    assert not found


def _match(accuracies: Tensor) -> LayerMatch:
    """The score of networks with these accuracies, were each pair's the mean of its two."""
    left_out = (accuracies.sum() - accuracies) / (len(accuracies) - 1)
    return LayerMatch(float(accuracies.mean()), accuracies, 0.0, accuracies, left_out, 1.0, 1.0, 1 / 9)


def _whole(match: LayerMatch) -> Estimate:
    return jackknife(match.accuracy, match.leave_one_out.tolist())


def _accuracies(study: Study, scale: object) -> list[Record]:
    return [Record(trial, {"test_accuracy": 0.9}, {}, 1.0) for trial in study.trials(scale)]


@pytest.mark.parametrize("study", [CorrespondingLayers(), TrainedVsUntrained()])
def test_nothing_is_declared_of_scales_without_a_pilot(study: Study) -> None:
    assert study.power(study.scales["smoke"]) == study.power(study.scales["paper"]) == {}
