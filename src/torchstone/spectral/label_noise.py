"""Label noise of a chosen frequency: a function of the input, smooth or rough, on top of the true labels."""

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

CONVENTIONS = {"paper": 1.0, "code": 2 * math.pi}
"""The factor on the frequency: radians in the paper, cycles in its code."""


def radial_label_noise(
    x: Float[Tensor, "n d"],
    frequency: float,
    beta: float = 1.0,
    convention: Literal["paper", "code"] = "paper",
) -> Float[Tensor, " n"]:
    r"""A wave in the length of the input, to be added to the labels.

    .. math:: \beta\,\psi_k(x), \qquad \psi_k(x) =
              \begin{cases} \sin(k \|x\|) & \text{paper} \\ \sin(2\pi k \|x\|) & \text{code} \end{cases}

    What a frequency means depends on the scale of the inputs: if the lengths of all examples lie within a small part
    of a wave, the noise is close to a constant, and so is its size. Compare frequencies with the spread of
    :math:`\|x\|` on the data, and the mean squares of the noises with each other, before comparing what they do.

    Args:
        x: the examples, (n, d).
        frequency: :math:`k`, in radians (``"paper"``) or cycles (``"code"``) per unit of length; 0 is no noise.
        beta: :math:`\beta`, the amplitude, in units of the labels.
        convention: whose formula; the paper's text and its authors' code differ by the factor :math:`2\pi`.

    Returns:
        The noise of each example, in the dtype and on the device of ``x``; computed in float64. NaN where x is not
        finite.

    Raises:
        TypeError: ``x`` is not of floating point.
        ValueError: ``x`` is not (n, d), ``frequency`` or ``beta`` is negative or not finite, or ``convention`` is
            unknown.

    Example:
        >>> x = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
        >>> radial_label_noise(x, 0.1, beta=2.0)  # 2 sin(0.5)
        tensor([0.9589, 0.0000])
        >>> radial_label_noise(x, 0.05, convention="code")  # sin(π/2)
        tensor([1., 0.])

    Paper: Rahaman et al. 2019, arXiv:1806.08734, section 3, noisy labels on MNIST.
    Differs from the paper: nothing.
    """
    if not x.is_floating_point():
        raise TypeError(f"x must be a tensor of floating-point inputs, but its dtype is {x.dtype}. Try x.float().")
    if x.ndim != 2:
        raise ValueError(f"x must be (n, d), but its shape is {tuple(x.shape)}. Flatten each example: x.flatten(1).")
    for name, number in (("frequency", frequency), ("beta", beta)):
        if not 0 <= number < math.inf:
            raise ValueError(f"{name} must be finite and not negative, but it is {number}.")
    if convention not in CONVENTIONS:
        raise ValueError(f"convention must be 'paper' or 'code', but it is {convention!r}.")
    lengths = torch.linalg.vector_norm(x.double(), dim=1)
    return (beta * torch.sin(CONVENTIONS[convention] * frequency * lengths)).to(x.dtype)
