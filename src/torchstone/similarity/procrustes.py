"""Orthogonal Procrustes: how far apart two representations stay when one may be rotated onto the other."""

import torch
from jaxtyping import Float, Real
from torch import Tensor

from torchstone.similarity.factors import Factors, factor_of
from torchstone.similarity.inputs import Array, Representation, defined, deliver, pair, unit


def procrustes_distance(x: Real[Array, "n d1"], y: Real[Array, "n d2"], *, normalize: bool = True) -> Float[Tensor, ""]:
    r"""The distance of two representations after the best orthogonal map, the narrower one padded with zeros.

    .. math:: d(X, Y) = \min_{Q^\top Q = I} \|X Q - Y\|_F = \sqrt{\|X\|_F^2 + \|Y\|_F^2 - 2 \|X^\top Y\|_*}

    with :math:`X, Y` centred and, if ``normalize``, of Frobenius norm 1: then :math:`d = \sqrt{2 - 2 \|X^\top Y\|_*}`.
    A metric on representations up to rotation and offset, and up to scale if ``normalize``.

    Args:
        x: :math:`X`, (n, d1).
        y: :math:`Y`, (n, d2), the same examples in the same order.
        normalize: divide each input by its Frobenius norm; ``False`` gives the size-and-shape distance.

    Returns:
        A 0-d tensor, in [0, √2] if ``normalize``, else in the unit of the inputs. Distances below about 1e-8 of the
        norms are rounding errors. A constant input gives nan with a :class:`SimilarityWarning` if ``normalize``, else
        the norm of the other. Gradients are finite where the distance is not 0.

    Raises:
        ValueError: the inputs are not (n, d1) and (n, d2), or are not finite.

    >>> x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
    >>> procrustes_distance(x, 3 * x.flip(1) + 5) < 1e-6
    tensor(True)

    Paper: Ding, Denain, Steinhardt 2021, arXiv:2108.01661, section 2; size-and-shape: Williams, Kunz, Kornblith,
        Linderman 2021, arXiv:2110.14739.
    Differs from the paper: Ding et al. report the square of this distance.
    """
    a, b = pair(x, y)
    if normalize:
        return defined((2 - 2 * _cosine(a, b)).clamp(min=0).sqrt(), a, b)
    p, q = _points(a), _points(b)
    square = p.square().sum() + q.square().sum() - 2 * nuclear_norm(q.mT @ p)
    return deliver(square.clamp(min=0).sqrt(), a, b)


def angular_distance(x: Real[Array, "n d1"], y: Real[Array, "n d2"]) -> Float[Tensor, ""]:
    r"""The angle between two representations after the best orthogonal map.

    .. math:: \theta(X, Y) = \arccos \frac{\|X^\top Y\|_*}{\|X\|_F \|Y\|_F}

    Args:
        x: :math:`X`, (n, d1).
        y: :math:`Y`, (n, d2), the same examples in the same order.

    Returns:
        A 0-d tensor in [0, π/2], in radians; a metric up to rotation, offset and scale. Angles below about 1e-8 are
        rounding errors. Nan, with a :class:`SimilarityWarning`, where an input is constant. Gradients are finite where
        the angle is not 0.

    Raises:
        ValueError: the inputs are not (n, d1) and (n, d2), or are not finite.

    >>> angular_distance(torch.tensor([[1.0], [0.0], [-1.0]]), torch.tensor([[1.0], [-2.0], [1.0]]))  # uncorrelated
    tensor(1.5708)

    Paper: Williams, Kunz, Kornblith, Linderman 2021, arXiv:2110.14739, equation 5.
    Differs from the paper: nothing.
    """
    a, b = pair(x, y)
    return defined(_cosine(a, b).clamp(max=1).arccos(), a, b)


def nuclear_norm(cross: Float[Tensor, "r2 r1"]) -> Tensor:
    """The sum of singular values."""
    values: Tensor = torch.linalg.svdvals(cross)
    return values.sum()


def factor_procrustes(m: Float[Tensor, "r2 r1"], x: Factors, y: Factors) -> Tensor:
    """The cosine of the angular distance in eigen form."""
    p, q = unit(x.s), unit(y.s)
    return nuclear_norm(q[:, None] * m * p) / (p.square().sum() * q.square().sum()).sqrt()


def _cosine(a: Representation, b: Representation) -> Tensor:
    x, y = unit(_points(a)), unit(_points(b))
    return nuclear_norm(y.mT @ x) / (x.square().sum() * y.square().sum()).sqrt()


def _points(a: Representation) -> Float[Tensor, "n r"]:
    """The centred examples; where there are few of them, rotated so that few columns hold them."""
    if a.d <= a.n:
        return a.centred
    layer = factor_of(a)
    return layer.u * layer.s
