"""Online regret against closed forms, plain loops, and the theorems of Reddi, Kale and Kumar."""

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from torchstone.optim import Problem, create, reddi_online, reddi_stochastic, reddi_theorem1, regret

RULES: dict[str, dict[str, float]] = {
    "sgd": {"lr": 0.01},
    "adagrad": {"lr": 1.0},
    "adam": {"lr": 1.0},
    "amsgrad": {"lr": 1.0},
    "adamnc": {"lr": 1.0},
    "adadelta": {"lr": 1.0},
    "nadam": {"lr": 1.0},
    "rmsprop": {"lr": 1.0},
}


def coefficients(problem: Problem, steps: int, seed: int = 0) -> Tensor:
    return problem.coefficients(torch.arange(1, steps + 1), torch.Generator().manual_seed(seed)).double()


def plain_loop(rule: str, problem: Problem, steps: int, seed: int, **hyper: float) -> tuple[list[float], Tensor]:
    """One seed, one step at a time, the way a reader would write it: gradients by autograd, step sizes by hand."""
    x = torch.tensor([problem.start], dtype=torch.float64, requires_grad=True)
    optimizer = create(rule, [x], **hyper)
    slopes, points = coefficients(problem, steps, seed), []
    for t, c in enumerate(slopes, 1):
        points.append(x.item())
        optimizer.zero_grad()
        (c * x).sum().backward()
        optimizer.param_groups[0]["lr"] = hyper["lr"] / math.sqrt(t)
        optimizer.step()
        with torch.no_grad():
            x.clamp_(*problem.box)
    return points, slopes


@pytest.mark.parametrize("rule", RULES)
class TestAgainstAPlainLoop:
    def test_regret_and_points_are_those_of_one_seed_at_a_time(self, rule: str) -> None:
        steps, problem = 350, reddi_stochastic(period=7, probability=0.1)
        found = regret(rule, problem, steps, seeds=3, **RULES[rule])
        for seed in range(3):
            points, slopes = plain_loop(rule, problem, steps, seed, **RULES[rule])
            paid = sum(c * x for c, x in zip(slopes.tolist(), points, strict=True))
            total = float(slopes.sum())
            assert found.realised[-1, seed].item() == pytest.approx(paid + abs(total), rel=1e-10, abs=1e-9)
            assert found.expected[-1, seed].item() == pytest.approx(paid - problem.best * total, rel=1e-10, abs=1e-9)
            assert found.x[-1, seed].item() == pytest.approx(sum(points[-7:]) / 7, abs=1e-12)

    def test_a_column_does_not_depend_on_the_others_nor_on_the_blocks(
        self, rule: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        together = regret(rule, reddi_stochastic(), 300, seeds=4, **RULES[rule])
        monkeypatch.setattr("torchstone.optim.online.BLOCK", 7)
        alone = regret(rule, reddi_stochastic(), 300, seeds=[2], **RULES[rule])
        torch.testing.assert_close(together.x[:, [2]], alone.x, rtol=0, atol=1e-12)
        torch.testing.assert_close(together.realised[:, [2]], alone.realised, rtol=1e-12, atol=1e-9)


class TestClosedForms:
    @pytest.mark.parametrize(("start", "rate"), [(1.0, 20 / 101), (0.0, 10 / 101), (-1.0, 0.0)])
    def test_who_stands_still_pays_the_slope_times_the_distance(self, start: float, rate: float) -> None:
        found = regret("sgd", replace(reddi_online(), start=start), 101 * 20, lr=1e-15)
        assert found.rate[-1].item() == pytest.approx(rate, abs=1e-9)
        assert found.x[-1].item() == pytest.approx(start)

    def test_gradient_descent_on_a_constant_slope(self) -> None:
        """x_t = 1 - 0.1 (t - 1): the first ten points sum up to 5.5, and the eleventh is 0."""
        line = Problem("line", lambda t, generator: torch.ones(len(t)), best=-1.0, start=1.0)
        found = regret("sgd", line, 11, schedule="constant", lr=0.1, every=1.0001)
        torch.testing.assert_close(found.x[:, 0], 1 - 0.1 * (found.t - 1).double(), atol=1e-12, rtol=0)
        assert found.realised[-1].item() == pytest.approx(5.5 + 11)

    def test_the_point_is_clamped_to_the_box(self) -> None:
        found = regret("sgd", reddi_online(), 500, lr=10.0, every=1.0001)
        assert found.x.abs().max() <= 1

    def test_one_step(self) -> None:
        found = regret("sgd", replace(reddi_online(), start=0.5), 1, lr=0.1)
        assert found.t.tolist() == [1]
        assert found.realised.item() == pytest.approx(0.5 * 1010 + 1010)

    @given(st.integers(1, 100), st.floats(1.01, 10))
    def test_times_rise_to_the_last_step(self, steps: int, every: float) -> None:
        found = regret("sgd", reddi_online(), steps, lr=1e-3, every=every)
        assert found.t[-1] == steps
        assert (found.t.diff() > 0).all()

    @given(st.floats(3, 2000), st.integers(2, 300))
    def test_a_cycle_adds_up_to_the_drift(self, steep: float, period: int) -> None:
        slopes = coefficients(reddi_online(steep, period), 3 * period)
        assert slopes.sum().item() == pytest.approx(3 * steep / period, rel=1e-9)

    def test_the_stochastic_slopes_have_the_frequency_that_was_asked_for(self) -> None:
        slopes = coefficients(reddi_stochastic(), 200_000)
        assert (slopes == 1010).double().mean().item() == pytest.approx(0.01, abs=5 * math.sqrt(0.01 / 200_000))

    def test_the_best_point_of_the_stochastic_problem_follows_its_mean_slope(self) -> None:
        assert reddi_stochastic(probability=0.01).best == -1
        assert reddi_stochastic(probability=0.009).best == 1


class TestOwnLosses:
    def test_gradient_descent_on_parabolas_is_a_running_mean(self) -> None:
        """With steps of 1/t on (x - c)²/2 the next point is the mean of all c so far, whatever the start."""
        parabolas = Problem("parabolas", lambda t, g: torch.rand(len(t), generator=g), 0.5, loss=halved_square)
        found = regret("sgd", parabolas, 50, schedule=lambda t: 1 / t, lr=1.0, every=1.0001)
        c = coefficients(parabolas, 50)
        running = c.cumsum(0) / torch.arange(1, 51)
        torch.testing.assert_close(found.x[1:, 0], running[:-1])
        points = torch.cat([torch.zeros(1).double(), running[:-1]])
        exact = halved_square(c, points).sum() - halved_square(c, c.mean()).sum()
        # the grid of fixed points is 0.01 apart, so the best of them costs at most 50 * 0.005²/2 more
        assert exact.item() - 50 * 0.005**2 / 2 <= found.realised[-1].item() <= exact.item()

    def test_a_linear_loss_by_autograd_is_the_linear_one(self) -> None:
        linear, own = reddi_stochastic(), replace(reddi_stochastic(), loss=torch.mul)
        a, b = (regret("adam", problem, 200, seeds=2, lr=1.0) for problem in (linear, own))
        torch.testing.assert_close(a.x, b.x)
        torch.testing.assert_close(a.realised, b.realised)


class TestTheorems:
    def test_theorem_1_adam_stays_at_the_worst_point_and_amsgrad_leaves_it(self) -> None:
        steep = 4.0
        setting = {"lr": 0.5 * math.sqrt(1 - 1 / (1 + steep**2)), "betas": (0.0, 1 / (1 + steep**2))}
        adam = regret("adam", reddi_theorem1(steep), 3000, **setting)
        amsgrad = regret("amsgrad", reddi_theorem1(steep), 3000, **setting)
        assert adam.x[-1].item() > 0.9
        assert adam.rate[-1].item() == pytest.approx(2 * (steep - 2) / 3, abs=0.05)
        assert amsgrad.x[-1].item() < -0.9
        assert amsgrad.rate[-1].item() < 0.1

    def test_zinkevich_bounds_gradient_descent(self) -> None:
        """Regret of steps α/√t is at most D²√T/(2α) + α G² √T, for slopes of at most G."""
        steps, alpha, diameter, steepest = 4000, 2 / 1010, 2.0, 1010.0
        found = regret("sgd", reddi_stochastic(), steps, seeds=4, lr=alpha)
        bound = math.sqrt(steps) * (diameter**2 / (2 * alpha) + alpha * steepest**2)
        assert (found.realised[-1] <= bound).all()

    @given(st.floats(0.01, 100))
    def test_rules_that_divide_by_the_gradients_size_do_not_see_its_scale(self, scale: float) -> None:
        plain, scaled = (
            regret("amsgrad", reddi_online(steep, 5), 60, lr=1.0, eps=0.0) for steep in (50.0, 50.0 * scale)
        )
        torch.testing.assert_close(plain.x, scaled.x, rtol=0, atol=1e-9)


class TestRefusals:
    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"T": 0}, "T must be a whole number"),
            ({"T": 1e3}, "T must be a whole number"),
            ({"seeds": 0}, "at least one"),
            ({"seeds": []}, "at least one"),
            ({"T": True}, "T must be a whole number"),
            ({"seeds": 2.0}, "seeds must be how many"),
            ({"seeds": [1.5]}, "seeds must be how many"),
            ({"every": 1.0}, "every must be a factor"),
            ({"every": math.nan}, "every must be a factor"),
            ({"schedule": "cosine"}, "schedule must be one of"),
            ({"problem": [reddi_online()] * 2}, "2 problems came for 1 seeds"),
            ({"optimizer": lambda p: torch.optim.SGD(p, 0.1)}, "go with a rule's name"),
        ],
    )
    def test_arguments_that_make_no_sense(self, change: dict[str, object], words: str) -> None:
        arguments = {"optimizer": "sgd", "problem": reddi_online(), "T": 10, "lr": 0.1} | change
        with pytest.raises(ValueError, match=words):
            regret(**arguments)

    def test_what_is_no_problem_and_what_makes_no_optimizer(self) -> None:
        for problem in (reddi_online, "reddi_online", [reddi_online]):
            with pytest.raises(TypeError, match="problem must be a Problem"):
                regret("sgd", problem, 10, lr=0.1)  # type: ignore[arg-type]
        made = torch.optim.SGD([torch.zeros(1)], 0.1)
        for optimizer in (made, lambda parameters: None):
            with pytest.raises(TypeError, match="callable that makes an optimizer"):
                regret(optimizer, reddi_online(), 10)  # type: ignore[arg-type]

    def test_a_loss_that_sums_over_seeds(self) -> None:
        summed = Problem("summed", lambda t, g: torch.rand(len(t), generator=g), 0.5, loss=summed_square)
        with pytest.raises(ValueError, match="loss must be element-wise"):
            regret("sgd", summed, 10, seeds=2, lr=0.1)

    def test_losses_that_differ_do_not_run_side_by_side(self) -> None:
        with pytest.raises(ValueError, match="share one loss"):
            regret("sgd", [reddi_online(), replace(reddi_online(), loss=torch.mul)], 10, seeds=2, lr=0.1)

    def test_a_point_that_is_not_finite_stops_the_run(self) -> None:
        with pytest.raises(FloatingPointError, match="not finite at step"):
            regret("sgd", reddi_online(), 10, lr=0.1, schedule=lambda t: math.nan)

    @pytest.mark.parametrize("given", [torch.tensor([math.nan]), torch.tensor([math.inf]), torch.ones(1, 1)])
    def test_coefficients(self, given: Tensor) -> None:
        bad = Problem("bad", lambda t, generator: given, best=0.0)
        with pytest.raises(ValueError, match="coefficients of 'bad' must give a finite number"):
            regret("sgd", bad, 1, lr=0.1)

    @pytest.mark.parametrize("box", [(1.0, 1.0), (1.0, -1.0), (-math.inf, 1.0), (0.0, math.nan), (0.0, 0.5, 1.0)])
    def test_boxes(self, box: tuple[float, float]) -> None:
        with pytest.raises(ValueError, match="box must be two finite numbers"):
            replace(reddi_online(), box=box)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"start": 2.0}, "start must lie"),
            ({"best": math.nan}, "best must lie"),
            ({"period": 0}, "period must"),
            ({"period": 2.5}, "whole number of steps"),
        ],
    )
    def test_problems(self, change: dict[str, float], words: str) -> None:
        with pytest.raises(ValueError, match=words):
            replace(reddi_online(), **change)

    @pytest.mark.parametrize("steep", [0.0, -1.0, math.inf, math.nan])
    def test_slopes(self, steep: float) -> None:
        for make in (reddi_online, reddi_stochastic, reddi_theorem1):
            with pytest.raises(ValueError, match="C must be a finite number"):
                make(steep)

    def test_a_stochastic_problem_without_a_best_point(self) -> None:
        with pytest.raises(ValueError, match="no point is best"):
            reddi_stochastic(period=3, probability=0.25)

    def test_short_periods_and_certain_events(self) -> None:
        for period in (1, 3.5, math.nan):
            with pytest.raises(ValueError, match="period must be at least 2, a whole number"):
                reddi_online(period=period)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="strictly between"):
            reddi_stochastic(probability=1.0)


def halved_square(c: Tensor, x: Tensor) -> Tensor:
    return (x - c).square() / 2


def summed_square(c: Tensor, x: Tensor) -> Tensor:
    return (x - c).square().sum()


def test_an_infinite_factor_notes_the_ends_only() -> None:
    assert regret("sgd", reddi_online(), 50, lr=0.1, every=math.inf).t.tolist() == [1, 50]


def test_seeds_can_be_named() -> None:
    named: Sequence[int] = [5, 6]
    found = regret("sgd", reddi_stochastic(probability=0.2), 50, seeds=named, lr=0.1)
    again = regret("sgd", reddi_stochastic(probability=0.2), 50, seeds=named, lr=0.1)
    assert torch.equal(found.realised, again.realised)
    assert not torch.equal(found.realised[:, 0], found.realised[:, 1])
