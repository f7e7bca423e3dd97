"""Orders of smoothness: the chain, and what divided differences of the functions themselves say."""

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import Categorical

from torchstone.smoothness import Order, check
from torchstone.smoothness.declared import lasting_jump

ORDERS = [Order.UNKNOWN, Order.DISCONTINUOUS, Order(0), Order(1), Order(7), Order.SMOOTH, Order.ANALYTIC]
orders = st.sampled_from(ORDERS)


ONE = torch.tensor(1)


def one_part_cut(a: Tensor, b: Tensor) -> Tensor:
    return torch.relu(a) * b


FUNCTIONS: dict[str, tuple[Callable[[Tensor], Tensor], Order]] = {
    "round": (torch.round, Order.DISCONTINUOUS),
    "remainder": (lambda x: x % 0.7, Order.DISCONTINUOUS),
    "hardshrink": (F.hardshrink, Order.DISCONTINUOUS),
    "jump by where": (lambda x: torch.where(x > 0.1, x, -1.0), Order.DISCONTINUOUS),
    "relu": (torch.relu, Order(0)),
    "abs": (torch.abs, Order(0)),
    "leaky relu": (F.leaky_relu, Order(0)),
    "elu, alpha 2": (lambda x: F.elu(x, 2.0), Order(0)),
    "selu": (F.selu, Order(0)),
    "clamp": (lambda x: x.clamp(-0.5, 0.5), Order(0)),
    "hardtanh": (lambda x: F.hardtanh(x, -0.5, 0.5), Order(0)),
    "relu6": (lambda x: F.relu6(10 * x), Order(0)),
    "hardswish": (lambda x: F.hardswish(6 * x), Order(0)),
    "hardsigmoid": (lambda x: F.hardsigmoid(6 * x), Order(0)),
    "softshrink": (F.softshrink, Order(0)),
    "maximum": (lambda x: torch.maximum(x, 2 * x + 0.3), Order(0)),
    "sort": (lambda x: torch.stack([x, -x]).sort(0).values[0], Order(0)),
    "l1": (lambda x: F.l1_loss(x, torch.zeros_like(x), reduction="none"), Order(0)),
    "norm": (lambda x: torch.stack([x, 0 * x]).norm(dim=0), Order(0)),
    "elu": (F.elu, Order(1)),
    "celu": (lambda x: F.celu(x, 0.5), Order(1)),
    "softsign": (F.softsign, Order(1)),
    "huber": (lambda x: F.huber_loss(x, torch.zeros_like(x), reduction="none", delta=0.3), Order(1)),
    "smooth l1": (lambda x: F.smooth_l1_loss(x, torch.zeros_like(x), reduction="none", beta=0.3), Order(1)),
    "relu squared": (lambda x: torch.relu(x) ** 2, Order(1)),
    "relu times relu": (lambda x: torch.relu(x) * torch.relu(x), Order(1)),
    "x relu": (lambda x: x * torch.relu(x), Order(1)),
    "clamped squared": (lambda x: x.clamp(min=0).square(), Order(1)),
    "tanh of relu squared": (lambda x: torch.tanh(0.3 * torch.relu(x).square()), Order(1)),
    "relu of one part, times the other": (lambda x: one_part_cut(*torch.stack([x, x + 0.4])), Order(0)),
    "relu cubed": (lambda x: torch.relu(x) ** 3, Order(2)),
    "abs cubed": (lambda x: x.abs().pow(3), Order(2)),
    "relu squared times relu": (lambda x: torch.relu(x) ** 2 * (2 * torch.relu(x)), Order(2)),
    "tanh": (torch.tanh, Order.ANALYTIC),
    "gelu": (F.gelu, Order.ANALYTIC),
    "softplus": (F.softplus, Order.ANALYTIC),
    "silu": (F.silu, Order.ANALYTIC),
    "polynomial": (lambda x: x**3 - 2 * x, Order.ANALYTIC),
    "quotient": (lambda x: 1 / (2 + x * x), Order.ANALYTIC),
    "root": (lambda x: (x * x + 0.1).sqrt(), Order.ANALYTIC),
    "softmax": (lambda x: torch.softmax(torch.stack([x, -x]), 0)[0], Order.ANALYTIC),
    "grid with what is rounded": (
        lambda x: torch.meshgrid(x, torch.ones(1).to(x), indexing="ij")[1].round().sum() * x,
        Order.ANALYTIC,
    ),
    "mask of its shape": (lambda x: torch.where(torch.ones(1).bool().expand_as(x), x.sin(), 0), Order.ANALYTIC),
    "index of its kind": (lambda x: x * ONE.to(x).long(), Order.ANALYTIC),
    "probability of an outcome": (lambda x: Categorical(logits=torch.stack([x, -x], -1)).log_prob(ONE), Order.ANALYTIC),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_order_is_that_of_the_table(name: str) -> None:
    function, order = FUNCTIONS[name]
    report = check(function, torch.tensor([0.3, -0.2], dtype=torch.float64), wrt="inputs")
    assert report.order == order
    assert {kink.order for kink in report.kinks} >= ({order} if order < Order.SMOOTH else set())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_divided_differences_agree(name: str) -> None:
    """Derivatives up to the order do not jump on a line through the kinks; the next one does."""
    function, order = FUNCTIONS[name]

    def curve(t: float) -> Tensor:
        return function(torch.tensor([0.9137 * t + 0.0123], dtype=torch.float64))

    highest = int(min(order.times, 2))
    assert [lasting_jump(curve, q) for q in range(highest + 1)] == [0.0] * (highest + 1)
    if order < Order(3):
        assert lasting_jump(curve, int(order.times) + 1) > 0.05


@given(orders, orders)
def test_the_chain_is_total_and_derivatives_keep_it(a: Order, b: Order) -> None:
    assert (a < b) + (a == b) + (a > b) == 1
    assert a.derivative() <= a
    assert min(a, b).derivative() == min(a.derivative(), b.derivative())


def test_the_chain() -> None:
    assert sorted(ORDERS, reverse=True) == ORDERS[::-1]
    assert [repr(order) for order in ORDERS] == ["unknown", "discontinuous", "C0", "C1", "C7", "smooth", "analytic"]


@pytest.mark.parametrize(
    ("times", "analytic"), [(-2, False), (0.5, False), (math.nan, False), (3, True), (-math.inf, True)]
)
def test_no_such_order(times: float, analytic: bool) -> None:
    with pytest.raises(ValueError, match="times must be"):
        Order(times, analytic)


SHAPES: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "constant": (lambda x: torch.ones_like(x), "constant"),
    "affine": (lambda x: 3 * x.flip(0).cumsum(0) - 1, "affine"),
    "piecewise linear": (lambda x: torch.relu(x).max() - x.abs().sum(), "piecewise linear"),
    "polynomial": (lambda x: (x * x) ** 2 - x @ x, "polynomial of degree 4"),
    "piecewise polynomial": (lambda x: torch.relu(x) * x * x, "piecewise polynomial of degree 3"),
    "squared error": (lambda x: F.mse_loss(x, torch.zeros_like(x)), "polynomial of degree 2"),
    "piecewise constant": (lambda x: (3 * x).round(), "piecewise constant"),
    "general": (lambda x: x.exp() + x, "general"),
    "quotient": (lambda x: 1 / x, "general"),
    "product of entries": (lambda x: x.prod(), "polynomial of degree 2"),
}


@pytest.mark.parametrize("name", SHAPES)
def test_shape_class(name: str) -> None:
    function, shape = SHAPES[name]
    assert check(function, torch.tensor([0.3, -0.2]), wrt="inputs").shape_class == shape


def test_a_layer_is_affine_in_its_parameters_or_its_input_but_not_in_both() -> None:
    layer, x = torch.nn.utils.skip_init(torch.nn.Linear, 2, 3), torch.ones(4, 2)
    torch.nn.init.ones_(layer.weight)
    shapes = [check(layer, x, wrt=wrt).shape_class for wrt in ("params", "inputs", "both")]  # type: ignore[arg-type]
    assert shapes == ["affine", "affine", "polynomial of degree 2"]


def test_the_derivative_is_once_less_smooth() -> None:
    def slope(x: Tensor) -> Tensor:
        (g,) = torch.autograd.grad((torch.relu(x) ** 3).sum(), x, create_graph=True)
        return g

    assert check(slope, torch.ones(2), wrt="inputs").order == Order(1)


def test_values_held_fixed_by_python_are_reported() -> None:
    report = check(lambda x: x * float(x.detach().sum()), torch.ones(2), wrt="inputs")
    assert [(decision.op, decision.value) for decision in report.decisions] == [("float", 2.0)]
