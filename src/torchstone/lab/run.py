"""What a run of a study is, and what it tells while it goes on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torchstone.lab.study import Record, Study, Trial
from torchstone.lab.verdict import Verdict


@dataclass(frozen=True)
class Run:
    """A study that has been run at one scale.

    Args:
        study: the study.
        scale: ``smoke``, ``laptop`` or ``paper``.
        seed: the block of seeds (``--seed``); block 0 is the default.
        records: every finished trial, in the order of ``study.trials``; those that were skipped are not among them.
        verdict: the answer; ``None`` at the scale ``smoke``, which is too small to be judged.
        seconds: wall-clock seconds of this run, without the trials that were already on record.
        environment: versions, threads, processor, commit and dirty flag, by name.
    """

    study: Study
    scale: str
    seed: int
    records: Sequence[Record]
    verdict: Verdict | None
    seconds: float
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Event:
    """Something that happened to a trial.

    Args:
        kind: ``reused`` (it was on record), ``started``, ``progress``, ``finished``, ``failed``, or ``skipped``
            (this machine lacks what it needs).
        index: its place in ``study.trials``; ``total`` trials in all.
        fraction: how much of it is done, in [0, 1].
        note: a few words, such as ``step 300/1800``; why a trial failed, was skipped, or, when it has finished or is
            reused, why it counts as diverged.
    """

    kind: str
    trial: Trial
    index: int
    total: int
    fraction: float = 0.0
    note: str = ""
