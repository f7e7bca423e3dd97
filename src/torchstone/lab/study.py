"""A study: a claim with the four pure parts that test it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from torchstone.lab.claim import Claim
from torchstone.lab.divergence import NoMetrics, NoTensors, divergence
from torchstone.lab.verdict import Verdict

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Json = str | int | float | bool | None | Sequence["Json"] | Mapping[str, "Json"]


@dataclass(frozen=True)
class Trial:
    """One thing to run: an arm of the comparison, a seed, and what else the run depends on.

    ``config`` is made of JSON values; ``run`` and ``judge`` see it as JSON gives it back, a tuple as a list.
    """

    arm: str
    seed: int
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Context:
    """What a trial may use but must not depend on: a device, a folder for checkpoints, a way to report progress.

    Args:
        device: where tensors go.
        scratch: a folder of this trial's own; it survives a kill and goes when the trial has finished.
        progress: called with the fraction done in [0, 1] and a short note.
    """

    device: "torch.device"
    scratch: Path
    progress: Callable[[float, str], None] = lambda fraction, note: None


@dataclass(frozen=True)
class Outcome:
    """What a trial found: metrics (numbers) and artifacts (tensors)."""

    metrics: Mapping[str, float] = field(default_factory=dict)
    artifacts: "Mapping[str, Tensor]" = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Record:
    """A finished trial with its outcome and its cost; by its ``id`` ``torchstone reproduce`` finds it in a store.

    One that diverged is a record, too: see :mod:`torchstone.lab.divergence`.
    """

    trial: Trial
    metrics: Mapping[str, float]
    artifacts: "Mapping[str, Tensor]"
    seconds: float
    id: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.metrics, NoMetrics):
            object.__setattr__(self, "artifacts", NoTensors(self.metrics.reason))

    @property
    def diverged(self) -> str:
        """Why the trial counts as diverged; empty for one that does not."""
        return divergence(self.metrics)


@dataclass(frozen=True)
class Figure:
    """A picture for the report: a title, a caption that says what to see, and the drawing as SVG."""

    title: str
    caption: str
    svg: str


class Unavailable(Exception):
    """Raise it in ``Study.run`` when this machine lacks what the trial needs, such as a data set.

    The trial is left out of the run: it is neither recorded nor failed. Say what is missing and how to get it.
    """


class Study(ABC):
    """A claim and its test: subclass it, give ``claim`` and ``scales``, write the four parts. No registration.

    ``scales`` maps ``smoke``, ``laptop`` and ``paper`` to what ``trials`` needs to know (usually a frozen dataclass).
    A study whose trials are themselves distributed says ``processes = n``: each trial is then n processes of one
    machine, started by torchrun. ``run`` is called in each of them, in a process group of ``torch.distributed`` (gloo
    on the CPU, nccl on GPUs), with one seed and one scratch folder for all; the outcome of rank 0 is that of the trial.

    A study that compares arms says which: ``compares = ("ours", "baseline")``. The audit, which the report shows, sees
    that these get the same budget, seeds and preprocessing. Arms that differ on purpose are left out of it. Where arms
    are searched, all arms are compared unless ``compares`` says otherwise.
    """

    claim: ClassVar[Claim]
    scales: ClassVar[Mapping[str, Any]]
    processes: ClassVar[int] = 1
    compares: ClassVar[Sequence[str]] = ()

    @abstractmethod
    def trials(self, scale: Any) -> Sequence[Trial]:
        """What will be run, before anything is; fixed by the scale and nothing else."""

    @abstractmethod
    def run(self, trial: Trial, context: Context) -> Outcome:
        """Run one trial: a function of the trial alone."""

    @abstractmethod
    def judge(self, records: Sequence[Record]) -> Verdict:
        """The decision rule, written before the results were seen."""

    def power(self, scale: Any) -> Mapping[str, float]:
        """How likely each check is to confirm, were the effect what one hopes for; nothing where that is not said.

        Shown before the trials run and in the report. :func:`torchstone.lab.statistics.power` computes it, and
        :func:`~torchstone.lab.statistics.seeds_needed` how many seeds to plan.
        """
        return {}

    def figures(self, records: Sequence[Record]) -> Sequence[Figure]:
        """What a person would rather look at than read."""
        return ()
