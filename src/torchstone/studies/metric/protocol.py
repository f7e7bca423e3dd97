"""The fair protocol for one loss: search on validation folds, fresh models with what was found, and the controls."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import normalize

from torchstone.data import ImageSet
from torchstone.lab import Context
from torchstone.lab.search import Attempt
from torchstone.metric import ClassBalancedBatches
from torchstone.nets import seeded
from torchstone.studies.metric.tasks import Parts, Task
from torchstone.studies.metric.training import embedded, map_at_r, network_of, seed_for, trained, worth

WARMING = 20  # batches that an untrained network's normalisations see


@dataclass(frozen=True)
class Protocol:
    """What all trainings of a trial share."""

    task: Task
    parts: Parts
    loss: str
    context: Context

    @property
    def folds(self) -> int:
        """How many models an embedding has."""
        return len(self.parts.folds)

    def train(self, fold: int, setting: Mapping[str, float], **how: Any) -> nn.Module:
        """A network trained on a fold; ``how`` is what else :func:`~.trained` takes."""
        return trained(self.task, self.parts, fold, self.loss, setting, device=self.context.device, **how)

    def objective(self, attempt: Attempt[Any, Any]) -> float:
        """The mean over folds of MAP@R on classes that the fold did not learn from."""
        scores = []
        for fold, (_, validation) in enumerate(self.parts.folds):
            network = self.train(
                fold,
                vars(attempt.recipe),
                steps=attempt.steps,
                seed=seed_for(attempt.seed, "search", fold),
                scratch=attempt.scratch / f"fold-{fold}",
                progress=partial(share, attempt.progress, fold, self.folds),
            )
            scores.append(map_at_r(embedded(network, validation, self.context.device), validation))
        return math.fsum(scores) / len(scores)

    def fresh(self, name: str, setting: Mapping[str, float], steps: int, seed: int) -> list[nn.Module]:
        """A model for each fold, with random numbers that no search has seen; the same for all losses and settings."""
        return [
            self.train(
                fold,
                setting,
                steps=steps,
                seed=seed_for(seed, "fresh", fold),
                scratch=self.context.scratch / f"{name}-{fold}",
                progress=partial(share, self.context.progress, fold, self.folds),
            )
            for fold in range(self.folds)
        ]

    def worth(self, networks: Sequence[nn.Module], pictures: ImageSet) -> dict[str, float]:
        """What the models of all folds are worth on the test classes."""
        return worth([embedded(network, pictures, self.context.device) for network in networks], pictures)


def share(progress: Callable[[float, str], None], k: int, n: int, fraction: float, note: str) -> None:
    """Say the progress of the k-th of n equal parts as that of the whole."""
    progress((k + fraction) / n, note)


def pixels(pictures: ImageSet, device: torch.device) -> Float[Tensor, "n d"]:
    """The pictures themselves, brought to length 1."""
    return normalize(pictures.floats().flatten(1).to(device))


def untrained_network(task: Task, parts: Parts, fold: int, seed: int, device: torch.device) -> nn.Module:
    """A network that has learned nothing; only its normalisations have seen pictures of the fold."""
    pictures = parts.folds[fold].train
    network = network_of(task, pictures, seed_for(seed, "fresh", fold)).to(device)
    classes = min(8, len(pictures.classes))
    batches = ClassBalancedBatches(
        pictures.images, pictures.labels, classes=classes, instances=8, seed=seed, device=device
    )
    network.train()
    with seeded(seed), torch.no_grad():  # dropout draws
        for step in range(WARMING):
            network(batches.at(step)[0])
    return network.eval()
