"""Composition and sum of declared maps: classes by the rules of calculus, values by the functions."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from torchstone.smoothness import C0, C1, C2, Analytic, Lipschitz, Map, PiecewiseLinear, Smooth

RELU = Map(torch.relu, C0, Lipschitz(1), PiecewiseLinear)
ELU = Map(torch.nn.functional.elu, C1, Lipschitz(1))
TANH = Map(torch.tanh, Analytic, Lipschitz(1))
EXP = Map(torch.exp, Analytic)
DOUBLE = Map(lambda x: 2 * x, Analytic, Lipschitz(2), PiecewiseLinear, name="double")
X = torch.linspace(-2, 2, 9, dtype=torch.float64)


@st.composite
def maps(draw: st.DrawFn) -> Map[Any, Any]:
    """Leaves joined by the three operations."""
    whole: Map[Any, Any] = draw(st.sampled_from([RELU, ELU, TANH, EXP, DOUBLE]))
    for _ in range(draw(st.integers(0, 4))):
        other = draw(st.sampled_from([RELU, ELU, TANH, DOUBLE]))
        operation = draw(st.sampled_from(["then", "plus", "times"]))
        whole = whole >> other if operation == "then" else whole + other if operation == "plus" else -1.5 * whole
    return whole


@given(maps())
def test_a_map_is_as_weak_as_its_weakest_piece(whole: Map[Any, Any]) -> None:
    assert whole.order.order == min(piece.order.order for piece in whole.pieces)
    assert whole.piecewise_linear == all(piece.piecewise_linear for piece in whole.pieces)
    assert not whole.piecewise_linear or math.isfinite(whole.lipschitz)


@given(maps(), st.floats(-3, 3), st.floats(-3, 3))
def test_no_pair_of_points_beats_the_bound(whole: Map[Any, Any], a: float, b: float) -> None:
    x, y = torch.tensor([[a], [b]], dtype=torch.float64)
    if math.isfinite(whole.lipschitz):
        assert (whole(x) - whole(y)).norm() <= whole.lipschitz * (x - y).norm() * (1 + 1e-12) + 1e-12


def test_values_are_those_of_the_functions() -> None:
    assert torch.equal((DOUBLE >> TANH)(X), torch.tanh(2 * X))
    assert torch.equal((DOUBLE + TANH)(X), 2 * X + torch.tanh(X))
    assert torch.equal((3 * TANH)(X), 3 * torch.tanh(X))
    assert torch.equal((TANH * 3)(X), 3 * torch.tanh(X))


def test_the_first_map_may_take_several_arguments() -> None:
    def scaled(x: Tensor, by: Tensor, *, power: int = 1) -> Tensor:
        return x * by**power

    whole = Map(scaled, Analytic) >> ELU
    assert whole.order is C1
    assert torch.equal(whole(X, X, power=2), torch.nn.functional.elu(X**3))


def test_composition_is_associative() -> None:
    left, right = (DOUBLE >> ELU) >> RELU, DOUBLE >> (ELU >> RELU)
    assert torch.equal(left(X), right(X))
    assert (left.order, left.lipschitz, left.pieces) == (right.order, right.lipschitz, right.pieces)


def test_what_comes_after_a_constant_stretches_nothing() -> None:
    constant = Map(torch.zeros_like, Analytic, Lipschitz(0))
    assert (constant >> EXP).lipschitz == 0
    assert (0 * EXP).lipschitz == 0


def test_affine_is_analytic_and_piecewise_linear() -> None:
    affine = 3 * DOUBLE + DOUBLE >> DOUBLE
    assert (affine.order, affine.piecewise_linear, affine.lipschitz) == (Analytic, True, 16)


def test_names_read_as_they_were_written() -> None:
    assert (DOUBLE + TANH >> RELU).name == "double + tanh >> relu"
    assert (3 * (DOUBLE >> TANH)).name == "3 * (double >> tanh)"
    assert repr(EXP >> RELU) == "Map(exp >> relu: C0)"


def test_what_is_known_is_granted() -> None:
    assert TANH.require(C2, Lipschitz(1)) is TANH
    assert (DOUBLE >> RELU).require(C0, PiecewiseLinear, Lipschitz(2)).order is C0


@pytest.mark.parametrize(
    ("needed", "message"),
    [
        ([C1], "double >> relu >> elu must be C1, but relu is only C0."),
        ([Smooth], "double >> relu >> elu must be Smooth, but relu is only C0 and elu is only C1."),
        ([C0, PiecewiseLinear], "double >> relu >> elu must be PiecewiseLinear, but elu is not."),
        ([C0, Lipschitz(1)], "must be Lipschitz(1), but its bound is 2: double has 2, relu has 1, elu has 1."),
    ],
)
def test_what_is_too_weak_is_named(needed: Any, message: str) -> None:
    with pytest.raises(TypeError) as error:
        (DOUBLE >> RELU >> ELU).require(*needed)
    assert message in str(error.value)


def test_a_piece_without_a_bound_is_named() -> None:
    with pytest.raises(TypeError, match="bound is inf: tanh has 1, exp has inf"):
        (TANH >> EXP).require(C0, Lipschitz(1))


@pytest.mark.parametrize("join", [lambda f: f >> torch.relu, lambda f: f + torch.relu])
def test_a_function_of_which_nothing_is_known_is_refused(join: Any) -> None:
    with pytest.raises(TypeError, match=r"but relu is a builtin_function_or_method.*differentiable\(C0\)\(relu\)"):
        join(TANH)


@pytest.mark.parametrize("factor", [math.nan, math.inf, True, "3"])
def test_a_factor_is_a_finite_number(factor: Any) -> None:
    with pytest.raises(TypeError, match="must be a finite number"):
        factor * TANH


def test_sums_of_different_shapes_are_refused() -> None:
    total = Map(lambda x: x.sum(), Analytic, name="total")
    with pytest.raises(ValueError, match=r"these are \(9,\) and \(\)"):
        (TANH + total)(X)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3, C0), "function of Map must be callable"),
        ((torch.relu, "C0"), "order of Map must be C0"),
        ((torch.relu, Lipschitz(1)), "order of Map must be C0"),
        ((torch.relu, C0, C1), "properties of Map must be"),
    ],
)
def test_a_declaration_is_of_these_words(arguments: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        Map(*arguments)
