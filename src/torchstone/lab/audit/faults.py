"""The faults that make a comparison unfair, one function for each."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from torchstone.lab.audit.arms import ArmFacts, numbers
from torchstone.lab.verdict import Estimate, Verdict


class Fault(StrEnum):
    """What may be unfair in a comparison."""

    MISSING = "a missing arm"
    BUDGET = "unequal budgets"
    UNTUNED = "an untuned arm"
    SEEDS = "unequal seeds"
    PREPROCESSING = "differing preprocessing"
    TEST = "selection on test"
    INTERVAL = "missing interval"
    CLASSES = "shared classes"
    EMBEDDING = "differing embeddings"


@dataclass(frozen=True)
class Finding:
    """A fault, and a sentence that says where it is."""

    fault: Fault
    sentence: str

    def __str__(self) -> str:
        return f"{self.fault.value}: {self.sentence}"


def between(arms: Sequence[ArmFacts], names: Sequence[str]) -> list[Finding]:
    """What is unfair between arms that are compared: one of ``names`` is missing, or one of ``arms`` gets less."""
    missing = [name for name in names if name not in {arm.name for arm in arms}]
    found = [Finding(Fault.MISSING, f"'{name}' is to be compared, but it has no trial here.") for name in missing]
    looks = (_unequal_budgets, _untuned, _unequal_seeds, _differing_preprocessing, _single_seeds)
    return found + [finding for look in looks for finding in look(arms)]


def within(arms: Sequence[ArmFacts], verdict: Verdict | None) -> list[Finding]:
    """What is unfair whatever is compared: a look at the test split before the choice, a check without interval."""
    return [*_selection_on_test(arms), *_checks_without_interval(verdict)]


def _unequal_budgets(arms: Sequence[ArmFacts]) -> Iterator[Finding]:
    tuned = [arm for arm in arms if not arm.control]
    if len({arm.settings for arm in tuned}) > 1:
        yield Finding(Fault.BUDGET, f"Settings tried for a seed: {_each(tuned, lambda arm: numbers(arm.settings))}.")
    if len({arm.steps for arm in tuned}) > 1:
        yield Finding(Fault.BUDGET, f"Steps of optimization: {_each(tuned, lambda arm: numbers(arm.steps))}.")


def _untuned(arms: Sequence[ArmFacts]) -> Iterator[Finding]:
    most = max((max(arm.settings) for arm in arms), default=1)
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
    something_is_selected = any(arm.searched for arm in arms)
    for arm in arms:
        for split in sorted(arm.selected_on - {"validation"}):
            yield Finding(Fault.TEST, f"'{arm.name}' selects its setting on '{split}', not on validation data.")
        if max(arm.openings, default=0) > 1:
            times = f"{max(arm.openings)} times in one trial"
            yield Finding(
                Fault.TEST, f"'{arm.name}' opened the test split {times}: it could have chosen by what it saw."
            )
        if arm.uncounted and something_is_selected:
            yield Finding(Fault.TEST, f"'{arm.name}' reports test data whose openings were not counted.")


def _single_seeds(arms: Sequence[ArmFacts]) -> Iterator[Finding]:
    for arm in arms:
        if len(arm.seeds) == 1:
            yield Finding(Fault.INTERVAL, f"'{arm.name}' has one seed: it can have no interval.")


def _checks_without_interval(verdict: Verdict | None) -> Iterator[Finding]:
    for check in verdict.checks if verdict else ():
        if check.status is not None and not _has_interval(check.estimate):
            yield Finding(Fault.INTERVAL, f"The check '{check.name}' rests on one number, or on seeds that all agree.")


def _has_interval(estimate: Estimate) -> bool:
    """One-sided intervals count; a width of zero, of NaN, or from −∞ to ∞ does not."""
    return estimate.low < estimate.high and not (math.isinf(estimate.low) and math.isinf(estimate.high))


def _each(arms: Sequence[ArmFacts], say: Callable[[ArmFacts], str]) -> str:
    return ", ".join(f"'{arm.name}' {say(arm)}" for arm in arms)
