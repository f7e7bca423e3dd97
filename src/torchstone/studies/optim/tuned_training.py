"""Networks trained by learning rules that are tuned with equal budgets: the searches, and what each of them reports."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler

from torchstone.data import Batches, ImageSet
from torchstone.lab import Check, Context, Outcome, Record, Sealed, Splits, Trial
from torchstone.lab.search import Attempt, Budget, tune, tuned_arms
from torchstone.lab.statistics import mean_interval
from torchstone.optim import InverseSqrt
from torchstone.studies.optim.small_networks import accuracy_and_loss
from torchstone.studies.optim.tuned_tasks import Task, network_of, pictures_of
from torchstone.training import History, Player, fit

BINS = 60  # of the curve of training losses
OFTEN = 1000  # steps between checkpoints

Table = Mapping[str, Mapping[str, Sequence[Record]]]
"""Of each task and arm: its records, the same seeds in the same order for all of them."""


@dataclass(frozen=True)
class Size:
    """The tasks, and what each learning rule may spend on each of them."""

    tasks: tuple[Task, ...]
    budget: Budget


class Rule(Protocol):
    """A learning rule with ranges: a frozen dataclass of :mod:`torchstone.lab.search`."""

    def optimizer(self, parameters: Any) -> torch.optim.Optimizer:
        """The rule with its settings."""


R = TypeVar("R", bound=Rule)

SCHEDULES: Mapping[str, Callable[[torch.optim.Optimizer, int], LRScheduler | None]] = {
    "constant": lambda optimizer, steps: None,
    "inverse sqrt": lambda optimizer, steps: InverseSqrt(optimizer),
    "cosine": CosineAnnealingLR,
}


def tuned_trials(recipes: Mapping[str, type], size: Size, *, direction: str) -> list[Trial]:
    """A search for each task, rule and seed; those of a seed come one after another."""
    arms = tuned_arms(recipes, size.budget, direction=direction)
    return [
        Trial(trial.arm, seed, {**trial.config, "task": vars(task)})
        for seed in range(size.budget.seeds)
        for task in size.tasks
        for trial in arms
        if trial.seed == seed
    ]


def tuned_outcome(recipe: type[R], trial: Trial, context: Context) -> Outcome:
    """Search, then train with the best setting once more and open the test split for it.

    Settings are compared by their loss on the validation split where the trial says ``minimize``, by their accuracy
    where it says ``maximize``. Metrics: loss and accuracy on each split, and those of the search; artifacts: the curve
    of training losses, and those of the search.
    """
    task, plan, device = Task(**trial.config["task"]), trial.config["search"], context.device
    (train, validation), test = pictures_of(task, trial.seed)
    splits = Splits(train, validation, Sealed(test, context.scratch / "looks"))

    def objective(attempt: Attempt[R, ImageSet]) -> float:
        accuracy, loss = accuracy_and_loss(trained(task, attempt, device)[0], attempt.validation, device)
        return accuracy if plan["direction"] == "maximize" else loss

    found = tune(recipe, objective, splits, trial, context)
    folder, progress = context.scratch / "final", context.progress
    final = Attempt(0, found.best, train, validation, plan["steps"], trial.seed, folder, progress)
    network, history = trained(task, final, device)
    metrics: dict[str, float] = {}
    parts = {"train": train, "validation": validation, "test": splits.test.open("the chosen setting")}
    for name, part in parts.items():
        metrics[f"{name}_accuracy"], metrics[f"{name}_loss"] = accuracy_and_loss(network, part, device)
    curve = binned(history.metrics["player/loss"])
    return Outcome({**metrics, **splits.test.metrics, **found.metrics}, {"loss": curve, **found.artifacts})


def trained(task: Task, attempt: Attempt[R, ImageSet], device: torch.device) -> tuple[nn.Module, History]:
    """A network trained with the attempt's setting; initial weights and batches depend on the seed alone."""
    pictures = attempt.train
    network = network_of(task, pictures, attempt.seed).to(device)
    optimizer = attempt.recipe.optimizer(network.parameters())
    player = Player(
        network,
        lambda batch: cross_entropy(network(batch[0]), batch[1]),
        optimizer,
        scheduler=SCHEDULES[task.schedule](optimizer, attempt.steps),
    )
    batches = Batches(pictures.images, pictures.labels, size=task.batch, seed=attempt.seed, device=device)
    resume: dict[str, Any] = {"checkpoint": attempt.scratch, "every": OFTEN} if attempt.steps > OFTEN else {}
    history = fit(player, batches, steps=attempt.steps, seed=attempt.seed, progress=attempt.progress, **resume)
    return network, history


def binned(losses: Float[Tensor, " t"]) -> Float[Tensor, " k"]:
    """A curve of at most ``BINS`` points: the mean loss of each stretch of training."""
    return torch.stack([stretch.mean() for stretch in losses.tensor_split(min(BINS, len(losses)))])


def table_of(records: Sequence[Record], arms: Sequence[str]) -> Table:
    """The records by task and arm; a seed that lacks one of them is left out, as is a task without records."""
    found: dict[str, dict[int, dict[str, Record]]] = {}
    for record in records:
        found.setdefault(label(record), {}).setdefault(record.trial.seed, {})[record.trial.arm] = record
    whole = [{seed for seed, by_arm in by_seed.items() if set(arms) <= set(by_arm)} for by_seed in found.values()]
    seeds = sorted(set.intersection(*whole))
    return {task: {arm: [by_seed[seed][arm] for seed in seeds] for arm in arms} for task, by_seed in found.items()}


def label(record: Record) -> str:
    """The task in words."""
    task = record.trial.config["task"]
    return f"{task['pictures'].replace('_', '-')}, {task['network']}"


def metric(records: Sequence[Record], name: str) -> Float[np.ndarray, " k"]:
    """A metric of each record; NaN where it diverged."""
    return np.array([record.metrics[name] for record in records])


def spread(means: Mapping[str, float], form: str) -> str:
    """The least and the greatest of some means in words.

    >>> spread({"a": 1.0, "b": -0.5}, "+.1f")
    'task by task from -0.5 (b) to +1.0 (a)'
    """
    least, greatest = (pick(means, key=means.__getitem__) for pick in (min, max))
    return f"task by task from {means[least]:{form}} ({least}) to {means[greatest]:{form}} ({greatest})"


def place_of_rate(record: Record) -> float:
    """Where the best learning rate lies in its range, on a logarithmic scale: 0 is the lower end, 1 the upper."""
    span = record.trial.config["search"]["space"]["lr"]
    return float(np.log(record.metrics["best/lr"] / span["low"]) / np.log(span["high"] / span["low"]))


def edges(table: Table) -> list[Check]:
    """For each arm the share of its searches that found nothing worse beyond their best learning rate.

    A range that holds the best rate leaves this near 0; a search that diverged counts.
    """
    by_arm: dict[str, list[bool]] = {}
    for of in table.values():
        for arm, records in of.items():
            by_arm.setdefault(arm, []).extend(at_edge(record) for record in records)
    return [
        Check.report(
            f"{arm.replace('_', ' ')}: searches whose best rate lay at an edge, share",
            mean_interval(np.array(found, float)),
        )
        for arm, found in by_arm.items()
    ]


def at_edge(record: Record) -> bool:
    """Whether the best rate lay in the outermost stretch of the range, of as many as there were settings."""
    share = 1 / record.trial.config["search"]["settings"]
    return not share <= place_of_rate(record) <= 1 - share
