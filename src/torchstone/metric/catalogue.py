"""The methods of the reality check in one table: how each is made, what of it is tuned, and who wrote it."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

from torchstone.metric.class_softmax import ClassSoftmax, SoftTriple
from torchstone.metric.inputs import check_number
from torchstone.metric.losses import MetricLoss
from torchstone.metric.margin import MarginLoss
from torchstone.metric.nt_xent import nt_xent
from torchstone.metric.triplet import batch_all_triplet


@dataclass(frozen=True)
class Range:
    """The range of one hyperparameter.

    Args:
        low: its least value.
        high: its largest.
        default: the value of pytorch-metric-learning.
        log: whether logarithms are spread evenly.
        integer: whether only whole numbers are allowed.
    """

    low: float
    high: float
    default: float
    log: bool = False
    integer: bool = False

    def check(self, name: str, value: float) -> None:
        """Refuse a value that is not finite, or not positive where logarithms are taken, or not whole where it must."""
        check_number(name, value, 0 if self.log else -math.inf, open_end=self.log)
        if self.integer and (value != int(value) or value < self.low):
            raise ValueError(f"`{name}` must be a whole number of at least {self.low:g}, but is {value}.")


WEIGHT_RATE = Range(1e-6, 1.0, default=1e-2, log=True)
"""The learning rate of a loss's own weights, which every method with ``weights`` must have tuned too."""


@dataclass(frozen=True)
class Row:
    """One method.

    Args:
        name: under which it is found in :data:`LOSSES`.
        build: from (classes, dim, seed, hyperparameters by name) to the loss.
        space: the hyperparameters and what Musgrave et al. searched, by name.
        weights: whether it has weights of its own, which need a learning rate (:data:`WEIGHT_RATE`) and a place in the
            optimizer.
        paper: authors, year and arXiv.

    Example:
        >>> import torch
        >>> loss = LOSSES["arcface"].make(classes=10, dim=4, seed=0, angle=20.0)
        >>> embeddings = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))
        >>> loss(embeddings, torch.tensor([0, 0, 1, 1, 2, 2, 9, 9])).isfinite()
        tensor(True)
    """

    name: str
    build: Callable[..., MetricLoss]
    space: Mapping[str, Range]
    weights: bool
    paper: str

    @property
    def defaults(self) -> dict[str, float]:
        """The default of each hyperparameter."""
        return {name: span.default for name, span in self.space.items()}

    def make(self, classes: int, dim: int, *, seed: int = 0, **settings: float) -> MetricLoss:
        """The loss, a module of (embeddings, labels).

        Args:
            classes: number of training classes c; labels are 0 ... c - 1.
            dim: features d of the embeddings.
            seed: seed of its own weights, where it has some.
            settings: hyperparameters by name; the others have their defaults.

        Raises:
            ValueError: a hyperparameter is unknown, not finite, or must be a whole number in its range and is not;
                ``classes`` or ``dim`` is below 1.
        """
        unknown = sorted(settings.keys() - self.space.keys())
        if unknown:
            raise ValueError(f"{self.name!r} has no {unknown[0]!r}: its hyperparameters are {', '.join(self.space)}.")
        if classes < 1 or dim < 1:
            raise ValueError(f"`classes` and `dim` must be at least 1, but are {classes} and {dim}.")
        for name, value in settings.items():
            self.space[name].check(name, value)
        return self.build(classes, dim, seed, {**self.defaults, **settings})


Settings = Mapping[str, Any]


def _contrastive(classes: int, dim: int, seed: int, given: Settings) -> MetricLoss:
    from pytorch_metric_learning.losses import ContrastiveLoss

    return MetricLoss(ContrastiveLoss(**given), classes, dim)


def _triplet(classes: int, dim: int, seed: int, given: Settings) -> MetricLoss:
    return MetricLoss(partial(batch_all_triplet, margin=given["margin"]), classes, dim)


def _nt_xent(classes: int, dim: int, seed: int, given: Settings) -> MetricLoss:
    return MetricLoss(partial(nt_xent, temperature=given["temperature"]), classes, dim)


def _proxy_nca(classes: int, dim: int, seed: int, given: Settings) -> MetricLoss:
    return MetricLoss(ClassSoftmax(classes, dim, scale=2 * given["scale"], seed=seed), classes, dim)


def _margin(classes: int, dim: int, seed: int, given: Settings) -> MetricLoss:
    return MetricLoss(MarginLoss(**given), classes, dim)


def _margin_by_class(classes: int, dim: int, seed: int, given: Settings) -> MetricLoss:
    return MetricLoss(MarginLoss(**given, classes=classes), classes, dim)


def _normalized_softmax(classes: int, dim: int, seed: int, given: Settings) -> MetricLoss:
    return MetricLoss(ClassSoftmax(classes, dim, scale=1 / given["temperature"], seed=seed), classes, dim)


def _class_softmax(classes: int, dim: int, seed: int, given: Settings) -> MetricLoss:
    return MetricLoss(ClassSoftmax(classes, dim, **given, seed=seed), classes, dim)


def _fast_ap(classes: int, dim: int, seed: int, given: Settings) -> MetricLoss:
    from pytorch_metric_learning.losses import FastAPLoss

    return MetricLoss(FastAPLoss(num_bins=int(given["bins"])), classes, dim)


def _snr(classes: int, dim: int, seed: int, given: Settings) -> MetricLoss:
    from pytorch_metric_learning.losses import SignalToNoiseRatioContrastiveLoss
    from pytorch_metric_learning.regularizers import ZeroMeanRegularizer

    margins = {name: given[name] for name in ("pos_margin", "neg_margin")}
    price = {"embedding_regularizer": ZeroMeanRegularizer(), "embedding_reg_weight": given["regularization"]}
    return MetricLoss(SignalToNoiseRatioContrastiveLoss(**margins, **price), classes, dim)


def _multi_similarity(classes: int, dim: int, seed: int, given: Settings) -> MetricLoss:
    from pytorch_metric_learning.losses import MultiSimilarityLoss

    return MetricLoss(MultiSimilarityLoss(**given), classes, dim)


def _mined_multi_similarity(classes: int, dim: int, seed: int, given: Settings) -> MetricLoss:
    from pytorch_metric_learning.losses import MultiSimilarityLoss
    from pytorch_metric_learning.miners import MultiSimilarityMiner

    settings = {name: given[name] for name in ("alpha", "beta", "base")}
    return MetricLoss(MultiSimilarityLoss(**settings), classes, dim, miner=MultiSimilarityMiner(given["epsilon"]))


def _soft_triple(classes: int, dim: int, seed: int, given: Settings) -> MetricLoss:
    return MetricLoss(SoftTriple(classes, dim, **given, seed=seed), classes, dim)


_MARGIN = {"margin": Range(-0.2, 2, 0.2), "beta": Range(-0.2, 2, 1.2)}
_SIMILARITY = {
    "alpha": Range(1e-2, 100, 2, log=True),
    "beta": Range(1e-2, 100, 50, log=True),
    "base": Range(0, 1, 0.5),
}
_ROWS = [
    Row(
        "contrastive",
        _contrastive,
        {"pos_margin": Range(-0.2, 2, 0), "neg_margin": Range(-0.2, 2, 1)},
        weights=False,
        paper="Hadsell, Chopra, LeCun 2006",
    ),
    Row("triplet", _triplet, {"margin": Range(-0.2, 2, 0.05)}, weights=False, paper="Weinberger, Saul 2009"),
    Row(
        "nt_xent",
        _nt_xent,
        {"temperature": Range(1e-4, 100, 0.07, log=True)},
        weights=False,
        paper="Sohn 2016; Chen et al. 2020, arXiv:2002.05709",
    ),
    Row(
        "proxy_nca",
        _proxy_nca,
        {"scale": Range(1e-2, 100, 1, log=True)},
        weights=True,
        paper="Movshovitz-Attias et al. 2017, arXiv:1703.07464",
    ),
    Row("margin", _margin, _MARGIN, weights=True, paper="Wu et al. 2017, arXiv:1706.07567"),
    Row("margin_by_class", _margin_by_class, _MARGIN, weights=True, paper="Wu et al. 2017, arXiv:1706.07567"),
    Row(
        "normalized_softmax",
        _normalized_softmax,
        {"temperature": Range(1e-2, 100, 0.05, log=True)},
        weights=True,
        paper="Zhai, Wu 2019, arXiv:1811.12649",
    ),
    Row(
        "cosface",
        _class_softmax,
        {"margin": Range(0, 1, 0.35), "scale": Range(1e-2, 200, 64, log=True)},
        weights=True,
        paper="Wang et al. 2018, arXiv:1801.09414",
    ),
    Row(
        "arcface",
        _class_softmax,
        {"angle": Range(0, 90, 28.6), "scale": Range(1e-2, 200, 64, log=True)},
        weights=True,
        paper="Deng et al. 2019, arXiv:1801.07698",
    ),
    Row(
        "fast_ap",
        _fast_ap,
        {"bins": Range(2, 250, 10, log=True, integer=True)},
        weights=False,
        paper="Cakir et al. 2019",
    ),
    Row(
        "snr_contrastive",
        _snr,
        {"pos_margin": Range(0, 2, 0), "neg_margin": Range(0, 2, 1), "regularization": Range(0, 1, 0)},
        weights=False,
        paper="Yuan et al. 2019",
    ),
    Row("multi_similarity", _multi_similarity, _SIMILARITY, weights=False, paper="Wang et al. 2019, arXiv:1904.06627"),
    Row(
        "mined_multi_similarity",
        _mined_multi_similarity,
        {**_SIMILARITY, "epsilon": Range(0, 1, 0.1)},
        weights=False,
        paper="Wang et al. 2019, arXiv:1904.06627",
    ),
    Row(
        "soft_triple",
        _soft_triple,
        {
            "scale": Range(1e-2, 100, 20, log=True),
            "gamma": Range(1e-2, 100, 10, log=True),
            "margin": Range(0, 1, 0.01),
            "regularization": Range(0, 1, 0),
        },
        weights=True,
        paper="Qian et al. 2019, arXiv:1909.05235",
    ),
]
LOSSES: Mapping[str, Row] = MappingProxyType({row.name: row for row in _ROWS})
"""The 14 methods of Musgrave, Belongie, Lim 2020 (arXiv:2003.08505) by name, each with its search space."""
