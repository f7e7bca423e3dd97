"""The Hilbert-Schmidt independence criterion: how much two kernels on the same examples vary together."""

from typing import Literal, get_args

import torch
from jaxtyping import Float, Real
from torch import Tensor

from torchstone.similarity.factors import Factors
from torchstone.similarity.inputs import Array, one_of, pair
from torchstone.similarity.kernels import Kernel, gram_of

Estimator = Literal["debiased", "biased"]


def hsic(
    x: Real[Array, "n d1"],
    y: Real[Array, "n d2"],
    *,
    kernel: Kernel = "linear",
    estimator: Estimator = "debiased",
    bandwidth: float = 0.4,
) -> Float[Tensor, ""]:
    r"""The Hilbert-Schmidt independence criterion of two representations.

    .. math:: \text{debiased: } \frac{\langle K^U, L^U \rangle}{n(n-3)} \qquad
              \text{biased: } \frac{\operatorname{tr}(KHLH)}{(n-1)^2}

    with :math:`K^U` from :func:`u_center`. Linear HSIC follows the scale of its inputs, and is no similarity index by
    itself: :func:`~torchstone.similarity.cka` is its normalised form.

    Args:
        x: (n, d1), whose kernel matrix is :math:`K`.
        y: (n, d2), whose kernel matrix is :math:`L`.
        kernel: ``"linear"``, ``"rbf"``, or a callable from an (n, d) float64 tensor to a symmetric (n, n) one.
        estimator: ``"debiased"`` is 0 on average for independent data, and may be negative.
        bandwidth: of the RBF kernel, as a fraction of the median distance.

    Returns:
        A 0-d float64 tensor, whatever the inputs: linear HSIC goes with the fourth power of the features, for which
        float32 is too narrow. 0 where an input is constant.

    Raises:
        ValueError: the inputs are not (n, d1) and (n, d2), are not finite, or n < 4 (debiased); they are so large that
            the result overflows in float64.

    >>> x = torch.tensor([[1.0], [2.0], [3.0], [6.0]])
    >>> hsic(x, x, estimator="biased")  # the squared variance
    tensor(21.7778, dtype=torch.float64)

    Paper: Song, Smola, Gretton, Borgwardt, Bedo 2007, arXiv:0704.2668, HSIC_1 (debiased); Gretton, Bousquet, Smola,
        Schölkopf 2005 (biased).
    Differs from the paper: HSIC_1 is computed by U-centring, which is the same number with smaller rounding errors.
    """
    a, b = pair(x, y)
    check_estimator(a.n, estimator)
    if kernel == "linear" and 2 * a.d * b.d <= a.n * (a.d + b.d):
        return _representable(feature_hsic(a.centred, b.centred, estimator))
    k, l = (centering(gram_of(side, kernel, bandwidth), estimator) for side in (a, b))  # noqa: E741
    value = gram_hsic(k, l, estimator)
    return value if kernel == "rbf" else _representable(value)


def center(gram: Float[Tensor, "*batch n n"]) -> Float[Tensor, "*batch n n"]:
    r"""Centre Gram matrices: rows and columns sum to 0.

    .. math:: HKH, \quad H = I - \tfrac{1}{n} 1 1^\top

    Args:
        gram: :math:`K`, with any leading batch dimensions.

    Returns:
        The centred matrices, same shape.

    Raises:
        ValueError: ``gram`` is not square.

    >>> center(torch.eye(2))
    tensor([[ 0.5000, -0.5000],
            [-0.5000,  0.5000]])

    Paper: Kornblith, Norouzi, Lee, Hinton 2019, arXiv:1905.00414, section 3.
    Differs from the paper: nothing.
    """
    gram = _square(gram, at_least=1)
    rows, columns = gram.mean(-1, keepdim=True), gram.mean(-2, keepdim=True)
    return gram - rows - columns + rows.mean(-2, keepdim=True)


def u_center(gram: Float[Tensor, "*batch n n"]) -> Float[Tensor, "*batch n n"]:
    r"""U-centre Gram matrices: zero diagonal, and rows and columns that still sum to 0.

    With :math:`\tilde K` the matrix :math:`K` with its diagonal set to 0,

    .. math::
        m_i = \frac{\sum_j \tilde K_{ij}}{n-2}, \quad \mu_i = m_i - \frac{\sum_j m_j}{2(n-1)}, \quad
        K^U_{ij} = \tilde K_{ij} - \mu_i - \mu_j \ (i \ne j), \quad K^U_{ii} = 0

    The debiased HSIC is an inner product of two such matrices (:func:`gram_hsic`), so that of a kernel with itself is a
    sum of squares and cannot be negative.

    Args:
        gram: :math:`K`, symmetric, with any leading batch dimensions. In float32, centre the features first: a large
            common mean costs the digits that the result needs.

    Returns:
        The U-centred matrices, same shape.

    Raises:
        ValueError: ``gram`` is not square, or n < 4.

    >>> u_center(torch.ones(4, 4)).abs().max() < 1e-6
    tensor(True)

    Paper: Székely, Rizzo 2014, arXiv:1310.2926, definition 2.
    Differs from the paper: nothing.
    """
    gram = _square(gram, at_least=4)
    n = gram.shape[-1]
    hollow = gram - torch.diag_embed(gram.diagonal(dim1=-2, dim2=-1))
    means = hollow.sum(-1, keepdim=True) / (n - 2)
    means = means - means.sum(-2, keepdim=True) / (2 * (n - 1))
    full = hollow - means - means.mT
    return full - torch.diag_embed(full.diagonal(dim1=-2, dim2=-1))


def centering(gram: Tensor, estimator: str) -> Tensor:
    """The centring that belongs to an estimator."""
    return u_center(gram) if estimator == "debiased" else center(gram)


def gram_hsic(
    gram_x: Float[Tensor, "*batch n n"], gram_y: Float[Tensor, "*batch n n"], estimator: str
) -> Float[Tensor, "*batch"]:
    r"""HSIC of two Gram matrices that :func:`centering` has treated, for the same ``estimator``.

    .. math:: \text{debiased: } \frac{\langle K^U, L^U \rangle}{n(n-3)} \qquad
              \text{biased: } \frac{\operatorname{tr}(KHLH)}{(n-1)^2}
    """
    return (gram_x * gram_y).sum((-2, -1)) / weight(gram_x.shape[-1], estimator)


def weight(n: int, estimator: str) -> int:
    """What an inner product of centred Gram matrices is divided by."""
    return n * (n - 3) if estimator == "debiased" else (n - 1) ** 2


def linear_hsic(cross: Tensor, p: Float[Tensor, " n"], q: Float[Tensor, " n"], estimator: str) -> Tensor:
    r"""Linear HSIC without a Gram matrix.

    For centred :math:`X, Y`,

    .. math:: \text{debiased: } \frac{1}{n(n-3)} \Big[ \|Y^\top X\|_F^2
        - \frac{n}{n-2} \sum_i \|x_i\|^2 \|y_i\|^2 + \frac{\|X\|_F^2 \|Y\|_F^2}{(n-1)(n-2)} \Big]
        \qquad \text{biased: } \frac{\|Y^\top X\|_F^2}{(n-1)^2}

    Args:
        cross: :math:`\|Y^\top X\|_F^2`, computed from features or from singular vectors.
        p: :math:`\|x_i\|^2`, the diagonal of the centred Gram matrix :math:`XX^\top`.
        q: :math:`\|y_i\|^2`, likewise.
        estimator: ``debiased`` or ``biased``.
    """
    n = len(p)
    if estimator == "debiased":
        cross = cross - n / (n - 2) * (p @ q) + p.sum() * q.sum() / ((n - 1) * (n - 2))
    return cross / weight(n, estimator)


def feature_hsic(x: Float[Tensor, "n d1"], y: Float[Tensor, "n d2"], estimator: str) -> Tensor:
    """:func:`linear_hsic` of centred features."""
    return linear_hsic((y.mT @ x).square().sum(), x.square().sum(1), y.square().sum(1), estimator)


def factor_hsic(m: Float[Tensor, "r2 r1"], x: Factors, y: Factors, estimator: str) -> Tensor:
    r""":func:`linear_hsic` in eigen form: :math:`\|Y^\top X\|_F^2 = \sum_{ij} s_{Yi}^2 s_{Xj}^2 M_{ij}^2`."""
    cross = y.s.square() @ m.square() @ x.s.square()
    return linear_hsic(cross, x.gram_diagonal, y.gram_diagonal, estimator)


def check_estimator(n: int, estimator: str) -> None:
    """Refuse an unknown estimator, and fewer examples than it is defined for."""
    one_of(estimator, get_args(Estimator), "estimator")
    if estimator == "debiased" and n < 4:
        raise ValueError(
            f"There are {n} examples: the debiased estimator needs at least 4. "
            "Give more examples, or estimator='biased'."
        )


def _representable(value: Tensor) -> Tensor:
    if not value.isfinite():
        raise ValueError("HSIC of x and y overflows in float64, about 1e308: divide the larger of them by a constant.")
    return value


def _square(gram: Tensor, at_least: int) -> Tensor:
    if gram.ndim < 2 or gram.shape[-1] != gram.shape[-2]:
        raise ValueError(f"gram has shape {tuple(gram.shape)}: a square matrix (n, n), or a batch of them, is needed.")
    if gram.shape[-1] < at_least:
        raise ValueError(f"gram is of {gram.shape[-1]} examples: at least {at_least} are needed.")
    return gram if gram.is_floating_point() else gram.to(torch.get_default_dtype())
