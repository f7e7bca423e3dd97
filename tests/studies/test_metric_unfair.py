"""Unfair comparisons of losses: the rule on planted records, both roles, and what the trials do."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from torchstone.lab import Context, Record, Status, Trial, Verdict
from torchstone.lab.audit import audit
from torchstone.lab.divergence import NoMetrics
from torchstone.studies.metric.unfair_protocols import (
    AGAIN,
    ALL,
    FAIR,
    LARGE,
    LOOKS,
    PICKED,
    PROTOCOLS,
    UNTUNED,
    Comparisons,
    UnfairProtocolsInventProgress,
    honest,
    progress,
)

CPU = torch.device("cpu")
Plant = Callable[[Trial, float], dict[str, float]]
TRUTH = {"contrastive": 0.0, "triplet": -2.0, "nt_xent": 1.0, "multi_similarity": 2.0, "arcface": -1.0}


def flawed(untuned: float, larger: float, picked: float = 0.3, again: float = 0.0, truth: float = 1.0) -> Plant:
    """Losses that truly differ, an untuned one lower, and flaws that add what they are said to."""

    def plant(trial: Trial, noise: float) -> dict[str, float]:
        fair = 30 + trial.seed % 5 + truth * TRUTH.get(trial.arm, 0.5) + 0.2 * noise
        added = {FAIR: 0.0, AGAIN: -again, UNTUNED: -untuned, PICKED: picked, LARGE: larger, ALL: larger + picked}
        return {way: fair + more for way, more in added.items()}

    return plant


def planted(plant: Plant) -> list[Record]:
    """A record of every trial of the laptop scale."""
    study = UnfairProtocolsInventProgress()
    trials = study.trials(study.scales["laptop"])
    noises = torch.randn(len(trials), generator=torch.Generator().manual_seed(0)).tolist()
    return [Record(trial, plant(trial, noise), {}, 1.0) for trial, noise in zip(trials, noises, strict=True)]


def judged(plant: Plant) -> Verdict:
    return UnfairProtocolsInventProgress().judge(planted(plant))


class TestRule:
    def test_confirms_flaws_that_are_larger_than_what_losses_differ_by(self) -> None:
        assert judged(flawed(2.0, 2.0, truth=0.5)).status is Status.CONFIRMED

    def test_no_flaw_no_progress(self) -> None:
        verdict = judged(flawed(0.0, 0.0, picked=0.0))
        assert verdict.status is Status.ABSENT
        assert [check.status for check in verdict.checks[:3]] == [Status.ABSENT] * 3

    def test_flaws_that_harm_say_the_opposite(self) -> None:
        assert judged(flawed(-2.0, -2.0)).status is Status.OPPOSITE

    @pytest.mark.parametrize("flaws", [(0.8, 2.0), (2.0, 0.8)])
    def test_each_flaw_alone_must_do(self, flaws: tuple[float, float]) -> None:
        assert judged(flawed(*flaws, truth=0.2)).status is Status.WEAKER

    def test_losses_that_truly_differ_by_more_are_not_beaten(self) -> None:
        verdict = judged(flawed(1.5, 1.5, truth=20.0))
        assert [check.status for check in verdict.checks[:2]] == [Status.CONFIRMED] * 2
        assert verdict.checks[2].status in (Status.ABSENT, Status.WEAKER)

    @pytest.mark.parametrize(
        ("again", "expected"), [(4.0, Status.WEAKER), (6.0, Status.ABSENT), (9.0, Status.OPPOSITE)]
    )
    def test_a_fair_protocol_that_favours_someone_takes_less_away(self, again: float, expected: Status) -> None:
        checks = judged(flawed(3.0, 3.0, again=again, truth=0.2)).checks
        assert [check.status for check in checks[:3]] == [Status.CONFIRMED] * 3
        assert checks[3].status is expected

    def test_the_better_loss_adds_nothing_to_the_mean(self) -> None:
        one, other = (judged(flawed(2.0, 2.0, truth=truth)).checks[:2] for truth in (0.0, 9.0))
        for near, far in zip(one, other, strict=True):
            assert near.estimate.value == pytest.approx(far.estimate.value)

    def test_every_pair_is_said_under_the_fair_protocol(self) -> None:
        checks = judged(flawed(2.0, 2.0)).checks
        pairs = [check for check in checks if check.name.startswith("fair: ")]
        assert len(pairs) == 15
        assert pairs[0].name == "fair: contrastive minus triplet, points"
        assert pairs[0].estimate.value == pytest.approx(2.0, abs=0.5)

    def test_a_loss_that_diverged_counts_as_zero(self) -> None:
        records = planted(flawed(2.0, 2.0))
        lost = [Record(records[0].trial, NoMetrics("All settings diverged"), {}, 1.0), *records[1:]]
        assert Comparisons.of(lost).reported[ALL][0, 0] == 0

    def test_its_audit_finds_nothing(self) -> None:
        assert audit(UnfairProtocolsInventProgress()) == []


class TestComparisons:
    def test_both_win_where_flaws_are_large_and_one_where_it_is_fair(self) -> None:
        found = Comparisons.of(planted(flawed(5.0, 5.0)))
        unfair, fair = progress(found.leads("all three flaws")), progress(found.fairly)
        assert unfair.sum() == 30
        assert not (fair & fair.T).any()
        assert "in 15 of 15 pairs each loss beats the other" in found.sentence()

    def test_fair_leads_are_mirrored(self) -> None:
        fair = Comparisons.of(planted(flawed(5.0, 5.0))).fairly
        np.testing.assert_allclose(fair, -fair.transpose(1, 0, 2))

    @pytest.mark.parametrize("protocol", PROTOCOLS)
    def test_a_lead_is_of_the_row_over_the_column(self, protocol: str) -> None:
        found = Comparisons.of(planted(flawed(2.0, 3.0, picked=0.5, again=0.25)))
        favourite, baseline = PROTOCOLS[protocol]
        assert found.leads(protocol)[1, 2, 3] == found.reported[favourite][1, 3] - found.reported[baseline][2, 3]

    def test_shares_count_different_losses_only(self) -> None:
        found = Comparisons.of(planted(flawed(100.0, 100.0)))
        np.testing.assert_allclose(found.won("all three flaws"), 1.0)
        np.testing.assert_allclose(found.mean("baseline untuned"), 100.0, atol=1)


def test_an_honest_report_is_of_the_checkpoint_that_validation_picks() -> None:
    curve = torch.tensor([[1.0, 3.0, 2.0], [5.0, 6.0, 9.0]])
    assert honest(curve) == 6.0


def test_a_trial_looks_as_often_as_it_says_and_opens_the_test_once(tmp_path: Path) -> None:
    study = UnfairProtocolsInventProgress()
    outcome = study.run(study.trials(study.scales["smoke"])[0], Context(CPU, tmp_path))
    assert outcome.metrics["test_openings"] == 1
    for way in (FAIR, AGAIN, UNTUNED, LARGE):
        assert outcome.artifacts[way].shape == (2, LOOKS)
    assert outcome.metrics[PICKED] >= outcome.metrics[FAIR]
    assert outcome.metrics[ALL] >= outcome.metrics[LARGE]
    assert not torch.equal(outcome.artifacts[FAIR], outcome.artifacts[AGAIN])


def test_the_order_of_records_does_not_matter() -> None:
    records, study = planted(flawed(2.0, 2.0)), UnfairProtocolsInventProgress()
    first, second = (study.judge(each).checks[:4] for each in (records, records[::-1]))
    for one, other in zip(first, second, strict=True):
        assert one.estimate.value == pytest.approx(other.estimate.value)
