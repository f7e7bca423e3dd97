"""The losses with what is searched of each: recipes for :mod:`torchstone.lab.search`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, make_dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

from torch import nn

from torchstone.lab import Trial
from torchstone.lab.search import Budget, integer, linear, log, tuned_arms
from torchstone.metric import LOSSES, WEIGHT_RATE, Range
from torchstone.studies.metric.tasks import Task

RATE = "weight_rate"
OLD = ("contrastive", "triplet")
NEW = ("nt_xent", "multi_similarity", "normalized_softmax", "arcface")
NARROW: Mapping[str, Mapping[str, tuple[float, float]]] = MappingProxyType(
    {
        "contrastive": {"pos_margin": (-0.2, 0.6), "neg_margin": (0.3, 1.3)},
        "triplet": {"margin": (0.0, 0.6)},
        "nt_xent": {"temperature": (0.01, 1.0)},
        "multi_similarity": {"alpha": (0.5, 50), "beta": (5, 100), "base": (0.2, 0.9)},
        "normalized_softmax": {"temperature": (0.02, 1.0), RATE: (1e-3, 1.0)},
        "arcface": {"angle": (0, 40), "scale": (3, 100), RATE: (1e-3, 1.0)},
    }
)
"""The parts of the paper's ranges that a search of a few settings can cover: around the best values of the paper."""


@dataclass(frozen=True)
class Size:
    """The tasks, the losses, and what each loss may spend on each task.

    Args:
        tasks: what is learned.
        losses: their names in :data:`~torchstone.metric.LOSSES`.
        budget: settings of each search, steps of each training, seeds.
        narrow: whether the ranges of :data:`NARROW` are searched instead of the paper's.
    """

    tasks: Sequence[Task]
    losses: Sequence[str]
    budget: Budget
    narrow: bool = True


def tuned_trials(size: Size) -> list[Trial]:
    """A search for each task, loss and seed; those of a seed come one after another."""
    recipes = {loss: recipe_of(loss, narrow=size.narrow) for loss in size.losses}
    arms = tuned_arms(recipes, size.budget)
    return [
        Trial(trial.arm, seed, {**trial.config, "narrow": size.narrow, "task": vars(task)})
        for seed in range(size.budget.seeds)
        for task in size.tasks
        for trial in arms
        if trial.seed == seed
    ]


@cache
def recipe_of(loss: str, *, narrow: bool) -> type[Any]:
    """The frozen dataclass of what is searched of a loss, the learning rate of its own weights included.

    >>> recipe_of("triplet", narrow=True)()
    triplet(margin=0.05)
    """
    narrowed = NARROW[loss] if narrow else {}
    spans = {name: (span, *narrowed.get(name, (span.low, span.high))) for name, span in space_of(loss).items()}
    members = [(name, float, _range(*each)) for name, each in spans.items()]
    return make_dataclass(loss, members, frozen=True)


def space_of(loss: str) -> dict[str, Range]:
    """The paper's range of each hyperparameter of a loss."""
    row = LOSSES[loss]
    return {**row.space, **({RATE: WEIGHT_RATE} if row.weights else {})}


def untuned(loss: str) -> dict[str, float]:
    """The settings that pytorch-metric-learning comes with."""
    return {name: span.default for name, span in space_of(loss).items()}


def loss_of(loss: str, setting: Mapping[str, float], *, classes: int, dim: int, seed: int) -> tuple[nn.Module, float]:
    """The loss with a setting, and the learning rate of its own weights."""
    own = {name: value for name, value in setting.items() if name != RATE}
    return LOSSES[loss].make(classes, dim, seed=seed, **own), setting.get(RATE, 0.0)


def _range(span: Range, low: float, high: float) -> Any:
    default = min(max(span.default, low), high)
    if span.integer:
        return integer(int(low), int(high), log=span.log, default=int(default))
    return (log if span.log else linear)(low, high, default=default)
