"""What two few-shot claims share: a task, its base classes, its networks, and what their frozen features are worth."""

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from torchstone.data import ImageSet, stream
from torchstone.fewshot import Episodes, Recipe, evaluate_episodes
from torchstone.fewshot.recipe import Schedule
from torchstone.nets import Conv4, ResNet12
from torchstone.studies.fewshot.pictures import PICTURES, FewShotPictures

GRID = (0.1, 1.0, 10.0, 100.0)  # of C, for the classifiers that have one
PENALISED = ("logistic", "svm")
PAPERS_WIDTHS = (1.0, 2.5, 5.0, 10.0)  # of the blocks of ResNet-12, in units of the first
MOST_QUERIES = 7  # of a class: glyphs have twelve drawings, five of which are supports


@dataclass(frozen=True)
class Task:
    """A data set, how many of its base classes are trained on, and how.

    Args:
        pictures: a key of ``PICTURES``.
        side: of the pictures, in pixels.
        classes: base classes, or all if there are fewer.
        network: ``"conv4"`` or ``"resnet12"``.
        width: channels of the first block.
        drop: rate of dropout and DropBlock, in ResNet-12.
        steps: of training.
        batch: images in a step.
        rate: learning rate.
        schedule: how it falls; see :class:`torchstone.fewshot.Recipe`.
    """

    pictures: str
    side: int
    classes: int
    network: str
    width: int
    drop: float
    steps: int
    batch: int
    rate: float
    schedule: Schedule

    @classmethod
    def of(cls, config: Any) -> "Task":
        """The task in the config of a trial, which may hold more."""
        return cls(**{name: config[name] for name in cls.__dataclass_fields__})

    @property
    def config(self) -> dict[str, Any]:
        """As the config of a trial."""
        return asdict(self)

    @property
    def recipe(self) -> Recipe:
        """How its networks are trained."""
        return Recipe(rate=self.rate, batch_size=self.batch, schedule=self.schedule)

    def build(self, channels: int, seed: int) -> nn.Module:
        """A network with fresh weights."""
        if self.network == "conv4":
            return Conv4(self.width, channels=channels, seed=seed)
        widths = [round(self.width * times) for times in PAPERS_WIDTHS]
        return ResNet12(channels=channels, widths=widths, drop=self.drop, seed=seed)


@lru_cache(maxsize=1)
def pictures_of(name: str, split: int, side: int) -> FewShotPictures:
    """The pictures of a split, kept for the next trial of the same seed."""
    return PICTURES[name](split, side)


def base_classes(base: ImageSet, classes: int, seed: int) -> ImageSet:
    """Some of the base classes, drawn by ``seed``; all of them if there are no more."""
    drawn = torch.randperm(len(base.classes), generator=stream(seed, "base classes"))[:classes]
    return base.subset(torch.isin(base.labels, drawn))


def chosen_c(
    head: str, features: Float[Tensor, "n d"], episodes: Episodes, *, l2: bool, grid: tuple[float, ...] = GRID
) -> float:
    """The C with the best accuracy on episodes of validation classes, the smaller of equals; 1 for heads without C."""
    if head not in PENALISED:
        return 1.0
    return max(grid, key=lambda c: evaluate_episodes(features, episodes, head=head, c=c, l2=l2).mean)


def episodes_of(pictures: ImageSet, ways: int, shots: int, count: int, seed: int) -> Episodes:
    """Episodes with as many queries as every class has left, seven at most; shots share classes and queries."""
    return Episodes(pictures.labels, ways, shots, MOST_QUERIES, count=count, seed=seed)
