"""Projection onto a feasible set."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from torch import Tensor

from torchstone.optim import RULES, create, project
from torchstone.optim.feasible import box

points = st.lists(st.floats(-5, 5), min_size=3, max_size=3)
weights = st.lists(st.floats(0.01, 100), min_size=3, max_size=3)


@given(point=points, weight=weights)
def test_clamping_is_the_weighted_projection_onto_a_box(point: list[float], weight: list[float]):
    """argmin over the box of Σ w (z - x)², solved by a general method."""
    x, w = np.array(point), np.array(weight)
    solved = minimize(
        lambda z: (w * (z - x) ** 2).sum(),
        np.zeros(3),
        jac=lambda z: 2 * w * (z - x),
        bounds=[(-1.0, 2.0)] * 3,
        method="L-BFGS-B",
        options={"ftol": 1e-15, "gtol": 1e-12},
    )
    ours = box((-1.0, 2.0))(torch.tensor(point, dtype=torch.float64))
    np.testing.assert_allclose(ours.numpy(), solved.x, atol=1e-6)


@pytest.mark.parametrize("name", RULES)
def test_every_rule_stays_in_its_box(name: str):
    x = torch.tensor([0.5, -0.5], requires_grad=True)
    optimizer = create(name, [x], lr=100.0, feasible=(-1.0, 1.0), **({"eps": 1.0} if name == "adadelta" else {}))
    for _ in range(3):
        x.grad = torch.tensor([1.0, -1.0])
        optimizer.step()
        assert x.tolist() == [-1.0, 1.0]


def test_any_optimizer_of_torch_can_be_projected_and_let_go():
    x = torch.zeros(2, requires_grad=True)
    optimizer = torch.optim.Adamax([x], lr=1.0)
    handle = project(optimizer, (-math.inf, 0.25))
    x.grad = -torch.ones(2)
    optimizer.step()
    assert x.tolist() == [0.25, 0.25]
    handle.remove()
    optimizer.step()
    assert (x > 1).all()


def test_a_callable_projects_each_parameter():
    def ball(x: Tensor) -> Tensor:
        return x / x.norm().clamp_min(1.0)

    x, y = torch.tensor([3.0, 4.0], requires_grad=True), torch.tensor([0.1], requires_grad=True)
    optimizer = create("sgd", [x, y], lr=0.0, feasible=ball)
    x.grad, y.grad = torch.zeros(2), torch.zeros(1)
    optimizer.step()
    torch.testing.assert_close(x.detach(), torch.tensor([0.6, 0.8]))
    assert y.item() == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("feasible", "error", "words"),
    [
        ((1.0, -1.0), ValueError, "lo <= hi"),
        ((math.nan, 1.0), ValueError, "lo <= hi"),
        ((1.0,), TypeError, "feasible must be a box"),
        ("box", TypeError, "feasible must be a box"),
    ],
)
def test_what_is_no_set_is_refused(feasible: Any, error: type[Exception], words: str):
    with pytest.raises(error, match=words):
        create("sgd", [torch.zeros(1, requires_grad=True)], feasible=feasible)


def test_another_shape_and_complex_boxes_are_refused_in_the_step():
    x = torch.zeros(2, requires_grad=True)
    with pytest.raises(ValueError, match=r"turned a parameter of shape \(2,\) into \(1,\)"):
        create("sgd", [x], feasible=lambda x: x[:1]).step()
    z = torch.zeros(2, dtype=torch.complex64, requires_grad=True)
    with pytest.raises(TypeError, match="complex parameters do not have"):
        create("sgd", [z], feasible=(-1, 1)).step()
