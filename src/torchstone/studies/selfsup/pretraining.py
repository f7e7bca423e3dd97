"""An encoder trained by one of several methods under one budget, and what its frozen features are worth."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from statistics import fmean

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from torchstone.data import Batches
from torchstone.lab import Context, Outcome, Trial
from torchstone.nets import NIN, seeded
from torchstone.probes import KNNProbe, LogisticProbe, probe
from torchstone.selfsup import AED, AET, RandomAffine, RandomProjective, Recipe, RotNet, features
from torchstone.selfsup.pretext import Pretext
from torchstone.selfsup.recipe import Schedule
from torchstone.studies.selfsup.picture_sets import Parts, Split, parts_of
from torchstone.training import fit

AFFINE, PROJECTIVE, ROTNET, TWO_TURNS = "AET affine", "AET projective", "RotNet", "RotNet with two turns"
PIXELS, DENOISING, SUPERVISED, RANDOM = "AED", "denoising AED", "supervised", "random weights"
MIDDLE, LAST = "block2", "pool"
NOISE, NEIGHBOURS = 0.3, 10
LINEAR, NEAREST = "linear", "neighbours"
UNTRAINED = 4  # networks, over which random weights are averaged: they differ more than trained ones do
LOOKED_AT = 1000  # test pictures for the error of the task itself


@dataclass(frozen=True)
class Budget:
    """What every method gets, and how features are looked at.

    Args:
        width: of the NIN.
        passes: pictures that go through the encoder in a step, whatever is done to them.
        steps: of gradient descent.
        schedule: how the learning rate falls.
        labels: of each class, for the linear probe.
        draws: of which pictures these are.
        rate: learning rate of all methods; each method's own if absent.
    """

    width: int
    passes: int
    steps: int
    schedule: Schedule
    labels: int
    draws: int
    rate: float | None = None


@dataclass(frozen=True)
class Size:
    """Pictures, the budget, and for how many seeds: of the arms that decide, and of the further ones."""

    split: Split
    budget: Budget
    seeds: int
    further: int

    def arms(self, judged: Sequence[str], further: Sequence[str]) -> list[tuple[str, int]]:
        """Each arm with each of its seeds: those that decide first, seed after seed."""
        groups = ((judged, self.seeds), (further, self.further))
        return [(arm, seed) for arms, seeds in groups for seed in range(seeds) for arm in arms]


@dataclass(frozen=True)
class Method:
    """A way to learn without labels.

    Args:
        views: pictures that go through the encoder for each image of a batch.
        rate: learning rate at laptop scale: of 0.03, 0.1 and 0.3 the one whose features were best in a pilot (one other
            seed, 400 steps, AET, AED and RotNet; the others have that of their kin).
        make: an encoder and the keywords ``recipe`` and ``augment`` give the method.
    """

    views: int
    rate: float
    make: Callable[..., Pretext]


METHODS: Mapping[str, Method] = {
    AFFINE: Method(2, 0.3, lambda encoder, **options: AET(encoder, RandomAffine(), **options)),
    PROJECTIVE: Method(2, 0.3, lambda encoder, **options: AET(encoder, RandomProjective(), **options)),
    PIXELS: Method(1, 0.1, lambda encoder, **options: AED(encoder, width=8, **options)),
    DENOISING: Method(1, 0.1, lambda encoder, **options: AED(encoder, NOISE, width=8, **options)),
    ROTNET: Method(4, 0.3, lambda encoder, **options: RotNet(encoder, **options)),
    TWO_TURNS: Method(2, 0.3, lambda encoder, **options: RotNet(encoder, turns=2, **options)),
}


def planned(arm: str, seed: int, split: Split, budget: Budget) -> Trial:
    """The trial of a method, or of a control; random weights get no step."""
    steps = 0 if arm == RANDOM else budget.steps
    return Trial(arm, seed, {"split": vars(split), "budget": vars(budget) | {"steps": steps}, "steps": steps})


def pretrained_outcome(method: str, trial: Trial, context: Context) -> Outcome:
    """Train an encoder by ``method`` and look at its features.

    Metrics: ``error`` of the task on test pictures in units of what guessing would cost (what AET's is in its own
    units: ``squared_error``), and the :func:`accuracies` of the second block and of the
    last layer; those of random weights are means over four networks, the first of which is where all methods start.
    Initial weights, pictures and draws of labels depend on the seed alone.
    """
    budget = Budget(**trial.config["budget"])
    parts = parts_of(Split(**trial.config["split"]), trial.seed)
    start = initial(budget, parts, trial.seed, context)
    metrics: dict[str, float] = {}
    if method == RANDOM:
        encoders: list[nn.Module] = [start, *(initial(budget, parts, seed, context) for seed in _further(trial.seed))]
    elif method == SUPERVISED:
        encoders = [supervised(start, parts, budget, trial.seed, context)]
    else:
        learned = pretrained(method, start, parts, budget, trial.seed, context)
        encoders, metrics = [learned.encoder_], errors(learned, parts.tests.images[:LOOKED_AT])
    for layer in (MIDDLE, LAST):
        found = [accuracies(encoder, layer, parts, budget, trial.seed) for encoder in encoders]
        metrics |= {f"{layer}/{probe}": fmean(each[probe] for each in found) for probe in found[0]}
    return Outcome(metrics)


def initial(budget: Budget, parts: Parts, seed: int, context: Context) -> NIN:
    """The untrained encoder of a seed."""
    return NIN(budget.width, channels=parts.tests.images.shape[1], seed=seed).to(context.device)


def _further(seed: int) -> list[int]:
    """Seeds of further untrained encoders, which no trial has."""
    return [seed + 10**6 * k for k in range(1, UNTRAINED)]


def pretrained(method: str, encoder: NIN, parts: Parts, budget: Budget, seed: int, context: Context) -> Pretext:
    """The method with its trained copy of ``encoder``: ``budget.passes`` pictures go through it in a step."""
    how = METHODS[method]
    recipe = Recipe(rate=budget.rate or how.rate, batch_size=budget.passes // how.views, schedule=budget.schedule)
    learner = how.make(encoder, recipe=recipe, augment=parts.augment)
    images = parts.unlabelled.images
    return learner.fit(images, steps=budget.steps, seed=seed, checkpoint=context.scratch, progress=context.progress)


def supervised(encoder: NIN, parts: Parts, budget: Budget, seed: int, context: Context) -> NIN:
    """A copy of ``encoder`` trained under the same budget with the labels of all of its pictures."""
    x, y = parts.unlabelled.images, parts.unlabelled.labels
    trained = deepcopy(encoder)
    with seeded(seed):
        head = nn.Linear(budget.width, int(y.max()) + 1).to(context.device)
    recipe = Recipe(batch_size=budget.passes, schedule=budget.schedule)

    def objective(batch: tuple[Tensor, Tensor]) -> Tensor:
        return cross_entropy(head(trained(batch[0])), batch[1])

    fit(
        recipe.player(nn.ModuleList([trained, head]), objective, budget.steps),
        Batches(x, y, size=budget.passes, seed=seed, augment=parts.augment, device=context.device),
        steps=budget.steps,
        seed=seed,
        checkpoint=context.scratch,
        progress=context.progress,
    )
    return trained


def errors(learned: Pretext, images: Tensor) -> dict[str, float]:
    """The error of the method's own task, relative to guessing; of AET also the mean squared error itself."""
    if isinstance(learned, AET):
        found = learned.transformation_error(images)
        return {"error": found.error / found.chance, "squared_error": found.error}
    if isinstance(learned, RotNet):
        return {"error": learned.transformation_error(images) / 0.75}
    if isinstance(learned, AED):
        pixels = images if images.is_floating_point() else images / 255
        return {"error": learned.reconstruction_error(images) / float(pixels.var(0, correction=0).mean())}
    return {}


def accuracies(encoder: nn.Module, layer: str, parts: Parts, budget: Budget, seed: int) -> dict[str, float]:
    """Test accuracies in percent: logistic regression on a few labels, and nearest neighbours among all labelled."""
    x, tests = (features(encoder, part.images, layer=layer) for part in (parts.labelled, parts.tests))
    y, answers = (part.labels.to(x.device) for part in (parts.labelled, parts.tests))
    few = probe(
        x,
        y,
        labels_per_class=[budget.labels],
        draws=budget.draws,
        seed=seed,
        methods={LINEAR: LogisticProbe()},
        test=(tests, answers),
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*rows are all 0")  # a last layer may be silent; such rows are near none
        nearest = KNNProbe(NEIGHBOURS).fit(x, y).score(tests, answers)
    return {LINEAR: 100 * float(few.accuracy.mean()), NEAREST: 100 * float(nearest)}
