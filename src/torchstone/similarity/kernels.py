"""Kernels: how alike each pair of examples is, as an (n, n) Gram matrix."""

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float, Real
from torch import Tensor

from torchstone.similarity.inputs import Array, Representation, deliver, representation, unit, warn

Kernel = Literal["linear", "rbf"] | Callable[[Tensor], Tensor]


def linear_kernel(x: Real[Array, "n d"]) -> Float[Tensor, "n n"]:
    r"""The linear kernel of a centred representation.

    .. math:: K = HX (HX)^\top, \quad H = I - \tfrac{1}{n} 1 1^\top

    Args:
        x: :math:`X`, (n, d).

    Returns:
        :math:`K`, (n, n).

    >>> linear_kernel(torch.tensor([[1.0], [3.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])

    Paper: Kornblith, Norouzi, Lee, Hinton 2019, arXiv:1905.00414, section 3.
    Differs from the paper: nothing.
    """
    a = representation(x, "x")
    return deliver(a.centred @ a.centred.mT, a, a)


def rbf_kernel(
    x: Real[Array, "n d"], *, bandwidth: float = 0.4, include_diagonal: bool = False
) -> Float[Tensor, "n n"]:
    r"""The Gaussian kernel, with a bandwidth that follows the scale of the representation.

    .. math:: K_{ij} = \exp\left(-\frac{\|x_i - x_j\|^2}{2 \sigma^2}\right), \quad
              \sigma^2 = f^2 \operatorname{median}_{i<j} \|x_i - x_j\|^2

    Of an even number of squared distances, the median is the mean of the two in the middle.

    Args:
        x: :math:`x_i` in rows, (n, d).
        bandwidth: :math:`f`, the fraction of the median distance; the paper uses 0.2, 0.4 and 0.8.
        include_diagonal: take the median over all n² distances, the n zeros among them, as the paper's demo does.

    Returns:
        :math:`K`, (n, n), with ones on the diagonal, and ones everywhere if all examples coincide; else nan, with a
        :class:`SimilarityWarning`, where the median is 0.

    Raises:
        ValueError: ``bandwidth`` is not positive.

    >>> rbf_kernel(torch.tensor([[0.0], [1.0]]), bandwidth=1.0)[0, 1]  # exp(-1/2)
    tensor(0.6065)

    Paper: Kornblith, Norouzi, Lee, Hinton 2019, arXiv:1905.00414, section 3.
    Differs from the paper: the demo's median includes the diagonal; ours does so with ``include_diagonal=True``.
    """
    a = representation(x, "x")
    return deliver(rbf_gram(a.centred, bandwidth, a.name, include_diagonal=include_diagonal), a, a)


def rbf_gram(
    points: Float[Tensor, "n d"], bandwidth: float, name: str, *, include_diagonal: bool = False
) -> Float[Tensor, "n n"]:
    """The Gaussian kernel of centred points; ``name`` is what a warning calls them."""
    if not bandwidth > 0:
        raise ValueError(f"bandwidth is {bandwidth}: it must be positive, such as 0.4 (times the median distance).")
    gram = gaussian(points, bandwidth, include_diagonal=include_diagonal)
    if gram.isnan().any():
        warn(f"More than half the pairs of examples coincide in {name}: its RBF kernel is undefined (nan).")
    return gram


def gaussian(points: Float[Tensor, "n d"], bandwidth: float, *, include_diagonal: bool = False) -> Float[Tensor, "n n"]:
    """The kernel of :func:`rbf_kernel` for centred float64 points; nothing in it waits for a GPU.

    Ones where all points coincide up to rounding; else nan where the median distance is 0.
    """
    distances = _squared_distances(unit(points))
    n = len(points)
    i, j = torch.triu_indices(n, n, offset=1, device=points.device)
    median = _median(distances.flatten() if include_diagonal else distances[i, j])
    median = median.masked_fill(median == 0, torch.nan).masked_fill(~distances.any(), 1.0)
    return torch.exp(-distances / (2 * bandwidth**2 * median))


def gram_of(x: Representation, kernel: Kernel, bandwidth: float) -> Float[Tensor, "n n"]:
    """The Gram matrix of a checked representation, in float64."""
    if callable(kernel):
        return _checked(kernel(x.values), x.n)
    if kernel == "rbf":
        return rbf_gram(x.centred, bandwidth, x.name)
    if kernel == "linear":
        return x.centred @ x.centred.mT
    raise ValueError(f"kernel is {kernel!r}: it must be 'linear', 'rbf' or a callable from (n, d) to (n, n).")


def _squared_distances(points: Tensor) -> Tensor:
    """Squared distances; what the subtraction's own rounding could have made is 0, as for examples that are equal."""
    gram = points @ points.mT
    squares = gram.diagonal()
    both = squares[:, None] + squares
    distances = both - 2 * gram
    noise = 16 * torch.finfo(points.dtype).eps * both.detach()
    return distances.masked_fill(distances.detach() <= noise, 0.0).fill_diagonal_(0.0)


def _median(values: Tensor) -> Tensor:
    upper = len(values) // 2  # kthvalue counts from 1
    if len(values) % 2:
        return values.kthvalue(upper + 1).values
    return (values.kthvalue(upper).values + values.kthvalue(upper + 1).values) / 2


def _checked(gram: object, n: int) -> Tensor:
    if not isinstance(gram, Tensor) or gram.shape != (n, n):
        got = f"shape {tuple(gram.shape)}" if isinstance(gram, Tensor) else type(gram).__name__
        raise ValueError(f"kernel returned {got} for {n} examples: a tensor of shape ({n}, {n}) is needed.")
    if not torch.isfinite(gram).all():
        raise ValueError("kernel returned NaN or infinite values.")
    if not torch.allclose(gram, gram.mT):
        raise ValueError("kernel returned a Gram matrix that is not symmetric: kernel(x)[i, j] must be [j, i].")
    return gram.double()
