"""Sums, products, quotients and powers of several operands."""

import math
from itertools import product as pairs

import torch

from torchstone.smoothness.call import Call, Operand
from torchstone.smoothness.domain import REAL, Interval, Ramp, Shape
from torchstone.smoothness.operators import convolution_norm, schur_norm, spectral_norm
from torchstone.smoothness.rules.rule import Need, Rule, Table, all_of, require, rows, scaled, shape_of

INF = math.inf
MOVING = torch.finfo(torch.float64).tiny


def two(call: Call) -> tuple[Operand, Operand]:
    """Both sides of a binary operation; ``rsub(a, b)`` is b - a."""
    a, b = call.operand(0, "input"), call.operand(1, "other")
    return (b, a) if call.name == "rsub" else (a, b)


def factor(call: Call) -> float:
    """The number in ``a + alpha * b``, if any."""
    alpha = call.given(2, "alpha", 1)
    return float(alpha) if isinstance(alpha, int | float) else 1.0


# Sums -----------------------------------------------------------------------------------------------------------------


def sum_lipschitz(call: Call) -> float:
    """Bounds add up."""
    a, b = two(call)
    return call.spread(a) + scaled(abs(factor(call)), call.spread(b))


def sum_range(call: Call) -> Interval:
    """Ranges add up."""
    (a, b), alpha = two(call), factor(call) * (1 if call.name == "add" else -1)
    ends = sorted(scaled(alpha, end) for end in b.range)
    return a.range[0] + ends[0], a.range[1] + ends[1]


def negative(call: Call) -> Interval:
    """The range of -x."""
    return -call.x.range[1], -call.x.range[0]


# Products -------------------------------------------------------------------------------------------------------------


def product_shape(call: Call) -> Shape:
    """Degrees add up: a product is linear in each factor."""
    shape = Shape(0)
    for operand in call.dependent:
        shape = shape * operand.value.shape
    return shape


def layer_shape(call: Call) -> Shape:
    """Input times weight, plus bias."""
    x, weight, bias = (call.operand(i, name).value for i, name in enumerate(("input", "weight", "bias")))
    return x.shape * weight.shape | bias.shape


def entries_multiplied(call: Call) -> Shape:
    """A product of as many entries as there are in the operand, at most."""
    return shape_of(call).power(max(1, call.x.data.numel()))


def product_lipschitz(call: Call) -> float:
    r""":math:`|ab - a'b'| \le |a|_\infty |b - b'| + |b|_\infty |a - a'|`."""
    a, b = two(call)
    return scaled(a.largest, call.spread(b)) + scaled(b.largest, call.spread(a))


def product_range(call: Call) -> Interval:
    """The extreme products of the ends; a square is not negative."""
    a, b = two(call)
    ends = [scaled(x, y) for x, y in pairs(a.range, b.range)]
    return (0 if a is b else min(ends)), max(ends)


def product_ramp(call: Call) -> Ramp | None:
    """relu(u) relu(u), u relu(u), 3 relu(u): kinks where the value is 0 again."""
    a, b = two(call)
    if not (a.depends and b.depends):
        return (a if a.depends else b).value.ramp
    ramps = [operand.value.ramp or Ramp(operand.value, 1) for operand in (a, b)]
    known = a.value.ramp or b.value.ramp
    return Ramp(ramps[0].base, ramps[0].power + ramps[1].power) if known and ramps[0].base is ramps[1].base else None


def matrices(call: Call) -> float:
    """matmul, linear, einsum, ...: linear in one operand if the others are constants."""
    if len(call.dependent) > 1:
        return weights_and_bias(call) if call.name in BIASED else INF
    (x,) = call.dependent
    a, b = call.operand(0, "input"), call.operand(1, "weight" if call.name == "linear" else "other")
    other = b if x is a else a
    if scaled(1, x.value.lipschitz) in (0, INF):
        return x.value.lipschitz
    if call.name in ("matmul", "mm", "mv", "linear") and x in (a, b) and other.data.ndim == 2:
        return scaled(spectral_norm(other.data), x.value.lipschitz)
    return scaled(schur_norm(lambda data: call.again(x, data), x.data), x.value.lipschitz)


def weights_and_bias(call: Call) -> float:
    """A layer as a function of its weight and bias: the rows of the input, and one for the bias."""
    x, weight, bias = call.operand(0, "input"), call.operand(1, "weight"), call.operand(2, "bias")
    if x.depends or call.name != "linear":
        return INF
    n = math.prod(x.data.shape[:-1])
    inputs = spectral_norm(x.data.reshape(n, -1)) if n else 0.0
    return scaled(inputs, weight.value.lipschitz) + scaled(math.sqrt(n), bias.value.lipschitz)


def convolution(call: Call) -> float:
    """The smaller of two bounds, for a constant kernel: Schur's test, and the Fourier transform of the kernel."""
    x, kernel = call.operand(0, "input"), call.operand(1, "weight")
    if call.dependent != [x]:
        return INF
    if scaled(1, x.value.lipschitz) in (0, INF):
        return x.value.lipschitz
    bound = schur_norm(lambda data: call.again(x, data), x.data)
    if plain(call):
        padding = call.given(4, "padding", 0)
        sides = x.data.shape[2 - (x.data.ndim == kernel.data.ndim - 1) :]
        pads = [padding] * len(sides) if isinstance(padding, int) else list(padding)
        bound = min(bound, convolution_norm(kernel.data, tuple(n + 2 * p for n, p in zip(sides, pads, strict=True))))
    return scaled(bound, x.value.lipschitz)


def plain(call: Call) -> bool:
    """A convolution without groups or dilation; a stride leaves out rows, which only lowers the norm."""
    dilation, groups = call.given(5, "dilation", 1), call.given(6, "groups", 1)
    numbers = not isinstance(call.given(4, "padding", 0), str)
    return numbers and groups == 1 and set([dilation] if isinstance(dilation, int) else dilation) == {1}


# Quotients and powers -------------------------------------------------------------------------------------------------


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
    return require(base, "of a base > 0", MOVING, INF, lambda data: data > 0)


BIASED = ("linear",)
PRODUCT = Rule(shape=product_shape, lipschitz=matrices)

PRODUCTS: Table = {
    **rows("add sub subtract rsub", Rule(shape=shape_of, lipschitz=sum_lipschitz, range=sum_range)),
    **rows("neg negative", Rule(shape=shape_of, lipschitz=lambda call: call.spread(call.x), range=negative)),
    **rows(
        "mul multiply", Rule(shape=product_shape, lipschitz=product_lipschitz, range=product_range, ramp=product_ramp)
    ),
    **rows("matmul mm mv bmm dot vdot inner outer ger kron einsum tensordot chain_matmul multi_dot", PRODUCT),
    **rows("linear", Rule(shape=layer_shape, lipschitz=matrices)),
    **rows("conv1d conv2d conv3d", Rule(shape=layer_shape, lipschitz=convolution)),
    **rows("conv_transpose1d conv_transpose2d conv_transpose3d", Rule(shape=layer_shape, lipschitz=matrices)),
    **rows("addmm addbmm baddbmm addmv addr addcmul", Rule(shape=product_shape)),
    **rows("prod cumprod det", Rule(shape=entries_multiplied)),
    **rows("cross bilinear", Rule(shape=product_shape)),
    **rows("matrix_power vander lerp", Rule()),
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
        Rule(need=lambda call: require(call.operand(1, "other"), "of an argument > 0", MOVING, INF, lambda x: x > 0)),
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
