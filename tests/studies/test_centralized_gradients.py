"""The rule of the claim about centred gradients, on planted records whose answer is known."""

from pathlib import Path

import pytest
import torch

from torchstone.lab import Context, Record, Status, Trial, Verdict
from torchstone.lab.divergence import NoMetrics
from torchstone.studies.optim.centralized_gradients import (
    CENTRED,
    PLAIN,
    CentralizedGradients,
    drift,
    response_change,
    weights,
)
from torchstone.studies.optim.small_networks import NORMS, few_pictures, small_network

SEEDS = 12


def record(arm: str, seed: int, pictures: str, norm: str, accuracy: float, **metrics: float) -> Record:
    moved = 0.3 if arm == PLAIN else 1e-7
    planted = {"test_accuracy": accuracy, "train_loss": 0.1, "share_kept": 0.9, "drift": moved, "response": moved}
    return Record(Trial(arm, seed, {"pictures": pictures, "norm": norm}), planted | metrics, {}, 1.0)


def planted(gain: float, spread: float = 0.3, tasks: tuple[str, ...] = ("glyphs", "fashion_mnist")) -> list[Record]:
    """Pairs whose accuracies differ by ``gain`` and a little noise, on top of large differences between seeds."""
    generator = torch.Generator().manual_seed(0)
    records = []
    for pictures in tasks:
        for norm in NORMS:
            for seed in range(SEEDS):
                level, noise = torch.randn(2, generator=generator).tolist()
                base = 80 + 3 * level
                records.append(record(PLAIN, seed, pictures, norm, base))
                records.append(record(CENTRED, seed, pictures, norm, base + gain + spread * noise))
    return records


def judged(records: list[Record]) -> Verdict:
    return CentralizedGradients().judge(records)


def gain_of(verdict: Verdict) -> Status | None:
    (check,) = (check for check in verdict.checks if "mean of all settings" in check.name)
    return check.status


class TestRule:
    @pytest.mark.parametrize(
        ("gain", "expected"),
        [
            (0.8, Status.CONFIRMED),
            (0.3, Status.WEAKER),
            (0.0, Status.ABSENT),
            (-0.8, Status.OPPOSITE),
        ],
    )
    def test_finds_the_planted_gain_between_seeds_that_differ_far_more(self, gain: float, expected: Status) -> None:
        verdict = judged(planted(gain))
        assert gain_of(verdict) is expected
        assert verdict.status is expected

    def test_noise_is_inconclusive(self) -> None:
        assert judged(planted(0.0, spread=5.0)).status is Status.INCONCLUSIVE

    def test_a_setting_that_gains_is_averaged_with_those_that_do_not(self) -> None:
        alone = [r for r in planted(1.5) if r.trial.config["norm"] == "no norm"]
        rest = [r for r in planted(0.0) if r.trial.config["norm"] != "no norm"]
        (check,) = (c for c in judged(alone + rest).checks if "mean of all settings" in c.name)
        assert check.estimate.value == pytest.approx(0.5, abs=0.15)

    def test_means_that_move_with_centred_gradients_refute_it_whatever_is_gained(self) -> None:
        records = planted(0.8)
        broken = [
            record(CENTRED, r.trial.seed, "glyphs", "no norm", r.metrics["test_accuracy"], drift=0.01)
            if r.trial.arm == CENTRED and r.trial.config == {"pictures": "glyphs", "norm": "no norm"}
            else r
            for r in records
        ]
        assert judged(broken).status is Status.OPPOSITE

    def test_means_that_stand_still_anyway_are_no_merit(self) -> None:
        still = [
            Record(r.trial, {**r.metrics, "drift": 1e-7, "response": 1e-7}, {}, 1.0) if r.trial.arm == PLAIN else r
            for r in planted(0.8)
        ]
        assert judged(still).status is Status.ABSENT

    def test_judges_glyphs_alone_where_fashion_mnist_is_missing(self) -> None:
        verdict = judged(planted(0.8, tasks=("glyphs",)))
        assert verdict.status is Status.CONFIRMED
        assert not any("fashion" in check.name for check in verdict.checks)

    def test_a_pair_without_its_partner_is_left_out(self) -> None:
        records = planted(0.8)
        assert (
            judged(records[1:]).checks[4].estimate
            == judged([r for r in records if r.trial.seed != 0]).checks[4].estimate
        )

    def test_a_diverged_network_counts_as_the_worst_of_its_setting_and_confirms_nothing(self) -> None:
        records = planted(0.8)
        place = next(i for i, r in enumerate(records) if r.trial.arm == CENTRED)
        records[place] = Record(records[place].trial, NoMetrics("The loss was nan at step 3"), {}, 1.0)
        verdict = judged(records)
        assert verdict.status is Status.INCONCLUSIVE
        assert verdict.checks[4].estimate.value < judged(planted(0.8)).checks[4].estimate.value

    def test_pairs_share_everything_but_the_arm(self) -> None:
        study = CentralizedGradients()
        for scale in study.scales.values():
            plain, centred = (
                [(t.seed, t.config) for t in study.trials(scale) if t.arm == arm] for arm in (PLAIN, CENTRED)
            )
            assert plain == centred


class TestMeasures:
    def test_drift_is_that_of_the_worst_mean(self) -> None:
        generator = torch.Generator().manual_seed(0)
        start = [torch.randn(4, 3, 2, 2, generator=generator), torch.full((2, 5), 2.0)]
        moved = [start[0].clone(), start[1].clone()]
        moved[1][1] += 0.5
        assert drift(moved, start) == pytest.approx(0.25)
        assert drift(start, start) == 0
        rotated = start[0].flip(3)  # the same means
        assert drift([rotated], [start[0]]) < 1e-6

    def test_response_is_that_of_a_linear_layer_to_a_shift(self) -> None:
        before = torch.tensor([[1.0, 2.0], [0.0, 4.0]])
        assert response_change(before + torch.tensor([[1.0, -1.0], [2.0, -2.0]]), before) == 0
        assert response_change(2 * before, before) == pytest.approx(1)

    def test_networks_are_fixed_by_their_seed_and_differ_in_their_norms_only(self) -> None:
        a, b, c = (
            weights(small_network(norm, 7, channels=1, width=0.5, seed=seed))
            for norm, seed in (("batch norm", 0), ("no norm", 0), ("no norm", 1))
        )
        assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
        assert not any(torch.equal(x, y) for x, y in zip(b, c, strict=True))

    def test_seeds_see_different_pictures_and_are_asked_about_the_same(self) -> None:
        (a, tests), (b, same) = (few_pictures("glyphs", 20, 50, seed) for seed in range(2))
        assert len(a) == 50
        assert not torch.equal(a.images, b.images)
        assert torch.equal(tests.images, same.images)

    def test_a_trial_is_a_function_of_the_trial_alone(self, tmp_path: Path) -> None:
        study = CentralizedGradients()
        trial = study.trials(study.scales["smoke"])[1]
        first, second = (study.run(trial, Context(torch.device("cpu"), tmp_path / name)) for name in ("a", "b"))
        assert first.metrics == second.metrics
        assert first.metrics["drift"] < 1e-5
