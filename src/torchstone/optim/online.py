"""Online regret: what a learning rule pays on a stream of convex losses, over the best fixed point."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral
from operator import index
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from torchstone.optim.create import create
from torchstone.optim.problems import Problem

Make = Callable[[list[Tensor]], torch.optim.Optimizer]
Schedule = Literal["inverse_sqrt", "constant"] | Callable[[int], float]

BLOCK = 8192  # steps for which losses are drawn and added up at once
FIXED_POINTS = 201  # candidates for the best fixed point of losses that are not linear


@dataclass(frozen=True, eq=False)
class Regret:
    """What :func:`regret` found: curves over time, a column a seed.

    Args:
        t: the times, spaced evenly on a log scale, the last of which is T.
        x: the point, averaged over the last period of the problem.
        realised: :math:`R_t`, against the point that turned out to be best up to t.
        expected: the same against ``Problem.best``; it may be negative.
    """

    t: Int[Tensor, " m"]
    x: Float[Tensor, "m s"]
    realised: Float[Tensor, "m s"]
    expected: Float[Tensor, "m s"]

    @property
    def rate(self) -> Float[Tensor, "m s"]:
        """The average regret a step, :math:`R_t / t`, realised."""
        return self.realised / self.t[:, None]

    @property
    def expected_rate(self) -> Float[Tensor, "m s"]:
        """The average regret a step against ``Problem.best``."""
        return self.expected / self.t[:, None]


def regret(
    optimizer: str | Make,
    problem: Problem | Sequence[Problem],
    T: int,
    seeds: int | Sequence[int] = 1,
    *,
    schedule: Schedule = "inverse_sqrt",
    every: float = 1.25,
    **hyper: Any,
) -> Regret:
    r"""Run a learning rule on one convex loss a step; all seeds at once, as the entries of one parameter.

    .. math:: R_T = \sum_{t=1}^{T} f_t(x_t) - \min_{x \in F} \sum_{t=1}^{T} f_t(x), \qquad
              x_{t+1} = \mathrm{clamp}_F(x_t - \alpha_t \cdot \text{rule}(\nabla f_1(x_1), \ldots, \nabla f_t(x_t)))

    Projection onto a box is a clamp also in the metric of a diagonal rule. Each seed has a generator of its own, so a
    column depends neither on the other seeds nor on the length of the blocks in which losses are drawn. The minimum
    is exact for linear losses (an end of the box); for others it is that over 201 points spread evenly over the box.

    Args:
        optimizer: the name of a rule of :func:`create`, or a callable from a list of parameters to an optimizer. Its
            rule must be element-wise and must not ask for a closure.
        problem: :math:`f_t`, the box :math:`F` and :math:`x_1`; or a problem for each seed, run side by side, all
            linear or all of the same loss.
        T: :math:`T`, the number of steps, at least 1.
        seeds: how many (0, 1, ...), or which ones.
        schedule: of the step size: :math:`\alpha_t = \alpha/\sqrt t`, :math:`\alpha_t = \alpha`, or a callable that
            gives the factor of :math:`\alpha` at a time t, which starts at 1. It is set in the optimizer's groups.
        every: a point of the curves each time t has grown by this factor, above 1.
        **hyper: of the named rule, with ``lr`` as :math:`\alpha`.

    Returns:
        Curves of regret, and of the point.

    Raises:
        ValueError: T, the seeds, the schedule or ``every`` make no sense, the problems are not one for each seed or
            do not share their loss, coefficients are not finite, the loss is not element-wise, or hyperparameters come
            with a callable.
        TypeError: ``problem`` is no problem, or ``optimizer`` neither a name nor a callable that makes an optimizer.
        FloatingPointError: a point is not finite.

    Example:
        >>> from torchstone.optim import reddi_online
        >>> sloth = regret("sgd", reddi_online(), 1010, lr=1e-9)    # stays at 0: 10/101 a step above the best
        >>> sloth.rate[-1]
        tensor([0.0990], dtype=torch.float64)

    Paper: Zinkevich 2003, Online convex programming and generalized infinitesimal gradient ascent, ICML; with the rules
        of Reddi, Kale, Kumar 2018, arXiv:1904.09237, section 2.
    Differs from the paper: nothing.
    """
    columns = _columns(seeds)
    problems = _problems(problem, len(columns))
    loss = _checked(problems, columns, T, every)
    x = torch.tensor([each.start for each in problems], dtype=torch.float64, requires_grad=True)
    rule = _made(optimizer, hyper, x)
    walk = _Walk(x, rule, _factor(schedule), _box(problems), loss)
    return _account(walk, problems, columns, list(_times(T, every)))


@dataclass(eq=False)
class _Walk:
    """The points that a rule visits, block by block."""

    x: Tensor
    optimizer: torch.optim.Optimizer
    factor: Callable[[int], float]
    box: tuple[Tensor, Tensor]
    loss: Callable[[Tensor, Tensor], Tensor] | None

    def __post_init__(self) -> None:
        self.rates = [group["lr"] for group in self.optimizer.param_groups]

    def through(self, coefficients: Float[Tensor, "k s"], first: int) -> Float[Tensor, "k s"]:
        """The point before each update, from time ``first`` on."""
        visited = torch.empty_like(coefficients)
        rows = zip(coefficients.unbind(), visited.unbind(), strict=True)
        x, point, (low, high) = self.x, self.x.detach(), self.box
        for t, (c, row) in enumerate(rows, first):
            row.copy_(point)
            x.grad = c if self.loss is None else torch.autograd.grad(self.loss(c, x).sum(), x)[0]
            factor = self.factor(t)
            for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
                group["lr"] = rate * factor
            self.optimizer.step()
            point.clamp_(low, high)
        if not point.isfinite().all():
            raise FloatingPointError(f"A point was not finite at step {first + len(visited) - 1}: {point.tolist()}.")
        return visited


def _account(walk: _Walk, problems: list[Problem], columns: list[int], times: list[int]) -> Regret:
    """Walk to the last of ``times``, and note at each of them what was paid and what fixed points would have paid."""
    generators = [torch.Generator().manual_seed(seed) for seed in columns]
    fixed = _fixed_points(problems, walk.loss is None)  # (points, s); the last is the best one expected
    paid, rivals = torch.zeros(len(columns), dtype=torch.float64), torch.zeros_like(fixed)
    tail = torch.empty(0, len(columns), dtype=torch.float64)
    notes = []
    for first, last in _blocks(times):
        t = torch.arange(first, last + 1)
        c = torch.stack([_drawn(p, t, g) for p, g in zip(problems, generators, strict=True)], 1)
        x = walk.through(c, first)
        paid = paid + _losses(walk, c, x).sum(0)
        linear = walk.loss is None
        rivals += c.sum(0) * fixed if linear else torch.stack([_losses(walk, c, point).sum(0) for point in fixed])
        tail = torch.cat([tail, x])[-max(each.period for each in problems) :]
        if last in times:
            mean = torch.stack([tail[-each.period :, i].mean() for i, each in enumerate(problems)])
            notes.append((mean, paid - rivals.min(0).values, paid - rivals[-1]))
    return Regret(torch.tensor(times), *(torch.stack(curve) for curve in zip(*notes, strict=True)))


def _losses(walk: _Walk, c: Float[Tensor, "k s"], x: Float[Tensor, "*k s"]) -> Float[Tensor, "k s"]:
    losses = (walk.loss or torch.mul)(c, x)
    if losses.shape != c.shape:
        raise ValueError(
            f"loss must be element-wise, but for coefficients of shape {tuple(c.shape)} it gave {tuple(losses.shape)}: "
            "it must neither sum nor average."
        )
    return losses


def _drawn(problem: Problem, t: Int[Tensor, " k"], generator: torch.Generator) -> Float[Tensor, " k"]:
    c = torch.as_tensor(problem.coefficients(t, generator))
    if c.shape != t.shape or not c.isfinite().all():
        raise ValueError(
            f"coefficients of '{problem.name}' must give a finite number for each of the {len(t)} times it is asked "
            f"for, but it gave shape {tuple(c.shape)}{'' if c.isfinite().all() else ' with some that are not finite'}."
        )
    return c.double()


def _fixed_points(problems: list[Problem], linear: bool) -> Float[Tensor, "points s"]:
    low, high = _box(problems)
    share = torch.linspace(0, 1, 2 if linear else FIXED_POINTS, dtype=torch.float64)[:, None]
    best = torch.tensor([each.best for each in problems], dtype=torch.float64)
    return torch.cat([low + share * (high - low), best[None]])


def _box(problems: list[Problem]) -> tuple[Tensor, Tensor]:
    low, high = torch.tensor([each.box for each in problems], dtype=torch.float64).unbind(1)
    return low, high


def _times(T: int, every: float) -> Iterator[int]:
    t = 1
    while t < T:
        yield t
        t = max(t + 1, int(min(t * every, T)))
    yield T


def _blocks(times: list[int]) -> Iterator[tuple[int, int]]:
    """Ranges of at most ``BLOCK`` steps, ends included, that end at each of ``times``."""
    first = 1
    for time in times:
        while first <= time:
            last = min(time, first + BLOCK - 1)
            yield first, last
            first = last + 1


def _factor(schedule: Schedule) -> Callable[[int], float]:
    if callable(schedule):
        return schedule
    known: dict[str, Callable[[int], float]] = {"inverse_sqrt": lambda t: 1 / math.sqrt(t), "constant": lambda t: 1.0}
    if schedule not in known:
        raise ValueError(f"schedule must be one of {', '.join(known)} or a callable, but it is {schedule!r}.")
    return known[schedule]


def _made(optimizer: str | Make, hyper: dict[str, Any], x: Tensor) -> torch.optim.Optimizer:
    if isinstance(optimizer, str):
        return create(optimizer, [x], **hyper)
    if hyper:
        raise ValueError(f"Hyperparameters ({', '.join(hyper)}) go with a rule's name; a callable has its own.")
    made = optimizer([x]) if callable(optimizer) else None
    if not isinstance(made, torch.optim.Optimizer):
        raise TypeError(
            "optimizer must be the name of a rule, or a callable that makes an optimizer for the parameters it is "
            f"given, such as lambda parameters: torch.optim.SGD(parameters, 0.1); but it is {optimizer!r}."
        )
    return made


def _columns(seeds: int | Sequence[int]) -> list[int]:
    try:
        return [index(seed) for seed in (seeds if isinstance(seeds, Iterable) else range(index(seeds)))]
    except TypeError as error:
        raise ValueError(f"seeds must be how many, or a list of whole numbers, but it is {seeds!r}.") from error


def _problems(problem: Problem | Sequence[Problem], n: int) -> list[Problem]:
    problems = list(problem) if isinstance(problem, Iterable) else [problem] * n
    if not all(isinstance(each, Problem) for each in problems):
        raise TypeError(f"problem must be a Problem, such as reddi_online(), or one a seed, but it is {problem!r}.")
    return problems


def _checked(problems: list[Problem], columns: list[int], T: int, every: float) -> Any:
    """The loss that all problems share; ``None`` for linear ones."""
    if not isinstance(T, Integral) or isinstance(T, bool) or T < 1:
        raise ValueError(f"T must be a whole number of steps, at least 1, but it is {T!r}.")
    if not columns:
        raise ValueError("seeds must be at least one, but there is none.")
    if not every > 1:
        raise ValueError(f"every must be a factor above 1, but it is {every}.")
    if len(problems) != len(columns):
        raise ValueError(f"{len(problems)} problems came for {len(columns)} seeds: give one, or one a seed.")
    if any(each.loss is not problems[0].loss for each in problems):
        raise ValueError("Problems that run side by side must all be linear or share one loss; run the others apart.")
    return problems[0].loss
