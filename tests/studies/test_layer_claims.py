"""The rules of the claims about layers, on planted records whose answer is known."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from torchstone.lab import Record, Status, Trial, Verdict
from torchstone.similarity import factor
from torchstone.studies.pictures import glyph_pictures
from torchstone.studies.similarity.corresponding_layers import CorrespondingLayers
from torchstone.studies.similarity.networks import LAYERS, look_at
from torchstone.studies.similarity.trained_vs_untrained import TrainedVsUntrained

N, D = 60, 8


def layers_of(seed: int) -> list[Tensor]:
    """Nine representations that have nothing to do with each other."""
    generator = torch.Generator().manual_seed(seed)
    scales = torch.linspace(3, 0.1, D)  # else every rotation of white noise is alike
    return [torch.randn(N, D, generator=generator) * scales for _ in LAYERS]


def rotated(x: Tensor, seed: int) -> Tensor:
    q, _ = torch.linalg.qr(torch.randn(D, D, generator=torch.Generator().manual_seed(seed)))
    return x @ q


def record(arm: str, seed: int, layers: Sequence[Tensor], **config: float) -> Record:
    artifacts: dict[str, Tensor] = {}
    for name, x in zip(LAYERS, layers, strict=True):
        factors = factor(x)
        artifacts |= {f"{name}/u": factors.u, f"{name}/s": factors.s, f"{name}/pooled": x}
    config = {"width": 1.0, "steps": 10} | config
    return Record(Trial(arm, seed, config), {"test_accuracy": 0.9}, artifacts, 1.0)


def statuses(verdict: Verdict) -> list[Status | None]:
    return [check.status for check in verdict.checks if check.primary]


class TestCorrespondingLayers:
    def test_rotated_copies_are_found_by_cka_and_no_better_than_by_its_rivals(self) -> None:
        layers = layers_of(0)
        records = [record("full", seed, [rotated(x, 100 * seed) for x in layers]) for seed in range(4)]
        verdict = CorrespondingLayers().judge(records)
        accuracy, rivals, regression = (check for check in verdict.checks if check.primary)
        assert accuracy.estimate.value == 1
        assert accuracy.status is Status.CONFIRMED
        assert rivals.estimate.value == pytest.approx(0)
        assert statuses(verdict) == [Status.CONFIRMED, Status.ABSENT, Status.ABSENT]
        assert verdict.status is Status.ABSENT
        assert regression.estimate.value == pytest.approx(0)

    def test_networks_that_share_nothing_are_not_matched(self) -> None:
        records = [record("full", seed, layers_of(seed)) for seed in range(4)]
        verdict = CorrespondingLayers().judge(records)
        assert verdict.checks[0].estimate.value < 0.4
        assert verdict.status is not Status.CONFIRMED

    def test_ill_conditioned_copies_separate_cka_from_the_invariant_indexes(self) -> None:
        """Each network sees the first direction alike and the others not at all: what varies most is shared."""
        shared = [x[:, :1] * 30 for x in layers_of(1)]
        records = [
            record(
                "full", seed, [torch.cat([s, x[:, 1:]], 1) for s, x in zip(shared, layers_of(seed + 5), strict=True)]
            )
            for seed in range(4)
        ]
        verdict = CorrespondingLayers().judge(records)
        by_name = {check.name: check.estimate.value for check in verdict.checks}
        assert by_name["linear CKA finds the layer"] == 1
        assert by_name["CCA, R²"] < 1

    def test_smaller_arms_are_rows_that_decide_nothing(self) -> None:
        layers = layers_of(0)
        full = [record("full", seed, [rotated(x, 100 * seed) for x in layers]) for seed in range(4)]
        narrow = [record("width 0.5", seed, layers_of(seed), width=0.5) for seed in range(3)]
        with_arm = CorrespondingLayers().judge(full + narrow)
        (row,) = (check for check in with_arm.checks if check.name == "linear CKA, width 0.5")
        assert not row.primary
        assert with_arm.status == CorrespondingLayers().judge(full).status


class TestTrainedVsUntrained:
    @staticmethod
    def records(untrained_like_trained: bool) -> list[Record]:
        layers = layers_of(0)
        trained = [record("trained", seed, [rotated(x, seed) for x in layers]) for seed in range(4)]
        others = [layers if untrained_like_trained else layers_of(50 + seed) for seed in range(4)]
        return trained + [record("untrained", 4 + seed, other) for seed, other in enumerate(others)]

    def test_a_planted_gap_is_confirmed(self) -> None:
        assert TrainedVsUntrained().judge(self.records(False)).status is Status.CONFIRMED

    def test_no_gap_is_absent(self) -> None:
        assert TrainedVsUntrained().judge(self.records(True)).status is Status.ABSENT

    def test_no_trained_network_starts_where_an_untrained_one_stays(self) -> None:
        study = TrainedVsUntrained()
        for scale in study.scales.values():
            seeds = [trial.seed for trial in study.trials(scale)]
            assert len(seeds) == len(set(seeds))


class TestNetworks:
    def test_every_network_looks_at_the_same_pictures(self) -> None:
        pictures = glyph_pictures(5)
        x = look_at(pictures, copies=2)
        assert x.shape == (20, 1, 28, 28)
        assert torch.equal(x, look_at(pictures, copies=2))
        assert not torch.equal(x[:10], x[10:])
