"""Centred kernel alignment: HSIC, normalised so that it does not depend on scale."""

import torch
from jaxtyping import Float, Real
from torch import Tensor

from torchstone.similarity.factors import Factors
from torchstone.similarity.hsic import (
    Estimator,
    centering,
    check_estimator,
    feature_hsic,
    gram_hsic,
    linear_hsic,
    weight,
)
from torchstone.similarity.inputs import Array, Representation, defined, pair, unit, warn
from torchstone.similarity.kernels import Kernel, gram_of


def cka(
    x: Real[Array, "n d1"],
    y: Real[Array, "n d2"],
    *,
    kernel: Kernel = "linear",
    estimator: Estimator = "debiased",
    bandwidth: float = 0.4,
) -> Float[Tensor, ""]:
    r"""Centred kernel alignment: how alike two representations see the same examples.

    .. math:: \mathrm{CKA}(X, Y) = \frac{\mathrm{HSIC}(K, L)}{\sqrt{\mathrm{HSIC}(K, K)\,\mathrm{HSIC}(L, L)}},
              \qquad \text{linear, biased: } \frac{\|Y^\top X\|_F^2}{\|X^\top X\|_F \|Y^\top Y\|_F}

    1 for representations that are equal up to rotation, reflection, offset and scale. Invariant to orthogonal maps and
    isotropic scaling of either input, not to invertible linear maps. The linear kernel takes the cheaper of two equal
    forms: features (d small) or Gram matrices (d large).

    A high value does not mean equal function: moving a single example far enough takes linear CKA to almost any value
    (Davari et al. 2022, arXiv:2210.16156).

    Args:
        x: :math:`X`, (n, d1), one example a row; kernel matrix :math:`K`.
        y: :math:`Y`, (n, d2), the same examples in the same order; kernel matrix :math:`L`.
        kernel: ``"linear"``, ``"rbf"``, or a callable from an (n, d) float64 tensor to a symmetric (n, n) one.
        estimator: ``"debiased"`` is about 0 for independent data, whatever n and d, and may be negative; ``"biased"``
            is the paper's, which tends to 1 as d/n grows (:func:`chance_level`).
        bandwidth: of the RBF kernel, as a fraction of the median distance.

    Returns:
        A 0-d tensor; computed in float64, delivered as float32 unless an input is float64 or a numpy array. It is nan,
        with a :class:`SimilarityWarning`, where an input is constant, all its examples are equally alike, or more than
        half of their pairs coincide (RBF kernel).

    Raises:
        ValueError: the inputs are not (n, d1) and (n, d2), are not finite, or n < 4 (debiased).
        TypeError: an input is boolean, complex, or neither tensor nor array.

    >>> x = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    >>> cka(x, 10 * x.flip(1) + 1)
    tensor(1.)

    Paper: Kornblith, Norouzi, Lee, Hinton 2019, arXiv:1905.00414, section 3; the debiased estimator is Song et al.'s
        2007, arXiv:0704.2668, as in Nguyen, Raghu, Kornblith 2021, arXiv:2010.15327, equation 3.
    Differs from the paper: debiased by default; the RBF median leaves out the zero diagonal.
    """
    a, b = pair(x, y)
    check_estimator(a.n, estimator)
    if estimator == "biased":
        warn_of_bias(a.n, a.d, b.d)
    if kernel == "linear" and features_are_cheaper(a.n, a.d, b.d):
        return defined(cka_by_features(a, b, estimator), a, b)
    k, l = (gram_of(side, kernel, bandwidth) for side in (a, b))  # noqa: E741
    no_kernel = bool(k.isnan().any() or l.isnan().any())  # of which rbf_gram has warned
    return defined(cka_by_grams(k, l, estimator), a, b, explained=no_kernel)


def chance_level(n: int, d1: int, d2: int) -> float:
    r"""What biased linear CKA scores on average for independent Gaussian data, about.

    .. math:: \sqrt{\frac{d_1 d_2}{(n - 1 + d_1)(n - 1 + d_2)}}

    Args:
        n: number of examples.
        d1: number of features of one representation.
        d2: number of features of the other.

    Returns:
        The level, in (0, 1). That of the debiased estimator is 0.

    Raises:
        ValueError: n < 2, or a number of features below 1.

    >>> round(chance_level(100, 1000, 1000), 3)
    0.91

    Paper: the effect is that of Murphy, Zylberberg, Fyshe 2024, arXiv:2405.01012.
    Differs from the paper: the law is worked out here, from the expected traces of Wishart matrices.
    """
    if n < 2 or min(d1, d2) < 1:
        raise ValueError(f"n is {n}, d1 {d1} and d2 {d2}: at least 2 examples and 1 feature each are needed.")
    return float((d1 * d2 / ((n - 1 + d1) * (n - 1 + d2))) ** 0.5)


def warn_of_bias(n: int, d1: int, d2: int) -> None:
    """Say so where there are so few examples that the biased estimator says little."""
    if 2 * max(d1, d2) > n:
        warn(
            f"Biased CKA of {d1} and {d2} features on {n} examples: independent Gaussian data would score about "
            f"{chance_level(n, d1, d2):.3f} (linear kernel). Use estimator='debiased', or more examples."
        )


def features_are_cheaper(n: int, d1: int, d2: int) -> bool:
    """Whether products of (d, n) with (n, d) cost less than two Gram matrices and the passes over them."""
    return d1 * d2 + d1**2 + d2**2 < n * (d1 + d2)


def cka_by_features(a: Representation, b: Representation, estimator: str) -> Tensor:
    """Linear CKA from (d2, d1) products."""
    x, y = unit(a.centred), unit(b.centred)
    return ratio(
        feature_hsic(x, y, estimator),
        *(resolved(feature_hsic(z, z, estimator), z.square().sum(), len(z), estimator) for z in (x, y)),
    )


def cka_by_grams(gram_x: Float[Tensor, "n n"], gram_y: Float[Tensor, "n n"], estimator: str) -> Tensor:
    """CKA from Gram matrices."""
    k, l = (centred_unit(gram, estimator) for gram in (gram_x, gram_y))  # noqa: E741
    return ratio(*(gram_hsic(p, q, estimator) for p, q in ((k, l), (k, k), (l, l))))


def factor_self_hsic(x: Factors, estimator: str) -> Tensor:
    """Linear HSIC of a representation with itself, in eigen form."""
    value = linear_hsic(x.s.pow(4).sum(), x.gram_diagonal, x.gram_diagonal, estimator)
    return resolved(value, x.s.square().sum(), x.n, estimator)


def ratio(xy: Tensor, xx: Tensor, yy: Tensor) -> Tensor:
    """The normalisation of CKA, xy / √(xx · yy), exactly 1 for equal arguments and safe from overflow."""
    return (xy / xx) * (xx / yy).sqrt()


def resolved(self_hsic: Tensor, trace: Tensor, n: int, estimator: str) -> Tensor:
    """``self_hsic``, or nan where it is nothing but rounding error: where all examples are equally alike."""
    floor = n * torch.finfo(trace.dtype).eps * trace.square() / weight(n, estimator)
    return torch.where(self_hsic > floor, self_hsic, torch.nan)


def centred_unit(gram: Float[Tensor, "n n"], estimator: str) -> Float[Tensor, "n n"]:
    """A Gram matrix of scale 1, centred; nan where nothing but rounding error is left of it."""
    centred = centering(unit(gram), estimator)
    rounding = len(gram) * torch.finfo(gram.dtype).eps
    return centred if centred.detach().abs().max() > rounding else centred * torch.nan
