"""Every linear index of every pair of layers, from one decomposition a layer and one product a pair of networks."""

from collections.abc import Iterable, Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from torchstone.similarity.cca import leading, refuse_degenerate
from torchstone.similarity.cka import centred_unit, factor_self_hsic, ratio, warn_of_bias
from torchstone.similarity.factors import Factors, panels
from torchstone.similarity.hsic import check_estimator
from torchstone.similarity.inputs import warn
from torchstone.similarity.kernels import rbf_gram
from torchstone.similarity.metrics import SCALING, Metric, find_metric

Layers = Sequence[Factors] | Mapping[str, Factors]
Named = Mapping[str, Factors]


def indexes(
    metrics: Sequence[str],
    a: Layers,
    b: Layers,
    *,
    threshold: float = 0.99,
    criterion: str = "variance",
    allow_degenerate: bool = False,
) -> dict[str, Float[Tensor, "la lb"]]:
    r"""Compute indexes of all pairs of layers of two networks.

    With :math:`M = U_Y^\top U_X` every linear index is a function of :math:`(M, s_X, s_Y)`, so each layer is decomposed
    once (:func:`~torchstone.similarity.factor`) and the M of all pairs come from products of stacked :math:`U`.

    Args:
        metrics: names from :data:`METRICS`; ``"cka_rbf:0.8"`` sets the bandwidth of RBF CKA.
        a: the layers of one network: X, the rows of the result. By name, if messages shall call them by it.
        b: the layers of the other, on the same n examples: Y, the columns.
        threshold: what SVCCA keeps.
        criterion: how SVCCA counts it, ``"variance"`` or ``"singular_values"``.
        allow_degenerate: compute CCA and its kin although a layer spans everything.

    Returns:
        For each metric a float64 matrix, (layers of ``a``, layers of ``b``), nan where a layer is constant.

    Raises:
        ValueError: an unknown metric; layers with different n; n < 4 with a debiased metric; a layer that spans
            everything in a metric that then says nothing; no basis for PWCCA.
        TypeError: ``metrics`` is one string, or a layer is not of :func:`~torchstone.similarity.factor`.

    >>> from torchstone.similarity import factor
    >>> g = torch.Generator().manual_seed(0)
    >>> layers = [factor(torch.randn(20, d, generator=g)) for d in (3, 5)]
    >>> indexes(["cka", "cca_r2"], layers, layers)["cka"].diagonal().round(decimals=6)
    tensor([1., 1.], dtype=torch.float64)

    Paper: Kornblith, Norouzi, Lee, Hinton 2019, arXiv:1905.00414, table 1.
    Differs from the paper: written in singular vectors, in which its table is a set of sums over one matrix.
    """
    if isinstance(metrics, str):
        raise TypeError(f"metrics must be a sequence of names such as ['cka'], got {metrics!r}.")
    wanted = {name: find_metric(name) for name in metrics}
    x, y = _named(a, "a"), _named(b, "b")
    for name, layer in (*x.items(), *y.items()):
        if not layer.rank:
            warn(f"{name} is constant on these {layer.n} examples: its similarity to anything is undefined (nan).")
    return tables(wanted, x, y, threshold=threshold, criterion=criterion, allow_degenerate=allow_degenerate)


def tables(
    wanted: Mapping[str, Metric],
    x: Named,
    y: Named,
    *,
    threshold: float = 0.99,
    criterion: str = "variance",
    allow_degenerate: bool = False,
) -> dict[str, Float[Tensor, "la lb"]]:
    """As :func:`indexes`, of layers with names; that some are constant is the caller's to say."""
    _check(wanted.values(), x, y)
    kept_x, kept_y = ({key: leading(layer, threshold, criterion) for key, layer in side.items()} for side in (x, y))
    if not allow_degenerate:
        for metric in wanted.values():
            _refuse_degenerate(metric, *((kept_x, kept_y) if metric.truncated else (x, y)))
    linear = {name: metric for name, metric in wanted.items() if metric.formula is not None}
    values = _linear(linear, x, y, kept_x, kept_y) if linear else {}
    values |= {name: _rbf(metric, x, y) for name, metric in wanted.items() if metric.formula is None}
    return {name: _where_defined(values[name], metric, x, y) for name, metric in wanted.items()}


def _named(layers: Layers, side: str) -> Named:
    named = layers if isinstance(layers, Mapping) else {f"{side}[{i}]": layer for i, layer in enumerate(layers)}
    for name, layer in named.items():
        if not isinstance(layer, Factors):
            raise TypeError(f"{name} is a {type(layer).__name__}: factors are needed. Make them by factor(x).")
    return named


def _linear(metrics: Mapping[str, Metric], a: Named, b: Named, kept_a: Named, kept_b: Named) -> dict[str, Tensor]:
    cells: dict[str, list[Tensor]] = {name: [] for name in metrics}
    for (name_a, x), panel in zip(a.items(), panels([*a.values()], [*b.values()]), strict=True):
        for (name_b, y), m in zip(b.items(), panel, strict=True):
            for name, metric in metrics.items():
                layers = (kept_a[name_a], kept_b[name_b]) if metric.truncated else (x, y)
                cells[name].append(_evaluate(metric, m, *layers))
    tables = {name: torch.stack(column).view(len(a), len(b)) for name, column in cells.items()}
    return {name: _normalized(table, metrics[name], a, b) for name, table in tables.items()}


def _evaluate(metric: Metric, m: Tensor, x: Factors, y: Factors) -> Tensor:
    if metric.formula is None or not x.rank or not y.rank:
        return m.new_zeros(())
    return metric.formula(m[: y.rank, : x.rank], x, y)


def _normalized(table: Tensor, metric: Metric, a: Named, b: Named) -> Tensor:
    if not metric.normalized or metric.estimator is None:
        return table
    xx, yy = (
        torch.stack([factor_self_hsic(layer, str(metric.estimator)) for layer in side.values()]) for side in (a, b)
    )
    return ratio(table, xx[:, None], yy)


def _rbf(metric: Metric, a: Named, b: Named) -> Tensor:
    """The debiased HSIC of all pairs is one product of stacked U-centred Gram matrices, (la, n²) with (n², lb)."""
    grams_a, grams_b = (torch.stack([_gram(x, metric, name) for name, x in side.items()]) for side in (a, b))
    table = grams_a @ grams_b.mT
    return ratio(table, grams_a.square().sum(1, keepdim=True), grams_b.square().sum(1))


def _gram(x: Factors, metric: Metric, name: str) -> Float[Tensor, " n*n"]:
    if not x.rank:
        return x.u.new_zeros(x.n**2)
    gram = rbf_gram(x.u * x.s, float(metric.bandwidth or 0), name)
    return centred_unit(gram, str(metric.estimator)).flatten()


def _where_defined(table: Tensor, metric: Metric, a: Named, b: Named) -> Tensor:
    """An index that ignores scale is undefined at scale 0."""
    if SCALING not in metric.invariances:
        return table
    constant_a, constant_b = (torch.tensor([not x.rank for x in side.values()], device=table.device) for side in (a, b))
    return table.masked_fill(constant_a[:, None] | constant_b, torch.nan)


def _check(metrics: Iterable[Metric], a: Named, b: Named) -> None:
    if not a or not b:
        raise ValueError(f"a has {len(a)} layers, b {len(b)}: each needs at least one.")
    counts = sorted({layer.n for layer in (*a.values(), *b.values())})
    if len(counts) > 1:
        raise ValueError(f"The layers have {counts} rows: all must come from the same examples in the same order.")
    for estimator in {metric.estimator for metric in metrics} - {None}:
        check_estimator(counts[0], str(estimator))
    if any(metric.name == "cka_biased" for metric in metrics):
        warn_of_bias(counts[0], *(max(layer.d for layer in side.values()) for side in (a, b)))


def _refuse_degenerate(metric: Metric, a: Named, b: Named) -> None:
    if metric.requires_n_gt_d:
        for side in [b] if metric.name == "linear_regression" else [a, b]:  # only predictors can span all
            refuse_degenerate(metric.name, side)
