"""Signals of known frequencies on an even grid, and how much of each frequency a sampled function holds."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Complex, Float, Real
from torch import Tensor

Numbers = float | Sequence[float] | Tensor


class SumOfSines:
    r"""A target of known frequencies, on a grid of [0, 1) whose end is left out.

    .. math:: \lambda(z) = \sum_i A_i \sin(2\pi k_i z + \varphi_i), \qquad z_j = j/n, \; j = 0, \dots, n-1

    Args:
        frequencies: the :math:`k_i`, in cycles per unit of z: different, whole, positive, below n/2.
        amplitudes: the :math:`A_i`, positive; one number stands for all.
        phases: the :math:`\varphi_i` in radians; ``None`` draws them from :math:`U(0, 2\pi)`.
        n: number of grid points.
        whole: ``False`` allows frequencies that are not whole: the signal is then no period of the grid, and each
            frequency leaks into the others.
        dtype: of ``z`` and ``values``; torch's default if ``None``. Sums are taken in float64.
        seed: seed of the phases; needed where they are drawn.

    Attributes:
        frequencies, amplitudes, phases: float64, (k,).
        z: the grid, (n,).
        values: :math:`\lambda(z_j)`, (n,).

    Raises:
        ValueError: a frequency of n/2 or more, which the grid cannot tell from a lower one; one that is not whole; a
            number that is not finite or not positive; lists of different lengths; phases and seed both missing.

    Example:
        >>> target = SumOfSines([1, 2], amplitudes=[1.0, 0.5], phases=0.0, n=8)
        >>> target.values[2], target(torch.tensor([0.25, 1.25]))
        (tensor(1.), tensor([1., 1.]))

    Paper: Rahaman et al. 2019, arXiv:1806.08734, section 3, experiment 1.
    Differs from the paper: frequencies that alias or leak are refused.
    """

    def __init__(
        self,
        frequencies: Numbers,
        amplitudes: Numbers = 1.0,
        phases: Numbers | None = None,
        n: int = 200,
        *,
        whole: bool = True,
        dtype: torch.dtype | None = None,
        seed: int | None = None,
    ) -> None:
        self.frequencies = checked_frequencies(frequencies, n, whole=whole)
        self.amplitudes = checked_amplitudes(amplitudes, len(self.frequencies))
        count = len(self.frequencies)
        self.phases = _drawn_phases(count, seed) if phases is None else checked_phases(phases, count)
        self.n = n
        self.dtype = dtype or torch.get_default_dtype()
        self.z = self.grid()
        self.values = self._at(self._even_grid(1)).to(self.dtype)

    def __call__(self, z: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """The signal at any places ``z``; shape, dtype and device follow them."""
        if not z.is_floating_point():
            raise TypeError(f"z must be a tensor of floating-point places, but its dtype is {z.dtype}.")
        return self._at(z.double()).to(z.dtype)

    def grid(self, fineness: int = 1) -> Float[Tensor, " m"]:
        """The grid with ``fineness`` times as many points, m = fineness·n; what lies between the samples shows there.

        Example:
            >>> SumOfSines(1, phases=0.0, n=4).grid(2)
            tensor([0.0000, 0.1250, 0.2500, 0.3750, 0.5000, 0.6250, 0.7500, 0.8750])
        """
        return self._even_grid(fineness).to(self.dtype)

    def _even_grid(self, fineness: int) -> Float[Tensor, " m"]:
        """:meth:`grid` in float64."""
        if fineness < 1:
            raise ValueError(f"fineness must be 1 or more, but it is {fineness}.")
        return torch.arange(fineness * self.n, dtype=torch.float64) / (fineness * self.n)

    def _at(self, z: Tensor) -> Tensor:
        k, a, phi = (part.to(z.device) for part in (self.frequencies, self.amplitudes, self.phases))
        return (a * torch.sin(2 * math.pi * k * z[..., None] + phi)).sum(-1)


def coefficients(
    values: Real[Tensor, "*b n"], frequencies: Numbers, amplitudes: Numbers = 1.0, *, whole: bool = True
) -> Complex[Tensor, "*b k"]:
    r"""How much of each sine is in a function that was sampled on the even grid :math:`z_j = j/n`.

    .. math:: c_i = \frac{2\mathrm{i}}{A_i} F(k_i), \qquad
              F(k) = \frac1n \sum_{j=0}^{n-1} f(z_j)\, e^{-2\pi\mathrm{i} k z_j}

    For :math:`f = A_i \sin(2\pi k_i z + \varphi_i)` this is :math:`e^{\mathrm{i}\varphi_i}`: its magnitude is the
    normalised amplitude :math:`2|F|/A` of the paper, 1 once the sine is learned. One product with an (n, k) matrix,
    which is cheaper than an FFT for few frequencies.

    Args:
        values: the :math:`f(z_j)` along the last axis, n of them; rows of a batch are separate functions.
        frequencies: the :math:`k_i`, as in :class:`SumOfSines`.
        amplitudes: the :math:`A_i`; 1 gives plain amplitudes.
        whole: as in :class:`SumOfSines`.

    Returns:
        The :math:`c_i`, complex128 on the device of ``values``; NaN where a value is.

    Raises:
        ValueError: as :class:`SumOfSines`.
        TypeError: ``values`` is complex or boolean.

    Example:
        >>> target = SumOfSines([1, 3], amplitudes=[2.0, 0.5], n=16, seed=0)
        >>> coefficients(target.values, [1, 2, 3]).abs().round(decimals=3)
        tensor([2.0000, 0.0000, 0.5000], dtype=torch.float64)

    Paper: Rahaman et al. 2019, arXiv:1806.08734, section 3, experiment 1.
    Differs from the paper: the phase is kept, and the sign is that of a sine.
    """
    if values.is_complex() or values.dtype == torch.bool:
        raise TypeError(f"values must be real numbers, but its dtype is {values.dtype}.")
    if values.ndim == 0:
        raise ValueError("values must have the n samples along its last axis, but it is a single number.")
    waves = sampling_matrix(values.shape[-1], frequencies, amplitudes, whole=whole).to(values.device)
    return values.double().to(waves.dtype) @ waves


def sampling_matrix(
    n: int, frequencies: Numbers, amplitudes: Numbers = 1.0, *, whole: bool = True
) -> Complex[Tensor, "n k"]:
    """The matrix that takes n samples to their :func:`coefficients`."""
    k = checked_frequencies(frequencies, n, whole=whole)
    a = checked_amplitudes(amplitudes, len(k))
    turns = torch.arange(n, dtype=torch.float64)[:, None] * k / n
    return 2j / (n * a) * torch.exp(-2j * math.pi * turns)


def checked_frequencies(frequencies: Numbers, n: int, *, whole: bool = True) -> Float[Tensor, " k"]:
    """The frequencies in float64, if an even grid of n points can tell them apart."""
    k = _vector("frequencies", frequencies)
    if len(set(k.tolist())) < len(k) or not bool((k > 0).all()):
        raise ValueError(f"frequencies must be positive and all different, but they are {k.tolist()}.")
    if not bool((2 * k < n).all()):
        raise ValueError(
            f"frequencies must lie below half the number of samples, n/2 = {n / 2:g}, since higher ones look like "
            f"lower ones there, but the largest is {float(k.max()):g}. Take a finer grid."
        )
    if whole and not torch.equal(k, k.round()):
        raise ValueError(
            f"frequencies must be whole, since others leak into their neighbours on [0, 1), but they are {k.tolist()}. "
            "Say whole=False if you want them so."
        )
    return k


def checked_amplitudes(amplitudes: Numbers, count: int) -> Float[Tensor, " k"]:
    """The amplitudes in float64, one for each of ``count`` frequencies."""
    a = _vector("amplitudes", amplitudes, count)
    if not bool((a > 0).all()):
        raise ValueError(f"amplitudes must be positive, since spectra are divided by them, but they are {a.tolist()}.")
    return a


def checked_phases(phases: Numbers, count: int) -> Float[Tensor, " k"]:
    """The phases in float64, one for each of ``count`` frequencies."""
    return _vector("phases", phases, count)


def _drawn_phases(count: int, seed: int | None) -> Float[Tensor, " k"]:
    if seed is None:
        raise ValueError("phases are to be drawn, since none came, but seed is missing. Give either.")
    return 2 * math.pi * torch.rand(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _vector(name: str, numbers: Numbers, count: int | None = None) -> Float[Tensor, " k"]:
    """``numbers`` as a float64 vector on the CPU; a single one repeated ``count`` times."""
    vector = torch.as_tensor(numbers, dtype=torch.float64).detach().cpu()
    if vector.ndim == 0:
        vector = vector.expand(count or 1).clone()
    if vector.ndim != 1 or not len(vector) or (count is not None and len(vector) != count):
        expected = "a list of numbers" if count is None else f"one number or a list of {count}, one for each frequency"
        raise ValueError(f"{name} must be {expected}, but its shape is {tuple(vector.shape)}.")
    if not bool(vector.isfinite().all()):
        raise ValueError(f"{name} must be finite, but they are {vector.tolist()}.")
    return vector
