"""The claim that a good embedding is all you need: its rule on planted records, its methods and its figures."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from torchstone.data import ImageSet, affine_jitter
from torchstone.fewshot import Episodes
from torchstone.lab import Context, Diverged, Outcome, Record, Status, Trial, Verdict, run_study
from torchstone.lab.audit import audit
from torchstone.studies.fewshot import good_embedding
from torchstone.studies.fewshot.good_embedding import GoodEmbedding, Size, outcome_of, trial_config
from torchstone.studies.fewshot.learners import METHODS, Plan, by_logistic_regression, trained_on_episodes
from torchstone.studies.fewshot.outcomes import chosen
from torchstone.studies.fewshot.pictures import FewShotPictures

STUDY = GoodEmbedding()
LAPTOP = GoodEmbedding.scales["laptop"]
SEARCHED = replace(LAPTOP, rates=3)
NOISE = (-0.3, 0.2, 0.4, -0.1, -0.4, 0.2)  # of seeds, in points
CLEAR = {"embedding": (80.0, 92.0), "protonet": (76.0, 90.0), "maml": (20.0, 30.0)}
CONTROLS = {"untrained": (12.0, 20.0), "pixels": (15.0, 25.0)}


def planted(accuracies: Mapping[str, tuple[float, float]], size: Size = SEARCHED) -> list[Record]:
    """Records of these 1-shot and 5-shot accuracies, those of the embedding with noise over seeds.

    The best rate is the middle one, 10 points above the others on validation and on novel classes.
    """
    return [record(trial, accuracies | CONTROLS) for trial in STUDY.trials(size)]


def record(trial: Trial, accuracies: Mapping[str, tuple[float, float]]) -> Record:
    first = {rates[0] for rates in good_embedding.RATES.values()} | {1.0}
    worse = 0.0 if trial.config["plan"]["rate"] in first else 10.0
    noise = NOISE[trial.seed % len(NOISE)] if trial.arm == "embedding" else 0.0
    means = [mean - worse + noise for mean in accuracies[trial.arm]]
    episodes = {
        f"{shots}-shot": torch.full((trial.config["episodes"],), mean, dtype=torch.float64)
        for shots, mean in zip((1, 5), means, strict=True)
    }
    metrics = {"validation": means[0], "1-shot": means[0], "5-shot": means[1]}
    return Record(trial, metrics, episodes, 1.0)


def statuses(verdict: Verdict) -> dict[str, Status | None]:
    return {check.name: check.status for check in verdict.checks if check.primary}


class TestRule:
    def test_clear_leads_confirm(self) -> None:
        verdict = STUDY.judge(planted(CLEAR))
        assert verdict.status == Status.CONFIRMED
        assert len(statuses(verdict)) == 5
        assert verdict.sentence == (
            "At equal pictures and tuning the embedding's lead over prototypical networks is +4.0 points "
            "(+3.7 to +4.3) from 1 example and +2.0 points (+1.7 to +2.3) from 5 examples."
        )

    @pytest.mark.parametrize(
        ("protonet", "expected"),
        [
            ((80.0, 92.0), Status.ABSENT),
            ((79.3, 91.3), Status.WEAKER),
            ((82.0, 94.0), Status.OPPOSITE),
            ((76.0, 94.0), Status.OPPOSITE),  # with 5 examples only
            ((76.0, 91.0), Status.WEAKER),  # a lead of 1 point, and the interval reaches below
        ],
    )
    def test_the_weakest_lead_decides(self, protonet: tuple[float, float], expected: Status) -> None:
        assert STUDY.judge(planted(CLEAR | {"protonet": protonet})).status == expected

    def test_maml_may_be_the_better_rival(self) -> None:
        verdict = STUDY.judge(planted(CLEAR | {"maml": (90.0, 95.0)}))
        assert verdict.status == Status.OPPOSITE
        assert statuses(verdict)["1-shot: ahead of protonet, points"] == Status.CONFIRMED

    def test_an_embedding_that_learned_little_does_not_confirm(self) -> None:
        verdict = STUDY.judge(planted({"embedding": (38.0, 50.0), "protonet": (30.0, 40.0), "maml": (15.0, 20.0)}))
        assert statuses(verdict)["1-shot: ahead of untrained, points"] == Status.WEAKER
        assert verdict.status == Status.WEAKER

    def test_without_omniglot_the_glyphs_are_judged(self) -> None:
        glyphs = [each for each in planted(CLEAR) if each.trial.config["pictures"] == "glyphs"]
        assert STUDY.judge(glyphs).status == Status.CONFIRMED

    def test_a_training_that_diverged_is_not_chosen_and_counts_as_guessing_if_all_did(self) -> None:
        records = planted(CLEAR)
        lost = [diverged(each) if is_high(each, "embedding") else each for each in records]
        assert STUDY.judge(lost).status == Status.CONFIRMED
        lost = [diverged(each) if each.trial.arm == "embedding" and each.trial.seed == 0 else each for each in records]
        results = chosen(lost)
        assert results.accuracies("embedding", 1, "glyphs")[0] == 5
        assert STUDY.judge(lost).status == Status.INCONCLUSIVE


def diverged(record: Record) -> Record:
    from torchstone.lab.divergence import NoMetrics

    return Record(record.trial, NoMetrics("The loss was inf"), {}, 1.0)


def is_high(record: Record, arm: str) -> bool:
    return record.trial.arm == arm and record.trial.config["plan"]["rate"] == max(good_embedding.RATES[arm])


class TestResults:
    def test_the_rate_is_chosen_on_validation_classes_not_on_novel_ones(self) -> None:
        trials = [Trial("protonet", 0, trial_config(LAPTOP, "protonet", rate, "glyphs", 16)) for rate in (0.1, 0.2)]
        low, high = (
            Record(trial, {"validation": validation}, {"1-shot": torch.tensor([novel])}, 1.0)
            for trial, validation, novel in zip(trials, (60.0, 50.0), (30.0, 90.0), strict=True)
        )
        results = chosen([high, low])
        assert results.best["glyphs", "protonet", 0] is low
        assert results.accuracies("protonet", 1, "glyphs").tolist() == [30]
        assert results.at_edge("protonet").tolist() == [1]

    def test_a_lead_is_over_the_episodes_that_both_were_tested_on(self) -> None:
        records = planted(CLEAR, replace(LAPTOP, seeds=1, maml_seeds=1, episodes=4, maml_episodes=2))
        ours = next(each for each in records if each.trial.arm == "embedding")
        ours.artifacts["1-shot"].copy_(torch.tensor([50.0, 70.0, 0.0, 0.0]))
        results = chosen(records)
        assert results.leads("embedding", "maml", 1, "glyphs").tolist() == [40]
        assert results.leads("embedding", "protonet", 1, "glyphs").tolist() == [30 - 76]

    def test_the_mean_lead_has_the_seeds_that_all_have(self) -> None:
        records = [
            each
            for each in planted(CLEAR)
            if (each.trial.arm, each.trial.config["pictures"], each.trial.seed) != ("maml", "omniglot", 1)
        ]
        assert chosen(records).mean_lead("embedding", "maml", 1) == pytest.approx([60 + NOISE[0], 60 + NOISE[2]])
        assert len(chosen(records).leads("embedding", "maml", 1, "glyphs")) == 3


class TestPlan:
    def test_rivals_get_as_many_pictures_and_rates_and_nothing_unfair_is_found(self) -> None:
        assert audit(STUDY, scale="laptop") == []
        trials = STUDY.trials(LAPTOP)
        assert {trial.config["plan"]["pictures_seen"] for trial in trials} == {LAPTOP.pictures_seen}
        for arm in ("embedding", "protonet", "maml"):
            first = [trial for trial in trials if (trial.arm, trial.seed) == (arm, 0)]
            assert len(first) == LAPTOP.rates * len(LAPTOP.pictures)

    def test_power_is_declared_of_primary_checks(self) -> None:
        declared = STUDY.power(LAPTOP)
        assert set(declared) == {"1-shot: ahead of protonet, points", "5-shot: ahead of protonet, points"}
        assert set(declared) < set(statuses(STUDY.judge(planted(CLEAR, LAPTOP))))
        assert all(0.5 < chance < 1 for chance in declared.values())
        assert STUDY.power(GoodEmbedding.scales["paper"]) == {}

    def test_the_middle_rate_comes_first(self) -> None:
        for rates in good_embedding.RATES.values():
            assert sorted(rates)[1] == rates[0]


@pytest.fixture
def stripes() -> FewShotPictures:
    """Classes that differ by the column which is white: easy for anyone."""
    images = torch.zeros(16, 12, 1, 16, 16, dtype=torch.uint8)
    for label in range(16):
        images[label, :, :, :, label] = 255
    noise = torch.randint(0, 60, images.shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    images = torch.where(images == 0, noise, images)

    def part(first: int, last: int) -> ImageSet:
        names = tuple(f"column {label}" for label in range(first, last))
        return ImageSet(images[first:last].flatten(0, 1), torch.arange(last - first).repeat_interleave(12), names)

    still = affine_jitter(degrees=0, scale=0, shear=0, shift=0, noise=0.02)
    return FewShotPictures(part(0, 8), part(8, 12), part(12, 16), still)


PLAN = Plan("conv4", 4, 120, 4, 2, 16, 0.01)


class TestMethods:
    @pytest.mark.parametrize("arm", METHODS)
    def test_gives_the_accuracy_of_each_episode(self, arm: str, stripes: FewShotPictures, tmp_path: Path) -> None:
        config: dict[str, Any] = {"plan": {"ways": 4}, "episodes": 5}
        test = METHODS[arm](PLAN, stripes, 3, Context(torch.device("cpu"), tmp_path))
        outcome = outcome_of(test, Trial(arm, 3, config), stripes)
        assert set(outcome.metrics) == {"validation", "1-shot", "5-shot"}
        assert outcome.artifacts["5-shot"].shape == (5,)
        assert outcome.metrics["1-shot"] == pytest.approx(float(outcome.artifacts["1-shot"].mean()))
        assert all(0 <= value <= 100 for value in outcome.metrics.values())

    @pytest.mark.parametrize("arm", ["embedding", "protonet", "maml"])
    def test_trains_the_same_twice_and_uses_the_rate(self, arm: str, stripes: FewShotPictures, tmp_path: Path) -> None:
        episodes = Episodes(stripes.novel.labels, 4, 1, 5, count=20, seed=0)

        def accuracies(rate: float, folder: str) -> torch.Tensor:
            context = Context(torch.device("cpu"), tmp_path / folder)
            return METHODS[arm](replace(PLAN, rate=rate), stripes, 0, context)(stripes.novel, episodes)

        assert torch.equal(accuracies(0.01, "a"), accuracies(0.01, "b"))
        assert not torch.equal(accuracies(0.01, "a"), accuracies(0.3, "c"))

    def test_pixels_tell_stripes_apart(self, stripes: FewShotPictures) -> None:
        episodes = Episodes(stripes.novel.labels, 4, 1, 5, count=20, seed=0)
        assert by_logistic_regression(nn.Flatten())(stripes.novel, episodes).mean() == 1

    def test_the_rate_of_episodes_rises_and_falls(
        self, stripes: FewShotPictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Adam's first updates are as large as the rate: a weight that is pushed one way shows the schedule."""

        class Pushed(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.weight, self.places = nn.Parameter(torch.tensor(0.0)), [0.0]

            def forward(self, tasks: Any) -> torch.Tensor:
                self.places.append(float(self.weight.detach()))
                return self.weight * nn.functional.one_hot(tasks.query_labels, 4)[None]

        model, plan = Pushed(), replace(PLAN, pictures_seen=12 * 60, rate=0.01)
        trained_on_episodes(model, plan, stripes, 0, Context(torch.device("cpu"), tmp_path))
        moves = np.diff([*model.places[1:], float(model.weight.detach())])
        assert len(moves) == 60
        assert moves[0] < 0.1 * moves.max() > moves[-1]
        assert 10 < moves.argmax() < 30
        assert moves.max() == pytest.approx(0.01, rel=0.1)


class TestReport:
    def test_rates_are_drawn_where_several_were_tried(self) -> None:
        assert len(STUDY.figures(planted(CLEAR))) == 3
        once = planted(CLEAR, LAPTOP)
        assert len(STUDY.figures(once)) == 2
        assert STUDY.judge(once).status == Status.CONFIRMED

    def test_diverged_trainings_leave_the_figures_whole(self) -> None:
        records = planted(CLEAR)
        whole = STUDY.figures(records)
        lost = STUDY.figures([diverged(each) if is_high(each, "protonet") else each for each in records])
        assert [figure.title for figure in lost] == [figure.title for figure in whole]
        assert lost[0].svg == whole[0].svg  # the rate that diverged was not chosen
        assert lost[2].svg != whole[2].svg

    def test_diverged_trainings_say_so(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        def run(trial: Trial, context: Context) -> Outcome:
            raise Diverged("The loss was inf")

        monkeypatch.setattr(STUDY, "run", run)
        records = run_study(STUDY, "smoke", out=tmp_path, jobs=0).records
        assert all(each.diverged for each in records)
        assert chosen(records).accuracies("protonet", 5, "glyphs").tolist() == [20]
