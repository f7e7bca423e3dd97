"""Frequencies of data that lie on no grid: the eigenvectors of a kernel matrix, from smooth to rough."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Real
from torch import Tensor


@dataclass(frozen=True, eq=False)
class KernelEigenbasis:
    r"""An orthonormal basis of all functions on n examples, the smoothest first; made by :func:`kernel_eigenbasis`.

    Args:
        eigenvalues: :math:`\lambda_1 \ge \dots \ge \lambda_n`, float64, (n,).
        vectors: :math:`\varphi_i` in columns, float64, (n, n).
        rank: how many eigenvalues stand above rounding, :math:`n \varepsilon \lambda_1`. The vectors after these are
            orthonormal and rough, but which is which is an accident.
    """

    eigenvalues: Float[Tensor, " n"]
    vectors: Float[Tensor, "n n"]
    rank: int


def kernel_eigenbasis(x: Float[Tensor, "n d"], sigma: float) -> KernelEigenbasis:
    r"""The eigenvectors of the Gaussian kernel matrix of the examples, sorted from smooth to rough.

    .. math:: K_{ij} = \exp\Bigl(-\frac{\|x_i - x_j\|^2}{2\sigma^2}\Bigr), \qquad
              K \varphi_i = \lambda_i \varphi_i, \qquad \varphi_i^\top \varphi_j = \delta_{ij}

    They stand in for sines where the examples lie on no grid (on an even grid of a circle they *are* sines): a function
    with much of itself along the first is smooth on the data. See :func:`project`.

    Args:
        x: the examples, (n, d).
        sigma: :math:`\sigma`, the width of the kernel, in units of ``x``. The paper's code takes 1.25.

    Returns:
        The basis, on the device of ``x``, computed in float64. Each vector's entry of largest magnitude is
        positive.

    Raises:
        TypeError: ``x`` is not of floating point.
        ValueError: ``x`` is empty, not (n, d) or not finite, or ``sigma`` is not a positive finite number.

    Example:
        >>> x = torch.tensor([[0.0], [1.0], [5.0]])
        >>> basis = kernel_eigenbasis(x, sigma=1.0)
        >>> basis.eigenvalues.round(decimals=3), basis.rank
        (tensor([1.6070, 1.0000, 0.3930], dtype=torch.float64), 3)

    Paper: Rahaman et al. 2019, arXiv:1806.08734, equation 16.
    Differs from the paper: equation 16 as printed lacks the minus sign and the square; here is what it must mean, and
        what the paper's code computes.
    """
    _check(x, sigma)
    distances = torch.cdist(x.double(), x.double(), compute_mode="donot_use_mm_for_euclid_dist")
    values, vectors = torch.linalg.eigh(torch.exp(-(distances / sigma).square() / 2))
    values, vectors = values.flip(0), vectors.flip(1)
    peaks = vectors.gather(0, vectors.abs().argmax(0, keepdim=True))
    rank = int((values > len(x) * torch.finfo(values.dtype).eps * values[0]).sum())
    return KernelEigenbasis(values, vectors * torch.where(peaks < 0, -1.0, 1.0), rank)


def project(values: Real[Tensor, "*b n"], basis: KernelEigenbasis) -> Float[Tensor, "*b n"]:
    r"""How much of each eigenvector is in a function on the examples, such as a network's outputs or their errors.

    .. math:: c_i = \varphi_i^\top f, \qquad f = \sum_i c_i \varphi_i, \qquad \|f\|^2 = \sum_i c_i^2

    Args:
        values: :math:`f` at the n examples of the basis, along the last axis; rows of a batch are separate functions.
        basis: of :func:`kernel_eigenbasis`.

    Returns:
        The :math:`c_i`, float64 on the device of ``values``; NaN throughout a row with a NaN.

    Raises:
        TypeError: ``values`` is complex or boolean.
        ValueError: the last axis is not as long as the basis.

    Example:
        >>> basis = kernel_eigenbasis(torch.tensor([[0.0], [1.0], [5.0]]), sigma=1.0)
        >>> shares = project(torch.tensor([1.0, 1.0, 0.0]), basis).square() / 2  # smooth where x is close
        >>> shares.round(decimals=3).abs()
        tensor([1., 0., 0.], dtype=torch.float64)

    Paper: Rahaman et al. 2019, arXiv:1806.08734, equation 16 and the experiment that uses it.
    Differs from the paper: nothing.
    """
    if values.is_complex() or values.dtype == torch.bool:
        raise TypeError(f"values must be real numbers, but its dtype is {values.dtype}.")
    n = len(basis.eigenvalues)
    if values.ndim == 0 or values.shape[-1] != n:
        raise ValueError(
            f"values must have one number for each of the {n} examples of the basis along its last axis, but its shape "
            f"is {tuple(values.shape)}. A network's output (n, 1) needs squeeze(1)."
        )
    return values.double() @ basis.vectors.to(values.device)


def _check(x: Tensor, sigma: float) -> None:
    if not x.is_floating_point():
        raise TypeError(f"x must be a tensor of floating-point inputs, but its dtype is {x.dtype}. Try x.float().")
    if x.ndim != 2 or not len(x):
        raise ValueError(f"x must have one example a row, (n, d), but its shape is {tuple(x.shape)}.")
    if not bool(x.isfinite().all()):
        raise ValueError("x must be finite, but it has NaN or infinite entries. Leave those examples out.")
    if not 0 < sigma < math.inf:
        raise ValueError(f"sigma must be positive and finite, but it is {sigma}.")
