"""Embeddings trained with a loss, and what they are worth for retrieval."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import normalize

from torchstone.data import ImageSet, stream
from torchstone.lab.reality_check.stages import concatenated
from torchstone.metric import ClassBalancedBatches, retrieval_metrics
from torchstone.nets import ResNet12, seeded
from torchstone.studies.metric.losses import loss_of
from torchstone.studies.metric.tasks import Parts, Task
from torchstone.training import Player, Round, evaluating, fit

RATES = {"small": 1e-2, "resnet12": 1e-3}  # learning rate of each network, the same for all losses
CLASSES, INSTANCES = 16, 4  # of a batch
OFTEN = 1000  # steps between checkpoints
CHUNK = 1000  # pictures that are embedded at once
CHANNELS = 16, 32


def seed_for(seed: int, *words: object) -> int:
    """A seed of its own for each purpose."""
    return stream(seed, *words).initial_seed()


def network_of(task: Task, pictures: ImageSet, seed: int) -> nn.Module:
    """A trunk and a linear layer to the embedding, for such pictures; weights depend on ``seed`` alone."""
    channels = pictures.images.shape[1]
    with seeded(seed):
        trunk = ResNet12(channels=channels, seed=seed) if task.network == "resnet12" else _small(channels)
        network = nn.Sequential(trunk, nn.Flatten(), nn.LazyLinear(task.dim))
        network.eval()(pictures.floats([0]))  # tells the lazy layer its size
    return network


def _small(channels: int) -> nn.Sequential:
    """Two 3×3 convolutions of stride 2 with batch normalisation."""
    layers: list[nn.Module] = []
    for before, after in zip((channels, *CHANNELS), CHANNELS, strict=False):
        layers += [nn.Conv2d(before, after, 3, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers)


def trained(
    task: Task,
    parts: Parts,
    fold: int,
    loss: str,
    setting: Mapping[str, float],
    *,
    steps: int,
    seed: int,
    device: torch.device,
    scratch: Path | None = None,
    progress: Callable[[float, str], None] | None = None,
    callbacks: Sequence[Callable[[Round], None]] = (),
) -> nn.Module:
    """A network trained on a fold; initial weights and batches depend on ``seed`` alone, the same for all losses."""
    pictures = parts.folds[fold].train
    network = network_of(task, pictures, seed)
    criterion, rate = loss_of(loss, setting, classes=len(pictures.classes), dim=task.dim, seed=seed)
    both = nn.ModuleDict({"network": network, "loss": criterion}).to(device)
    groups: list[dict[str, Any]] = [{"params": list(network.parameters())}]
    if weights := list(criterion.parameters()):
        groups.append({"params": weights, "lr": rate})
    optimizer = torch.optim.Adam(groups, lr=RATES[task.network], fused=True)
    batches = ClassBalancedBatches(
        pictures.images,
        pictures.labels,
        classes=min(CLASSES, len(pictures.classes)),
        instances=INSTANCES,
        seed=seed,
        augment=parts.augment,
        device=device,
    )
    player = Player(both, lambda batch: criterion(normalize(network(batch[0])), batch[1]), optimizer)
    resume: dict[str, Any] = {"checkpoint": scratch, "every": OFTEN} if scratch and steps > OFTEN else {}
    fit(player, batches, steps=steps, seed=seed, progress=progress, callbacks=callbacks, **resume)
    return network.eval()


@torch.no_grad()
def embedded(network: nn.Module, pictures: ImageSet, device: torch.device) -> Float[Tensor, "n d"]:
    """The embedding of each picture, brought to length 1.

    Raises:
        FloatingPointError: it is not finite.
    """
    parts = (pictures.floats(slice(at, at + CHUNK)).to(device) for at in range(0, len(pictures), CHUNK))
    with evaluating(network):
        embeddings = torch.cat([normalize(network(part)) for part in parts])
    if not embeddings.isfinite().all():
        raise FloatingPointError("the embeddings are not finite")
    return embeddings


def map_at_r(embeddings: Float[Tensor, "n d"], pictures: ImageSet) -> float:
    """MAP@R of the pictures among themselves, in points: 100 is perfect."""
    return 100 * retrieval_metrics(embeddings, pictures.labels.to(embeddings.device)).map_at_r


def worth(embeddings: Sequence[Float[Tensor, "n d"]], test: ImageSet) -> dict[str, float]:
    """What the embeddings of all folds are worth: the mean of each by itself, and all of them side by side."""
    joined = concatenated(embeddings)
    found = retrieval_metrics(joined, test.labels.to(joined.device))
    separated = [map_at_r(each, test) for each in embeddings]
    return {
        "concatenated": 100 * found.map_at_r,
        "separated": math.fsum(separated) / len(separated),
        "precision_at_1": 100 * found.precision_at_1,
    }
