"""Online convex problems on a box, and the three on which Reddi, Kale and Kumar show that Adam fails."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral

import torch
from jaxtyping import Float, Int
from torch import Tensor

Coefficients = Callable[[Int[Tensor, " k"], torch.Generator], Float[Tensor, " k"]]
Loss = Callable[[Float[Tensor, "..."], Float[Tensor, "..."]], Float[Tensor, "..."]]


@dataclass(frozen=True)
class Problem:
    r"""One convex loss :math:`f_t` a step, on a box of the line: linear, :math:`f_t(x) = c_t x`, or one of your own.

    Args:
        name: how it is called.
        coefficients: gives the :math:`c_t` of consecutive times ``t`` (k,), the first of which is 1; what it draws, it
            draws from the generator that it is given, one number after the other.
        best: the point of the box with the least expected loss.
        box: its two ends.
        start: :math:`x_1`.
        period: over how many steps a point is averaged, so that a cycle does not show.
        loss: :math:`f(c, x)`, convex in :math:`x`, element-wise and differentiable by autograd; ``None`` is :math:`cx`.

    Raises:
        ValueError: the box is empty or not two numbers, ``start`` or ``best`` lies outside, or ``period`` is not a
            whole number of at least 1.

    Example:
        >>> noisy = Problem("median", lambda t, generator: torch.rand(len(t), generator=generator), best=0.5,
        ...                 box=(0, 1), loss=lambda c, x: (x - c).abs())
        >>> noisy.period
        1
    """

    name: str
    coefficients: Coefficients
    best: float
    box: tuple[float, float] = (-1.0, 1.0)
    start: float = 0.0
    period: int = 1
    loss: Loss | None = None

    def __post_init__(self) -> None:
        if len(self.box) != 2 or not -math.inf < self.box[0] < self.box[1] < math.inf:
            raise ValueError(f"box must be two finite numbers, the smaller one first, but it is {self.box}.")
        for name in ("start", "best"):
            if not self.box[0] <= getattr(self, name) <= self.box[1]:
                raise ValueError(f"{name} must lie in the box {self.box}, but it is {getattr(self, name)}.")
        _check_period(self.period, least=1)


def reddi_online(C: float = 1010.0, period: int = 101) -> Problem:
    r"""A rare steep slope to the right, and many gentle ones to the left that do not quite make up for it.

    .. math:: f_t(x) = \begin{cases} C x & t \bmod p = 1 \\ -(C/p)\, x & \text{else} \end{cases},
              \qquad x \in [-1, 1], \quad x_1 = 0

    A cycle adds up to :math:`(C/p)\,x`, so -1 is best. Who stands at +1 has an average regret of :math:`2C/p^2`.

    Args:
        C: :math:`C`, the steep slope, above 0.
        period: :math:`p`, steps in a cycle, at least 2.

    Returns:
        The problem; with the defaults the slopes are 1010 and -10, and the floor of who stands at +1 is 20/101.

    Raises:
        ValueError: ``C`` is not positive, or ``period`` is not a whole number of at least 2.

    Example:
        >>> reddi_online().coefficients(torch.tensor([1, 2, 101, 102]), torch.Generator())
        tensor([1010.,  -10.,  -10., 1010.], dtype=torch.float64)

    Paper: Reddi, Kale, Kumar 2018, arXiv:1904.09237, section 5, synthetic experiments (Figure 1, left and middle).
    Differs from the paper: it states neither the start nor the step size, and gives 1010 and 101 only.
    """
    _check(C, period)

    def coefficients(t: Int[Tensor, " k"], generator: torch.Generator) -> Float[Tensor, " k"]:
        return _slopes(t % period == 1, C, -C / period)

    return Problem("reddi-online", coefficients, best=-1.0, period=period)


def reddi_stochastic(C: float = 1010.0, period: int = 101, probability: float = 0.01) -> Problem:
    r"""The same two slopes in random order: steep with a small probability at each step.

    .. math:: f_t(x) = \begin{cases} C x & \text{with probability } q \\ -(C/p)\, x & \text{else} \end{cases},
              \qquad x \in [-1, 1], \quad x_1 = 0

    Args:
        C: :math:`C`, the steep slope, above 0.
        period: :math:`p`, how many times steeper it is, at least 2; points are averaged over as many steps.
        probability: :math:`q`, in (0, 1).

    Returns:
        The problem; with the defaults the mean slope is 0.2, so -1 is best, and its standard deviation about 101.

    Raises:
        ValueError: ``C`` is not positive, ``period`` is not a whole number of at least 2, ``probability`` lies outside
            (0, 1), or the mean slope is 0, so that no point is best.

    Example:
        >>> draws = reddi_stochastic().coefficients(torch.arange(1, 10_001), torch.Generator().manual_seed(0))
        >>> draws.unique()
        tensor([ -10., 1010.], dtype=torch.float64)

    Paper: Reddi, Kale, Kumar 2018, arXiv:1904.09237, section 5, synthetic experiments (Figure 1, right).
    Differs from the paper: it states neither the start nor the step size, and gives 1010, 10 and 0.01 only.
    """
    _check(C, period)
    if not 0 < probability < 1:
        raise ValueError(f"probability must lie strictly between 0 and 1, but it is {probability}.")
    mean = C * (probability - (1 - probability) / period)
    if mean == 0:
        raise ValueError(f"probability = {probability} makes the mean slope 0: no point is best. Take another one.")

    def coefficients(t: Int[Tensor, " k"], generator: torch.Generator) -> Float[Tensor, " k"]:
        draws = torch.rand(len(t), generator=generator, dtype=torch.float64)
        return _slopes(draws < probability, C, -C / period)

    return Problem("reddi-stochastic", coefficients, best=-math.copysign(1.0, mean), period=period)


def reddi_theorem1(C: float = 4.0) -> Problem:
    r"""The three-step problem of Theorem 1.

    .. math:: f_t(x) = \begin{cases} C x & t \bmod 3 = 1 \\ -x & \text{else} \end{cases},
              \qquad x \in [-1, 1], \quad x_1 = 1

    Adam with :math:`\beta_1 = 0`, :math:`\beta_2 = 1/(1 + C^2)` and :math:`\alpha_t = \alpha/\sqrt t` ends at +1, where
    its average regret is :math:`2(C - 2)/3`. It starts there, as in the proof.

    Args:
        C: :math:`C`, above 2, so that -1 is best.

    Returns:
        The problem.

    Raises:
        ValueError: ``C`` is not above 2.

    Example:
        >>> reddi_theorem1(C=3).coefficients(torch.tensor([1, 2, 3, 4]), torch.Generator())
        tensor([ 3., -1., -1.,  3.], dtype=torch.float64)

    Paper: Reddi, Kale, Kumar 2018, arXiv:1904.09237, Theorem 1.
    Differs from the paper: nothing.
    """
    if not 2 < C < math.inf:
        raise ValueError(f"C must be a finite number above 2, so that -1 is the best point, but it is {C}.")

    def coefficients(t: Int[Tensor, " k"], generator: torch.Generator) -> Float[Tensor, " k"]:
        return _slopes(t % 3 == 1, C, -1.0)

    return Problem("reddi-theorem-1", coefficients, best=-1.0, start=1.0, period=3)


def _slopes(steep: Tensor, a: float, b: float) -> Float[Tensor, " k"]:
    return torch.where(steep, torch.tensor(a, dtype=torch.float64), torch.tensor(b, dtype=torch.float64))


def _check(C: float, period: int) -> None:
    if not 0 < C < math.inf:
        raise ValueError(f"C must be a finite number above 0, but it is {C}.")
    _check_period(period, least=2)


def _check_period(period: int, *, least: int) -> None:
    if not isinstance(period, Integral) or period < least:
        raise ValueError(f"period must be at least {least}, a whole number of steps, but it is {period}.")
