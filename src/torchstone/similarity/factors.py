"""The eigen form: one thin singular value decomposition a layer, from which every linear index follows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Real
from torch import Tensor

from torchstone.similarity.inputs import Array, Representation, representation

SINGLE = torch.finfo(torch.float32).eps


@dataclass(frozen=True)
class Factors:
    r"""The thin singular value decomposition of a centred representation, :math:`HX = U \, \mathrm{diag}(s) \, V^\top`.

    Args:
        u: :math:`U`, orthonormal columns, (n, r) with r the numerical rank; float64.
        s: :math:`s`, positive and descending, (r,); float64.
        vt: :math:`V^\top`, (r, d), or ``None`` where it was not kept: only PWCCA needs it.
        d: the number of features.
    """

    u: Float[Tensor, "n r"]
    s: Float[Tensor, " r"]
    vt: Float[Tensor, "r d"] | None
    d: int

    @property
    def n(self) -> int:
        """The number of examples."""
        return self.u.shape[0]

    @property
    def rank(self) -> int:
        """How many directions rise above the rounding noise; 0 for a constant representation."""
        return len(self.s)

    @property
    def spans_everything(self) -> bool:
        """Whether the representation spans all that n centred examples can: any target is then fitted exactly."""
        return self.rank >= self.n - 1

    @cached_property
    def gram_diagonal(self) -> Float[Tensor, " n"]:
        """The squared norm of each centred example."""
        return self.u.square() @ self.s.square()


def factor(x: Real[Array, "n d"], *, keep_basis: bool = True) -> Factors:
    r"""Factor one representation, once, for every index it will take part in.

    .. math:: HX = U \, \mathrm{diag}(s) \, V^\top, \quad H = I - \tfrac{1}{n} 1 1^\top

    Directions whose singular value is within the rounding noise of ``x`` are dropped, so that no index reads meaning
    into noise: the noise of a matrix whose entries are off by :math:`\epsilon = \mathrm{eps} \max |x|`, eps that of the
    dtype of ``x``, has singular values up to about :math:`\epsilon (\sqrt n + \sqrt d)`.

    Args:
        x: :math:`X`, (n, d), a tensor or numpy array of any real dtype; the factors are float64.
        keep_basis: keep :math:`V`, which ``pwcca`` needs and nothing else does; it is as large as ``x``.

    Returns:
        The :class:`Factors`. Gradients flow, and are finite where the singular values are distinct.

    Raises:
        ValueError: ``x`` is not (n, d) with n ≥ 2 and d ≥ 1, or has NaN or infinite values.
        TypeError: ``x`` is boolean or complex, or neither tensor nor array.

    >>> x = torch.tensor([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]])
    >>> layer = factor(x)
    >>> layer.rank, layer.d, round(layer.s.square().item(), 6)
    (1, 2, 2.0)

    Paper: Kornblith, Norouzi, Lee, Hinton 2019, arXiv:1905.00414, section 4 (the indexes in terms of singular vectors).
    Differs from the paper: directions within rounding noise are dropped.
    """
    return factor_of(representation(x, "x"), keep_basis=keep_basis)


def factor_of(x: Representation, *, keep_basis: bool = False) -> Factors:
    """As :func:`factor`, for an input that has been checked."""
    by_gram = x.n < x.d and x.eps > SINGLE / 2  # squaring halves the digits: float32 input has them to spare
    u, s, vt, resolution = _by_gram(x.centred, keep_basis) if by_gram else _by_svd(x.centred)
    noise = x.rounding * (x.n**0.5 + x.d**0.5)
    floor = max(noise, resolution * s[0].item())
    r = 0 if x.constant else int((s > floor).sum())
    return Factors(u[:, :r], s[:r], vt[:r] if keep_basis and vt is not None else None, x.d)


def cross_cosines(x: Factors, y: Factors) -> Float[Tensor, "r2 r1"]:
    r""":math:`M = U_Y^\top U_X`: the cosines between the left singular vectors of two representations."""
    return y.u.mT @ x.u


def panels(a: Sequence[Factors], b: Sequence[Factors]) -> Iterator[Sequence[Float[Tensor, "r2 r1"]]]:
    """For each layer of ``a``, its :func:`cross_cosines` with all layers of ``b``, by one product."""
    stacked = torch.cat([layer.u for layer in b], 1).mT  # (sum of r2, n)
    sizes = [layer.rank for layer in b]
    for layer in a:
        yield torch.split(stacked @ layer.u, sizes)


def _by_svd(centred: Tensor) -> tuple[Tensor, Tensor, Tensor | None, float]:
    u, s, vt = torch.linalg.svd(centred, full_matrices=False)
    return u, s, vt, max(centred.shape) * torch.finfo(s.dtype).eps


def _by_gram(centred: Tensor, keep_basis: bool) -> tuple[Tensor, Tensor, Tensor | None, float]:
    eigenvalues, u = torch.linalg.eigh(centred @ centred.mT)
    s, u = eigenvalues.flip(0).clamp(min=0).sqrt(), u.flip(1)
    vt = (u.mT @ centred) / s[:, None] if keep_basis else None
    return u, s, vt, (max(centred.shape) * torch.finfo(s.dtype).eps) ** 0.5
