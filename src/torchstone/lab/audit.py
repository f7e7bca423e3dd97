"""What would make a comparison unfair, found in its plan or in its records."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from torchstone.lab.encoding import to_json
from torchstone.lab.run import Run
from torchstone.lab.study import Record, Study, Trial
from torchstone.lab.verdict import Estimate, Verdict

PREPROCESSING = ("preprocessing", "augmentation", "data")


class Fault(StrEnum):
    """What may be unfair in a comparison."""

    BUDGET = "unequal budgets"
    UNTUNED = "an untuned arm"
    SEEDS = "unequal seeds"
    PREPROCESSING = "differing preprocessing"
    TEST = "selection on test"
    INTERVAL = "missing interval"


@dataclass(frozen=True)
class Finding:
    """A fault, and a sentence that says where it is."""

    fault: Fault
    sentence: str


@dataclass(frozen=True)
class ArmFacts:
    """What plan or records say of one arm; numbers and texts that a trial does not say are left out.

    Args:
        name: the arm.
        control: whether it is not meant to be tuned, such as chance or an untrained network.
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
    control: bool
    seeds: frozenset[int]
    settings: frozenset[int]
    steps: frozenset[int]
    preprocessing: frozenset[str]
    selected_on: frozenset[str]
    space: str
    openings: Sequence[int]
    uncounted: bool


def audit(
    subject: Study | Run | Sequence[Record], *, scale: str = "laptop", verdict: Verdict | None = None
) -> list[Finding]:
    """List what would make a comparison unfair; an empty list says that nothing was found, not that all is well.

    It looks at what trials say of themselves, as those of :func:`~torchstone.lab.search.tuned_arms` do: in the config
    ``search`` with ``settings`` (how many are tried), ``steps`` and ``selected_on``; ``steps``; ``control``;
    ``preprocessing``, ``augmentation`` and ``data``; and in the metrics ``test_openings`` and names that begin with
    ``test``. An arm whose trials say ``"control": true``, or that gets no step, is not meant to be tuned: its budget is
    not compared.

    Args:
        subject: a study (its plan is looked at), a run, or records.
        scale: the scale of the plan, for a study.
        verdict: the verdict on records; a run has its own.

    Returns:
        The findings: unequal budgets of settings or steps, an arm that is not tuned while others are, fewer or other
        seeds in one arm, differing preprocessing, selection on the test split or more than one look at it for a trial,
        and checks or arms that cannot have an interval.

    Raises:
        ValueError: there is nothing to look at, or the study has no such scale.

    Example:
        >>> trials = [Trial("ours", seed, {"steps": 900}) for seed in (0, 1)]
        >>> trials += [Trial("theirs", seed, {"steps": 300}) for seed in (0, 1)]
        >>> for finding in audit([Record(trial, {}, {}, 1.0) for trial in trials]):
        ...     print(f"{finding.fault}: {finding.sentence}")
        unequal budgets: Steps of optimization: 'ours' 900, 'theirs' 300.

    Paper: Musgrave, Belongie & Lim (2020), A metric learning reality check, arXiv:2003.08505, section 2 (the flaws).
    Differs from the paper: trunks, sizes of embeddings and tricks are seen only where ``preprocessing`` names them.
    """
    arms = arm_facts(subject, scale)
    verdict = subject.verdict if isinstance(subject, Run) else verdict
    found = [finding for look in _LOOKS for finding in look(arms)]
    return [*found, *_checks_without_interval(verdict)]


@dataclass(frozen=True)
class Fairness:
    """What a report says of a comparison: each arm, how often the test split was opened, and what the audit found."""

    arms: Sequence[ArmFacts]
    openings: int
    findings: Sequence[Finding]


def fairness(run: Run) -> Fairness | None:
    """What to say of how fair ``run`` was; ``None`` where nothing was searched and no test split was sealed."""
    if not any(_search(record.trial.config) or "test_openings" in record.metrics for record in run.records):
        return None
    arms = arm_facts(run)
    return Fairness(arms, sum(sum(arm.openings) for arm in arms), audit(run))


def arm_facts(subject: Study | Run | Sequence[Record], scale: str = "laptop") -> list[ArmFacts]:
    """What the plan of a study, a run, or records say of each arm, in the order of their first trials."""
    pairs = _trials_and_metrics(subject, scale)
    if not pairs:
        raise ValueError("subject must hold at least one trial, but it holds none: there is nothing to look at.")
    by_arm: dict[str, list[tuple[Trial, Mapping[str, float]]]] = {}
    for trial, metrics in pairs:
        by_arm.setdefault(trial.arm, []).append((trial, metrics))
    return [_facts(arm, of_arm) for arm, of_arm in by_arm.items()]


def _trials_and_metrics(
    subject: Study | Run | Sequence[Record], scale: str
) -> Sequence[tuple[Trial, Mapping[str, float]]]:
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
        control=all(config.get("control") is True for config in configs) or all(step == 0 for step in steps),
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
    return ", ".join(f"{name} {_range_words(span)}" for name, span in space.items() if name != "fixed")


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


def _unequal_budgets(arms: Sequence[ArmFacts]) -> Iterator[Finding]:
    tuned = [arm for arm in arms if not arm.control]
    if len({arm.settings for arm in tuned}) > 1:
        yield Finding(Fault.BUDGET, f"Settings tried for a seed: {_each(tuned, lambda arm: numbers(arm.settings))}.")
    if len({arm.steps for arm in tuned}) > 1:
        yield Finding(Fault.BUDGET, f"Steps of optimization: {_each(tuned, lambda arm: numbers(arm.steps))}.")


def _untuned(arms: Sequence[ArmFacts]) -> Iterator[Finding]:
    most = max(max(arm.settings) for arm in arms)
    for arm in arms:
        if not arm.control and max(arm.settings) == 1 < most:
            sentence = f"'{arm.name}' has one setting, while another arm has the best of {most}."
            yield Finding(Fault.UNTUNED, sentence)


def _unequal_seeds(arms: Sequence[ArmFacts]) -> Iterator[Finding]:
    if len({len(arm.seeds) for arm in arms}) > 1:
        yield Finding(Fault.SEEDS, f"Seeds: {_each(arms, lambda arm: str(len(arm.seeds)))}.")
    elif len({arm.seeds for arm in arms}) > 1:
        yield Finding(Fault.SEEDS, f"Not the same seeds: {_each(arms, lambda arm: numbers(arm.seeds))}.")


def _differing_preprocessing(arms: Sequence[ArmFacts]) -> Iterator[Finding]:
    if len({arm.preprocessing for arm in arms}) > 1:
        said = _each(arms, lambda arm: " or ".join(sorted(arm.preprocessing)))
        yield Finding(Fault.PREPROCESSING, f"What is done to the data: {said}.")


def _selection_on_test(arms: Sequence[ArmFacts]) -> Iterator[Finding]:
    for arm in arms:
        for split in sorted(arm.selected_on - {"validation"}):
            yield Finding(Fault.TEST, f"'{arm.name}' selects its setting on '{split}', not on validation data.")
        if max(arm.openings, default=0) > 1:
            times = f"{max(arm.openings)} times in one trial"
            yield Finding(
                Fault.TEST, f"'{arm.name}' opened the test split {times}: it could have chosen by what it saw."
            )
        if arm.uncounted:
            yield Finding(Fault.TEST, f"'{arm.name}' reports test data whose openings were not counted.")


def _single_seeds(arms: Sequence[ArmFacts]) -> Iterator[Finding]:
    for arm in arms:
        if len(arm.seeds) == 1:
            yield Finding(Fault.INTERVAL, f"'{arm.name}' has one seed: it can have no interval.")


def _checks_without_interval(verdict: Verdict | None) -> Iterator[Finding]:
    for check in verdict.checks if verdict else ():
        if check.status is not None and not _has_interval(check.estimate):
            yield Finding(Fault.INTERVAL, f"The check '{check.name}' rests on a number without an interval.")


def _has_interval(estimate: Estimate) -> bool:
    """One-sided intervals count; a width of zero, of NaN, or from −∞ to ∞ does not."""
    return estimate.low < estimate.high and not (math.isinf(estimate.low) and math.isinf(estimate.high))


def _each(arms: Sequence[ArmFacts], say: Callable[[ArmFacts], str]) -> str:
    return ", ".join(f"'{arm.name}' {say(arm)}" for arm in arms)


def numbers(values: frozenset[int]) -> str:
    """Numbers in words: one, where all trials agree.

    >>> numbers(frozenset({8})), numbers(frozenset({8, 4})), numbers(frozenset())
    ('8', '4 or 8', 'not said')
    """
    return " or ".join(str(number) for number in sorted(values)) or "not said"


_LOOKS = (_unequal_budgets, _untuned, _unequal_seeds, _differing_preprocessing, _selection_on_test, _single_seeds)
