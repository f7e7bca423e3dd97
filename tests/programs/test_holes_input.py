"""What users hand to a program: examples, targets, losses, options and names, good and bad."""

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import mse_loss

from torchstone.programs.holes import (
    MLP,
    Permutation,
    Poly,
    Threshold,
    choose,
    flag,
    hole,
    permute,
    program,
)

XS = (0.1, 0.4, 0.7, 1.1)
HALVES = [((x,), x / 2) for x in XS]


def test_examples_reach_holes_together() -> None:
    @program
    def p(x):
        return hole("large", x) if x > 0.5 else hole("small", x)

    p.holes["large"], p.holes["small"] = Poly(1), Poly(1)
    fit = p.fit([((x,), 2 * x if x > 0.5 else x) for x in XS], batching="none", steps=2, restarts=1)
    assert fit.loss < 1e-9
    assert set(p.check(HALVES).live) == {"large.coefficients", "small.coefficients"}


@pytest.mark.parametrize("kind", ["flag", "choose"])
def test_one_name_for_different_things_is_named(kind: str, quietly) -> None:
    @program
    def p(x, reverse):
        calls = [lambda: hole("a", x), lambda: flag("a") if kind == "flag" else choose("a", among=[1.0, 2.0])]
        for call in calls[::-1] if reverse else calls:
            call()
        return x

    with pytest.raises(TypeError, match="has no features, but the name 'a' belongs to a MLP"):
        quietly(p, [((1.0, False), 1.0)], batching="none")
    del p.holes["a"]
    with pytest.raises(TypeError, match="'a' belongs to a Constant, which takes no arguments"):
        quietly(p, [((1.0, True), 1.0)], batching="none")


def test_an_order_needs_a_permutation() -> None:
    @program
    def p(x):
        return permute("a", x)

    p.holes["a"] = Poly(1)
    with pytest.raises(TypeError, match="needs a Permutation"):
        p(torch.ones(2))
    p.holes["a"] = Permutation(2)
    assert p(torch.tensor([1.0, 2.0])).tolist() == [1, 2]


@pytest.mark.parametrize("name", ["a.b", "", 3])
def test_names_of_holes(name, linear) -> None:
    with pytest.raises(ValueError, match="must be a string without a dot"):
        linear().holes[name] = Poly(1)


@pytest.mark.parametrize("name", ["forward", "training", "pop", "empty", "like", "every", "holes"])
def test_a_hole_may_have_any_other_name(name: str, quietly) -> None:
    @program
    def p(x):
        return hole(name, x)

    p.holes[name] = Poly(1)
    quietly(p, HALVES)
    assert p(torch.tensor(1.0)).item() == pytest.approx(0.5, abs=1e-5)
    assert f"holes.{name}.coefficients" in p.state_dict()


def test_a_hole_without_arguments_is_told_what_to_do(quietly) -> None:
    @program
    def p(x):
        return hole("g") * x

    with pytest.raises(ValueError, match=r"write hole\('g', 1.0\), and program.holes\['g'\] = Poly\(0\)"):
        p.fit(HALVES)

    @program
    def q(x):
        return hole("g", 1.0) * x

    q.holes["g"] = Poly(0)
    quietly(q, HALVES)
    assert q.explain() == "g(1.0) = 0.5"


@pytest.mark.parametrize("batching", ["vmap", "native", "none"])
def test_targets_of_another_shape_are_refused(batching: str, linear, quietly) -> None:
    with pytest.raises(
        ValueError, match=r"returned a tensor of shape \((1, )?3,?\), but the target has shape \((1,)?\)"
    ):
        quietly(linear(), [((torch.ones(3),), 1.0)] * 4, batching=batching)


def test_a_loss_of_stacked_examples_is_one_for_each(linear, quietly) -> None:
    with pytest.raises(ValueError, match="first axis is that of the 1 examples"):
        quietly(linear(), HALVES, batching="native", loss=mse_loss)
    assert quietly(linear(), HALVES, loss=mse_loss).loss < 1e-9


def test_one_number_for_stacked_examples() -> None:
    @program
    def p(x):
        return choose("answer", among=[1.0, 2.0])

    assert p.search([((x,), 2.0) for x in XS], batching="native").loss == 0


def test_arrays_are_examples(linear, quietly) -> None:
    p = linear()
    x = np.linspace(0.0, 1.0, 5)
    assert quietly(p, [((x,), x / 2), ((-x,), -x / 2)]).loss < 1e-9
    assert quietly(linear(), [((np.float32(z),), np.float32(z) / 2) for z in x]).loss < 1e-9
    with pytest.raises(ValueError, match=r"examples\[0\] has a number that is NaN"):
        quietly(p, [((np.array([math.nan]),), 1.0)])


def test_examples_may_come_one_by_one_and_from_another_graph(linear, quietly) -> None:
    x = torch.tensor([0.1, 0.9], requires_grad=True)
    with torch.no_grad():
        fit = quietly(linear(), (((z,), z / 2) for z in (2 * x).unbind()), steps=2)
    assert fit.loss < 1e-9


def test_a_number_is_no_index() -> None:
    @program
    def p(n, x):
        return sum(hole("f", x) for _ in range(n))

    with pytest.raises(TypeError) as caught:
        p.fit([((2, 1.0), 2.0)], batching="none")
    assert "range(int(n))" in caught.value.__notes__[0]


def test_a_program_must_return_numbers_whatever_it_holds() -> None:
    @program
    def p(x):
        return {"f": hole("f", x), "x": torch.ones(2)}

    with pytest.raises(TypeError, match="but it returned dict"):
        p.fit(HALVES)


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        ([], "`examples` is empty"),
        ([(1.0, 2.0)], r"examples\[0\] must be a pair"),
        ([((1.0,), 2.0), 3], r"examples\[1\] must be a pair"),
        ([((math.nan,), 2.0)], r"examples\[0\] has a number that is NaN"),
        ([((1.0,), math.inf)], r"examples\[0\] has a number that is NaN or infinite"),
        ([(([1.0],), 1.0), (([1.0, 2.0],), 1.0)], "batching='none'"),
        ([((1.0,), "a")], "A target must be a number, a list of numbers or a tensor, but here is a str"),
    ],
)
def test_bad_examples(examples: list, message: str, linear) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        linear().fit(examples, check=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"branches": "all"}, "branches must be one of enumerate, likelihood, sample, mix, relax, but it is 'all'"),
        ({"batching": "yes"}, "batching must be"),
        ({"branches": "sample", "batching": "native"}, "must be written for one example"),
        ({"steps": -1}, "steps must be a whole number, 0 or more"),
        ({"restarts": 0}, "restarts must be"),
        ({"samples": 1}, "samples must be a whole number, 2 or more"),
        ({"lr": 0.0}, "lr must be a positive number"),
        ({"batch": 0}, "batch must be"),
        ({"max_paths": True}, "max_paths must be"),
    ],
)
def test_bad_options(options: dict, message: str, linear) -> None:
    with pytest.raises(ValueError, match=message):
        linear().fit(HALVES, **options)


def test_half_precision_is_refused_where_adam_would_divide_by_0(linear) -> None:
    with pytest.raises(ValueError, match=r"float16.*Fit program.float\(\)"):
        linear().half().fit(HALVES)


def test_bad_words_are_refused_everywhere(linear) -> None:
    p = linear()
    with pytest.raises(ValueError, match="branches must be one of"):
        p.check(HALVES, branches="all")  # type: ignore[arg-type]
    for use in (p.check, p.search, p.harden):
        with pytest.raises(ValueError, match="batching must be"):
            use(HALVES, batching="yes")  # type: ignore[operator]
    with pytest.raises(ValueError, match="most must be a whole number, 1 or more"):
        p.search(HALVES, most=0)


def test_holes_belong_to_programs() -> None:
    with pytest.raises(RuntimeError, match=r"hole\('f'\) was called outside a program"):
        hole("f", 1.0)
    with pytest.raises(TypeError, match="@program stands above a function"):
        program(3)


def test_what_is_not_there_is_named(linear) -> None:
    p = linear()
    with pytest.raises(LookupError, match="There is no hole 'g'; there are 'f'"):
        p.explain("g")
    with pytest.raises(TypeError, match="must be a module such as Poly"):
        p.holes["f"] = lambda x: x

    @program
    def empty(x):
        return hole("f", x)

    with pytest.raises(LookupError, match=r"hole\('f'\) has no body yet"):
        empty(1.0)


def test_the_number_of_arguments_is_checked(linear) -> None:
    p = linear()
    p.holes["f"] = Poly(1, inputs=2)
    with pytest.raises(ValueError, match="Poly was made for inputs=2, but is called with 1"):
        p(1.0)


@pytest.mark.parametrize("make", [lambda: Poly(-1), lambda: MLP(0), lambda: Threshold(0), lambda: Poly(1, inputs=1.5)])
def test_bodies_of_no_size(make) -> None:
    with pytest.raises(ValueError, match="must be a whole number"):
        make()


def test_a_program_must_return_numbers() -> None:
    @program
    def p(x):
        return [hole("f", x)]

    with pytest.raises(TypeError, match="must return a number or a tensor to be fitted, but it returned list"):
        p.fit(HALVES)
