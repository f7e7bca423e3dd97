"""The claims about tuned learning rules: their rules on planted records, and that their searches are fair."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from torch import nn

from torchstone.data import ImageSet
from torchstone.lab import Context, Record, Status, Study, Trial, Unavailable, Verdict
from torchstone.lab.audit import audit
from torchstone.lab.divergence import NoMetrics
from torchstone.lab.search import space_of
from torchstone.studies.optim import amsgrad_in_practice as practice
from torchstone.studies.optim.adaptive_generalises_less import (
    ADAPTIVE,
    ARMS,
    BEST,
    MOMENTUM,
    AdaptiveGeneralisesLess,
    points_ahead,
)
from torchstone.studies.optim.amsgrad_in_practice import ADAM, AMSGRAD, AmsgradInPractice, percent_lower
from torchstone.studies.optim.tuned_tasks import Task, network_of, pictures_of
from torchstone.studies.optim.tuned_training import Size, at_edge, binned, table_of

STUDIES = (AmsgradInPractice(), AdaptiveGeneralisesLess())
CPU = torch.device("cpu")
Plant = Callable[[Trial, float], dict[str, float]]


def planted(study: Study, plant: Plant, *, without: str = "") -> list[Record]:
    """A record of every trial of the laptop scale; trials of a seed and task share a level, and each has noise."""
    generator = torch.Generator().manual_seed(0)
    records = []
    for trial in study.trials(study.scales["laptop"]):
        noise = float(torch.randn((), generator=generator))
        if trial.config["task"]["pictures"] != without:
            middle = math.sqrt(math.prod(trial.config["search"]["space"]["lr"][end] for end in ("low", "high")))
            records.append(Record(trial, {"best/lr": middle} | plant(trial, noise), {}, 1.0))
    return records


def losses(percent: float, test_percent: float | None = None, spread: float = 0.3) -> Plant:
    """AMSGrad's losses lie ``percent`` below Adam's, which differ between seeds and tasks far more."""

    def plant(trial: Trial, noise: float) -> dict[str, float]:
        level = (1 + trial.seed) * (2 if trial.config["task"]["network"] == "mlp" else 1)
        test = percent if test_percent is None else test_percent
        lower = {"train_loss": percent, "test_loss": test} if trial.arm == AMSGRAD else {}
        return {
            name: level * math.exp((spread * noise - lower.get(name, 0)) / 100) for name in ("train_loss", "test_loss")
        }

    return plant


def accuracies(ahead: float, spread: float = 0.2, best: str = "adam") -> Plant:
    """Momentum lies ``ahead`` of the adaptive rule that validates best; the other adaptive rules test far better."""

    def plant(trial: Trial, noise: float) -> dict[str, float]:
        level = 70 + trial.seed % 7
        test = level + spread * noise + {MOMENTUM: ahead, best: 0.0}.get(trial.arm, 8.0)
        validation = {MOMENTUM: 60.0, best: 90.0}.get(trial.arm, 80.0)
        return {"test_accuracy": test, "validation_accuracy": validation, "train_accuracy": 95.0}

    return plant


def diverged(records: Sequence[Record], arm: str) -> list[Record]:
    """The same, with the first search of ``arm`` diverged."""
    place = next(i for i, record in enumerate(records) if record.trial.arm == arm)
    lost = Record(records[place].trial, NoMetrics("All 8 settings diverged"), {}, 1.0)
    return [*records[:place], lost, *records[place + 1 :]]


class TestAmsgradInPractice:
    study = AmsgradInPractice()

    def judged(self, plant: Plant, **options: str) -> Verdict:
        return self.study.judge(planted(self.study, plant, **options))

    @pytest.mark.parametrize(
        ("percent", "expected"),
        [(6.0, Status.CONFIRMED), (2.5, Status.WEAKER), (0.0, Status.ABSENT), (-5.0, Status.OPPOSITE)],
    )
    def test_finds_the_planted_difference_between_tasks_that_differ_far_more(
        self, percent: float, expected: Status
    ) -> None:
        assert self.judged(losses(percent)).status is expected

    def test_seeds_that_contradict_one_another_are_inconclusive(self) -> None:
        verdict = self.judged(lambda trial, noise: losses(10.0 * (-1) ** trial.seed)(trial, noise))
        assert verdict.status is Status.INCONCLUSIVE

    def test_a_lower_training_loss_alone_does_not_confirm(self) -> None:
        assert self.judged(losses(6.0, test_percent=0.0)).status is Status.ABSENT
        assert self.judged(losses(6.0, test_percent=-6.0)).status is Status.OPPOSITE

    def test_judges_glyphs_alone_where_fashion_mnist_is_missing(self) -> None:
        verdict = self.judged(losses(6.0), without="fashion_mnist")
        assert verdict.status is Status.CONFIRMED
        assert not any("fashion" in check.name for check in verdict.checks)

    def test_only_amsgrad_as_libraries_have_it_decides(self) -> None:
        def plant(trial: Trial, noise: float) -> dict[str, float]:
            return losses(6.0 if trial.arm == AMSGRAD else 0.0)(trial, noise) | (
                {"train_loss": 1e9, "test_loss": 1e9} if trial.arm in (practice.PUBLISHED, practice.ADAMNC) else {}
            )

        assert self.judged(plant).status is Status.CONFIRMED

    def test_percent_is_that_of_the_logarithm_and_has_a_sign(self) -> None:
        table = table_of(planted(self.study, losses(3.0, spread=0.0)), tuple(practice.ARMS))
        assert percent_lower(table, AMSGRAD, "train_loss") == pytest.approx(3.0)
        assert percent_lower(table, practice.ADAMNC, "train_loss") == pytest.approx(0.0)

    @pytest.mark.parametrize(("arm", "sign"), [(AMSGRAD, -1), (ADAM, 1)])
    def test_a_diverged_search_has_the_worst_loss_of_its_task(self, arm: str, sign: int) -> None:
        records = diverged(planted(self.study, losses(0.0, spread=0.0)), arm)
        lower = percent_lower(table_of(records, tuple(practice.ARMS)), AMSGRAD, "train_loss")
        seeds = self.study.scales["laptop"].budget.seeds  # the losses of the first task are 1, 2, ...
        assert sign * lower.ravel()[0] == pytest.approx(100 * math.log(seeds))
        assert lower.ravel()[1:] == pytest.approx(0.0)

    def test_the_rules_are_those_of_the_arms(self) -> None:
        made = {arm: recipe().optimizer([nn.Parameter(torch.zeros(2))]) for arm, recipe in practice.ARMS.items()}
        names = {arm: type(optimizer).__name__ for arm, optimizer in made.items()}
        assert names == {
            "adam": "Adam", "amsgrad": "Adam", "published_amsgrad": "AMSGrad", "adamnc": "AdamNC"
        }  # fmt: skip
        assert [made[arm].defaults["amsgrad"] for arm in ("adam", "amsgrad")] == [False, True]
        assert made["published_amsgrad"].defaults["eps"] == 0


class TestAdaptiveGeneralisesLess:
    study = AdaptiveGeneralisesLess()

    def judged(self, plant: Plant, **options: str) -> Verdict:
        return self.study.judge(planted(self.study, plant, **options))

    @pytest.mark.parametrize(
        ("ahead", "expected"),
        [(2.0, Status.CONFIRMED), (0.5, Status.WEAKER), (0.0, Status.ABSENT), (-2.0, Status.OPPOSITE)],
    )
    @pytest.mark.parametrize("best", ADAPTIVE)
    def test_compares_with_the_rule_that_validates_best_not_the_one_that_tests_best(
        self, ahead: float, expected: Status, best: str
    ) -> None:
        assert self.judged(accuracies(ahead, best=best)).status is expected

    def test_seeds_that_contradict_one_another_are_inconclusive(self) -> None:
        verdict = self.judged(lambda trial, noise: accuracies(3.0 * (-1) ** trial.seed)(trial, noise))
        assert verdict.status is Status.INCONCLUSIVE

    def test_judges_glyphs_alone_where_fashion_mnist_is_missing(self) -> None:
        verdict = self.judged(accuracies(2.0), without="fashion_mnist")
        assert verdict.status is Status.CONFIRMED
        assert not any("fashion" in check.name for check in verdict.checks)

    def test_a_rule_alone_is_compared_with_its_own_budget(self) -> None:
        table = table_of(planted(self.study, accuracies(2.0, spread=0.0)), (MOMENTUM, *ADAPTIVE))
        assert points_ahead(table, BEST) == pytest.approx(2.0)
        assert points_ahead(table, "adam") == pytest.approx(2.0)
        assert points_ahead(table, "nadam") == pytest.approx(-6.0)

    def test_a_diverged_adaptive_search_is_not_chosen_and_a_diverged_momentum_counts_against_the_claim(self) -> None:
        records = planted(self.study, accuracies(2.0, spread=0.0))
        arms = (MOMENTUM, *ADAPTIVE)
        assert points_ahead(table_of(diverged(records, "adam"), arms), BEST).ravel()[0] == pytest.approx(-6.0)
        assert points_ahead(table_of(diverged(records, MOMENTUM), arms), BEST).ravel()[0] == pytest.approx(-70.0)

    def test_the_rules_are_those_of_the_arms(self) -> None:
        rules = {arm: type(recipe().optimizer([nn.Parameter(torch.zeros(2))])).__name__ for arm, recipe in ARMS.items()}
        assert rules == {
            "momentum": "SGD", "adam": "Adam", "amsgrad": "Adam", "nadam": "Nadam", "rmsprop": "RMSProp"
        }  # fmt: skip


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.claim.name)
class TestBoth:
    def test_the_comparison_is_fair(self, study: Study) -> None:
        assert audit(study) == []
        budgets = {(t.config["search"]["settings"], t.config["search"]["steps"]) for t in _trials(study)}
        assert len(budgets) == 1

    def test_every_learning_rate_is_searched_over_three_decades(self, study: Study) -> None:
        for trial in _trials(study):
            span = trial.config["search"]["space"]["lr"]
            assert span["high"] / span["low"] == pytest.approx(1000)

    def test_a_trial_is_a_function_of_the_trial_alone_and_opens_the_test_split_once(
        self, study: Study, tmp_path: Path
    ) -> None:
        trial = study.trials(study.scales["smoke"])[0]
        first, second = (study.run(trial, Context(CPU, _made(tmp_path / name))) for name in ("a", "b"))
        assert first.metrics == second.metrics
        assert first.metrics["test_openings"] == 1
        assert first.metrics["search/settings"] == 2

    def test_the_network_that_is_tested_is_the_one_that_was_selected(self, study: Study, tmp_path: Path) -> None:
        trial = study.trials(study.scales["smoke"])[1]
        metrics = study.run(trial, Context(CPU, tmp_path)).metrics
        scored = "accuracy" if trial.config["search"]["direction"] == "maximize" else "loss"
        assert metrics["validation"] == metrics[f"validation_{scored}"]

    def test_a_seed_that_lacks_an_arm_is_left_out(self, study: Study) -> None:
        plant = losses(0.0) if isinstance(study, AmsgradInPractice) else accuracies(0.0)
        records = planted(study, plant)
        kept = [record for record in records if record.trial.seed != 0]
        assert study.judge(records[1:]).checks[0].estimate == study.judge(kept).checks[0].estimate

    def test_paper_scale_says_what_it_lacks(
        self, study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TORCHSTONE_DATA", str(tmp_path))
        with pytest.raises(Unavailable, match="TORCHSTONE_DATA"):
            study.run(study.trials(study.scales["paper"])[0], Context(CPU, tmp_path))

    def test_best_rates_at_an_edge_are_counted(self, study: Study) -> None:
        (trial, *_) = _trials(study)
        span, n = trial.config["search"]["space"]["lr"], trial.config["search"]["settings"]
        stretch = 1000 ** (1 / n)

        def edge(rate: float) -> bool:
            return at_edge(Record(trial, {"best/lr": rate}, {}, 1.0))

        assert edge(span["low"] * stretch**0.9)
        assert edge(span["high"] / stretch**0.9)
        assert not edge(span["low"] * stretch**1.1)
        assert not edge(span["high"] / stretch**1.1)
        assert at_edge(Record(trial, NoMetrics("it diverged"), {}, 1.0))


class TestTasks:
    @pytest.mark.parametrize("name", ["glyph views", "glyph typefaces"])
    def test_splits_share_no_picture_and_all_seeds_the_tests(self, name: str) -> None:
        task = Task(name, 5, 28, 100, "mlp", "cosine", 64)
        splits = [pictures_of(task, seed) for seed in range(2)]
        (train, validation), tests = splits[0]
        assert len(train) >= 100
        shown = torch.cat([part.images for part in (train, validation, tests)]).flatten(1)
        assert len(shown.unique(dim=0)) == len(shown)
        assert torch.equal(tests.images, splits[1][1].images)
        assert not torch.equal(train.images, splits[1][0][0].images)

    def test_pictures_are_shrunk_to_means(self) -> None:
        big, small = (pictures_of(Task("glyph views", 5, side, 50, "mlp", "cosine", 64), 0)[1] for side in (28, 14))
        means = big.floats().unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5))
        assert (means - small.floats()).abs().max() <= 0.5 / 255 + 1e-6

    @pytest.mark.parametrize("kind", ["logistic", "mlp", "conv", "deep"])
    def test_networks_are_fixed_by_their_seed(self, kind: str) -> None:
        pictures = ImageSet(torch.zeros(2, 1, 14, 14, dtype=torch.uint8), torch.tensor([0, 1]), ("a", "b", "c"))
        task = Task("glyph views", 3, 14, 2, kind, "cosine", 2)
        a, b, c = (network_of(task, pictures, seed) for seed in (0, 0, 1))
        assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))
        assert not all(torch.equal(x, y) for x, y in zip(a.parameters(), c.parameters(), strict=True))
        assert a(torch.zeros(2, 1, 14, 14)).shape == (2, 3)

    def test_curves_are_means_of_stretches(self) -> None:
        assert binned(torch.arange(120.0)).tolist() == [0.5 + 2 * k for k in range(60)]
        assert binned(torch.tensor([3.0, 1.0])).tolist() == [3.0, 1.0]

    def test_arms_of_amsgrad_in_practice_search_the_same_rates(self) -> None:
        assert len({space_of(recipe)["lr"] for recipe in practice.ARMS.values()}) == 1


def _trials(study: Study) -> Sequence[Trial]:
    size = study.scales["laptop"]
    assert isinstance(size, Size)
    return study.trials(size)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
