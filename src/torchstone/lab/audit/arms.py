"""What the plan of a study, a run or records say of each arm of a comparison."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torchstone.lab.encoding import to_json
from torchstone.lab.run import Run
from torchstone.lab.study import Record, Study, Trial

PREPROCESSING = ("preprocessing", "augmentation", "data")
Subject = Study | Run | Sequence[Record]


@dataclass(frozen=True)
class ArmFacts:
    """What plan or records say of one arm; numbers and texts that a trial does not say are left out.

    Args:
        name: the arm.
        compared: whether it belongs to the comparison, whose arms must all get the same.
        control: whether it is not meant to be tuned, such as chance or an untrained network.
        searched: whether a search says what it tries.
        seeds: its seeds.
        settings: how many settings it tries for each seed.
        steps: how many steps each setting gets.
        preprocessing: what its trials say of it, as JSON.
        selected_on: on which split settings are compared; empty where nothing is selected.
        space: what it is searched over, in words; empty where nothing is searched.
        openings: how often each trial has opened the test split, where it says so.
        uncounted: whether a trial reports a metric of the test split and not how often that was opened.
    """

    name: str
    compared: bool
    control: bool
    searched: bool
    seeds: frozenset[int]
    settings: frozenset[int]
    steps: frozenset[int]
    preprocessing: frozenset[str]
    selected_on: frozenset[str]
    space: str
    openings: Sequence[int]
    uncounted: bool


def arm_facts(subject: Subject, scale: str = "laptop") -> list[ArmFacts]:
    """What the plan of a study, a run, or records say of each arm, in the order of their first trials."""
    pairs = _trials_and_metrics(subject, scale)
    if not pairs:
        raise ValueError("subject must hold at least one trial, but it holds none: there is nothing to look at.")
    by_arm: dict[str, list[tuple[Trial, Mapping[str, float]]]] = {}
    for trial, metrics in pairs:
        by_arm.setdefault(trial.arm, []).append((trial, metrics))
    facts = [_facts(arm, of_arm) for arm, of_arm in by_arm.items()]
    return [replace(arm, compared=_is_compared(arm, facts, study_of(subject))) for arm in facts]


def study_of(subject: Subject) -> Study | None:
    """The study that ``subject`` is, or is a run of; ``None`` for records."""
    return subject.study if isinstance(subject, Run) else subject if isinstance(subject, Study) else None


def numbers(values: frozenset[int]) -> str:
    """Numbers in words: one, where all trials agree.

    >>> numbers(frozenset({8})), numbers(frozenset({8, 4})), numbers(frozenset())
    ('8', '4 or 8', 'not said')
    """
    return " or ".join(str(number) for number in sorted(values)) or "not said"


def _is_compared(arm: ArmFacts, arms: Sequence[ArmFacts], study: Study | None) -> bool:
    if study is None:
        return True
    return arm.name in study.compares if study.compares else any(each.searched for each in arms)


def _trials_and_metrics(subject: Subject, scale: str) -> Sequence[tuple[Trial, Mapping[str, float]]]:
    if isinstance(subject, Study):
        if scale not in subject.scales:
            raise ValueError(f"scale must be one of {', '.join(subject.scales)}, but it is '{scale}'.")
        return [(trial, {}) for trial in subject.trials(subject.scales[scale])]
    records = subject.records if isinstance(subject, Run) else subject
    return [(record.trial, record.metrics) for record in records]


def _facts(arm: str, of_arm: Sequence[tuple[Trial, Mapping[str, float]]]) -> ArmFacts:
    configs = [trial.config for trial, _ in of_arm]
    searches = [_search(config) for config in configs]
    steps = [s.get("steps", c.get("steps")) for s, c in zip(searches, configs, strict=True)]
    return ArmFacts(
        name=arm,
        compared=False,
        control=all(config.get("control") is True for config in configs) or all(step == 0 for step in steps),
        searched=any(searches),
        seeds=frozenset(trial.seed for trial, _ in of_arm),
        settings=_settings(of_arm),
        steps=frozenset(step for step in steps if isinstance(step, int)),
        preprocessing=frozenset(to_json({key: config.get(key) for key in PREPROCESSING}) for config in configs),
        selected_on=frozenset(search["selected_on"] for search in searches if "selected_on" in search),
        space=_space_words(searches[0].get("space", {})),
        openings=[int(metrics["test_openings"]) for _, metrics in of_arm if _is_known(metrics, "test_openings")],
        uncounted=any(_is_uncounted(metrics) for _, metrics in of_arm),
    )


def _search(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The plan of a search as ``tuned_arms`` writes it; nothing where the word ``search`` means something else."""
    plan = config.get("search")
    return plan if isinstance(plan, Mapping) and isinstance(plan.get("settings"), int) else {}


def _is_known(metrics: Mapping[str, float], name: str) -> bool:
    return math.isfinite(metrics.get(name, math.nan))


def _space_words(space: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_range_words(span)}" for name, span in space.items() if not _is_fixed(span))


def _is_fixed(span: Any) -> bool:
    return isinstance(span, Mapping) and span.get("range") == "fixed"


def _range_words(span: Any) -> str:
    if not (isinstance(span, Mapping) and "range" in span):
        return to_json(span)  # written by hand, not by tuned_arms
    if "choices" in span:
        return "in {" + ", ".join(map(str, span["choices"])) + "}"
    scale = " (log)" if span["range"] == "log" or span.get("log") else ""
    return f"{span['low']:g} to {span['high']:g}{scale}"


def _settings(of_arm: Sequence[tuple[Trial, Mapping[str, float]]]) -> frozenset[int]:
    """How many settings are tried for a seed: what was counted, or else what was planned; a trial is at least one."""
    tried: dict[int, int] = {}
    for trial, metrics in of_arm:
        planned: int = _search(trial.config).get("settings", 1)
        spent = int(metrics["search/settings"]) if _is_known(metrics, "search/settings") else planned
        tried[trial.seed] = tried.get(trial.seed, 0) + spent
    return frozenset(tried.values())


def _is_uncounted(metrics: Mapping[str, float]) -> bool:
    return not _is_known(metrics, "test_openings") and any(name.lower().startswith("test") for name in metrics)
