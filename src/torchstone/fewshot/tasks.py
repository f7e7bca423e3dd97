"""Training episodes: batches of support and query images for methods that learn to learn, and training on them."""

from pathlib import Path
from typing import NamedTuple, TypedDict, TypeVar

import torch
from jaxtyping import Float, Int, Int64, Shaped
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from torchstone.data import Augment, stream
from torchstone.fewshot.classifier import Trained
from torchstone.fewshot.episodes import Episodes
from torchstone.fewshot.inputs import check_labelled, floats, steps_within
from torchstone.fewshot.rfs import Progress
from torchstone.training import Player, fit

M = TypeVar("M", bound=nn.Module)


class Tasks(NamedTuple):
    """t episodes of images; labels are the same in all of them."""

    support: Float[Tensor, "t s ..."]
    support_labels: Int64[Tensor, " s"]
    query: Float[Tensor, "t q ..."]
    query_labels: Int64[Tensor, " q"]


class Place(TypedDict):
    """Keyword arguments of ``Tensor.to``."""

    device: torch.device
    dtype: torch.dtype


class TaskBatches:
    """Episodes of base classes as batches for :func:`torchstone.training.fit`, a function of seed and step.

    Args:
        images: (n, c, h, w); uint8 is divided by 255.
        labels: (n,), base classes.
        budget: images shown in all, support and query alike; whole steps only.
        ways: classes in an episode.
        shots: supports of each class.
        queries: queries of each class.
        tasks: episodes in a step.
        seed: of episodes and augmentation.
        augment: a random change of all images of a step.
        device: where batches are delivered.
        dtype: of the images delivered.

    >>> x, y = torch.zeros(40, 1, 4, 4), torch.arange(40) // 4
    >>> batches = TaskBatches(x, y, budget=99, ways=5, shots=1, queries=3, seed=0)
    >>> batches.steps, batches.images_seen, batches.at(3).query.shape
    (4, 80, torch.Size([1, 15, 1, 4, 4]))
    """

    def __init__(
        self,
        images: Shaped[Tensor, "n ..."],
        labels: Int[Tensor, " n"],
        *,
        budget: int,
        ways: int,
        shots: int,
        queries: int,
        tasks: int = 1,
        seed: int,
        augment: Augment | None = None,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        check_labelled(images, labels)
        if tasks < 1:
            raise ValueError(f"`tasks`, the episodes in a step, must be at least 1, but is {tasks}.")
        self.steps = steps_within(budget, tasks * ways * (shots + queries))
        self.episodes = Episodes(labels, ways, shots, queries, count=self.steps * tasks, seed=seed)
        self.images_seen = self.steps * tasks * self.episodes.images_each
        self.images, self.tasks, self.seed, self.augment = images, tasks, seed, augment
        self.device, self.dtype = device, dtype

    def at(self, step: int) -> Tasks:
        """The episodes of a step, counted from 0."""
        drawn = [self.episodes.at(self.tasks * step + task) for task in range(self.tasks)]
        rows = torch.stack([torch.cat([episode.support, episode.query]) for episode in drawn])  # (t, s + q)
        x = floats(self.images[rows.flatten().to(self.images.device)])
        x = (self.augment(x, stream(self.seed, "task", (step,))) if self.augment else x).to(self.device, self.dtype)
        support_labels, query_labels = drawn[0].support_labels.to(self.device), drawn[0].query_labels.to(self.device)
        support, query = x.unflatten(0, rows.shape).split([len(support_labels), len(query_labels)], dim=1)  # type: ignore[no-untyped-call]
        return Tasks(support, support_labels, query, query_labels)


def train_on_tasks(
    model: M, batches: TaskBatches, rate: float, checkpoint: str | Path | None, progress: Progress | None
) -> Trained[M]:
    """Train a model that gives the logits of queries (t, q, c) for :class:`Tasks`, by Adam on their cross-entropy."""

    def objective(tasks: Tasks) -> dict[str, Tensor]:
        logits = model(tasks).flatten(0, 1)  # (t q, c)
        answers = tasks.query_labels.repeat(len(tasks.query))
        return {"loss": cross_entropy(logits, answers), "accuracy": (logits.argmax(1) == answers).float().mean()}

    player = Player(model, objective, torch.optim.Adam(model.parameters(), rate))
    history = fit(player, batches, steps=batches.steps, seed=batches.seed, checkpoint=checkpoint, progress=progress)
    return Trained(model, history, batches.images_seen)


def place_of(model: nn.Module) -> Place:
    """Where the parameters of a model are and of which dtype; images must be there to meet them."""
    parameter = next(model.parameters(), torch.zeros(0))
    return {"device": parameter.device, "dtype": parameter.dtype}
