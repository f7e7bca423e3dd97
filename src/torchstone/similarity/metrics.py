"""The catalogue of similarity indexes: names, formulas in eigen form, and what leaves each as it is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from torch import Tensor

from torchstone.similarity.cca import projection_weighted, summarise
from torchstone.similarity.factors import Factors
from torchstone.similarity.hsic import factor_hsic
from torchstone.similarity.procrustes import factor_procrustes
from torchstone.similarity.regression import explained

Formula = Callable[[Tensor, Factors, Factors], Tensor]
INVERTIBLE, ORTHOGONAL, SCALING = "invertible linear", "orthogonal", "isotropic scaling"


@dataclass(frozen=True)
class Metric:
    """What is known of a similarity index.

    Args:
        name: what a user types.
        formula: the index of two layers from (M, X, Y): cross cosines and factors; ``None`` for a kernel index.
        invariances: the maps, of either input, that leave it as it is; all are invariant to offsets.
        symmetric: whether changing the inputs' places leaves it as it is.
        requires_n_gt_d: whether it is 1 whatever the data, once there are as many features as examples.
        estimator: the HSIC estimator it is built on, if any.
        normalized: whether that HSIC is divided by the geometric mean of those of each input with itself.
        bandwidth: of its RBF kernel, as a fraction of the median distance, if any.
        truncated: whether it looks at leading directions only.
    """

    name: str
    formula: Formula | None
    invariances: frozenset[str]
    symmetric: bool = True
    requires_n_gt_d: bool = False
    estimator: str | None = None
    normalized: bool = False
    bandwidth: float | None = None
    truncated: bool = False


def _hsic(estimator: str) -> Formula:
    return lambda m, x, y: factor_hsic(m, x, y, estimator)


def _cca(summary: str) -> Formula:
    return lambda m, x, y: summarise(m, summary)


_ROTATIONS = frozenset({ORTHOGONAL})
_SHAPE = _ROTATIONS | {SCALING}
_SPACE = _SHAPE | {INVERTIBLE}

METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("cka", _hsic("debiased"), _SHAPE, estimator="debiased", normalized=True),
        Metric("cka_biased", _hsic("biased"), _SHAPE, estimator="biased", normalized=True),
        Metric("cka_rbf", None, _SHAPE, estimator="debiased", normalized=True, bandwidth=0.4),
        Metric("hsic", _hsic("debiased"), _ROTATIONS, estimator="debiased"),
        Metric("hsic_biased", _hsic("biased"), _ROTATIONS, estimator="biased"),
        Metric("cca_r2", _cca("r2"), _SPACE, requires_n_gt_d=True),
        Metric("cca_mean_rho", _cca("mean_rho"), _SPACE, requires_n_gt_d=True),
        Metric("svcca_r2", _cca("r2"), _SHAPE, requires_n_gt_d=True, truncated=True),
        Metric("svcca_mean_rho", _cca("mean_rho"), _SHAPE, requires_n_gt_d=True, truncated=True),
        Metric("pwcca", projection_weighted, frozenset({SCALING}), symmetric=False, requires_n_gt_d=True),
        Metric("linear_regression", lambda m, x, y: explained(m, x), _SHAPE, symmetric=False, requires_n_gt_d=True),
        Metric("procrustes", factor_procrustes, _SHAPE),
    )
}
"""The catalogue; of all of them, larger is more similar.

``linear_regression`` is moreover invariant to invertible maps of the second input.
"""


def find_metric(name: str) -> Metric:
    """The catalogue's entry for ``name``; ``"cka_rbf:0.8"`` is RBF CKA with bandwidth 0.8.

    Raises:
        ValueError: there is no such metric, or the bandwidth is not a positive number.

    >>> find_metric("cka_rbf:0.8").bandwidth
    0.8
    """
    base, colon, bandwidth = name.partition(":")
    if base not in METRICS or (colon and METRICS[base].bandwidth is None):
        raise ValueError(f"There is no metric {name!r}: choose from {', '.join(METRICS)}, or cka_rbf:0.8 (bandwidth).")
    return replace(METRICS[base], name=name, bandwidth=_positive(bandwidth, name)) if colon else METRICS[base]


def _positive(text: str, name: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise ValueError(
            f"The metric {name!r} has the bandwidth {text!r}: a positive number is needed, as in cka_rbf:0.8."
        )
    return value
