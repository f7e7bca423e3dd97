"""Analytic operations on each entry, or along one dimension: no kink, one Lipschitz constant, maybe a domain."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from torchstone.smoothness.call import Call, tensors
from torchstone.smoothness.domain import Interval
from torchstone.smoothness.rules.rule import (
    TINY,
    Need,
    Rule,
    Table,
    all_of,
    need,
    rows,
    scaled,
    shape_of,
    slope,
    within,
)


def row(steepest: float, low: float = -math.inf, high: float = math.inf) -> Rule:
    """An operation with a slope and a range."""
    return Rule(lipschitz=slope(steepest), range=within(low, high))


def on(text: str, low: float, high: float, holds: Callable[[Tensor], Tensor]) -> Rule:
    """An operation that is analytic only where ``holds``; its slope is found from the range of the argument."""
    return Rule(need=need(text, low, high, holds), lipschitz=steepest_at_the_ends, range=monotone)


def not_alike(call: Call) -> Need | None:
    """The square root in a standard deviation."""
    return Need(
        "of entries that are not all alike", all(all_of(lambda std: std > 0, t) for t in list(tensors(call.result))[:1])
    )


def monotone(call: Call) -> Interval:
    """The range of an increasing or decreasing function, from the ends of its argument's."""
    start = max(call.x.range[0], -1.0 if call.name == "log1p" else 0.0)
    low, high = sorted(ends(call, (start, max(start, call.x.range[1]))))
    return (low, high) if not math.isnan(low + high) else (-math.inf, math.inf)


def ends(call: Call, interval: Interval) -> list[float]:
    """The function at both ends."""
    values: list[float] = OUT_OF_PLACE[call.name](torch.tensor(interval, dtype=torch.float64)).tolist()
    return values


def steepest_at_the_ends(call: Call) -> float:
    """For derivatives that are largest at an end of the range, as those of sqrt, log and exp are."""
    x = torch.tensor(call.x.range, dtype=torch.float64, requires_grad=True)
    with torch.enable_grad():  # the program may be within no_grad
        (slopes,) = torch.autograd.grad(OUT_OF_PLACE[call.name](x).sum(), x)
    bound = float(slopes.abs().max())
    return scaled(bound, call.spread(call.x)) if not math.isnan(bound) else math.inf


def log_softmax_slope(call: Call) -> float:
    r""":math:`\|I - 1 p^\top\| \le 1 + \sqrt n \max \|p\| \le 1 + \sqrt n`, and it is bounded by the matrix's norm."""
    dim, sides = call.given(1, "dim"), call.x.data.shape
    n = sides[dim] if isinstance(dim, int) and sides else max(sides, default=1)
    return scaled(1 + math.sqrt(n), call.spread(call.x))


INF, PI = math.inf, math.pi

OUT_OF_PLACE: dict[str, Callable[[Tensor], Tensor]] = {
    "sqrt": torch.sqrt,
    "rsqrt": torch.rsqrt,
    "log": torch.log,
    "log2": torch.log2,
    "log10": torch.log10,
    "log1p": torch.log1p,
    "exp": torch.exp,
    "exp2": torch.exp2,
    "expm1": torch.expm1,
    "sinh": torch.sinh,
    "cosh": torch.cosh,
}

SMOOTH: Table = {
    #                     steepest, least, largest
    **rows("tanh", row(1, -1, 1)),
    **rows("sigmoid expit", row(0.25, 0, 1)),
    **rows("sin cos", row(1, -1, 1)),
    **rows("atan arctan", row(1, -PI / 2, PI / 2)),
    **rows("asinh arcsinh", row(1)),
    **rows("erf", row(2 / math.sqrt(PI), -1, 1)),
    **rows("erfc", row(2 / math.sqrt(PI), 0, 2)),
    **rows("softplus", row(1, 0)),
    **rows("logsigmoid log_sigmoid", row(1, -INF, 0)),
    **rows("gelu", row(1.13, -0.171)),
    **rows("silu", row(1.1, -0.279)),
    **rows("mish", row(1.09, -0.309)),
    **rows("tanhshrink", row(1)),
    **rows("sinc", row(1.4, -0.218, 1)),
    **rows("softmax softmin _softmax", row(0.5, 0, 1)),
    **rows("logsumexp logaddexp logaddexp2", row(1)),
    **rows("logcumsumexp", row(INF)),
    **rows("log_softmax", Rule(lipschitz=log_softmax_slope, range=within(-INF, 0))),
    **rows("glu", row(INF)),
    #                     where they are analytic
    **rows("exp exp2", Rule(lipschitz=steepest_at_the_ends, range=within(0))),
    **rows("expm1", Rule(lipschitz=steepest_at_the_ends, range=within(-1))),
    **rows("cosh", Rule(lipschitz=steepest_at_the_ends, range=within(1))),
    **rows("sinh", Rule(lipschitz=steepest_at_the_ends)),
    **rows("sqrt", on("of an argument > 0", TINY, INF, lambda x: x > 0)),
    **rows("rsqrt", on("of an argument > 0", TINY, INF, lambda x: x > 0)),
    **rows("log log2 log10", on("of an argument > 0", TINY, INF, lambda x: x > 0)),
    **rows("log1p", on("of an argument > -1", -1 + 1e-16, INF, lambda x: x > -1)),
    **rows("lgamma digamma", Rule(need=need("of an argument > 0", TINY, INF, lambda x: x > 0))),
    **rows(
        "asin acos arcsin arccos atanh arctanh erfinv",
        Rule(need=need("of |argument| < 1", 1, -1, lambda x: x.abs() < 1)),
    ),
    **rows("acosh arccosh", Rule(need=need("of an argument > 1", 1, -1, lambda x: x > 1))),
    **rows("logit", Rule(need=need("of 0 < argument < 1", 1, -1, lambda x: (x > 0) & (x < 1)))),
    **rows("tan", Rule(need=need("of an argument where cos is not 0", 0, 0, lambda x: x.cos() != 0))),
    **rows("var", Rule(shape=lambda call: shape_of(call).power(2), range=within(0))),
    **rows("var_mean", Rule()),
    **rows("std", Rule(range=within(0), need=not_alike)),
    **rows("std_mean", Rule(need=not_alike)),
}
