"""The area of a square from its diagonal, learned from the cost of painting several: only totals are ever seen."""

import copy

import pytest
import torch
from torch import Tensor

from torchstone.nets import seeded
from torchstone.programs.holes import MLP, Choose, ExtrapolationWarning, Monotone, Poly, Program, hole, program

Examples = list[tuple[tuple[Tensor, Tensor], Tensor]]


def paint() -> Program:
    @program
    def cost(diagonals, price):
        total = 0.0
        for d in diagonals:
            total = total + hole("area", d) * price
        return total

    return cost


def bills(n: int, seed: int = 0) -> Examples:
    g = torch.Generator().manual_seed(seed)
    found = []
    for _ in range(n):
        diagonals, price = 2 * torch.rand(3, generator=g), 0.5 + torch.rand((), generator=g)
        found.append(((diagonals, price), (diagonals**2 / 2).sum() * price))
    return found


@pytest.fixture(scope="module")
def learned() -> Program:
    cost = paint()
    cost.holes["area"] = Poly(3)
    fit = cost.fit(bills(8), steps=20, restarts=2)
    assert len(fit.restarts) == 2
    assert max(fit.losses) < 1e-9
    return cost


def test_the_formula_comes_out_of_eight_totals(learned: Program) -> None:
    assert learned.explain("area") == "area(d) = 0.5*d**2"
    expected = {(0,): 0.0, (1,): 0.0, (2,): 0.5, (3,): 0.0}
    assert learned.holes["area"].terms() == pytest.approx(expected, abs=1e-3)


def test_a_hole_knows_where_it_was_trained(learned: Program) -> None:
    diagonals = torch.stack([inputs[0] for inputs, _ in bills(8)])
    torch.testing.assert_close(learned.ranges["area"], torch.stack([diagonals.min(), diagonals.max()])[:, None])
    with pytest.warns(ExtrapolationWarning, match=r"hole 'area' trained on \[0.0447, 1.91\], called with 3.7"):
        learned(torch.tensor([1.0, 3.7]), torch.tensor(1.0))


def test_rounding_is_not_called_outside(learned: Program) -> None:
    largest = learned.ranges["area"][1, 0]
    learned(torch.stack([largest * (1 + 1e-6)]), torch.tensor(1.0))
    with pytest.warns(ExtrapolationWarning):
        learned(torch.stack([largest * (1 + 1e-4)]), torch.tensor(1.0))


def test_within_its_range_nothing_is_said(learned: Program) -> None:
    torch.testing.assert_close(learned(torch.tensor([1.0, 1.5]), 2.0), torch.tensor(3.25), atol=1e-4, rtol=0)


def test_a_program_is_a_module(learned: Program) -> None:
    other = paint()
    other.holes["area"] = Poly(3)
    other.load_state_dict(learned.state_dict())
    inputs = torch.tensor([0.5, 1.5]), torch.tensor(0.7)
    assert other(*inputs) == copy.deepcopy(learned)(*inputs) == learned(*inputs)
    assert other.ranges.keys() == {"area"}
    assert other.explain() == learned.explain()
    assert learned.__name__ == "cost"


def test_a_copy_of_a_program_learns_for_itself(learned: Program) -> None:
    other = copy.deepcopy(learned)
    with torch.no_grad():
        other.holes["area"].coefficients.zero_()
    assert learned(torch.ones(1), 1.0) > 0.4
    assert other(torch.ones(1), 1.0) == 0


def test_one_of_some_functions_is_chosen_exactly() -> None:
    cost = paint()
    cost.holes["area"] = Choose(
        {"d": lambda d: d, "d*d": lambda d: d * d, "d*d/2": lambda d: d * d / 2, "4*d": lambda d: 4 * d}
    )
    fit = cost.fit(bills(8), steps=60, restarts=1, lr=0.1)
    assert fit.restarts[0].hardened < 1e-12
    cost.harden(bills(8))
    assert cost.explain() == "area = d*d/2 (p = 1)"


def test_search_finds_what_gradients_find() -> None:
    cost = paint()
    cost.holes["area"] = Choose({"d": lambda d: d, "d*d/2": lambda d: d * d / 2, "4*d": lambda d: 4 * d})
    found = cost.search(bills(8))
    assert (found.combinations, found.ties) == (3, 1)
    assert found.loss < 1e-12
    assert cost.explain() == "area = d*d/2 (p = 1)"


def test_search_refuses_what_has_numbers_to_learn() -> None:
    cost = paint()
    with pytest.raises(ValueError, match="'area' must be learned: use fit"):
        cost.search(bills(2))


@pytest.mark.parametrize("body", [MLP(8), Monotone(8)])
def test_a_network_fills_the_hole_as_well(body: MLP | Monotone) -> None:
    cost = paint()
    cost.holes["area"] = body
    before = cost.fit(bills(8), steps=0, restarts=1, check=False)
    assert before.loss < 0.05
    assert cost.explain().startswith("area(d):\n        d      value\n")


def test_the_default_is_a_small_network() -> None:
    cost = paint()
    cost.fit(bills(4), steps=1, restarts=1)
    assert isinstance(cost.holes["area"], MLP)


def test_fits_are_equal_to_the_bit() -> None:
    weights = []
    for _ in range(2):
        cost = paint()
        cost.holes["area"] = MLP(4)
        cost.fit(bills(4), steps=3, restarts=2, batch=2, seed=7, check=False)
        weights.append(torch.cat([p.detach().flatten() for p in cost.parameters()]))
    assert torch.equal(*weights)


def test_examples_at_once_or_one_after_the_other() -> None:
    found = []
    for batching in ("vmap", "none"):
        cost = paint()
        cost.holes["area"] = Poly(2)
        cost.fit(bills(4), steps=3, restarts=1, batching=batching, check=False)
        found.append(cost.holes["area"].coefficients.detach())
    torch.testing.assert_close(*found, atol=1e-4, rtol=1e-4)


def test_a_program_in_double_precision() -> None:
    cost = paint()
    cost.holes["area"] = Poly(2)
    cost.double().fit(bills(6), steps=0, restarts=1, check=False)
    assert cost.holes["area"].coefficients.dtype == torch.float64
    assert cost(torch.ones(1, dtype=torch.float64), 1.0).item() == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize("falling", [False, True])
def test_monotone_is_monotone_whatever_its_weights(falling: bool) -> None:
    for seed in range(5):
        body = Monotone(6, inputs=2, falling=falling, seed=seed)
        with seeded(seed), torch.no_grad():
            for parameter in body.parameters():
                parameter.copy_(3 * torch.randn(parameter.shape))
        y = body(torch.linspace(-2, 2, 30), torch.tensor(0.3)).diff()
        assert (y <= 0).all() if falling else (y >= 0).all()
