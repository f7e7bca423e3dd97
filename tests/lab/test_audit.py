"""Each fault is planted, and found; nothing else is found with it."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest

from torchstone.lab import Check, Claim, Estimate, Fault, Outcome, Paper, Record, Study, Trial, Verdict, audit
from torchstone.lab.report import render_report
from torchstone.lab.run import Run
from torchstone.lab.search import Budget, categorical, linear, log, tuned_arms


@dataclass(frozen=True)
class Recipe:
    lr: float = log(1e-4, 1e-1)
    momentum: float = linear(0.0, 0.9)
    kind: str = categorical("<b>", "sgd")


class Comparison(Study):
    """Two tuned arms and a control: nothing is wrong with it."""

    claim = Claim("ours-is-better", "Ours is better.", Paper("Nobody", 2024, "Ours"))
    scales: ClassVar = {"smoke": Budget(2, 5, 2), "laptop": Budget(8, 300, 3)}

    def trials(self, scale: Budget) -> Sequence[Trial]:
        chance = [
            Trial("chance", seed, {"control": True, "preprocessing": {"crop": 24}}) for seed in range(scale.seeds)
        ]
        return [*tuned_arms({"ours": Recipe, "baseline": Recipe}, scale, preprocessing={"crop": 24}), *chance]

    def run(self, trial: Trial, context: object) -> Outcome:
        return Outcome({"test accuracy": 0.5, "test_openings": 1.0})

    def judge(self, records: Sequence[Record]) -> Verdict:
        return Verdict.of(Check.at_least("ours is better", Estimate(0.3, 0.2, 0.4), 0.1, zone=0.05), sentence="Yes.")


@pytest.fixture
def records() -> list[Record]:
    study = Comparison()
    trials = study.trials(study.scales["laptop"])
    return [Record(trial, study.run(trial, None).metrics, {}, 1.0) for trial in trials]


def planted(records: Sequence[Record], arm: str, change: Callable[[dict[str, Any]], None]) -> list[Record]:
    """``records`` with the configs of ``arm`` changed."""

    def changed(record: Record) -> Record:
        config = {name: dict(v) if isinstance(v, dict) else v for name, v in record.trial.config.items()}
        change(config)
        return replace(record, trial=replace(record.trial, config=config))

    return [changed(record) if record.trial.arm == arm else record for record in records]


def measured(records: Sequence[Record], arm: str, **metrics: float) -> list[Record]:
    """``records`` with the metrics of ``arm`` replaced."""
    return [replace(record, metrics=metrics) if record.trial.arm == arm else record for record in records]


def faults(records: Sequence[Record], verdict: Verdict | None = None) -> dict[Fault, str]:
    found = audit(records, verdict=verdict)
    assert len({finding.fault for finding in found}) == len(found)
    return {finding.fault: finding.sentence for finding in found}


def test_nothing_is_found_where_nothing_is_planted(records: list[Record]) -> None:
    study = Comparison()
    assert audit(records, verdict=study.judge(records)) == audit(study) == audit(study, scale="smoke") == []


def test_fewer_settings_for_the_baseline(records: list[Record]) -> None:
    wrong = planted(records, "baseline", lambda config: config["search"].update(settings=4))
    assert faults(wrong) == {Fault.BUDGET: "Settings tried for a seed: 'ours' 8, 'baseline' 4."}


def test_fewer_settings_than_were_planned(records: list[Record]) -> None:
    wrong = measured(records, "baseline", **{"search/settings": 7, "test_openings": 1})
    assert faults(wrong) == {Fault.BUDGET: "Settings tried for a seed: 'ours' 8, 'baseline' 7."}


def test_fewer_steps_for_the_baseline(records: list[Record]) -> None:
    wrong = planted(records, "baseline", lambda config: config["search"].update(steps=100))
    assert faults(wrong) == {Fault.BUDGET: "Steps of optimization: 'ours' 300, 'baseline' 100."}


def test_an_untuned_baseline(records: list[Record]) -> None:
    wrong = planted(records, "baseline", lambda config: config.update(steps=300) or config.pop("search"))
    assert faults(wrong) == {
        Fault.BUDGET: "Settings tried for a seed: 'ours' 8, 'baseline' 1.",
        Fault.UNTUNED: "'baseline' has one setting, while another arm has the best of 8.",
    }


def test_an_untuned_baseline_of_a_search_spread_over_trials() -> None:
    trials = [Trial("ours", seed, {"lr": lr}) for seed in (0, 1) for lr in (0.1, 0.01, 0.001)]
    trials += [Trial("baseline", seed, {"lr": 0.1}) for seed in (0, 1)]
    found = faults([Record(trial, {"accuracy": 0.5}, {}, 1.0) for trial in trials])
    assert found.keys() == {Fault.BUDGET, Fault.UNTUNED}
    assert "the best of 3" in found[Fault.UNTUNED]


def test_fewer_seeds_in_one_arm(records: list[Record]) -> None:
    wrong = [record for record in records if (record.trial.arm, record.trial.seed) != ("baseline", 2)]
    assert faults(wrong) == {Fault.SEEDS: "Seeds: 'ours' 3, 'baseline' 2, 'chance' 3."}


def test_other_seeds_in_one_arm(records: list[Record]) -> None:
    wrong = [
        replace(record, trial=replace(record.trial, seed=record.trial.seed + 5 * (record.trial.arm == "ours")))
        for record in records
    ]
    assert faults(wrong)[Fault.SEEDS].startswith("Not the same seeds: 'ours' 5 or 6 or 7, 'baseline' 0 or 1 or 2")


@pytest.mark.parametrize("key", ["preprocessing", "augmentation", "data"])
def test_differing_preprocessing(records: list[Record], key: str) -> None:
    wrong = planted(records, "ours", lambda config: config.update({key: {"crop": 32}}))
    assert '"crop":32' in faults(wrong).pop(Fault.PREPROCESSING)
    assert faults(wrong).keys() == {Fault.PREPROCESSING}


def test_preprocessing_that_only_one_arm_has(records: list[Record]) -> None:
    wrong = planted(records, "baseline", lambda config: config.pop("preprocessing"))
    assert faults(wrong).keys() == {Fault.PREPROCESSING}


def test_selection_on_the_test_split(records: list[Record]) -> None:
    wrong = planted(records, "ours", lambda config: config["search"].update(selected_on="test"))
    assert faults(wrong) == {Fault.TEST: "'ours' selects its setting on 'test', not on validation data."}


def test_a_test_split_opened_for_every_setting(records: list[Record]) -> None:
    wrong = measured(records, "ours", test_openings=8)
    assert faults(wrong).keys() == {Fault.TEST}
    assert "'ours' opened the test split 8 times in one trial" in faults(wrong)[Fault.TEST]


def test_a_test_split_that_is_not_sealed(records: list[Record]) -> None:
    wrong = measured(records, "ours", **{"test accuracy": 0.9})
    assert faults(wrong) == {Fault.TEST: "'ours' reports test data whose openings were not counted."}


@pytest.mark.parametrize("low", [0.3, float("nan"), float("-inf")])
def test_a_check_without_an_interval(records: list[Record], low: float) -> None:
    estimate = Estimate(0.3, low, float("inf") if low == float("-inf") else 0.3)
    verdict = Verdict.of(
        Check.at_least("ours is better", estimate, 0.1, zone=0.05), Check.report("loss", estimate), sentence="?"
    )
    sentence = "The check 'ours is better' rests on one number, or on seeds that all agree."
    assert faults(records, verdict) == {Fault.INTERVAL: sentence}


def test_a_one_sided_interval_is_one(records: list[Record]) -> None:
    check = Check.at_least("ours is better", Estimate(0.3, 0.2, float("inf")), 0.1, zone=0.05)
    assert faults(records, Verdict.of(check, sentence="Yes.")) == {}


def test_an_arm_of_one_seed_has_no_interval() -> None:
    assert faults([Record(Trial("ours", 0), {}, {}, 1.0)]) == {
        Fault.INTERVAL: "'ours' has one seed: it can have no interval."
    }


def test_controls_have_no_budget_to_compare(records: list[Record]) -> None:
    untrained = planted(records, "chance", lambda config: (config.pop("control"), config.update(steps=0)))
    assert faults(untrained) == {}
    no_control = planted(records, "chance", lambda config: config.update(control=False))
    assert {finding.fault for finding in audit(no_control)} == {Fault.BUDGET, Fault.UNTUNED}


@pytest.mark.parametrize(
    "config",
    [
        {"search": "grid"},
        {"search": {"width": 4}},
        {"search": {"settings": 4, "space": {"lr": [0.1, 0.2]}}},
        {"steps": [10, 20]},
    ],
)
def test_a_config_that_was_not_made_by_tuned_arms(config: dict[str, object]) -> None:
    records = [Record(Trial(arm, seed, config), {}, {}, 1.0) for arm in ("ours", "theirs") for seed in range(2)]
    assert audit(records) == []
    assert "</html>" in render_report(finished(records))


def test_a_count_that_is_not_finite_is_none(records: list[Record]) -> None:
    lost = measured(records, "ours", **{"test accuracy": 0.5, "test_openings": math.nan, "search/settings": math.nan})
    assert faults(lost) == {Fault.TEST: "'ours' reports test data whose openings were not counted."}


def test_what_cannot_be_looked_at_is_refused(records: list[Record]) -> None:
    with pytest.raises(ValueError, match="it holds none"):
        audit([])
    with pytest.raises(ValueError, match="scale must be one of smoke, laptop, but it is 'huge'"):
        audit(Comparison(), scale="huge")


def finished(records: Sequence[Record]) -> Run:
    study = Comparison()
    return Run(study, "laptop", 0, records, study.judge(records), 75.4, {"torch": "2.13.0"})


def words(page: str) -> str:
    return " ".join(re.sub("<[^>]*>", " ", page[page.index("<main>") :]).split())


def test_the_report_counts_the_openings_and_shows_the_budget_of_each_arm(records: list[Record]) -> None:
    page = render_report(finished(records))
    assert "The test split was opened 9 times in 9 trials. The audit found nothing unfair" in words(page)
    space = "0.0001 to 0.1 (log), momentum 0 to 0.9, kind in {&lt;b&gt;, sgd} 3 8 300 3"
    assert f"ours lr {space}" in words(page)
    assert f"baseline lr {space}" in words(page)
    assert "chance control, not tuned 3 – – 3" in words(page)


def test_the_report_shows_what_the_audit_found(records: list[Record]) -> None:
    page = words(render_report(finished(measured(records, "ours", test_openings=8))))
    assert "opened 30 times" in page
    assert "The audit found: selection on test : &#39;ours&#39; opened the test split 8 times" in page


class Ablation(Comparison):
    """Two arms that are compared, one that is narrower on purpose, and one that is left untrained."""

    compares: ClassVar = ("ours", "theirs")
    configs: ClassVar[dict[str, tuple[int, dict[str, Any]]]] = {
        "ours": (3, {"steps": 300}),
        "theirs": (3, {"steps": 300}),
        "narrow": (2, {"steps": 100, "data": "half"}),
        "untrained": (1, {"steps": 0}),
    }

    def trials(self, scale: Budget) -> Sequence[Trial]:
        return [Trial(arm, seed, config) for arm, (seeds, config) in self.configs.items() for seed in range(seeds)]


def ablation_run(study: Study, *, without: str = "") -> Run:
    trials = [trial for trial in study.trials(study.scales["laptop"]) if trial.arm != without]
    records = [Record(trial, {"test accuracy": 0.5}, {}, 1.0) for trial in trials]
    return Run(study, "laptop", 0, records, study.judge(records), 1.0, {})


def test_arms_that_differ_on_purpose_are_no_false_alarm() -> None:
    assert audit(Ablation()) == audit(ablation_run(Ablation())) == []
    page = words(render_report(ablation_run(Ablation())))
    assert "How fair the comparison was The audit found nothing unfair" in page
    assert "narrow not tuned; not part of the comparison 2 1 100 not said" in page
    assert "ours not tuned 3 1 300 not said" in page


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ((3, {"steps": 900}), Fault.BUDGET),
        ((2, {"steps": 300}), Fault.SEEDS),
        ((3, {"steps": 300, "data": "half"}), Fault.PREPROCESSING),
    ],
)
def test_arms_that_are_compared_without_a_search_are_audited(config: Any, fault: Fault) -> None:
    class Unfair(Ablation):
        configs: ClassVar = Ablation.configs | {"theirs": config}

    assert [finding.fault for finding in audit(Unfair())] == [fault]
    assert fault in words(render_report(ablation_run(Unfair())))


def test_a_rival_that_was_not_run_is_missed() -> None:
    (finding,) = audit(ablation_run(Ablation(), without="theirs"))
    assert (finding.fault, finding.sentence) == (Fault.MISSING, "'theirs' is to be compared, but it has no trial here.")


def test_without_a_search_nothing_is_compared_unless_it_is_said() -> None:
    class Silent(Ablation):
        compares: ClassVar = ()

    assert audit(Silent()) == []
    assert "How fair" not in render_report(ablation_run(Silent()))


def test_a_study_may_compare_some_of_its_searched_arms(records: list[Record]) -> None:
    class Apart(Comparison):
        compares: ClassVar = ("ours", "baseline")

    wrong = planted(records, "chance", lambda config: config.update(control=False, steps=7))
    assert audit(Run(Comparison(), "laptop", 0, wrong, None, 1.0, {})) != []
    assert audit(Run(Apart(), "laptop", 0, wrong, None, 1.0, {})) == []


def test_a_report_without_a_search_says_nothing_of_it(layers_run: Run) -> None:
    assert "How fair" not in render_report(layers_run)
