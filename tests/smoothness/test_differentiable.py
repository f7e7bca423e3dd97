"""``@differentiable``: proved once for each signature, refused with the line that is too weak."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from torchstone.smoothness import (
    C0,
    C1,
    C2,
    Analytic,
    Lipschitz,
    Map,
    NotDifferentiableError,
    PiecewiseLinear,
    Smooth,
    differentiable,
    smooth,
)

X = torch.linspace(-2, 2, 6, dtype=torch.float64).reshape(2, 3)


class Counted:
    """A function that counts its runs."""

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self, x: Tensor, *, scale: float = 1.0) -> Tensor:
        self.runs += 1
        return scale * torch.tanh(x)


@pytest.mark.parametrize(
    ("words", "function"),
    [
        ((C0, Lipschitz(1), PiecewiseLinear), torch.relu),
        ((C1,), F.elu),
        ((C2,), lambda x: torch.relu(x) ** 3),
        ((Smooth,), F.gelu),
        ((Analytic, Lipschitz(1)), torch.tanh),
        ((C1,), lambda x: smooth(1, torch.where(x > 0, x**2, 0 * x))),
    ],
)
def test_what_holds_is_proved_and_the_function_runs(words: Any, function: Any) -> None:
    made = differentiable(*words)(function)
    assert torch.equal(made(X), function(X))
    assert isinstance(made, Map)
    assert made.order is words[0]


@pytest.mark.parametrize(
    ("words", "function", "message"),
    [
        ((C1,), torch.relu, "C1 is required, but this is C0: 'relu'"),
        ((C2,), F.elu, "C2 is required, but this is C1: 'elu'"),
        ((C0,), torch.round, "gets no gradient: 'round'"),
        ((C0,), lambda x: x.detach().square(), "gets no gradient: 'detach'"),
        ((C0,), lambda x: torch.where(x > 0, x**2, 0 * x), "C0 is required, but this is discontinuous: 'where'"),
        ((Analytic, Lipschitz(1)), lambda x: 2 * torch.tanh(x), "Lipschitz bound of 1 is required, but .* is 2"),
        ((Analytic, PiecewiseLinear), torch.tanh, "piecewise linear function is required"),
    ],
)
def test_what_does_not_hold_is_refused_with_its_reason(words: Any, function: Any, message: str) -> None:
    with pytest.raises(NotDifferentiableError, match=message):
        differentiable(*words)(function)(X)


def test_the_line_that_is_too_weak_is_named() -> None:
    @differentiable(C1)
    def energy(x: Tensor) -> Tensor:
        h = x.square()
        return h.abs().sum()  # this one

    with pytest.raises(NotDifferentiableError) as error:
        energy(X)
    assert "return h.abs().sum()  # this one" in str(error.value)
    assert "test_differentiable.py" in str(error.value)


def test_a_signature_is_proved_once() -> None:
    counted = Counted()
    made = differentiable(Analytic)(counted)
    runs = []
    for x in (X, X, X + 1, X[:1], X.float(), X):
        made(x)
        runs.append(counted.runs)
    assert runs == [2, 3, 4, 6, 8, 9]


def test_other_arguments_belong_to_the_signature() -> None:
    counted = Counted()
    made = differentiable(Analytic)(counted)
    runs = []
    for scale in (1.0, 1.0, 2.0, 1, True):
        made(X, scale=scale)
        runs.append(counted.runs)
    assert runs == [2, 3, 5, 7, 9]


def test_what_was_refused_is_refused_again() -> None:
    made = differentiable(C1)(torch.relu)
    for _ in range(2):
        with pytest.raises(NotDifferentiableError):
            made(X)


def test_it_is_proved_in_all_arguments_by_whatever_way_they_come() -> None:
    @differentiable(C1)
    def mixed(x: Tensor, *, other: Tensor) -> Tensor:
        return x.square() + F.relu(other)

    with pytest.raises(NotDifferentiableError, match="'relu'"):
        mixed(X, other=X)


def test_an_argument_that_is_not_used_does_no_harm() -> None:
    unused = differentiable(Analytic)(lambda x, y: x.square() + len(y))
    assert torch.equal(unused(X, X), X.square() + 2)


def test_gradients_flow_as_without_it() -> None:
    x = X.clone().requires_grad_()
    differentiable(Analytic)(torch.tanh)(x).sum().backward()  # type: ignore[no-untyped-call]
    assert torch.allclose(x.grad, 1 - torch.tanh(X) ** 2)  # type: ignore[arg-type]


def test_made_maps_compose() -> None:
    whole = differentiable(C1)(F.elu) >> differentiable(Analytic)(torch.tanh)
    assert whole.order is C1
    assert torch.equal(whole(X), torch.tanh(F.elu(X)))


def test_the_words_are_checked_where_the_function_is_made() -> None:
    with pytest.raises(TypeError, match="order of Map must be C0"):
        differentiable(1)(torch.relu)  # type: ignore[type-var, arg-type]


def test_an_order_that_was_forgotten_is_asked_for() -> None:
    with pytest.raises(TypeError, match=r"@differentiable\(C1\) above energy"):

        @differentiable  # type: ignore[arg-type]
        def energy(x: Tensor) -> Tensor:
            return x
