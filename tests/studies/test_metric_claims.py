"""The claims about metric learning: their rules on planted records, fair searches, and data that do not leak."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from torchstone.data import glyphs
from torchstone.lab import Context, Record, Status, Study, Trial, Unavailable, Verdict
from torchstone.lab.audit import audit
from torchstone.lab.divergence import NoMetrics
from torchstone.lab.search import space_of
from torchstone.metric import LOSSES, WEIGHT_RATE
from torchstone.studies.metric.losses import NARROW, NEW, OLD, RATE, loss_of, recipe_of, untuned
from torchstone.studies.metric.protocol import Protocol, pixels, untrained_network
from torchstone.studies.metric.reality_check import MetricLearningRealityCheck, Results, scores_of
from torchstone.studies.metric.table import table_of, values_of
from torchstone.studies.metric.tasks import Task, parts_of
from torchstone.studies.metric.training import embedded, map_at_r, network_of, trained, worth
from torchstone.studies.metric.unfair_protocols import (
    AGAIN,
    ALL,
    FAIR,
    LARGE,
    PICKED,
    UNTUNED,
    UnfairProtocolsInventProgress,
)
from torchstone.studies.pictures import distinct

CPU = torch.device("cpu")
SMALL = Task("glyphs", 12, 6, 14, 2, "small", 8)
LOSS_NAMES = (*OLD, *NEW)
Plant = Callable[[Trial, float], dict[str, float]]


def planted(study: Study, plant: Plant) -> list[Record]:
    """A record of every trial of the laptop scale; trials of a seed share a level, and each has noise."""
    generator = torch.Generator().manual_seed(0)
    noises = torch.randn(len(study.trials(study.scales["laptop"])), generator=generator).tolist()
    trials = study.trials(study.scales["laptop"])
    return [Record(trial, plant(trial, noise), {}, 1.0) for trial, noise in zip(trials, noises, strict=True)]


def checked(tuned: dict[str, float], gain: dict[str, float], *, noise_of: float = 0.2, liar: str = "") -> Plant:
    """Losses at the planted tuned values above a level of each seed, untuned lower by ``gain``; controls far below."""

    def plant(trial: Trial, noise: float) -> dict[str, float]:
        level = {"raw pixels": 8.0, "untrained networks": 2.0}.get(trial.arm, 25.0) + trial.seed % 7
        value = level + tuned.get(trial.arm, 0.0) + noise_of * noise
        before = value - gain.get(trial.arm, 0.0)
        validation = 99.0 if trial.arm == liar else value + 20
        found = {"concatenated": value, "separated": value - 2, "precision_at_1": 60.0, "validation": validation}
        return found | {"untuned/concatenated": before}

    return plant


def diverged(records: Sequence[Record], arm: str) -> list[Record]:
    """The same, with the first trial of ``arm`` diverged."""
    place = next(i for i, record in enumerate(records) if record.trial.arm == arm)
    lost = Record(records[place].trial, NoMetrics("All settings diverged"), {}, 1.0)
    return [*records[:place], lost, *records[place + 1 :]]


class TestMetricLearningRealityCheck:
    study = MetricLearningRealityCheck()

    def judged(self, tuned: dict[str, float], gain: dict[str, float], **options: object) -> Verdict:
        return self.study.judge(planted(self.study, checked(tuned, gain, **options)))  # type: ignore[arg-type]

    def test_confirms_where_losses_are_alike_and_tuning_matters(self) -> None:
        assert self.judged({"arcface": 1.0}, {"arcface": 8.0}).status is Status.CONFIRMED

    def test_old_losses_that_are_far_behind_or_far_ahead_say_the_opposite(self) -> None:
        gain = {"arcface": 20.0}
        assert self.judged(dict.fromkeys(NEW, 6.0), gain).status is Status.OPPOSITE
        assert self.judged(dict.fromkeys(OLD, 6.0), gain).status is Status.OPPOSITE

    def test_one_old_loss_that_stands_is_enough(self) -> None:
        assert self.judged({"triplet": -6.0}, {"arcface": 15.0}).status is Status.CONFIRMED

    def test_the_better_loss_is_chosen_on_validation_and_not_on_test_classes(self) -> None:
        verdict = self.judged({"triplet": -6.0}, {"arcface": 15.0}, liar="triplet")
        assert verdict.checks[0].estimate.value == pytest.approx(-6.0, abs=0.5)
        assert verdict.status is Status.OPPOSITE

    @pytest.mark.parametrize(("gain", "expected"), [(2.3, Status.WEAKER), (1.5, Status.ABSENT), (0.0, Status.OPPOSITE)])
    def test_tuning_that_gains_less_than_lies_between_the_losses(self, gain: float, expected: Status) -> None:
        assert self.judged({"arcface": -1.5}, {"nt_xent": gain}, noise_of=0.05).status is expected

    def test_the_worst_tuned_loss_must_be_above_the_controls(self) -> None:
        verdict = self.judged({"arcface": -20.0}, {"nt_xent": 40.0})
        assert [check.status for check in verdict.checks[:2]] == [Status.CONFIRMED, Status.CONFIRMED]
        assert verdict.status is Status.OPPOSITE

    def test_a_loss_that_diverged_counts_as_zero(self) -> None:
        records = diverged(planted(self.study, checked({}, {"arcface": 8.0})), "contrastive")
        assert Results.of(records).tuned[0, 0] == 0
        assert self.study.judge(records).status is not Status.CONFIRMED

    def test_records_in_another_order_give_the_same(self) -> None:
        records = planted(self.study, checked({"arcface": 1.0}, {"arcface": 8.0}))
        assert self.study.judge(records[::-1]).checks[0] == self.study.judge(records).checks[0]

    def test_its_audit_finds_nothing(self) -> None:
        assert audit(self.study) == []
        assert audit(self.study, scale="paper") == []

    @pytest.mark.parametrize("study", [MetricLearningRealityCheck(), UnfairProtocolsInventProgress()])
    def test_power_is_declared_at_the_scale_of_the_pilot_of_checks_that_decide(self, study: Study) -> None:
        declared = study.power(study.scales["laptop"])
        ways = dict.fromkeys((FAIR, AGAIN, UNTUNED, PICKED, LARGE, ALL), 20.0)
        checks = study.judge(planted(study, lambda trial, noise: checked({}, {})(trial, noise) | ways)).checks
        assert declared
        assert set(declared) <= {check.name for check in checks if check.primary}
        assert all(0.5 < chance < 1 for chance in declared.values())
        assert study.power(study.scales["smoke"]) == study.power(study.scales["paper"]) == {}

    def test_scores_leave_out_what_diverged(self) -> None:
        trial = Trial("triplet", 0)
        scores = torch.tensor([30.0, torch.nan, 20.0])
        assert scores_of([Record(trial, {}, {"search/scores": scores}, 1.0)], "triplet") == [30.0, 20.0]
        assert scores_of([Record(trial, NoMetrics("gone"), {}, 1.0)], "triplet") == []


class TestRecipes:
    @pytest.mark.parametrize("loss", LOSSES)
    def test_the_paper_searches_the_ranges_of_the_catalogue(self, loss: str) -> None:
        space = space_of(recipe_of(loss, narrow=False))
        spans = dict(LOSSES[loss].space) | ({RATE: WEIGHT_RATE} if LOSSES[loss].weights else {})
        assert {name: (span.low, span.high) for name, span in space.items()} == {
            name: (span.low, span.high) for name, span in spans.items()
        }

    @pytest.mark.parametrize("loss", NARROW)
    def test_narrow_ranges_are_parts_of_the_papers(self, loss: str) -> None:
        narrow, wide = (space_of(recipe_of(loss, narrow=which)) for which in (True, False))
        assert list(narrow) == list(wide)
        assert all(wide[name].low <= span.low < span.high <= wide[name].high for name, span in narrow.items())

    @pytest.mark.parametrize("loss", LOSS_NAMES)
    def test_a_setting_makes_a_loss_and_a_learning_rate(self, loss: str) -> None:
        criterion, rate = loss_of(loss, untuned(loss), classes=4, dim=8, seed=0)
        assert (rate > 0) == LOSSES[loss].weights == bool(list(criterion.parameters()))


class TestParts:
    def test_no_class_is_both_learned_from_and_selected_or_tested_on(self) -> None:
        parts = parts_of(SMALL, 0)
        for fold in parts.folds:
            learned, seen, held = (set(part.classes) for part in (fold.train, fold.validation, parts.test))
            assert len(learned) == len(seen) == len(held) == 6
            assert not learned & seen | learned & held | seen & held

    def test_every_seed_draws_other_characters_and_the_same_ones_again(self) -> None:
        first, again, other = (parts_of(SMALL, seed) for seed in (0, 0, 1))
        assert first.test.classes == again.test.classes != other.test.classes
        assert torch.equal(first.test.images, again.test.images)

    def test_no_two_drawings_of_the_characters_are_the_same(self) -> None:
        letters = glyphs()
        chosen = distinct(letters.images)
        drawings = letters.images[chosen].flatten(0, 1).flatten(1)
        assert len(drawings.unique(dim=0)) == len(drawings)  # type: ignore[no-untyped-call]
        assert chosen.sum() >= 1000

    def test_a_folder_gives_the_first_half_of_its_classes_to_learn_from(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from PIL import Image

        for place, name in enumerate("abcdefgh"):
            (tmp_path / "birds" / name).mkdir(parents=True)
            for number in range(2):
                Image.new("RGB", (9, 9), (30 * place, number, 0)).save(tmp_path / "birds" / name / f"{number}.png")
        monkeypatch.setenv("TORCHSTONE_DATA", str(tmp_path))
        parts = parts_of(Task("birds", 0, 0, 8, 4, "resnet12", 8), 0)
        assert parts.test.classes == tuple("efgh")
        assert [fold.validation.classes for fold in parts.folds] == [("d",), ("a",), ("b",), ("c",)]
        assert parts.augment is not None

    def test_omniglot_gives_the_first_half_of_its_characters_to_learn_from(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from PIL import Image

        characters = [(alphabet, f"character0{number}") for alphabet in ("Greek", "Latin") for number in (1, 2, 3, 4)]
        for place, (alphabet, character) in enumerate(characters):
            folder = tmp_path / "omniglot" / "images_background" / alphabet / character
            folder.mkdir(parents=True)
            for drawer in (1, 2):
                Image.new("L", (105, 105), 20 * place + drawer).save(folder / f"0001_0{drawer}.png")
        monkeypatch.setenv("TORCHSTONE_DATA", str(tmp_path))
        parts = parts_of(Task("omniglot", 0, 0, 8, 4, "small", 8), 0)
        assert parts.test.classes == tuple(f"Latin/character0{number}" for number in (1, 2, 3, 4))
        assert parts.folds[0].train.images.shape == (6, 1, 8, 8)

    def test_a_folder_that_is_missing_is_said(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TORCHSTONE_DATA", str(tmp_path))
        with pytest.raises(Unavailable, match="cub200"):
            MetricLearningRealityCheck().run(
                MetricLearningRealityCheck().trials(MetricLearningRealityCheck.scales["paper"])[0],
                Context(CPU, tmp_path),
            )


def test_a_library_setting_that_diverges_does_not_cost_the_tuned_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = Protocol.fresh

    def diverging(protocol: Protocol, name: str, *how: Any) -> list[torch.nn.Module]:
        if name == "untuned":
            raise FloatingPointError("The loss was nan.")
        return fresh(protocol, name, *how)

    monkeypatch.setattr(Protocol, "fresh", diverging)
    study = MetricLearningRealityCheck()
    metrics = study.run(study.trials(study.scales["smoke"])[0], Context(CPU, tmp_path)).metrics
    assert metrics["concatenated"] > 0
    assert np.isnan(metrics["untuned/concatenated"])


class TestTraining:
    def test_weights_depend_on_the_seed_alone(self) -> None:
        parts = parts_of(SMALL, 0)
        start = [network_of(SMALL, parts.test, seed).state_dict() for seed in (3, 3, 4)]
        assert all(torch.equal(start[0][name], start[1][name]) for name in start[0])
        assert not torch.equal(start[0]["2.weight"], start[2]["2.weight"])

    def test_training_is_a_function_of_its_arguments_and_teaches(self) -> None:
        parts = parts_of(SMALL, 0)
        runs = [
            trained(SMALL, parts, 0, "triplet", {"margin": 0.1}, steps=steps, seed=1, device=CPU)
            for steps in (40, 40, 1)
        ]
        again, same, barely = (
            map_at_r(embedded(each, parts.folds[0].train, CPU), parts.folds[0].train) for each in runs
        )
        assert again == same > barely + 10

    @pytest.mark.parametrize("rate", [1e-3, 1.0])
    def test_class_weights_learn_at_their_own_rate(self, rate: float) -> None:
        parts, moved = parts_of(SMALL, 0), []

        def look(done: object) -> None:
            weights = dict(done.players[0].model.named_parameters())  # type: ignore[attr-defined]
            moved.append(next(value.detach().clone() for name, value in weights.items() if name.startswith("loss")))

        setting = {"temperature": 0.1, RATE: rate}
        trained(SMALL, parts, 0, "normalized_softmax", setting, steps=2, seed=1, device=CPU, callbacks=[look])
        assert float((moved[1] - moved[0]).abs().max()) == pytest.approx(rate, rel=0.5)  # Adam's steps are of its rate

    def test_embeddings_have_length_one_and_are_looked_at(self) -> None:
        parts = parts_of(SMALL, 0)
        network = untrained_network(SMALL, parts, 0, 0, CPU)
        torch.testing.assert_close(embedded(network, parts.test, CPU).norm(dim=1), torch.ones(len(parts.test)))
        torch.testing.assert_close(pixels(parts.test, CPU).norm(dim=1), torch.ones(len(parts.test)))
        torch.nn.init.constant_(network[2].weight, torch.inf)  # type: ignore[index]
        with pytest.raises(FloatingPointError, match="not finite"):
            embedded(network, parts.test, CPU)

    def test_the_large_network_embeds_too_and_leaves_no_trace(self) -> None:
        task = Task("glyphs", 4, 2, 16, 2, "resnet12", 8)
        parts = parts_of(task, 0)
        with torch.no_grad():
            assert embedded(untrained_network(task, parts, 0, 0, CPU), parts.test, CPU).shape == (24, 8)

    def test_several_embeddings_are_scored_by_themselves_and_side_by_side(self) -> None:
        test = parts_of(SMALL, 0).test
        noise = torch.randn(2, len(test), 6, generator=torch.Generator().manual_seed(0))
        perfect, useless = torch.eye(6)[test.labels] + 1e-3 * noise[0], noise[1]
        found = worth([perfect, useless], test)
        assert found["separated"] == pytest.approx((100 + map_at_r(useless, test)) / 2)
        assert map_at_r(useless, test) < found["concatenated"] <= 100
        assert worth([perfect], test) == {"concatenated": 100.0, "separated": 100.0, "precision_at_1": 100.0}


def test_values_are_paired_by_seed_and_averaged_over_tasks() -> None:
    def record(arm: str, seed: int, task: str, value: float) -> Record:
        return Record(Trial(arm, seed, {"task": {"pictures": task}}), {"m": value}, {}, 1.0)

    records = [record(arm, seed, task, value) for arm, seed, task, value in [
        ("a", 1, "x", 1.0), ("a", 0, "x", 2.0), ("b", 0, "x", 3.0), ("b", 1, "x", 4.0), ("b", 2, "x", 9.0),
        ("a", 0, "y", 4.0), ("b", 0, "y", 5.0), ("a", 1, "y", 6.0), ("b", 1, "y", float("nan")),
    ]]  # fmt: skip
    np.testing.assert_array_equal(values_of(table_of(records), ["a", "b"], "m"), [[3.0, 3.5], [4.0, 2.0]])
