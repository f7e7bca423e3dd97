"""Quotients and powers: where they are analytic, and how steep they are there."""

import math
from itertools import product as pairs

import torch

from torchstone.smoothness.call import Call, Operand
from torchstone.smoothness.domain import REAL, Interval, Ramp, Shape
from torchstone.smoothness.rules.products import two
from torchstone.smoothness.rules.rule import Need, Rule, Table, all_of, require, rows, scaled, shape_of

INF = math.inf
NORMAL = torch.finfo(torch.float64).tiny


def rounding(call: Call) -> bool:
    """``div(..., rounding_mode="floor")``."""
    return call.given(99, "rounding_mode") is not None


def denominator(call: Call) -> Operand:
    """What is divided by."""
    return call.x if call.name == "reciprocal" else two(call)[1]


def not_zero(call: Call) -> Need | None:
    """The denominator must not be 0."""
    b = denominator(call)
    if not b.depends or b.range[0] > 0 or b.range[1] < 0:
        return None
    return Need("by a denominator that is not 0", all_of(lambda data: data != 0, b.data))


def smallest(operand: Operand) -> float:
    """No entry is smaller in size."""
    low, high = operand.range
    return max(low, -high, 0.0)


def quotient_shape(call: Call) -> Shape:
    """That of the numerator over a constant."""
    return shape_of(call).general() if denominator(call).depends else shape_of(call)


def quotient_lipschitz(call: Call) -> float:
    r""":math:`|a/b - a'/b'| \le |a - a'| / \min|b| + \max|a| |b - b'| / \min|b|^2`."""
    b = denominator(call)
    least = smallest(b)
    if least == 0:
        return INF
    a = 1.0 if call.name == "reciprocal" else two(call)[0].largest
    first = 0.0 if call.name == "reciprocal" else call.spread(two(call)[0]) / least
    return first + scaled(a, call.spread(b)) / least / least


def quotient_range(call: Call) -> Interval:
    """Quotients of the ends, if the denominator keeps its sign."""
    b = denominator(call).range
    a = (1.0, 1.0) if call.name == "reciprocal" else two(call)[0].range
    if not (b[0] > 0 or b[1] < 0):
        return REAL
    ends = [x / y for x, y in pairs(a, b) if not (math.isinf(x) and math.isinf(y))]
    if len(ends) < 4:  # inf / inf can be anything between 0 and inf
        ends += [0.0, *(math.copysign(INF, x) * math.copysign(1, y) for x, y in pairs(a, b) if math.isinf(x))]
    return min(ends), max(ends)


def exponent(call: Call) -> float | None:
    """The power, if it is a number."""
    n = call.operand(1, "exponent")
    low, high = (2.0, 2.0) if call.name == "square" else n.range
    return low if low == high and not n.depends else None


def raised(base: float, n: float) -> float:
    """A power, infinite where it overflows."""
    return float(torch.tensor(base, dtype=torch.float64) ** n)


def whole(n: float | None) -> bool:
    """Whether a power is a polynomial."""
    return n is not None and n >= 0 and n == int(n)


def power_shape(call: Call) -> Shape:
    """A polynomial, if the exponent is 0, 1, 2, ..."""
    n = exponent(call)
    return shape_of(call).power(n) if n is not None and whole(n) else shape_of(call).general()


def power_lipschitz(call: Call) -> float:
    r""":math:`n \max|x|^{n-1}`."""
    n = exponent(call)
    if n is None or not whole(n):
        return INF
    return scaled(n * raised(call.x.largest, max(n - 1, 0)), call.spread(call.x)) if n else 0.0


def power_range(call: Call) -> Interval:
    """Even powers are not negative, nor are powers of what is not."""
    n = exponent(call)
    if n is not None and whole(n) and (n % 2 == 0 or call.x.range[0] >= 0):
        return raised(smallest(call.x), n), raised(call.x.largest, n)
    return (0, INF) if call.operand(0, "input").range[0] >= 0 else REAL


def power_ramp(call: Call) -> Ramp | None:
    """relu(u)^n has n - 1 derivatives."""
    n, ramp = exponent(call), call.x.value.ramp
    return Ramp(ramp.base, int(ramp.power * n)) if ramp and n is not None and whole(n) and n >= 1 else None


def power_need(call: Call) -> Need | None:
    """A whole power needs nothing, a negative one x ≠ 0, others x > 0."""
    n, base = exponent(call), call.operand(0, "input")
    if n is not None and whole(n):
        return None
    if not base.depends:
        return None if base.range[0] > 0 else Need("of a base > 0", base.range[0] > 0)
    if n is not None and n == int(n):
        keeps_away = base.range[0] > 0 or base.range[1] < 0
        return None if keeps_away else Need("of a base that is not 0", all_of(lambda data: data != 0, base.data))
    return require(base, "of a base > 0", NORMAL, INF, lambda data: data > 0)


POWERS: Table = {
    **rows(
        "div divide true_divide reciprocal",
        Rule(shape=quotient_shape, lipschitz=quotient_lipschitz, range=quotient_range, need=not_zero),
    ),
    **rows(
        "addcdiv",
        Rule(
            need=lambda call: Need(
                "by a denominator that is not 0", all_of(lambda data: data != 0, call.operand(2, "tensor2").data)
            )
        ),
    ),
    **rows(
        "pow square float_power",
        Rule(shape=power_shape, lipschitz=power_lipschitz, range=power_range, need=power_need, ramp=power_ramp),
    ),
    **rows(
        "xlogy",
        Rule(need=lambda call: require(call.operand(1, "other"), "of an argument > 0", NORMAL, INF, lambda x: x > 0)),
    ),
    **rows(
        "atan2 arctan2",
        Rule(
            need=lambda call: Need(
                "away from the origin", bool(((two(call)[0].data != 0) | (two(call)[1].data != 0)).all())
            )
        ),
    ),
}
