"""Diverged trials: the laboratory keeps them, says so, and lets nothing that they did not measure pass for a number.

A trial has diverged when it raised a ``FloatingPointError`` (as ``fit`` does when a loss is not finite) or when a
metric that it gave is not finite. It is on record like any other, and it counts:

* Every metric of a trial that raised reads as NaN, whatever its name. An estimate with a NaN among its observations has
  an interval of NaN, and a check on that is *inconclusive*: it can not confirm.
* A rule that asks for the tensors of a trial that raised is stopped by :class:`Diverged`: the verdict is
  *inconclusive*.
* A study may say beforehand what a diverged trial counts as, by :func:`torchstone.lab.statistics.worst_for_diverged` in
  ``judge``: the worst result of the comparison, which counts against its arm.
* Each arm with diverged trials has a row in the table of checks that tells how many.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

from torchstone.lab.verdict import Check, Estimate, Status, Verdict

if TYPE_CHECKING:
    from torch import Tensor

    from torchstone.lab.study import Figure, Record, Study

ROW = "diverged trials"


class Diverged(FloatingPointError):
    """Raise it in ``Study.run`` when training came to nothing; any other ``FloatingPointError`` counts as well.

    The tensors of a trial that diverged raise it when they are asked for.
    """


class NoMetrics(dict[str, float]):
    """The metrics of a trial that diverged: none, for a ``reason``; each reads as NaN.

    >>> metrics = NoMetrics("The loss was inf at step 7")
    >>> metrics["accuracy"], len(metrics), "accuracy" in metrics
    (nan, 0, False)
    """

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason

    def __missing__(self, name: str) -> float:
        return math.nan


class NoTensors(dict[str, "Tensor"]):
    """The tensors of a trial that diverged: none, for a ``reason``, which is raised when one is asked for."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason

    def __missing__(self, name: str) -> NoReturn:
        raise Diverged(f"There is no tensor '{name}' of a trial that diverged: {self.reason}.")


def reason_of(error: FloatingPointError) -> str:
    """The first sentence of what went wrong: what follows may be advice, and where things lay on one machine.

    >>> reason_of(Diverged("The loss was nan. A smaller learning rate may help."))
    'The loss was nan'
    """
    return str(error).partition(". ")[0].rstrip(".") or type(error).__name__


def divergence(metrics: Mapping[str, float]) -> str:
    """Why a trial with these metrics has diverged; empty for one that has not.

    >>> divergence({"loss": float("nan"), "accuracy": 0.1}), divergence({"loss": 0.5})
    ('loss is nan', '')
    """
    if isinstance(metrics, NoMetrics):
        return metrics.reason
    return ", ".join(f"{name} is {value}" for name, value in metrics.items() if not math.isfinite(value))


def judge(study: "Study", records: "Sequence[Record]") -> Verdict:
    """The verdict of ``study`` on its records, with a row for each arm that has diverged trials.

    Where the rule needs tensors that diverged trials do not have, the verdict is *inconclusive*.
    """
    rows = _diverged_rows(records)
    try:
        verdict = study.judge(records)
    except Diverged as lack:
        if not rows:
            raise
        verdict = Verdict(Status.INCONCLUSIVE, f"Its rule cannot be applied. {lack}", ())
    return replace(verdict, checks=(*verdict.checks, *rows))


def draw(study: "Study", records: "Sequence[Record]") -> "list[Figure]":
    """The figures of ``study``; none where they need tensors that diverged trials do not have."""
    try:
        return list(study.figures(records))
    except Diverged:
        return []


def _diverged_rows(records: "Sequence[Record]") -> list[Check]:
    diverged = [record.trial.arm for record in records if record.diverged]
    return [_row(arm, diverged.count(arm)) for arm in dict.fromkeys(diverged)]


def _row(arm: str, count: int) -> Check:
    return Check.report(f"{ROW}, {arm}", Estimate(count, count, count))


def tells_of_divergence(check: Check) -> bool:
    """Whether ``check`` is the row of an arm with diverged trials."""
    return check.status is None and check.name.startswith(f"{ROW}, ")
