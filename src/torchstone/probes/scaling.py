"""Scaling of features before a probe sees them: unit rows, or columns of mean 0 and variance 1."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Real
from torch import Tensor

from torchstone.probes.inputs import check_features, check_finite, delivered, warn

Scaling = Literal["l2", "standard"]


def l2_normalize(x: Real[Tensor, "*e n d"]) -> Float[Tensor, "*e n d"]:
    r"""Rows of unit length, :math:`x_i / \|x_i\|_2`; a row of zeros has no direction and stays, with a warning.

    Args:
        x: :math:`x_i`, (n, d) or (e, n, d).

    Returns:
        The same shape, in float32, or float64 for float64 features.

    Raises:
        ValueError: ``x`` is not finite, or of another rank.
        TypeError: it is boolean or complex.

    >>> l2_normalize(torch.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    check_features(x, "x")
    check_finite(x, "x")
    values = x.double()
    largest = values.abs().amax(-1, keepdim=True)
    zero = largest == 0
    if zero.any():
        warn(f"{int(zero.sum())} of {zero.numel()} rows are all 0: they have no direction, and stay 0.")
    unit = values / largest.masked_fill(zero, 1)  # so that no square overflows or vanishes
    length = torch.linalg.vector_norm(unit, dim=-1, keepdim=True)
    rows: Tensor = unit / length.masked_fill(zero, 1)
    return rows.to(delivered(x.dtype))


@dataclass(frozen=True)
class Scaler:
    """What brings features to scale; made by :func:`scaler`.

    Args:
        how: ``"l2"``, ``"standard"``, or None for features as they are.
        mean: (1, d) or (e, 1, d), for ``"standard"``.
        deviation: likewise.
    """

    how: Scaling | None
    mean: Tensor | None = None
    deviation: Tensor | None = None

    def __call__(self, x: Real[Tensor, "*e n d"]) -> Float[Tensor, "*e n d"]:
        """``x`` to scale."""
        if self.how == "l2":
            return l2_normalize(x)
        if self.mean is None or self.deviation is None:
            return x.to(delivered(x.dtype))
        return ((x.double() - self.mean) / self.deviation).to(delivered(x.dtype))


def scaler(x: Real[Tensor, "*e n d"], how: Scaling | None) -> Scaler:
    r"""The scaling that suits the training features ``x``, to be applied to them and to test features alike.

    ``"standard"`` is :math:`(x - \mu) / \sigma`, with the mean and the population's standard deviation of each column
    of ``x``, per problem; a constant column is only centred. ``"l2"`` is :func:`l2_normalize`.

    Args:
        x: (n, d) or (e, n, d), training examples.
        how: ``"standard"``, ``"l2"`` or None.

    Returns:
        A function of features.

    Raises:
        ValueError: ``how`` is none of these; ``x`` is not finite, or of another rank.

    >>> standard = scaler(torch.tensor([[1.0, 5.0], [3.0, 5.0]]), "standard")
    >>> standard(torch.tensor([[4.0, 6.0]]))
    tensor([[2., 1.]])
    """
    check_features(x, "x")
    if how not in ("l2", "standard", None):
        raise ValueError(f"`scaling` is {how!r}: it must be 'standard', 'l2' or None.")
    if how != "standard":
        return Scaler(how)
    values = x.double()
    mean = values.mean(-2, keepdim=True)
    check_finite(mean, "x")
    deviation = (values - mean).square().mean(-2, keepdim=True).sqrt()
    rounding = values.shape[-2] * torch.finfo(torch.float64).eps * values.abs().amax(-2, keepdim=True)
    return Scaler(how, mean, deviation.masked_fill(deviation <= rounding, 1))
