"""``smooth(p, value)``: what the author of a piecewise construction knows of it, and a test of that knowledge."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode, wrap_torch_function

HIGHEST = 3  # derivatives above it drown in rounding errors
POINTS = 32  # steps on a line, at each magnification
MAGNIFICATIONS = 8
MEASURABLE = 100.0  # a difference counts while it is so many times the rounding error
LASTING = 0.5  # of a jump is left when the line is magnified; a smooth function keeps less than a third


@wrap_torch_function(lambda p, value: (value,))
def smooth(p: float, value: Tensor) -> Tensor:
    r"""Declare that ``value``, made piece by piece, is :math:`C^p` in all that it is made from; returns ``value``.

    The smoothness check takes the branches of a ``where`` for a jump, since it does not know that they meet. Who knows
    says so. The declaration changes no value and no gradient; :func:`verify_smooth` tests it.

    Args:
        p: times that it is continuously differentiable: 0, 1, 2, ... or ``math.inf``.
        value: a tensor of any shape.

    Raises:
        ValueError: ``p`` is no such number.
        TypeError: ``value`` is no tensor.

    Example:
        >>> x = torch.tensor([-1.0, 2.0])
        >>> smooth(1, torch.where(x > 0, x**2, 0))  # the slope is 0 on either side
        tensor([0., 4.])

    Paper: Modelica Language Specification, operator ``smooth(p, expr)``.
    Differs from the paper: it can be verified.
    """
    if not isinstance(value, Tensor):
        raise TypeError(f"value of smooth must be a tensor, but it is of type {type(value).__name__}.")
    if isinstance(p, bool) or not isinstance(p, int | float) or not (p >= 0 and (p == math.inf or p == int(p))):
        raise ValueError(f"p of smooth must be 0, 1, 2, ... or math.inf, but it is {p!r}.")
    return value


def verify_smooth(
    function: Callable[..., Any], *inputs: Tensor, generator: torch.Generator, lines: int = 16, reach: float = 1.0
) -> None:
    r"""Test what ``function`` declares by :func:`smooth`: along random lines no derivative up to order p jumps.

    With :math:`v(t)` the declared value on a line :math:`x + t u` through the inputs, and divided differences
    :math:`D_q v = \Delta_h^q v / h^q`, neighbouring :math:`D_q` differ by :math:`O(h)` where :math:`v` is
    :math:`C^{q+1}`, and by the jump of the derivative where it is not :math:`C^q`. The place where they differ most is
    magnified until rounding errors show; a difference that stays is a jump. It is found only if a line crosses it, and
    what changes like :math:`|t|^{1/4}` or faster cannot be told from it.

    Args:
        function: of ``inputs``; reaches the same declarations in the same order wherever the lines lead.
        inputs: float64 tensors, near the places where the pieces meet.
        generator: draws the directions :math:`u` and the lengths of the lines.
        lines: how many.
        reach: standard deviation of each coordinate of the longest lines' ends; the shortest have a hundredth of it.

    Raises:
        AssertionError: a declared value jumps (its derivative 0), or one of its first p derivatives, at most three.
        ValueError: an input is not float64, nothing is declared, or values are not finite.

    Example:
        >>> x = torch.linspace(-1, 1, 5, dtype=torch.float64)
        >>> generator = torch.Generator().manual_seed(0)
        >>> verify_smooth(lambda x: smooth(1, torch.where(x > 0, x**2, 0)), x, generator=generator)
        >>> verify_smooth(lambda x: smooth(2, torch.where(x > 0, x**2, 0)), x, generator=generator)
        Traceback (most recent call last):
        AssertionError: smooth(2, ...) does not hold: derivative 2 of the declared value 1 jumps by ... along a line.
    """
    _check_inputs(inputs, lines, reach)
    for _ in range(lines):
        length = reach * 100 ** -float(torch.rand((), generator=generator))
        ends = [length * torch.randn(x.shape, generator=generator, dtype=x.dtype).to(x.device) for x in inputs]

        def declared(t: float, ends: Sequence[Tensor] = ends) -> list[tuple[float, Tensor]]:
            return _declared(function, [x + t * end for x, end in zip(inputs, ends, strict=True)])

        for place, (p, _) in enumerate(declared(0.0)):
            for q in range(int(min(p, HIGHEST)) + 1):
                jump = lasting_jump(lambda t: declared(t)[place][1], q)  # noqa: B023  # used at once
                if jump > 0:
                    raise AssertionError(
                        f"smooth({p}, ...) does not hold: derivative {q} of the declared value {place + 1} jumps by "
                        f"{jump / _norm(ends) ** q:.3g} along a line."
                    )


def lasting_jump(curve: Callable[[float], Tensor], q: int) -> float:
    """By how much derivative ``q`` of ``curve`` jumps on [-1, 1] where it changes most; 0 where it does not jump."""
    start, stop, scale = -1.0, 1.0, 0.0
    sizes = [math.inf]
    for _ in range(MAGNIFICATIONS):
        t = torch.linspace(start, stop, POINTS + 1, dtype=torch.float64)
        h = (stop - start) / POINTS
        values = torch.stack([curve(float(at)) for at in t])
        slopes = values.diff(n=q, dim=0) / h**q
        jumps = (slopes[q + 1 :] - slopes[: -q - 1]).abs().amax(1)  # of neighbours that share no point
        scale = max(scale, float(values.abs().max()))
        rounding = torch.finfo(torch.float64).eps * scale * (2 / h) ** q
        first = int(jumps.argmax())
        if float(jumps[first]) <= MEASURABLE * rounding:
            break
        sizes.append(float(jumps[first]))
        start, stop = float(t[max(first - 1, 0)]), float(t[min(first + 2 * q + 2, POINTS)])
    return sizes[-1] if len(sizes) > 2 and sizes[-1] > LASTING * sizes[-2] else 0.0


def _norm(direction: Sequence[Tensor]) -> float:
    return math.hypot(*(float(part.norm()) for part in direction))


class _Declarations(TorchFunctionMode):
    """Writes down what goes through :func:`smooth`."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[float, Tensor]] = []

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func is smooth:
            p = args[0] if args else (kwargs or {})["p"]
            self.found.append((p, result.detach().flatten()))
        return result


def _declared(function: Callable[..., Any], inputs: Sequence[Tensor]) -> list[tuple[float, Tensor]]:
    declarations = _Declarations()
    with declarations:
        function(*inputs)
    if not declarations.found:
        raise ValueError("function declares nothing: no value in it goes through smooth(p, value).")
    if not all(bool(value.isfinite().all()) for _, value in declarations.found):
        raise ValueError(
            "A declared value of function is not finite near inputs. Give other inputs, or a smaller reach."
        )
    return declarations.found


def _check_inputs(inputs: Sequence[Tensor], lines: int, reach: float) -> None:
    for number, x in enumerate(inputs, 1):
        if not isinstance(x, Tensor) or x.dtype != torch.float64:
            kind = x.dtype if isinstance(x, Tensor) else type(x).__name__
            raise ValueError(
                f"inputs must be float64 tensors, since differences cancel, but number {number} is {kind}."
            )
    if not inputs or lines < 1 or not 0 < reach < math.inf:
        raise ValueError(
            f"Give an input, lines >= 1 and a reach > 0, but lines={lines}, reach={reach}, {len(inputs)} inputs."
        )
