"""Programs as modules: called, saved, frozen, moved, in other programs, in themselves."""

import copy
import math
import warnings

import pytest
import torch
from safetensors.torch import load, save
from torch import nn

from torchstone.programs.holes import (
    MLP,
    ExtrapolationWarning,
    Poly,
    Threshold,
    choose,
    flag,
    hole,
    program,
    select,
)
from torchstone.smoothness import Order, check

XS = (0.1, 0.4, 0.7, 1.1)
HALVES = [((x,), x / 2) for x in XS]


def set_to(body: Poly, *coefficients: float) -> Poly:
    with torch.no_grad():
        body.coefficients.copy_(torch.tensor(coefficients))
    return body


def test_arguments_have_names_and_defaults() -> None:
    @program
    def p(x, scale=2.0):
        return scale * hole("f", x)

    p.holes["f"] = set_to(Poly(1), 0.0, 1.0)
    assert p(torch.tensor(3.0)) == 6
    assert p(x=torch.tensor(3.0), scale=1.0) == 3


def test_a_program_is_saved_without_pickle(linear, quietly) -> None:
    p, q = linear(), linear()
    quietly(p, HALVES)
    q.load_state_dict(load(save(p.state_dict())))
    assert q.explain() == p.explain() == "f(x) = 0.5*x"
    torch.testing.assert_close(q.ranges["f"], torch.tensor([[0.1], [1.1]]))


def test_a_program_runs_under_vmap_once_it_is_trained(linear, quietly) -> None:
    p = linear()
    quietly(p, HALVES)
    torch.testing.assert_close(torch.vmap(p)(torch.tensor([0.2, 9.0])), torch.tensor([0.1, 4.5]))


def test_a_decision_under_vmap_is_told_what_to_do() -> None:
    @program
    def p(x):
        return select(flag("large", x), 2 * x, x)

    p.holes["large"] = Threshold()
    assert p(torch.tensor([0.2, 9.0])).shape == (2,)
    with pytest.raises(RuntimeError) as caught:
        torch.vmap(p)(torch.tensor([0.2, 9.0]))
    assert "with stacked arguments" in caught.value.__notes__[0]


def test_looking_at_the_range_is_no_part_of_the_program(linear, quietly) -> None:
    p = linear()
    quietly(p, HALVES)
    with pytest.warns(ExtrapolationWarning):
        report = check(p, torch.tensor([0.5, 3.0]), wrt="inputs")
    assert (report.order, report.decisions) == (Order.ANALYTIC, ())


def test_the_range_belongs_to_the_body(linear, quietly) -> None:
    p = linear()
    quietly(p, HALVES)
    other = linear(p.holes["f"])
    quietly(other, [((10 * x,), 5 * x) for x in XS], check=False)
    assert p(torch.tensor(1.0)).item() == pytest.approx(0.5)
    p.holes["f"] = Poly(1)
    assert p.ranges == {}
    assert p(torch.tensor(100.0)) == 0  # without a warning


def test_the_warning_names_the_line_of_the_hole(quietly) -> None:
    @program
    def p(x):
        return hole("f", x)

    p.holes["f"] = Poly(1)
    quietly(p, HALVES)
    with pytest.warns(ExtrapolationWarning, match="called with 3") as caught:
        p(torch.tensor([0.5, 3.0, 4.0]))
    assert [warning.filename for warning in caught] == [__file__]


def test_a_formula_that_was_given_stays_when_its_scale_is_set(linear) -> None:
    p = linear(set_to(Poly(2), 1.0, 2.0, 3.0))
    p.holes["f"].requires_grad_(False)
    p.holes["f"].coefficients.requires_grad_(True)
    before = p(torch.tensor(0.3)).item()
    p.holes["f"].set_scale(torch.tensor([[5.0]]))
    assert p(torch.tensor(0.3)).item() == pytest.approx(before)


def test_what_is_frozen_stays_in_every_start() -> None:
    @program
    def p(x):
        return hole("known", x) + hole("new", x)

    p.holes["known"] = set_to(Poly(1), 1.0, 2.0).requires_grad_(False)
    p.holes["new"] = Poly(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = p.fit([((x,), 1 + 3 * x) for x in XS], steps=2, restarts=3)
    assert max(fit.losses) < 1e-9
    assert p.explain() == "known(x) = 1 + 2*x\nnew(x) = x"


class Shift(torch.nn.Module):
    """Its parameter is its own, and nothing draws it anew."""

    def __init__(self) -> None:
        super().__init__()
        self.by = torch.nn.Parameter(torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.by


def test_what_begins_alike_in_every_start_is_named() -> None:
    @program
    def p(x):
        return hole("shift", x) * hole("net", x)

    p.holes["shift"], p.holes["net"] = Shift(), MLP(2)
    examples = [((x,), x) for x in XS]
    many, one = (p.fit(examples, steps=1, restarts=n) for n in (2, 1))
    assert many.alike == ("shift",)
    assert "All starts began alike in 'shift'" in str(many)
    assert "alike" not in str(one)


def test_nothing_to_learn_is_named(linear) -> None:
    for p in (linear(Poly(1).requires_grad_(False)), program(lambda x: 2 * x)):
        with pytest.raises(ValueError, match="There is nothing to learn"):
            p.fit(HALVES)


def test_bodies_by_default_follow_the_program(quietly) -> None:
    @program
    def p(x):
        return hole("f", x) if flag("which", x) else x

    p.double()
    quietly(p, HALVES)
    assert {parameter.dtype for parameter in p.parameters()} == {torch.float64}


def test_a_program_in_a_program_is_learned_and_known(quietly) -> None:
    @program
    def inner(x):
        return hole("f", x) if x > 0 else hole("g", x)

    @program
    def outer(x):
        return 2 * hole("inner", x)

    outer.holes["inner"] = inner
    fit = outer.fit(
        [((x,), x if x > 0 else 4 * x) for x in (-2.0, -1.0, 1.0, 3.0)], batching="none", steps=1, restarts=1
    )
    assert fit.told == {"inner.holes.f": (2, 2), "inner.holes.g": (2, 2)}
    assert outer.ranges["inner.holes.f"].tolist() == [[1.0], [3.0]]
    inner.holes["f"], inner.holes["g"] = Poly(1), Poly(1)
    quietly(outer, [((x,), x if x > 0 else 4 * x) for x in (-2.0, -1.0, 1.0, 3.0)], batching="none")
    assert outer.explain() == "inner(x) is a program:\n  g(x) = 2*x\n  f(x) = 0.5*x"
    with pytest.warns(ExtrapolationWarning, match="'inner.holes.f'"):
        outer(torch.tensor(9.0))


def test_hardening_reaches_into_programs() -> None:
    @program
    def inner(x):
        return choose("factor", among=[1.0, 3.0]) * x

    @program
    def outer(x):
        return hole("inner", x)

    outer.holes["inner"] = inner
    examples = [((x,), 3 * x) for x in XS]
    outer.fit(examples, steps=20, restarts=1, lr=0.1)
    outer.harden(examples)
    assert inner.explain() == "factor = 3.0 (p = 1)"


def test_a_program_calls_itself() -> None:
    @program
    def total(n):
        return hole("end", n) if n <= 0 else hole("step", n) + total(n - 1)

    total.holes["end"], total.holes["step"] = Poly(0), Poly(1)
    fit = total.fit([((n,), n * (n + 1) / 2) for n in range(5)], batching="none", steps=1, restarts=1)
    assert fit.loss < 1e-9
    assert total(torch.tensor(3.0)).item() == pytest.approx(6.0, abs=1e-4)
    assert total.ranges["step"].tolist() == [[1.0], [4.0]]


def test_a_copy_of_a_program_calls_the_copy() -> None:
    @program
    def total(n):
        return 0 * n if n <= 0 else hole("step", n) + total(n - 1)

    total.holes["step"] = set_to(Poly(0), 1.0)
    other = copy.deepcopy(total)
    set_to(other.holes["step"], 10.0)
    assert (total(torch.tensor(3.0)), other(torch.tensor(3.0))) == (3, 30)


def test_a_program_called_by_the_way_keeps_its_own_holes(linear, quietly) -> None:
    other = linear(set_to(Poly(1), 0.0, 2.0))

    @program
    def p(x):
        return hole("f", other(x))

    p.holes["f"] = Poly(1)
    quietly(p, [((x,), 4 * x) for x in XS])
    assert p.explain() == "f(other(x)) = 2*(other(x))"
    assert other(torch.tensor(1.0)) == 2


def test_limits_of_several_and_of_compound_features(linear) -> None:
    @program
    def p(x, y):
        return flag("above", x - 1, y)

    p.holes["above"] = Threshold(2)
    assert p.explain() == "above(x - 1, y) is true where (x - 1) + y > 0"
    assert linear(Threshold()).explain() == "f(x) is true where x > 0"


def test_a_formula_of_no_numbers_says_so(linear) -> None:
    assert linear(set_to(Poly(1), math.nan, 1.0)).explain() == "f(x) = nan + x"
    assert linear().explain() == "f(x) = 0"


def test_a_program_in_a_network(linear) -> None:
    net = nn.Sequential(linear(set_to(Poly(1), 0.0, 2.0)), nn.Flatten(0))
    assert net(torch.ones(2, 2)).tolist() == [2, 2, 2, 2]
    assert [name for name, _ in net.named_parameters()] == ["0.holes.f.coefficients"]


def test_a_network_of_no_gradient_of_number_stops(quietly) -> None:
    @program
    def p(x):
        return (hole("f", x) * 0).sqrt()

    p.holes["f"] = MLP(2)
    quietly(p, HALVES, steps=3)
    assert all(parameter.isfinite().all() for parameter in p.parameters())


def test_threshold_of_several_features() -> None:
    @program
    def p(x, y):
        return 1.0 if flag("above", x, y) else 0.0

    p.holes["above"] = Threshold(2)
    g = torch.Generator().manual_seed(0)
    points = torch.rand(30, 2, generator=g).tolist()
    p.fit([((x, y), float(x > y)) for x, y in points], steps=60, restarts=2, lr=0.1)
    assert all(p(torch.tensor(x), torch.tensor(y)) == float(x > y) for x, y in points)
