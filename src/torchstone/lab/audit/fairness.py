"""What would make a comparison unfair, found in its plan or in its records."""

from collections.abc import Sequence
from dataclasses import dataclass

from torchstone.lab.audit.arms import ArmFacts, Subject, arm_facts, study_of
from torchstone.lab.audit.faults import Finding, between, within
from torchstone.lab.run import Run
from torchstone.lab.verdict import Verdict


def audit(subject: Subject, *, scale: str = "laptop", verdict: Verdict | None = None) -> list[Finding]:
    """List what would make a comparison unfair; an empty list says that nothing was found, not that all is well.

    Budgets, seeds and preprocessing must be alike for the arms that are compared. A study says which these are:
    ``compares = ("ours", "theirs")``. Without that, they are all of its arms if one of them is searched, and none if
    none is: arms may differ on purpose, as in an ablation. Of records alone, all arms are compared.

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
        The findings: an arm that is to be compared and has no trial, unequal budgets of settings or steps, an arm that
        is not tuned while others are, fewer or other seeds in one arm, differing preprocessing, selection on the test
        split or more than one look at it for a trial, and checks or arms that cannot have an interval.

    Raises:
        ValueError: there is nothing to look at, or the study has no such scale.

    Example:
        >>> from torchstone.lab import Record, Trial
        >>> trials = [Trial("ours", seed, {"steps": 900}) for seed in (0, 1)]
        >>> trials += [Trial("theirs", seed, {"steps": 300}) for seed in (0, 1)]
        >>> for finding in audit([Record(trial, {}, {}, 1.0) for trial in trials]):
        ...     print(f"{finding.fault}: {finding.sentence}")
        unequal budgets: Steps of optimization: 'ours' 900, 'theirs' 300.

    Paper: Musgrave, Belongie & Lim (2020), A metric learning reality check, arXiv:2003.08505, section 2 (the flaws).
    Differs from the paper: trunks, sizes of embeddings and tricks are seen only where ``preprocessing`` names them.
    """
    study, arms = study_of(subject), arm_facts(subject, scale)
    compared = [arm for arm in arms if arm.compared]
    verdict = subject.verdict if isinstance(subject, Run) else verdict
    return [*between(compared, study.compares if study else ()), *within(arms, verdict)]


@dataclass(frozen=True)
class Fairness:
    """What a report says of a comparison: each arm, how often the test split was opened, and what the audit found."""

    arms: Sequence[ArmFacts]
    openings: int | None
    findings: Sequence[Finding]


def fairness(run: Run) -> Fairness | None:
    """What to say of how fair ``run`` was; ``None`` where no arms are compared and no test split was sealed."""
    arms = arm_facts(run) if run.records else []
    counts = [count for arm in arms for count in arm.openings]
    if not counts and not any(arm.compared for arm in arms):
        return None
    return Fairness(arms, sum(counts) if counts else None, audit(run))
