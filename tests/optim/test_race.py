import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from torchstone.optim import SURFACES, Grid, Surface, create, quadratic, race
from torchstone.optim.race_scene import standing

BOWL = Surface("bowl", lambda point: point.square().sum(-1), start=(1, 1), box=((-2, 2), (-2, 2)), minima=((0, 0),))


def falling_off(point: Tensor) -> Tensor:
    square = point.square().sum(-1)
    return torch.where(square < 9, square, -1e6 * square)


def plain_loop(surface: Surface, rule: str, lr: float, steps: int) -> list[list[float]]:
    """What a reader would write: one point, one optimizer, backward, step."""
    point = torch.tensor(surface.start, dtype=torch.float64, requires_grad=True)
    optimizer = create(rule, [point], lr=lr)
    path = [point.tolist()]
    for _ in range(steps):
        optimizer.zero_grad()
        surface.f(point).backward()
        optimizer.step()
        path.append(point.tolist())
    return path


@pytest.mark.parametrize("name", ["beale", "himmelblau", "rosenbrock"])
def test_paths_are_those_of_a_plain_loop(name: str) -> None:
    rules = ["sgd", "momentum", "rmsprop", "adam", "amsgrad", "adamnc"]
    result = race(SURFACES[name], rules, steps=60, tune=3e-4)
    for row, rule in enumerate(rules):
        np.testing.assert_allclose(result.paths[row], plain_loop(SURFACES[name], rule, 3e-4, 60), rtol=1e-12)
    with torch.no_grad():
        np.testing.assert_allclose(result.values, SURFACES[name].f(torch.from_numpy(result.paths)).numpy(), rtol=1e-12)


@given(st.floats(2, 1000))
def test_gradient_descent_contracts_a_quadratic_by_one_less_one_over_kappa(kappa: float) -> None:
    result = race(quadratic(kappa), ["sgd"], steps=40, tune=1 / kappa)
    contraction = (1 - 1 / kappa) ** np.arange(41)
    np.testing.assert_allclose(result.paths[0, :, 0], -4 * contraction, rtol=1e-9)
    assert abs(result.paths[0, 1:, 1]).max() < 1e-12, "1/L brings the steep direction to its minimum in one step"


def test_tuned_momentum_beats_the_conditioning() -> None:
    """Heavy ball with the optimal rate and momentum needs O(√κ) steps, gradient descent O(κ)."""
    root = math.sqrt(100)
    optimal = {"lr": 4 / (root + 1) ** 2, "momentum": ((root - 1) / (root + 1)) ** 2}
    rules: dict[str, Any] = {"sgd": "sgd", "ball": lambda params, lr: torch.optim.SGD(params, **optimal)}
    plain, ball = race(quadratic(100), rules, steps=1500, tune=0.01).steps_to(1e-6)
    assert plain is not None
    assert ball is not None
    assert plain / ball >= 5


@pytest.mark.parametrize("lr", [0.003, 0.01, 0.1])
def test_gradient_descent_leaves_the_saddle_as_the_closed_form_says(lr: float) -> None:
    result = race(SURFACES["saddle"], ["sgd"], steps=1500, tune=lr)
    beyond_one = int((abs(result.paths[0, :, 1]) > 1).argmax())
    assert beyond_one == math.ceil(math.log(1000) / math.log(1 + 2 * lr))
    assert result.stopped[0] == math.ceil(math.log(2000) / math.log(1 + 2 * lr))
    assert result.notes("sgd") == [f"escaped at step {result.stopped[0]}"]


def test_on_the_axis_gradient_descent_stays_for_ever() -> None:
    on_axis = Surface("axis", SURFACES["saddle"].f, start=(1.5, 0.0), box=((-2, 2), (-2, 2)), bounded=False)
    result = race(on_axis, ["sgd", "momentum", "adam"], steps=400, tune=0.05)
    assert (result.paths[:, :, 1] == 0).all()
    assert result.stopped == (None, None, None)
    assert abs(result.paths[0, -1, 0]) < 1e-12


def test_a_path_that_escaped_stays_at_its_first_point_outside() -> None:
    result = race(SURFACES["saddle"], ["sgd"], steps=100, tune=0.1)
    stop = result.stopped[0]
    assert stop is not None
    assert abs(result.paths[0, stop - 1, 1]) <= 2 < abs(result.paths[0, stop, 1])
    assert (result.paths[0, stop:] == result.paths[0, stop]).all()
    assert (result.values[0, stop:] == result.values[0, stop]).all()


def test_a_path_that_diverged_stays_at_its_last_finite_point() -> None:
    result = race(SURFACES["rosenbrock"], ["sgd", "adam"], steps=50, tune=0.05)
    stop = result.stopped[0]
    assert stop is not None
    assert result.diverged == (True, False)
    assert np.isfinite(result.paths).all()
    assert np.isfinite(result.values).all()
    assert (result.paths[0, stop - 1 :] == result.paths[0, stop - 1]).all()
    assert result.notes("sgd") == [f"left the box at step {result.left[0]}", f"diverged at step {stop}"]
    assert standing(result, 0, stop) == "diverged"


def test_a_path_may_leave_the_box_of_a_surface_with_minima_and_come_back() -> None:
    result = race(BOWL, ["momentum"], steps=300, tune=1.6)
    assert result.left == (int((~BOWL.holds(torch.from_numpy(result.paths[0])).numpy()).argmax()),)
    assert result.left[0] is not None
    assert standing(result, 0, result.left[0]) == "off the map"
    assert result.stopped == (None,)
    assert result.values[0, -1] < 1e-6


def test_every_rate_of_the_grid_is_tried_and_the_best_wins() -> None:
    grid = Grid(low=1e-3, high=1.0, number=7, steps=30)
    (tuned,) = race(BOWL, ["sgd"], steps=5, tune=grid).tuned
    finals = {rate: plain_loop(BOWL, "sgd", rate, 30)[-1] for rate in grid.rates if rate < 1}
    assert tuned is not None
    assert tuned.rate == min(finals, key=lambda rate: math.hypot(*finals[rate]))
    assert (tuned.edge, tuned.kept) == (None, True)


def test_a_grid_is_spaced_evenly_in_the_logarithm() -> None:
    rates = Grid().rates
    assert (len(rates), rates[0], rates[-1]) == (25, 1e-4, 10.0)
    np.testing.assert_allclose(np.diff(np.log(rates)), np.log(1e5) / 24)


def test_a_diverged_rate_never_wins() -> None:
    """Nothing ends lower than what falls off this table, and nothing that falls is finite in the end."""
    table = Surface("table", falling_off, start=(1, 1), box=((-2, 2), (-2, 2)), minima=((0, 0),))
    (falls,) = race(table, ["sgd"], steps=100, tune=3.0).diverged
    tuned = race(table, ["sgd"], steps=100)
    assert falls
    assert tuned.diverged == (False,)
    assert tuned.rates[0] < 1


def test_the_edge_of_the_grid_is_reported() -> None:
    low, high = (race(BOWL, ["sgd"], steps=3, tune=Grid(*ends, number=3, steps=5)) for ends in ((1e-6, 1e-4), (0.6, 2)))
    assert low.notes("sgd") == ["the highest rate of the grid"]
    assert high.notes("sgd") == ["the lowest rate of the grid"]


def test_where_no_rate_keeps_to_the_map_it_says_so() -> None:
    result = race(SURFACES["rosenbrock"], ["sgd"], steps=3, tune=Grid(0.5, 5.0, number=3, steps=20))
    assert "no rate of the grid keeps to the map" in result.notes("sgd")


def test_equal_rates_for_equal_rules() -> None:
    result = race(SURFACES["beale"], {"a": "adam", "b": "adam"}, steps=50)
    assert result.rates[0] == result.rates[1]
    assert (result.paths[0] == result.paths[1]).all()


def test_a_noisy_race_is_a_function_of_its_seed() -> None:
    grid = Grid(number=4, steps=20)
    runs = [race(SURFACES["moons"], ["sgd", "adam"], steps=40, tune=grid, seed=seed) for seed in (0, 0, 1)]
    assert (runs[0].paths == runs[1].paths).all()
    assert (runs[0].paths != runs[2].paths).any()


def test_on_a_noisy_surface_all_rules_see_the_same_draws() -> None:
    alone = race(SURFACES["moons"], ["adam"], steps=40, tune=0.1)
    together = race(SURFACES["moons"], ["sgd", "momentum", "adam"], steps=40, tune=0.1)
    assert (together.paths[2] == alone.paths[0]).all()


def test_a_race_without_noise_does_not_depend_on_the_seed() -> None:
    grid = Grid(number=4)
    first, second = (race(SURFACES["beale"], ["sgd", "adam"], steps=30, tune=grid, seed=seed) for seed in (0, 9))
    assert (first.paths == second.paths).all()


def test_rules_of_ones_own() -> None:
    def halving(params: list[Tensor], lr: float) -> torch.optim.Optimizer:
        return torch.optim.SGD(params, lr=lr / 2)

    result = race(BOWL, {"mine": halving, "theirs": "sgd"}, steps=10, tune={"mine": 0.2, "theirs": 0.1})
    np.testing.assert_allclose(result.paths[0], result.paths[1])
    assert result.rates == (0.2, 0.1)
    assert result.grid is None


def test_steps_to_a_target() -> None:
    result = race(BOWL, ["sgd"], steps=50, tune=0.25)
    assert result.steps_to(1e-3) == (math.ceil(math.log(2 / 1e-3) / math.log(4)),)
    assert result.steps_to(1e-300) == (None,)
    with pytest.raises(ValueError, match="target must be positive"):
        result.steps_to(0)
    with pytest.raises(ValueError, match="minima of 'saddle' are not known"):
        race(SURFACES["saddle"], ["sgd"], steps=5, tune=0.1).steps_to(1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"optimizers": ["adm"]}, "Did you mean 'adam'"),
        ({"optimizers": ["SGD"]}, "Did you mean 'sgd'"),
        ({"seed": -1}, "seed must be"),
        ({"seed": 1.5}, "seed must be"),
        ({"seed": 2**64}, "seed must be"),
        ({"optimizers": "adam"}, "a list of rules"),
        ({"optimizers": []}, "one rule or more"),
        ({"optimizers": ["sgd", "sgd"]}, "each once"),
        ({"steps": 0}, "steps must be"),
        ({"steps": 2.5}, "steps must be"),
        ({"steps": True}, "steps must be"),
        ({"tune": -1.0}, "rate of sgd must be a positive"),
        ({"tune": math.nan}, "rate of sgd must be a positive"),
        ({"tune": math.inf}, "rate of sgd must be a positive"),
        ({"tune": {"adam": 0.1}}, "tune must give a rate to each of sgd"),
    ],
)
def test_what_cannot_be_raced(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        race(BOWL, **({"optimizers": ["sgd"], "steps": 5} | arguments))


@pytest.mark.parametrize(
    "ends",
    [{"low": 0.0}, {"high": 1e-5}, {"high": math.inf}, {"low": math.nan}, {"number": 1}, {"number": 2.5}, {"steps": 0}],
)
def test_grids_that_are_none(ends: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"are needed|must be finite"):
        Grid(**ends)


@pytest.mark.parametrize("optimizers", [[torch.optim.SGD], {"mine": None}, [3], {4: "sgd"}])
def test_rules_that_are_none(optimizers: Any) -> None:
    with pytest.raises(TypeError, match="optimizers must be a list of names, or a mapping"):
        race(BOWL, optimizers, steps=5, tune=0.1)


def test_the_name_of_a_surface_is_no_surface() -> None:
    with pytest.raises(TypeError, match=r"such as SURFACES\['beale'\], but is 'beale'"):
        race("beale", ["sgd"], steps=5)  # type: ignore[arg-type]


def test_what_is_no_optimizer() -> None:
    with pytest.raises(TypeError, match="made a list"):
        race(BOWL, {"mine": lambda params, lr: params}, steps=5, tune=0.1)  # type: ignore[dict-item, return-value]
    with pytest.raises(TypeError, match="LBFGS evaluates the surface"):
        race(BOWL, {"lbfgs": lambda params, lr: torch.optim.LBFGS(params, lr=lr)}, steps=5, tune=0.1)
