"""What the claims about layers share: Tiny-10 networks trained on pictures, and what their layers see."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, cross_entropy

from torchstone.data import Batches
from torchstone.lab import Context, Record, Trial
from torchstone.nets import PlainNet, tiny10
from torchstone.similarity import Factors, extract, factor
from torchstone.studies.pictures import Pictures
from torchstone.training import Player, fit

LAYERS = (*(f"block{i}" for i in range(1, 9)), "pool")
POOLED_SIDE = 2
PEAK, WEIGHT_DECAY = 0.3, 1e-4


def train_network(trial: Trial, context: Context, pictures: Pictures) -> PlainNet:
    """Tiny-10 by stochastic gradient descent: Nesterov momentum 0.9, one cycle to 0.3, weight decay 1e-4.

    The trial's config gives ``width`` (a factor), ``steps`` and ``batch``; with 0 steps the network stays as it began.
    """
    config = trial.config
    network = tiny10(
        len(pictures.train.classes), channels=pictures.train.images.shape[1], width=config["width"], seed=trial.seed
    )
    network.to(context.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if not config["steps"]:
        return network
    optimizer = torch.optim.SGD(network.parameters(), PEAK, momentum=0.9, nesterov=True, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK, total_steps=config["steps"])
    batches = Batches(
        pictures.train.images,
        pictures.train.labels,
        size=config["batch"],
        seed=trial.seed,
        augment=pictures.augment,
        device=context.device,
    )

    def loss(batch: tuple[Tensor, Tensor]) -> Tensor:
        x, y = batch
        return cross_entropy(network(x.contiguous(memory_format=torch.channels_last)), y)

    player = Player(network, loss, optimizer, scheduler=schedule)
    fit(player, batches, steps=config["steps"], seed=trial.seed, checkpoint=context.scratch, progress=context.progress)
    return network


def look_at(pictures: Pictures, copies: int) -> Float[Tensor, "n c h w"]:
    """The held-out pictures, ``copies`` times, each varied as in training; the same for every network."""
    generator = torch.Generator().manual_seed(0)
    x = pictures.held_out.floats()
    return torch.cat([pictures.augment(x, generator) for _ in range(copies)])


def accuracy(network: PlainNet, pictures: Pictures) -> float:
    """The share of the held-out pictures, as they are, that the network classifies rightly."""
    logits = extract(network, pictures.held_out.floats(), ["logits"])["logits"]
    return float((logits.argmax(1) == pictures.held_out.labels).double().mean())


def decomposed(network: PlainNet, x: Float[Tensor, "n c h w"]) -> dict[str, Tensor]:
    """Every layer's singular value decomposition, as artifacts; all positions of a map are features, as in the paper.

    The right singular vectors are left out: they are by far the larger part, and only PWCCA needs them.
    """
    factors = {layer: factor(z, keep_basis=False) for layer, z in extract(network, x, LAYERS).items()}
    left = {f"{layer}/u": layer_factors.u.float() for layer, layer_factors in factors.items()}
    return left | {f"{layer}/s": layer_factors.s for layer, layer_factors in factors.items()}


def recorded(record: Record) -> list[Factors]:
    """The decomposed layers that a trial kept."""
    return [
        Factors(record.artifacts[f"{layer}/u"].double(), record.artifacts[f"{layer}/s"], None, 0) for layer in LAYERS
    ]


def pooled(network: PlainNet, x: Float[Tensor, "n c h w"]) -> dict[str, Float[Tensor, "n d"]]:
    """Every layer's activations with the map averaged to 2×2 positions, so that n is well above d."""
    return extract(network, x, LAYERS, reduce=_coarse)


def _coarse(output: Tensor) -> Tensor:
    return adaptive_avg_pool2d(output, POOLED_SIDE).flatten(1) if output.ndim == 4 else output
