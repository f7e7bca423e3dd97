"""What a reality check found: a row for each method, and the answer for two of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from torchstone.lab.reality_check.stages import Chosen, values_of
from torchstone.lab.statistics import mean_interval, paired_difference
from torchstone.lab.study import Record
from torchstone.lab.verdict import Estimate, Status, decide

SCORES = ("concatenated", "separated")


class Answer(StrEnum):
    """How one method compares with another."""

    BETTER = "better"
    WORSE = "worse"
    EQUIVALENT = "equivalent"
    UNDECIDED = "undecided"


ANSWERS = {
    Status.CONFIRMED: Answer.BETTER,
    Status.WEAKER: Answer.BETTER,
    Status.OPPOSITE: Answer.WORSE,
    Status.ABSENT: Answer.EQUIVALENT,
    Status.INCONCLUSIVE: Answer.UNDECIDED,
}


@dataclass(frozen=True)
class Row:
    """What was found of one method.

    Args:
        method: its name.
        separated: the test score of single models, with a 95 % interval over reproductions.
        concatenated: that of the embeddings of all folds side by side.
        setting: the chosen values by name; empty for a control.
        validation: the score that it was chosen for; ``None`` for a control.
        seconds: what its reproductions took together.
    """

    method: str
    separated: Estimate
    concatenated: Estimate
    setting: Mapping[str, Any]
    validation: float | None
    seconds: float

    def __str__(self) -> str:
        """One line: both test scores and the setting."""
        setting = ", ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in self.setting.items())
        scores = f"separated {_words(self.separated)}, concatenated {_words(self.concatenated)}"
        return f"{self.method}: {scores}" + (f" ({setting})" if setting else "")


@dataclass(frozen=True)
class Comparison:
    """Two methods, paired by seed.

    Args:
        a: the one.
        b: the other.
        answer: what ``a`` is, compared with ``b``.
        difference: the mean of a - b with its 95 % interval.
        zone: within which they count as equivalent.
    """

    a: str
    b: str
    answer: Answer
    difference: Estimate
    zone: float

    def __str__(self) -> str:
        """One line: the answer, and what it rests on."""
        return f"{self.a} - {self.b}: {_words(self.difference)}, zone {self.zone:g}: {self.answer}"


def rows(records: Sequence[Record], chosen: Mapping[str, Chosen]) -> list[Row]:
    """A row for each arm, in the order of the records."""
    separated, whole = (values_of(records, name) for name in ("separated", "concatenated"))
    return [
        Row(
            arm,
            mean_interval(separated[arm]),
            mean_interval(whole[arm]),
            chosen[arm].setting if arm in chosen else {},
            chosen[arm].best if arm in chosen else None,
            sum(record.seconds for record in records if record.trial.arm == arm),
        )
        for arm in dict.fromkeys(record.trial.arm for record in records)
    ]


def comparison(records: Sequence[Record], a: str, b: str, zone: float, embeddings: str) -> Comparison:
    """``a`` against ``b`` by the laboratory's rule, which asks first whether they are equivalent."""
    if embeddings not in SCORES:
        raise ValueError(f"embeddings must be one of {', '.join(SCORES)}, but it is {embeddings!r}.")
    by_arm = values_of(records, embeddings)
    for name, arm in (("a", a), ("b", b)):
        if arm not in by_arm:
            raise ValueError(f"{name} must be one of {', '.join(by_arm)}, but it is {arm!r}.")
    if a == b:
        raise ValueError(f"a and b must be two methods, but both are {a!r}.")
    difference = paired_difference(by_arm[a], by_arm[b])
    return Comparison(a, b, ANSWERS[decide(difference, zone, zone)], difference, zone)


def _words(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"
