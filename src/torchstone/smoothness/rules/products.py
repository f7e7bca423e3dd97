"""Sums and products of several operands; layers that are products."""

import math
from itertools import product as pairs

from torchstone.smoothness.call import Call, Operand
from torchstone.smoothness.domain import Interval, Ramp, Shape
from torchstone.smoothness.operators import convolution_norm, schur_norm, spectral_norm
from torchstone.smoothness.rules.rule import Rule, Table, rows, scaled, shape_of

INF = math.inf


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
}
