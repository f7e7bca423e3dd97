"""Methods of few-shot classification that are trained alike: on so many pictures, by a rate that rises and falls."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import OneCycleLR

from torchstone.data import ImageSet
from torchstone.fewshot import MAML, Episodes, ProtoNet, Recipe, embed, evaluate_episodes, train_embedding
from torchstone.fewshot.tasks import TaskBatches, Tasks
from torchstone.lab import Context
from torchstone.nets import Conv4, ResNet12
from torchstone.studies.fewshot.pictures import FewShotPictures
from torchstone.training import Player, fit

M = TypeVar("M", bound=nn.Module)

Test = Callable[[ImageSet, Episodes], Float[Tensor, " episodes"]]
"""Accuracy in each episode of the pictures."""

STRENGTH = 10.0  # C of the logistic regression: unit rows and a support of few ask for a weaker penalty than C = 1
INNER_STEPS, INNER_RATE = 5, 0.4


@dataclass(frozen=True)
class Plan:
    """What a method is trained with.

    Args:
        network: ``conv4`` or ``resnet12``.
        width: channels of ``conv4``.
        pictures_seen: training pictures shown in all.
        ways: classes in an episode, of training and test.
        queries: pictures asked about of each class in a training episode; its support has one of each.
        batch: pictures in a step of plain classification.
        rate: the highest learning rate.
    """

    network: str
    width: int
    pictures_seen: int
    ways: int
    queries: int
    batch: int
    rate: float


def encoder_of(plan: Plan, pictures: FewShotPictures, seed: int) -> nn.Module:
    """A network that nobody has trained."""
    channels = pictures.base.images.shape[1]
    if plan.network == "conv4":
        return Conv4(plan.width, channels=channels, seed=seed)
    return ResNet12(channels=channels, seed=seed)


def pixels(plan: Plan, pictures: FewShotPictures, seed: int, context: Context) -> Test:
    """The pictures themselves as features."""
    return by_logistic_regression(nn.Flatten())


def untrained(plan: Plan, pictures: FewShotPictures, seed: int, context: Context) -> Test:
    """The network as it begins."""
    return by_logistic_regression(encoder_of(plan, pictures, seed).to(context.device))


def classified(plan: Plan, pictures: FewShotPictures, seed: int, context: Context) -> Test:
    """A good embedding: trained to tell all base classes apart; its head is dropped."""
    encoder, base = encoder_of(plan, pictures, seed).to(context.device), pictures.base
    train_embedding(
        encoder,
        base.images,
        base.labels,
        budget=plan.pictures_seen,
        seed=seed,
        recipe=Recipe(rate=plan.rate, batch_size=plan.batch, schedule="one-cycle"),
        augment=pictures.augment,
        names=base.classes,
        checkpoint=context.scratch,
        progress=context.progress,
    )
    return by_logistic_regression(encoder)


def prototypical(plan: Plan, pictures: FewShotPictures, seed: int, context: Context) -> Test:
    """A prototypical network, trained on episodes."""
    model = ProtoNet(encoder_of(plan, pictures, seed).to(context.device))
    trained_on_episodes(model, plan, pictures, seed, context)
    return lambda part, episodes: model.evaluate(part.images, episodes).accuracies


def meta_learned(plan: Plan, pictures: FewShotPictures, seed: int, context: Context) -> Test:
    """First-order MAML, trained on episodes."""
    encoder = encoder_of(plan, pictures, seed).to(context.device)
    d = embed(encoder, pictures.base.images[:1]).shape[1]
    inner = {"inner_steps": INNER_STEPS, "inner_rate": INNER_RATE}
    model = MAML(encoder, d, ways=plan.ways, first_order=True, seed=seed, **inner)  # type: ignore[arg-type]
    trained_on_episodes(model, plan, pictures, seed, context)
    return lambda part, episodes: model.evaluate(part.images, episodes).accuracies


METHODS: Mapping[str, Callable[[Plan, FewShotPictures, int, Context], Test]] = {
    "embedding": classified,
    "protonet": prototypical,
    "maml": meta_learned,
    "untrained": untrained,
    "pixels": pixels,
}


def by_logistic_regression(encoder: nn.Module) -> Test:
    """A logistic regression on the normalised features of each support."""

    def test(part: ImageSet, episodes: Episodes) -> Float[Tensor, " episodes"]:
        features = embed(encoder, part.images, classes=part.classes)
        return evaluate_episodes(features, episodes, head="logistic", c=STRENGTH).accuracies

    return test


def trained_on_episodes(model: M, plan: Plan, pictures: FewShotPictures, seed: int, context: Context) -> None:
    """Train by Adam on one-shot episodes of base classes, the rate rising and falling as for plain classification."""
    batches = TaskBatches(
        pictures.base.images,
        pictures.base.labels,
        budget=plan.pictures_seen,
        ways=plan.ways,
        shots=1,
        queries=plan.queries,
        seed=seed,
        augment=pictures.augment,
        device=context.device,
    )

    def objective(tasks: Tasks) -> Float[Tensor, ""]:
        logits = model(tasks).flatten(0, 1)  # (t q, c)
        return cross_entropy(logits, tasks.query_labels.repeat(len(tasks.query)))

    optimizer = torch.optim.Adam(model.parameters(), plan.rate)
    scheduler = OneCycleLR(optimizer, plan.rate, total_steps=batches.steps + 1, cycle_momentum=False)
    fit(
        Player(model, objective, optimizer, scheduler=scheduler),
        batches,
        steps=batches.steps,
        seed=seed,
        checkpoint=context.scratch,
        progress=context.progress,
    )
