"""Layers and losses that torch computes in one piece."""

import math
from types import FunctionType

from torch import Tensor

from torchstone.smoothness.call import Call
from torchstone.smoothness.domain import Shape
from torchstone.smoothness.orders import Order
from torchstone.smoothness.rules.rule import Need, Rule, Table, all_of, rows, scaled, shape_of, within


def normalised(call: Call) -> float:
    r"""batch_norm in evaluation: :math:`\max |\gamma| / \sqrt{\sigma^2 + \epsilon}`; in training there is no bound."""
    if not isinstance(call.function, FunctionType):
        return math.inf
    variance, gamma = call.operand(2, "running_var"), call.operand(3, "weight")
    if call.given(5, "training", False) or variance.data is None or call.dependent != [call.x]:
        return math.inf
    scale = (variance.data.detach().double() + call.given(7, "eps", 1e-5)).rsqrt()
    scale = scale if gamma.data is None else scale * gamma.data.detach().double()
    return scaled(float(scale.abs().max()), call.x.value.lipschitz)


def batch_norm_shape(call: Call) -> Shape:
    """Affine in evaluation."""
    in_python = isinstance(call.function, FunctionType)  # torch.batch_norm has its arguments in another order
    if not in_python or call.given(5, "training", False) or call.given(1, "running_mean") is None:
        return shape_of(call).general()
    shape = Shape(0)
    for operand in (call.x, call.operand(3, "weight")):
        shape = shape * operand.value.shape
    return shape | call.operand(4, "bias").value.shape


def layer_norm(call: Call) -> float:
    r""":math:`\max |\gamma| / \sqrt \epsilon`."""
    gamma, eps = call.operand(2, "weight"), call.given(4, "eps", 1e-5)
    if call.dependent != [call.x]:
        return math.inf
    return scaled((1.0 if gamma.data is None else gamma.largest) / math.sqrt(eps), call.x.value.lipschitz)


def cross_entropy(call: Call) -> float:
    r""":math:`\sqrt 2` for each example: :math:`\sqrt{2 / b}` for a mean, :math:`\sqrt{2 b}` for a sum."""
    x = call.x
    unusual = (call.given(2, "weight"), call.given(3, "size_average"), call.given(5, "reduce"))
    if call.dependent != [x] or unusual != (None, None, None) or call.given(7, "label_smoothing", 0.0):
        return math.inf
    classes = 1 if x.data.ndim > 1 else 0
    b = x.data.numel() // x.data.shape[classes]
    target = call.given(1, "target")
    if call.given(6, "reduction", "mean") == "mean" and not target.is_floating_point():
        b = max(1, int((target != call.given(4, "ignore_index", -100)).sum()))
    factor = {"mean": 1 / math.sqrt(b), "sum": math.sqrt(b), "none": 1.0}[call.given(6, "reduction", "mean")]
    return scaled(math.sqrt(2) * factor * mass(target, classes), x.value.lipschitz)


def mass(target: Tensor, classes: int) -> float:
    """What the probabilities of an example add up to, at most; infinite if one is negative, 1 for class numbers."""
    if not target.is_floating_point():
        return 1.0
    return math.inf if bool((target < 0).any()) else float(target.sum(classes).max())


def square_shape(call: Call) -> Shape:
    """Quadratic in the difference."""
    return shape_of(call).power(2)


def looked_up(call: Call) -> float:
    """embedding: each row of the table as often as it is looked up."""
    table, indices = call.operand(0, "weight"), call.operand(1, "indices").data
    most = int(indices.flatten().bincount().max()) if indices.numel() else 0
    return scaled(math.sqrt(most), table.value.lipschitz)


def bag_order(call: Call) -> Order:
    """The largest of each column of a bag (mode 2), or a sum or mean."""
    return Order(0 if call.given(4, "mode", 0) == 2 else INF, analytic=call.given(4, "mode", 0) != 2)


def bag_shape(call: Call) -> Shape:
    """Rows of the table, times their weights, if there are any."""
    table, weights = call.operand(0, "weight").value.shape, call.operand(6, "per_sample_weights").value.shape
    return (table * weights).cut() if call.given(4, "mode", 0) == 2 else table * weights


def probabilities(call: Call) -> Need | None:
    """binary_cross_entropy takes logarithms."""
    x = call.x
    return None if not x.depends else Need("of 0 < input < 1", all_of(lambda p: (p > 0) & (p < 1), x.data))


INF = math.inf

LAYERS: Table = {
    **rows("batch_norm", Rule(shape=batch_norm_shape, lipschitz=normalised)),
    **rows("instance_norm group_norm local_response_norm rms_norm weight_norm", Rule()),
    **rows("layer_norm", Rule(lipschitz=layer_norm)),
    **rows("embedding", Rule(shape=shape_of, lipschitz=looked_up)),
    **rows("embedding_bag", Rule(bag_order, bag_shape)),
    **rows("lstm gru rnn_tanh lstm_cell gru_cell rnn_tanh_cell", Rule()),
    **rows("rnn_relu rnn_relu_cell", Rule(Order(0), shape=lambda call: shape_of(call).power(INF).cut())),
    **rows("scaled_dot_product_attention", Rule()),
    **rows("cross_entropy", Rule(lipschitz=cross_entropy, range=within(0))),
    **rows("binary_cross_entropy_with_logits soft_margin_loss ctc_loss", Rule(range=within(0))),
    **rows("binary_cross_entropy", Rule(range=within(0), need=probabilities)),
    **rows("mse_loss", Rule(shape=square_shape, range=within(0))),
    **rows("kl_div poisson_nll_loss", Rule()),
    **rows("inverse inv pinverse pinv solve solve_triangular solve_ex cholesky cholesky_ex slogdet logdet", Rule()),
    **rows("triangular_solve cholesky_solve lstsq matrix_exp svd eigh eigvalsh qr eig eigvals", Rule()),
    **rows("igamma igammac i0 i0e i1 i1e polygamma mvlgamma", Rule()),
}
