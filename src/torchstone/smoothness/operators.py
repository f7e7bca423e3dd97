"""Norms of linear operators, from above: what the Lipschitz bound of a layer is."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

EXACT = 512  # rows or columns up to which singular values are computed
SQUARINGS = 6
FREQUENCIES = 16  # for each degree of a kernel, along each axis


def spectral_norm(matrix: Float[Tensor, "*batch m n"]) -> float:
    r"""The largest singular value, of the worst matrix of a batch; exact up to 512 rows or columns, else from above.

    .. math:: \|W\|_2 = \lambda_{\max}(G)^{1/2} \le \|G^{2^j}\|_F^{2^{-j-1}}, \qquad G = W^\top W \text{ or } W W^\top

    Args:
        matrix: :math:`W`.

    Returns:
        The norm; with j = 6 squarings of large matrices at most :math:`\min(m, n)^{1/256}` times it: 3 % at 2,000.
        Infinite for entries that are not finite, 0 for none.

    >>> spectral_norm(torch.tensor([[0.0, 3.0], [0.0, 0.0]]))
    3.0

    Paper: Delattre, Barthélemy, Araujo, Allauzen 2023, arXiv:2305.16173, section 4 (Gram iteration).
    Differs from the paper: small matrices are done exactly.
    """
    wide = matrix.detach().to(torch.promote_types(matrix.dtype, torch.float64))
    if not wide.numel():
        return 0.0
    if not wide.isfinite().all():
        return math.inf
    if min(wide.shape[-2:]) <= EXACT:
        return float(torch.linalg.matrix_norm(wide, 2).max())
    return float(gram_norm(wide).max())


def gram_norm(matrix: Tensor, squarings: int = SQUARINGS) -> Float[Tensor, "*batch"]:
    """:func:`spectral_norm` from above, by squaring the Gram matrix; it is scaled so that nothing overflows."""
    largest = matrix.abs().amax((-2, -1), keepdim=True).clamp(min=torch.finfo(torch.float64).tiny)
    matrix = matrix / largest
    gram = matrix.mH @ matrix if matrix.shape[-1] <= matrix.shape[-2] else matrix @ matrix.mH
    log_norm = torch.zeros(gram.shape[:-2], dtype=torch.float64, device=gram.device)
    for j in range(squarings + 1):
        size = torch.linalg.matrix_norm(gram).clamp(min=torch.finfo(torch.float64).tiny)
        log_norm = log_norm + size.log() / 2 ** (j + 1)
        gram = gram / size[..., None, None]
        gram = gram @ gram
    return log_norm.exp() * largest[..., 0, 0]


def schur_norm(function: Callable[[Tensor], Tensor], like: Tensor) -> float:
    r"""Bound of an affine function whose matrix :math:`A \ge 0` has no negative entries, by Schur's test.

    .. math:: \|A\|_2 \le \sqrt{\|A\|_\infty \|A\|_1} = \sqrt{\max(A 1) \, \max(A^\top 1)}

    Two passes, whatever the function is. Exact where all row sums are alike and all column sums are: for sums, means,
    copies, permutations, windows.

    Args:
        function: takes a float64 tensor of the shape of ``like``, returns a flat one.
        like: an argument.

    >>> schur_norm(lambda x: x.expand(9, 4).flatten(), torch.zeros(4))
    3.0
    """
    with torch.inference_mode(False), torch.enable_grad():
        ones = torch.ones_like(like, dtype=torch.float64, requires_grad=True)
        rows = function(ones)
        if not rows.numel():
            return 0.0
        (columns,) = torch.autograd.grad(rows.sum(), ones)
        rows = (rows - function(torch.zeros_like(ones))).detach()
    return math.sqrt(float(rows.max()) * float(columns.max()))


def convolution_norm(kernel: Float[Tensor, "o i *k"], side: tuple[int, ...]) -> float:
    r"""Bound of a convolution (stride 1, one group, zeros or nothing around) of maps with sides ``side``, by Fourier.

    Surrounded by enough zeros, a map does not meet itself on a torus, where convolutions are diagonal:

    .. math:: \|K\|_2 \le \max_\omega \|\hat K(\omega)\|_2
              \le \max_{\omega \in \text{grid}} \|\hat K(\omega)\|_2 \prod_a \frac{1}{\cos(\pi r_a / N_a)}

    where :math:`\hat K` is a trigonometric polynomial of degree :math:`r = \lceil (k - 1)/2 \rceil` along each axis, so
    that N = 16 r frequencies an axis are enough: 4 % are lost in two dimensions, and nothing on small maps.

    Args:
        kernel: :math:`K`, with sides k.
        side: of the input with its padding, without channels.

    >>> round(convolution_norm(torch.ones(1, 1, 3, 3), (64, 64)), 2)
    9.36

    Paper: Sedghi, Gupta, Long 2019, arXiv:1805.10408, theorem 6; the coarse grid is Ehlich and Zeller's, 1964.
    Differs from the paper: zero padding and a coarse grid, so a bound and no equality.
    """
    grid, loss = [], 1.0
    for n, k in zip(side, kernel.shape[2:], strict=True):
        degree = k // 2
        coarse = max(1, FREQUENCIES * degree) < n + k - 1
        grid.append(max(1, FREQUENCIES * degree) if coarse else n + k - 1)
        loss *= math.cos(math.pi / FREQUENCIES) if coarse and degree else 1.0
    axes = tuple(range(2, kernel.ndim))
    symbol = torch.fft.rfftn(kernel.detach().double(), s=grid, dim=axes).flatten(2).movedim(2, 0)  # (ω, o, i)
    return spectral_norm(symbol) / loss
