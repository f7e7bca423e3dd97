"""Linear regression: how much of one representation is a linear function of another."""

from jaxtyping import Float, Real
from torch import Tensor

from torchstone.similarity.cca import refuse_degenerate
from torchstone.similarity.factors import Factors, cross_cosines, factor_of
from torchstone.similarity.inputs import Array, defined, pair, unit


def linear_regression(
    x: Real[Array, "n d1"], y: Real[Array, "n d2"], *, allow_degenerate: bool = False
) -> Float[Tensor, ""]:
    r"""The share of the variance of X that a linear function of Y explains: X is fitted, **from** Y.

    .. math:: R^2_{LR} = 1 - \frac{\min_B \|X - YB\|_F^2}{\|X\|_F^2} = \frac{\|Q_Y^\top X\|_F^2}{\|X\|_F^2}

    with :math:`X, Y` centred and :math:`Q_Y` an orthonormal basis of the columns of Y. Not symmetric: invariant to
    invertible linear maps of Y, and to orthogonal maps and isotropic scaling of X.

    Args:
        x: :math:`X`, (n, d1), the targets.
        y: :math:`Y`, (n, d2), the predictors.
        allow_degenerate: compute it although the predictors span everything.

    Returns:
        A 0-d tensor in [0, 1]; nan, with a :class:`SimilarityWarning`, where an input is constant.

    Raises:
        ValueError: ``y`` has rank n - 1 or more, so that anything is fitted exactly; the inputs are not (n, d1) and
            (n, d2), or are not finite.

    >>> import torch
    >>> y = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    >>> linear_regression(y[:, :2] - y[:, 1:], y)
    tensor(1.)

    Paper: Kornblith, Norouzi, Lee, Hinton 2019, arXiv:1905.00414, section 3.
    Differs from the paper: nothing.
    """
    a, b = pair(x, y)
    p, q = factor_of(a), factor_of(b)
    if not allow_degenerate:
        refuse_degenerate("linear_regression", {"y": q})
    return defined(explained(cross_cosines(p, q), p), a, b)


def explained(m: Float[Tensor, "r2 r1"], x: Factors) -> Tensor:
    """Linear regression in eigen form."""
    variances = unit(x.s).square()
    return m.square().sum(0) @ variances / variances.sum()
