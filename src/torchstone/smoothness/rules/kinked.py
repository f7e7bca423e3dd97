"""Operations with kinks: continuous, but differentiable only so many times."""

import math
from collections.abc import Callable

from torchstone.smoothness.call import Call
from torchstone.smoothness.domain import Interval, Ramp, Shape
from torchstone.smoothness.orders import Order
from torchstone.smoothness.rules.rule import Rule, Table, kept, rows, scaled, shape_of, slope, within


def pieces(call: Call) -> Shape:
    """Piecewise linear in the operand."""
    return shape_of(call).cut()


def general(call: Call) -> Shape:
    """No polynomial."""
    return shape_of(call).general()


def square_pieces(call: Call) -> Shape:
    """Piecewise quadratic in the operand."""
    return shape_of(call).power(2).cut()


def ramp(call: Call) -> Ramp | None:
    """The kinks of relu, leaky relu and abs lie where their value is 0."""
    return Ramp(call.x.value, 1)


def kinked(
    order: int,
    steepest: float | Callable[[Call], float],
    low: float = -math.inf,
    high: float = math.inf,
    shape: Callable[[Call], Shape] = pieces,
) -> Rule:
    """An operation of finite order with a slope and a range."""
    lipschitz = steepest if callable(steepest) else slope(steepest)
    return Rule(Order(order), shape=shape, lipschitz=lipschitz, range=within(low, high))


def leak(call: Call) -> float:
    """The slope of leaky relu, or that of the negative half of prelu."""
    negative = call.operand(1, "negative_slope" if call.name == "leaky_relu" else "weight")
    given = 0.01 if negative.data is None else negative.largest
    return math.inf if negative.depends else scaled(max(1.0, given), call.spread(call.x))


def elu_order(call: Call) -> Order:
    """Both halves have slope 1 at 0 if alpha is 1."""
    return Order(1 if call.given(1, "alpha", 1.0) == 1 else 0)


def elu_slope(call: Call) -> float:
    """The larger of the slopes on both sides of 0."""
    return scaled(max(1.0, abs(call.given(1, "alpha", 1.0))), call.spread(call.x))


def threshold_order(call: Call) -> Order:
    """It jumps unless the value below the threshold is the threshold."""
    return Order(0 if call.given(1, "threshold") == call.given(2, "value") else -1)


def huber_order(call: Call) -> Order:
    """The absolute value, if the parabola has no width."""
    return Order(0 if call.given(5, "beta", 1.0) == 0 and call.name == "smooth_l1_loss" else 1)


def windows(call: Call) -> float:
    r"""Each entry is in at most :math:`\prod \lceil k / s \rceil` windows of max pooling."""
    kernel = call.given(1, "kernel_size")
    dims = int(call.name[-2])  # of max_pool2d: 2, with a batch or without
    sizes = [kernel] * dims if isinstance(kernel, int) else list(kernel)
    stride = call.given(2, "stride") or sizes
    strides = [stride] * dims if isinstance(stride, int) else list(stride)
    if call.given(4, "dilation", 1) not in (1, (1,) * dims):
        strides = [1] * dims  # entries apart by the dilation may all be multiples of the stride
    overlap = math.prod(math.ceil(k / s) for k, s in zip(sizes, strides, strict=False))
    return scaled(math.sqrt(overlap), call.spread(call.x))


def clamped(call: Call) -> Interval:
    """Between the bounds that were given."""
    low, high = call.x.range
    least, most = (call.operand(*where) for where in ((1, "min"), (2, "max")))
    if call.name == "clamp_min":
        most = call.operand(9)
    if call.name == "clamp_max":
        least, most = call.operand(9), call.operand(1, "max")
    if least.data is not None:
        low, high = max(low, least.range[0]), max(high, least.range[1])
    if most.data is not None:
        low, high = min(low, most.range[0]), min(high, most.range[1])
    return low, high


def clamp_ramp(call: Call) -> Ramp | None:
    """clamp(min=0) is relu."""
    only_min = call.given(2, "max") is None and call.name in ("clamp", "clip", "clamp_min")
    return Ramp(call.x.value, 1) if only_min and call.given(1, "min") == 0 else None


def norm_slope(call: Call) -> float:
    """The triangle inequality, for Euclidean norms."""
    euclidean = call.given(1, "p" if call.name == "norm" else "ord", 2) in (None, 2, "fro")
    return call.spread(call.x) if euclidean and call.kwargs.get("ord", 2) in (None, 2, "fro") else math.inf


def distance_slope(call: Call) -> float:
    """The triangle inequality for the Euclidean distance of two tensors of one shape."""
    alike = len({operand.data.shape for operand in call.operands.values()}) == 1
    return scaled(math.sqrt(2), slope(1)(call)) if alike and call.given(2, "p", 2) == 2 else math.inf


def mean_or_sum(call: Call) -> float:
    """Lipschitz bound of a loss of slope 1 per entry: n entries give sqrt(n) as a sum, 1/sqrt(n) as a mean."""
    sizes = {operand.data.numel() for operand in call.operands.values()}
    unusual = (call.given(2, "size_average"), call.given(3, "reduce"), call.given(5, "weight"))
    if len(sizes) > 1 or unusual != (None, None, None):
        return math.inf
    (n,) = sizes
    factor = {"mean": 1 / math.sqrt(n), "sum": math.sqrt(n), "none": 1.0}[call.given(4, "reduction", "mean")]
    return scaled(factor, math.hypot(*(call.spread(operand) for operand in call.dependent)) * math.sqrt(2))


INF = math.inf
RELU = Rule(Order(0), shape=pieces, lipschitz=slope(1), range=lambda call: relu_range(call), ramp=ramp)


def relu_range(call: Call) -> Interval:
    """The positive part."""
    low, high = call.x.range
    return max(low, 0), max(high, 0)


def abs_range(call: Call) -> Interval:
    """The sizes."""
    low, high = call.x.range
    return (max(low, -high, 0), max(abs(low), abs(high)))


KINKED: Table = {
    #                                     order, steepest, least, largest
    **rows("relu", RELU),
    **rows("abs absolute", Rule(Order(0), shape=pieces, lipschitz=slope(1), range=abs_range, ramp=ramp)),
    **rows("leaky_relu", Rule(Order(0), shape=pieces, lipschitz=leak, ramp=ramp)),
    **rows("prelu", Rule(Order(0), shape=pieces, lipschitz=leak)),
    **rows("relu6", kinked(0, 1, 0, 6)),
    **rows("hardtanh", kinked(0, 1)),
    **rows("hardsigmoid", kinked(0, 1 / 6, 0, 1)),
    **rows("hardswish", kinked(0, 1.5, -0.375, shape=square_pieces)),
    **rows("softshrink", kinked(0, 1)),
    **rows("rrelu", kinked(0, INF)),
    **rows("selu", kinked(0, 1.7581, -1.7581, shape=general)),
    **rows("elu", Rule(elu_order, general, elu_slope)),
    **rows("celu", kinked(1, 1, shape=general)),
    **rows("threshold", Rule(threshold_order, pieces)),
    **rows("softsign", kinked(1, 1, -1, 1, shape=general)),
    **rows("clamp clip clamp_min clamp_max", Rule(Order(0), pieces, slope(1), clamped, ramp=clamp_ramp)),
    **rows("max min amax amin aminmax maximum minimum fmax fmin", Rule(Order(0), pieces, slope(1), kept)),
    **rows("median nanmedian kthvalue topk sort msort mode", Rule(Order(0), pieces, slope(1), kept)),
    **rows("cummax cummin", Rule(Order(0), pieces, range=kept)),
    **rows("quantile nanquantile", Rule(Order(0), pieces, range=kept)),
    **rows("dist", kinked(0, distance_slope, 0, shape=general)),
    **rows("norm vector_norm frobenius_norm", kinked(0, norm_slope, 0, shape=general)),
    **rows("matrix_norm nuclear_norm svdvals", kinked(0, INF, 0, shape=general)),
    **rows("cdist pdist pairwise_distance", kinked(0, INF, 0, shape=general)),
    **rows("cosine_similarity", kinked(0, INF, -1, 1, shape=general)),
    **rows("renorm embedding_renorm", kinked(0, INF, shape=general)),
    **rows("hypot", kinked(0, 1, 0, shape=general)),
    **rows("max_pool1d max_pool2d max_pool3d", Rule(Order(0), pieces, windows, kept)),
    **rows("adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d", Rule(Order(0), pieces, range=kept)),
    **rows("fractional_max_pool2d fractional_max_pool3d", Rule(Order(0), pieces, range=kept)),
    **rows("lp_pool1d lp_pool2d lp_pool3d", kinked(0, INF, shape=general)),
    **rows("l1_loss", kinked(0, mean_or_sum, 0)),
    **rows("smooth_l1_loss huber_loss", Rule(huber_order, shape=square_pieces, range=within(0))),
    **rows("hinge_embedding_loss margin_ranking_loss", kinked(0, INF, shape=pieces)),
    **rows("triplet_margin_loss cosine_embedding_loss", kinked(0, INF, 0, shape=general)),
    **rows("multi_margin_loss multilabel_margin_loss", kinked(0, INF, 0, shape=square_pieces)),
    **rows("grid_sample affine_grid_generator grid_sampler", kinked(0, INF, shape=square_pieces)),
}
