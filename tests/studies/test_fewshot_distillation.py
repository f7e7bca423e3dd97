"""The rule of the claim about self-distillation, on planted records whose answer is known."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from torchstone.lab import Context, Outcome, Record, Status, Trial, Verdict, audit
from torchstone.lab.divergence import NoMetrics
from torchstone.studies.fewshot import distillation
from torchstone.studies.fewshot.distillation import DistillationHelpsFewShot, generations
from torchstone.studies.fewshot.distillation_tables import (
    CONTROL,
    DISTILLED,
    FIRST,
    LONG,
    LONGER,
    PLAIN,
    SHOTS,
    STUDENT,
    gains,
    mean_gain,
    metric,
)
from torchstone.studies.fewshot.frozen import Task, pictures_of
from torchstone.studies.fewshot.unseen import together

SEEDS = 12


def planted(
    gain: float, *, five: float | None = None, spread: float = 0.2, data: tuple[str, ...] = ("glyphs", "omniglot")
) -> list[Record]:
    """Second students ``gain`` points ahead of their control, first teachers 7 points behind it; seeds vary by more."""
    generator = torch.Generator().manual_seed(0)
    records = []
    for pictures in data:
        for seed in range(SEEDS):
            level, *noise = torch.randn(3, generator=generator).tolist()
            base = 60 + 4 * level
            after = {1: gain + spread * noise[0], 5: (gain if five is None else five) + spread * noise[1]}
            arms = {DISTILLED: [-7.0, -3.0, after], PLAIN: [0.0]} | ({LONG: [9.0]} if seed < 4 else {})
            for arm, ahead in arms.items():
                metrics = {
                    metric(ways, shots, number): (base + (by if isinstance(by, float) else by[shots])) / 100
                    for number, by in enumerate(ahead)
                    for ways in (5, 20)
                    for shots in SHOTS
                }
                records.append(Record(Trial(arm, seed, {"pictures": pictures, "ways": [5, 20]}), metrics, {}, 1.0))
    return records


def judged(records: list[Record]) -> Verdict:
    return DistillationHelpsFewShot().judge(records)


def primary(verdict: Verdict) -> list[Status | None]:
    return [check.status for check in verdict.checks if check.primary]


class TestRule:
    @pytest.mark.parametrize(
        ("gain", "expected"),
        [(1.5, Status.CONFIRMED), (0.5, Status.WEAKER), (0.0, Status.ABSENT), (-1.0, Status.OPPOSITE)],
    )
    def test_finds_the_planted_gain_between_seeds_that_differ_far_more(self, gain: float, expected: Status) -> None:
        verdict = judged(planted(gain))
        assert primary(verdict) == [expected, expected]
        assert verdict.status is expected

    def test_noise_is_inconclusive(self) -> None:
        assert judged(planted(0.0, spread=4.0)).status is Status.INCONCLUSIVE

    def test_one_shot_alone_is_not_enough(self) -> None:
        verdict = judged(planted(1.5, five=0.0))
        assert primary(verdict) == [Status.CONFIRMED, Status.ABSENT]
        assert verdict.status is Status.ABSENT

    def test_a_gain_over_the_first_teacher_alone_is_luck_and_does_not_count(self) -> None:
        records = planted(0.0)
        assert mean_gain(records, 20, 1, STUDENT, FIRST).mean() > 6
        assert judged(records).status is Status.ABSENT

    def test_the_report_says_what_else_was_measured(self) -> None:
        values = {check.name: check.estimate.value for check in judged(planted(1.0, spread=0.0)).checks}
        assert values["gain of the first generation, points, 20-way 1-shot"] == pytest.approx(-3)
        assert values["three times the steps, without teacher, points, 20-way 5-shot"] == pytest.approx(9)
        assert values["gain of the second generation, points, 5-way 1-shot"] == pytest.approx(1)
        assert values["gain of the second generation, points, 20-way 1-shot, omniglot"] == pytest.approx(1)

    def test_judges_glyphs_alone_where_omniglot_is_missing(self) -> None:
        verdict = judged(planted(1.5, data=("glyphs",)))
        assert verdict.status is Status.CONFIRMED
        assert not any("omniglot" in check.name for check in verdict.checks)

    def test_a_seed_without_its_control_is_left_out_everywhere(self) -> None:
        records = planted(1.0)
        lost = next(r for r in records if r.trial.arm == PLAIN and r.trial.seed == 3)
        by_data = gains([r for r in records if r is not lost], 20, 1, STUDENT, CONTROL)
        assert {len(values) for values in by_data.values()} == {SEEDS - 1}

    def test_is_judged_without_networks_that_train_long(self) -> None:
        records = [r for r in planted(1.5) if r.trial.arm != LONG]
        assert judged(records).status is Status.CONFIRMED
        assert not len(mean_gain(records, 20, 1, LONGER, CONTROL))

    def test_a_diverged_student_decides_nothing(self) -> None:
        records = planted(1.5)
        place = next(i for i, r in enumerate(records) if r.trial.arm == DISTILLED)
        records[place] = Record(records[place].trial, NoMetrics("The loss was nan at step 3"), {}, 1.0)
        assert judged(records).status is Status.INCONCLUSIVE

    def test_power_is_declared_of_the_checks_that_decide_at_the_scale_of_the_pilot(self) -> None:
        study = DistillationHelpsFewShot()
        declared = study.power(study.scales["laptop"])
        assert list(declared) == [check.name for check in judged(planted(1.0)).checks if check.primary]
        assert all(0 < chance < 1 for chance in declared.values())
        assert not study.power(study.scales["smoke"])

    def test_the_plan_is_fair_and_names_what_trains_long(self) -> None:
        study = DistillationHelpsFewShot()
        assert not audit(study)
        trials = study.trials(study.scales["laptop"])
        steps = {arm: {t.config["steps"] for t in trials if t.arm == arm} for arm in (DISTILLED, PLAIN, LONG)}
        (alike,) = steps[DISTILLED]
        assert steps == {DISTILLED: {alike}, PLAIN: {alike}, LONG: {3 * alike}}
        plain, distilled = ([(t.seed, t.config) for t in trials if t.arm == arm] for arm in (PLAIN, DISTILLED))
        assert plain == distilled


class TestNetworks:
    def test_the_control_differs_from_the_second_student_in_its_teacher_alone(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Students whose loss gives the teacher no weight are the control, to the last bit."""
        study = DistillationHelpsFewShot()
        monkeypatch.setattr(distillation, "HARD", 1.0)
        monkeypatch.setattr(distillation, "SOFT", 0.0)
        distilled, plain, _ = study.trials(study.scales["smoke"])
        networks = {t.arm: _networks(t, tmp_path) for t in (distilled, plain)}
        student, control = networks[DISTILLED][-1], networks[PLAIN][0]
        assert all(torch.equal(value, control[name]) for name, value in student.items())
        assert not all(torch.equal(value, control[name]) for name, value in networks[DISTILLED][0].items())

    def test_a_teacher_changes_the_student(self, tmp_path: Path) -> None:
        study = DistillationHelpsFewShot()
        distilled, plain, _ = study.trials(study.scales["smoke"])
        student, control = _networks(distilled, tmp_path)[-1], _networks(plain, tmp_path)[0]
        assert not all(torch.equal(value, control[name]) for name, value in student.items())

    def test_unseen_classes_of_two_splits_stay_apart(self) -> None:
        pictures = pictures_of("glyphs", 0, 16)
        unseen = together(pictures.validation, pictures.novel)
        count = len(pictures.validation)
        assert unseen.classes == pictures.validation.classes + pictures.novel.classes
        assert [unseen.classes[k] for k in unseen.labels[count:].tolist()] == [
            pictures.novel.classes[k] for k in pictures.novel.labels.tolist()
        ]
        assert not set(unseen.classes) & set(pictures.base.classes)

    def test_a_trial_is_a_function_of_the_trial_alone(self, tmp_path: Path) -> None:
        study = DistillationHelpsFewShot()
        trial = study.trials(study.scales["smoke"])[0]
        first, second = (_outcome(trial, tmp_path / name) for name in ("a", "b"))
        assert first.metrics == second.metrics


def _networks(trial: Trial, folder: Path) -> list[dict[str, Tensor]]:
    context = Context(torch.device("cpu"), folder / trial.arm)
    trained = generations(trial, Task.of(trial.config), pictures_of("glyphs", trial.seed, 16), context)
    return [each.model.state_dict() for each in trained]


def _outcome(trial: Trial, folder: Path) -> Outcome:
    return DistillationHelpsFewShot().run(trial, Context(torch.device("cpu"), folder))
