"""Canonical correlation analysis and its kin: how much of one space of features another one spans."""

from collections.abc import Mapping
from typing import Literal, get_args

import torch
from jaxtyping import Float, Real
from torch import Tensor

from torchstone.similarity.factors import Factors, cross_cosines, factor_of
from torchstone.similarity.inputs import Array, defined, deliver, one_of, pair, unit

Summary = Literal["r2", "mean_rho"]
Criterion = Literal["variance", "singular_values"]


def canonical_correlations(x: Real[Array, "n d1"], y: Real[Array, "n d2"]) -> Float[Tensor, " r"]:
    r"""The canonical correlations of two representations: the cosines of the angles between their column spaces.

    .. math:: \rho_i = \sigma_i(U_Y^\top U_X)

    with :math:`U_X, U_Y` orthonormal bases of the centred columns and :math:`\sigma_i` the i-th singular value.

    Args:
        x: :math:`X`, (n, d1).
        y: :math:`Y`, (n, d2).

    Returns:
        The correlations, descending, in [0, 1]; as many as the smaller rank. All are 1 where a rank reaches n - 1.

    Raises:
        ValueError: the inputs are not (n, d1) and (n, d2), or are not finite.

    >>> x = torch.tensor([[1.0, 0.0], [2.0, 1.0], [3.0, 0.0], [4.0, 1.0]])
    >>> canonical_correlations(x, -x[:, :1])
    tensor([1.])

    Paper: Kornblith, Norouzi, Lee, Hinton 2019, arXiv:1905.00414, section 3.
    Differs from the paper: directions within rounding noise are dropped.
    """
    a, b = pair(x, y)
    return deliver(correlations(cross_cosines(factor_of(a), factor_of(b))), a, b)


def cca(
    x: Real[Array, "n d1"], y: Real[Array, "n d2"], *, summary: Summary = "r2", allow_degenerate: bool = False
) -> Float[Tensor, ""]:
    r"""Canonical correlation analysis, summarised by one number.

    .. math:: R^2_{CCA} = \frac{1}{r} \sum_{i=1}^{r} \rho_i^2, \qquad \bar\rho_{CCA} = \frac{1}{r} \sum_{i=1}^{r} \rho_i

    with :math:`\rho_i` from :func:`canonical_correlations` and r the smaller of the two ranks. Symmetric, and invariant
    to invertible linear maps of either input.

    Args:
        x: (n, d1).
        y: (n, d2), the same examples in the same order.
        summary: ``"r2"``, or ``"mean_rho"``.
        allow_degenerate: compute it although an input spans everything.

    Returns:
        A 0-d tensor in [0, 1]; nan, with a :class:`SimilarityWarning`, where an input is constant.

    Raises:
        ValueError: an input has rank n - 1 or more (any d ≥ n - 1 will do), so that the value is 1 whatever the other
            is (Theorem 1 of the paper); the inputs are not (n, d1) and (n, d2), or are not finite.

    >>> x = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    >>> mixed = x @ torch.tensor([[1.0, 2.0, 0.0], [0.0, 1.0, 5.0], [0.0, 0.0, 1.0]])
    >>> cca(x, mixed)
    tensor(1.)

    Paper: Kornblith, Norouzi, Lee, Hinton 2019, arXiv:1905.00414, section 3.
    Differs from the paper: the divisor is the smaller rank, not d1; the two agree at full rank with d1 ≤ d2.
    """
    one_of(summary, get_args(Summary), "summary")
    a, b = pair(x, y)
    p, q = factor_of(a), factor_of(b)
    if not allow_degenerate:
        refuse_degenerate("cca", {"x": p, "y": q})
    return defined(summarise(cross_cosines(p, q), summary), a, b)


def svcca(
    x: Real[Array, "n d1"],
    y: Real[Array, "n d2"],
    *,
    summary: Summary = "r2",
    threshold: float = 0.99,
    criterion: Criterion = "variance",
    allow_degenerate: bool = False,
) -> Float[Tensor, ""]:
    r"""Singular vector CCA: :func:`cca` of the leading principal directions.

    Of each input the fewest directions are kept whose share reaches the threshold,

    .. math:: k = \min \Big\{ k : \sum_{i \le k} w_i \ge \theta \sum_i w_i \Big\}, \qquad
              w_i = s_i^2 \text{ (variance) or } s_i \text{ (singular values)}

    Args:
        x: (n, d1), with singular values :math:`s_i` once centred.
        y: (n, d2), the same examples in the same order.
        summary: ``"r2"``, or ``"mean_rho"``.
        threshold: :math:`\theta`, in (0, 1].
        criterion: ``"variance"`` as in Kornblith et al.'s text, ``"singular_values"`` as in the code of Raghu et al.
        allow_degenerate: compute it although the kept directions span everything.

    Returns:
        A 0-d tensor in [0, 1]; nan, with a :class:`SimilarityWarning`, where an input is constant.

    Raises:
        ValueError: n - 1 or more directions are kept; ``threshold`` is outside (0, 1]; or as for :func:`cca`.

    >>> x = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    >>> svcca(x, x.flip(1))
    tensor(1.)

    Paper: Raghu, Gilmer, Yosinski, Sohl-Dickstein 2017, arXiv:1706.05806; Kornblith et al. 2019, arXiv:1905.00414.
    Differs from the paper: nothing (see ``criterion``).
    """
    one_of(summary, get_args(Summary), "summary")
    a, b = pair(x, y)
    p, q = (leading(factor_of(side), threshold, criterion) for side in (a, b))
    if not allow_degenerate:
        refuse_degenerate("svcca", {"x": p, "y": q})
    return defined(summarise(cross_cosines(p, q), summary), a, b)


def pwcca(x: Real[Array, "n d1"], y: Real[Array, "n d2"], *, allow_degenerate: bool = False) -> Float[Tensor, ""]:
    r"""Projection weighted CCA: canonical correlations, weighted by how much of X their variables account for.

    .. math:: \frac{\sum_i \alpha_i \rho_i}{\sum_i \alpha_i}, \qquad \alpha_i = \sum_j |\langle h_i, x_j \rangle|

    Args:
        x: (n, d1), the columns :math:`x_j` once centred, with :math:`h_i` its unit-norm canonical variables.
        y: (n, d2), the same examples in the same order. If d2 < d1 the two change places, so that X is the smaller.
        allow_degenerate: compute it although an input spans everything.

    Returns:
        A 0-d tensor in [0, 1]; not symmetric where d1 = d2; nan, with a :class:`SimilarityWarning`, where an input is
        constant.

    Raises:
        ValueError: as for :func:`cca`.

    >>> x = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    >>> pwcca(x, 2 * x)
    tensor(1.)

    Paper: Morcos, Raghu, Bengio 2018, arXiv:1806.05759, section 2; Kornblith et al. 2019, arXiv:1905.00414, section 3.
    Differs from the paper: nothing.
    """
    a, b = pair(x, y)
    p, q = factor_of(a, keep_basis=True), factor_of(b, keep_basis=True)
    if not allow_degenerate:
        refuse_degenerate("pwcca", {"x": p, "y": q})
    return defined(projection_weighted(cross_cosines(p, q), p, q), a, b)


def correlations(m: Float[Tensor, "r2 r1"]) -> Float[Tensor, " r"]:
    """Canonical correlations in eigen form: the singular values of the cross cosines."""
    rho: Tensor = torch.linalg.svdvals(m)
    return rho.clamp(max=1)


def summarise(m: Float[Tensor, "r2 r1"], summary: str) -> Tensor:
    """CCA in eigen form; on leading directions, SVCCA."""
    total = m.square().sum() if summary == "r2" else correlations(m).sum()
    return total / min(m.shape)


def leading(x: Factors, threshold: float, criterion: str) -> Factors:
    """The directions that :func:`svcca` keeps."""
    one_of(criterion, get_args(Criterion), "criterion")
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold is {threshold}: it must be in (0, 1], such as 0.99.")
    share = (unit(x.s).square() if criterion == "variance" else x.s).detach().cumsum(0)
    k = min(int((share < threshold * share[-1:]).sum()) + 1, x.rank)
    return Factors(x.u[:, :k], x.s[:k], None if x.vt is None else x.vt[:k], x.d)


def projection_weighted(m: Float[Tensor, "r2 r1"], x: Factors, y: Factors) -> Tensor:
    """PWCCA in eigen form."""
    if y.d < x.d:
        m, x = m.mT, y
    if x.vt is None:
        raise ValueError("pwcca needs the bases of the factors: make them by factor(x, keep_basis=True).")
    rho: Tensor
    _, rho, variables = torch.linalg.svd(m, full_matrices=False)  # (r,), (r, r1)
    alpha: Tensor = ((variables * x.s) @ x.vt).abs().sum(1)
    return (alpha * rho.clamp(max=1)).sum() / alpha.sum()


def refuse_degenerate(metric: str, layers: Mapping[str, Factors]) -> None:
    """Raise where a representation spans all that n centred examples can: Theorem 1 of Kornblith et al."""
    for name, x in layers.items():
        if x.spans_everything:
            raise ValueError(
                f"{metric} says nothing here: {name} spans all {x.n - 1} dimensions that {x.n} centred examples "
                "have, so every other representation would be found in it. Give more examples than features, pool the "
                "maps, lower the threshold of svcca, or use cka; allow_degenerate=True computes it all the same."
            )
