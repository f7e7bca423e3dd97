"""What branches mean: all paths, drawn paths, averages; and constants, choices, orders, loops."""

import math
import warnings

import pytest
import torch
from torch import nn

from torchstone.nets import seeded
from torchstone.programs.holes import (
    DisagreementError,
    Permutation,
    Poly,
    Program,
    Threshold,
    choose,
    flag,
    hole,
    permute,
    program,
    select,
)


def discount() -> Program:
    @program
    def price(total):
        if flag("discount", total):
            return 0.9 * total
        return total

    price.holes["discount"] = Threshold()
    return price


def bills(n: int, limit: float = 1.23) -> list:
    return [((3 * (i + 0.5) / n,), 3 * (i + 0.5) / n * (0.9 if 3 * (i + 0.5) / n > limit else 1.0)) for i in range(n)]


def test_all_paths_give_the_exact_expectation_and_gradient(objective) -> None:
    p = discount()
    loss = objective(p, [((2.0,), 1.8)])([0])
    loss.backward()
    chance = 1 / (1 + math.exp(-2.0))
    assert loss.item() == pytest.approx((1 - chance) * 0.2**2)
    assert p.holes["discount"].bias.grad.item() == pytest.approx(-chance * (1 - chance) * 0.2**2)


def test_draws_have_that_gradient_on_average(objective) -> None:
    p = discount()
    drawn = objective(p, [((2.0,), 1.8)], "sample", samples=400)
    drawn([0]).backward()
    chance = 1 / (1 + math.exp(-2.0))
    gradient = p.holes["discount"].bias.grad.item()
    deviation = 0.04 * chance * (1 - chance)  # of one draw, at most
    assert gradient == pytest.approx(-chance * (1 - chance) * 0.2**2, abs=4 * deviation / math.sqrt(400))
    assert gradient != 0


def test_a_threshold_is_found() -> None:
    p = discount()
    fit = p.fit(bills(24), steps=60, restarts=1, lr=0.1)
    assert fit.restarts[0].hardened < 1e-9
    assert p.explain().startswith("discount(total) is true where total > 1.")
    assert p(torch.tensor(2.0)) == pytest.approx(1.8)
    assert p(torch.tensor(0.5)) == pytest.approx(0.5)


@pytest.mark.parametrize("branches", ["mix", "relax"])
def test_averages_instead_of_branches(branches: str) -> None:
    @program
    def price(total):
        return select(flag("discount", total), 0.9 * total, total)

    p = price
    p.fit(bills(12), branches=branches, steps=60, restarts=1, lr=0.1)
    assert p.averages
    examples = bills(12)
    hardened = p.harden(examples)
    assert hardened.after < 0.005
    assert not p.averages
    values = torch.tensor([0.2, 2.8])
    torch.testing.assert_close(p(values), torch.tensor([0.2, 2.52]))


def test_a_constant_has_one_noise_in_a_program() -> None:
    @program
    def p(x):
        return x * (choose("bit", among=[0.0, 1.0]) - choose("bit", among=[0.0, 1.0]))

    fit = p.fit([((1.0,), 0.0)], branches="relax", steps=3, restarts=2, check=False)
    assert fit.losses == (0.0, 0.0)


@pytest.mark.parametrize("batching", ["vmap", "none"])
def test_a_layer_decides(batching: str) -> None:
    @program
    def p(x):
        return 1.0 if flag("up", x) else 0.0

    with seeded(0):
        p.holes["up"] = nn.Linear(2, 1)
    points = torch.rand(12, 2, generator=torch.Generator().manual_seed(0))
    fit = p.fit([((x,), float(x.sum() > 1)) for x in points], batching=batching, steps=20, restarts=1, lr=0.3)
    assert fit.restarts[0].hardened == 0
    assert [p(x) for x in points] == [float(x.sum() > 1) for x in points]


def test_averages_cannot_be_on_two_branches() -> None:
    with pytest.raises(TypeError, match="branches='mix' and 'relax' average values"):
        discount().fit(bills(4), branches="mix")


def test_the_branch_that_is_not_taken_does_no_harm() -> None:
    @program
    def root(x):
        return select(flag("positive", x), x.sqrt(), 0 * x)

    root.holes["positive"] = Threshold()
    assert root(torch.tensor([-1.0, 4.0])).tolist() == [0, 2]
    assert root(torch.tensor(-1.0)) == 0


def test_a_batch_that_disagrees_is_named() -> None:
    with pytest.raises(DisagreementError, match=r"2 examples take different branches.*select"):
        discount()(torch.tensor([-2.0, 2.0]))


@pytest.mark.parametrize("branches", ["enumerate", "sample"])
def test_several_decisions_at_once_are_named(branches: str, objective) -> None:
    @program
    def p(x):
        return select(flag("big", x), x, 0 * x).sum()

    p.holes["big"] = Threshold()
    with pytest.raises(DisagreementError, match="tensor of several elements"):
        objective(p, [(([1.0, 2.0],), 2.0)], branches)([0])


def test_likelihood_is_that_of_the_target(objective) -> None:
    p = discount()
    loss = objective(p, [((2.0,), 0.8)], "likelihood")([0])
    chance = 1 / (1 + math.exp(-2.0))
    assert loss.item() == pytest.approx(-math.log(chance * math.exp(-1.0) + (1 - chance) * math.exp(-1.44)))


def test_a_flag_without_features_is_one_decision() -> None:
    @program
    def twice(x):
        return x if bool(flag("bit")) == bool(flag("bit")) else 0 * x

    fit = twice.fit([((1.0,), 1.0), ((2.0,), 2.0)], steps=0, restarts=1, check=False)
    assert fit.loss == 0
    assert len(twice.holes) == 1


def test_choose_takes_numbers_and_functions() -> None:
    @program
    def p(x):
        return choose("f", among=[torch.sin, torch.cos])(x) * choose("factor", among=[1.0, 2.0, 3.0])

    p.search([((0.3,), 2 * math.cos(0.3)), ((1.1,), 2 * math.cos(1.1))])
    assert p(torch.tensor(0.7)) == pytest.approx(2 * math.cos(0.7))
    assert p.explain() == "f = cos (p = 1)\nfactor = 2.0 (p = 1)"


def test_an_order_is_learned() -> None:
    order = [2, 0, 3, 1]

    @program
    def p(x):
        return permute("order", x)

    g = torch.Generator().manual_seed(0)
    examples = [((x,), x[order]) for x in torch.randn(6, 4, generator=g)]
    p.fit(examples, steps=80, restarts=1, lr=0.2)
    hardened = p.harden(examples)
    assert hardened.after < 1e-12
    assert p.explain() == f"order = order {order}"
    assert isinstance(p.holes["order"], Permutation)


@pytest.mark.parametrize("branches", ["enumerate", "sample"])
def test_a_hole_on_an_unlikely_path_is_no_cut(branches: str) -> None:
    @program
    def p(x):
        return hole("rare", x) if flag("rarely", x) else x

    p.holes["rarely"], p.holes["rare"] = Threshold(), Poly(1)
    with torch.no_grad():
        p.holes["rarely"].bias.fill_(-30.0)
    assert p.fit([((1.0,), 1.0)], branches=branches, steps=0, restarts=1).loss < 1e-9


def test_what_changed_in_place_is_worked_out_again(objective) -> None:
    @program
    def p(x):
        state = torch.zeros(2)
        state[0] = x
        first = hole("f", state).sum()
        state[1] = 2 * x
        return hole("f", state).sum() - first

    p.holes["f"] = Poly(1)
    with torch.no_grad():
        p.holes["f"].coefficients[1] = 1.0
    assert objective(p, [((1.0,), 0.0)])([0]).item() == pytest.approx(4.0)


def test_a_program_is_a_body_of_another(objective) -> None:
    inner = discount()

    @program
    def outer(x):
        return 2 * hole("inner", x)

    outer.holes["inner"] = inner
    assert outer(torch.tensor(2.0)) == pytest.approx(3.6)
    assert objective(outer, [((2.0,), 3.6)])([0]).item() == pytest.approx((1 - 1 / (1 + math.exp(-2.0))) * 0.4**2)


def test_logits_of_any_module_choose() -> None:
    @program
    def p(x):
        return choose("which", x, among=[0.0, 5.0])

    with pytest.raises(LookupError, match="needs a body"):
        p.fit([((torch.eye(2)[0],), 0.0)])
    p.holes["which"] = nn.Identity()
    assert p(torch.tensor([[3.0, 0.0], [0.0, 3.0]])).tolist() == [0.0, 5.0]
    with pytest.raises(ValueError, match="is among 2 things, but its body returns 3 logits"):
        p(torch.zeros(3))


def test_no_warning_comes_where_all_is_well() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        discount().fit(bills(3), steps=1, restarts=1)
