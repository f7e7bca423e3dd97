"""The loss as a whole: optimizers and `fit`, randomness, what is refused, batches, data, and bad input."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Categorical, Independent, Normal, Poisson, TransformedDistribution, Uniform
from torch.distributions.transforms import AffineTransform
from torch.utils.data import DataLoader, TensorDataset

from torchstone.data import Batches
from torchstone.nets import seeded
from torchstone.programs.expectation import BiasedGradientError, Enumerate, Expectation, Pathwise, Score
from torchstone.training import Player, fit


def leaf(*values: float) -> Tensor:
    return torch.tensor(values if len(values) > 1 else values[0], dtype=torch.float64, requires_grad=True)


def step(xi: Tensor) -> Tensor:
    return (xi > 0).to(xi)


def parabola_with_a_step(xi: Tensor) -> Tensor:
    return xi**2 + 3 * (xi > 0).to(xi)


class TestAuto:
    @pytest.mark.parametrize("f", [torch.square, torch.abs, torch.relu, torch.exp, torch.sigmoid, lambda xi: 0 * xi])
    def test_takes_the_path_where_f_is_continuous(self, f: Callable[[Tensor], Tensor]) -> None:
        theta = leaf(1.3)
        loss = Expectation(f, lambda: Normal(theta, 1))
        loss()
        assert loss.estimator == Pathwise()

    @pytest.mark.parametrize(
        "f",
        [step, parabola_with_a_step, torch.round, lambda xi: xi.detach() ** 2, lambda xi: xi * (1 if xi[0] > 0 else 2)],
        ids=["step", "parabola with a step", "round", "detached", "a branch of Python"],
    )
    def test_takes_the_score_where_it_is_not_known_to_be(self, f: Callable[[Tensor], Tensor]) -> None:
        theta = leaf(1.3)
        loss = Expectation(f, lambda: Normal(theta, 1))
        loss()
        assert loss.estimator == Score()

    def test_enumerates_few_outcomes_and_scores_many(self) -> None:
        p, many, rate = leaf(0.3), leaf(*[0.5] * 11), leaf(2.0)
        for noise, expected in [
            (lambda: Bernoulli(p), Enumerate()),
            (lambda: Independent(Bernoulli(many[:10]), 1), Enumerate()),
            (lambda: Independent(Bernoulli(many), 1), Score()),
            (lambda: Poisson(rate), Score()),
        ]:
            loss = Expectation(lambda xi: xi.flatten(1).sum(1) if xi.ndim > 1 else xi, noise)
            loss()
            assert loss.estimator == expected


class TestRefusal:
    @pytest.mark.parametrize("f", [step, parabola_with_a_step])
    @pytest.mark.parametrize("estimator", ["pathwise", "antithetic"])
    def test_of_the_path_across_a_jump_with_its_line(self, f: Callable[[Tensor], Tensor], estimator: str) -> None:
        theta = leaf(1.3)
        with pytest.raises(BiasedGradientError, match="pathwise gradient would be biased") as caught:
            Expectation(f, lambda: Normal(theta, 1), estimator)()
        assert "'gt' at test_expectation.py:" in str(caught.value)
        assert "(xi > 0).to(xi)" in str(caught.value)
        assert caught.value.report.order.times == -1

    def test_of_the_path_through_a_cut(self) -> None:
        theta = leaf(1.3)
        with pytest.raises(BiasedGradientError, match="'detach' cuts the gradient off"):
            Expectation(lambda xi: xi.detach() ** 2, lambda: Normal(theta, 1), "pathwise")()

    @pytest.mark.parametrize("estimator", ["auto", "score", "pathwise"])
    def test_of_a_jump_that_a_parameter_of_f_moves(self, estimator: str) -> None:
        theta = leaf(1.3)
        with pytest.raises(BiasedGradientError, match="jumps at a place that its own parameters move"):
            Expectation(lambda xi: theta**2 + (xi > theta).to(xi), Normal(0.0, 1.0), estimator)()

    def test_but_not_of_a_jump_that_stays_where_it_is(self) -> None:
        theta = leaf(1.3)
        loss = Expectation(lambda xi: theta**2 * (xi > 0).to(xi), Normal(0.0, 1.0), "pathwise", 1000)
        (gradient,) = torch.autograd.grad(loss(), theta)
        assert gradient.item() == pytest.approx(1.3, abs=0.2)

    def test_can_be_switched_off_and_then_the_path_is_wrong(self) -> None:
        theta = leaf(1.3)
        loss = Expectation(parabola_with_a_step, lambda: Normal(theta, 1), "pathwise", check=False)
        gradient = loss.gradient(theta, repeats=500)
        truth = 2 * 1.3 + 3 * math.exp(-(1.3**2) / 2) / math.sqrt(2 * math.pi)
        assert abs(float(gradient.mean[0]) - 2 * 1.3) < 4 * float(gradient.standard_error[0])
        assert abs(float(gradient.mean[0]) - truth) > 4 * float(gradient.standard_error[0])

    def test_of_a_distribution_made_once(self) -> None:
        theta = leaf(1.3)
        for p in (
            Normal(theta, 1),
            Independent(Normal(theta.expand(2), 1), 1),
            TransformedDistribution(Uniform(0, 1), [AffineTransform(theta, 1)]),
        ):
            with pytest.raises(ValueError, match="made once, from parameters that will move"):
                Expectation(torch.square, p)


class TestRandomness:
    def test_a_seed_decides_all(self) -> None:
        theta = leaf(1.3)

        def losses(seed: int) -> list[float]:
            loss = Expectation(torch.square, lambda: Normal(theta, 1), seed=seed)
            return [loss().item() for _ in range(3)]

        assert losses(0) == losses(0)
        assert len({*losses(0), *losses(1)}) == 6

    def test_f_may_draw_too(self) -> None:
        theta, dropout = leaf(1.3), nn.Dropout(0.5)
        losses = [Expectation(dropout, lambda: Normal(theta, 1), seed=3)().item() for _ in range(2)]
        assert losses[0] == losses[1]

    def test_a_killed_fit_goes_on_bit_for_bit(self, tmp_path: Path) -> None:
        def run(steps: int, folder: Path) -> Tensor:
            model = nn.ParameterDict({"mean": torch.tensor(2.0)})
            loss = Expectation(lambda xi, _: xi**2, lambda _: Normal(model["mean"], 1))
            player = Player(model, loss, torch.optim.SGD(model.parameters(), 0.1))
            fit(player, [0], steps=steps, checkpoint=folder, every=1, generators={"xi": loss.generator})
            return model["mean"].detach()

        run(3, tmp_path / "killed")
        assert torch.equal(run(6, tmp_path / "killed"), run(6, tmp_path / "whole"))


class TestMinimising:
    @pytest.mark.parametrize("estimator", ["pathwise", "score", "antithetic"])
    def test_finds_the_best_gaussian(self, estimator: str) -> None:
        """E (ξ - 1)² + KL to N(0, 1): the mean is 2/3, the scale sqrt(1/3)."""
        model = nn.ParameterDict({"mean": torch.tensor(0.0), "log_scale": torch.tensor(0.0)})

        def noise(_: Any = None) -> Normal:
            return Normal(model["mean"], model["log_scale"].exp())

        def f(xi: Tensor, _: Any) -> Tensor:
            return (xi - 1) ** 2 + noise().log_prob(xi) - Normal(0, 1).log_prob(xi)

        optimizer = torch.optim.Adam(model.parameters(), 0.05)
        schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, 200)
        fit(Player(model, Expectation(f, noise, estimator, 32), optimizer, scheduler=schedule), [0], steps=200)
        assert model["mean"].item() == pytest.approx(2 / 3, abs=0.05)
        assert model["log_scale"].exp().item() == pytest.approx(math.sqrt(1 / 3), abs=0.05)

    def test_climbs_down_a_staircase_by_the_score(self) -> None:
        model = nn.ParameterDict({"mean": torch.tensor(3.0)})
        loss = Expectation(lambda xi, _: xi.round().abs(), lambda _: Normal(model["mean"], 1), samples=32)
        fit(Player(model, loss, torch.optim.Adam(model.parameters(), 0.1)), [0], steps=100)
        assert abs(model["mean"].item()) < 0.3


class TestBatches:
    def test_each_problem_is_scored_by_its_own_values(self) -> None:
        means = leaf(1.0, -2.0, 0.5)
        gradient = Expectation(torch.square, lambda: Normal(means, 1), "score").gradient(means, repeats=1000)
        z = (gradient.mean[0] - 2 * means.detach() / 3) / gradient.standard_error[0]
        assert z.abs().max() < 4

    def test_context_reaches_noise_and_function(self) -> None:
        weight, x = leaf(2.0), torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
        loss = Expectation(lambda xi, x: xi * x, lambda x: Normal(weight * x, 1e-9), "pathwise", 4)
        assert loss(x).item() == pytest.approx(2.0 * (1 + 4 + 9) / 3)

    def test_a_missing_independent_is_named(self) -> None:
        means = leaf(1.0, -2.0)
        message = r"f must return one number for each sample, \(8, 2\) of 8 samples, but it returned \(8,\)"
        with pytest.raises(ValueError, match=message):
            Expectation(lambda xi: xi.square().sum(-1), lambda: Normal(means, 1), "score")()
        loss = Expectation(lambda xi: xi.square().sum(-1), lambda: Independent(Normal(means, 1), 1), "score")
        assert loss().ndim == 0

    def test_a_gradient_for_each_of_several_parameters(self) -> None:
        mean, scale, other = leaf(1.0), leaf(0.5), leaf(1.0, 2.0)
        loss = Expectation(torch.square, lambda: Normal(mean, scale))
        gradient = loss.gradient([mean, scale, other], repeats=1000)
        for estimate, error, truth in zip(gradient.mean, gradient.standard_error, (2.0, 1.0, 0.0), strict=True):
            assert ((estimate - truth).abs() <= 4 * error).all()
        assert gradient.estimates[2].shape == (1000, 2)

    def test_repeats_do_not_depend_on_how_many_are_taken_at_once(self) -> None:
        theta = leaf(1.3)
        for at_once in (1, 7, 1000):
            gradient = Expectation(torch.square, lambda: Normal(theta, 1)).gradient(theta, repeats=50, at_once=at_once)
            assert gradient.estimates[0].shape == (50,)
            assert abs(float(gradient.mean[0]) - 2.6) < 4 * float(gradient.standard_error[0])


def ridge() -> tuple[Tensor, Tensor, Tensor]:
    """Data, targets, and the least squares with penalty ‖w‖² in closed form."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(32, 3, generator=generator, dtype=torch.float64)
    y = x @ torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64) + torch.randn(32, generator=generator).double()
    return x, y, torch.linalg.solve(x.T @ x / 32 + torch.eye(3), x.T @ y / 32)


class TestIndexNoise:
    """A sum over data is an expectation over indexes, and a mini-batch a sample of it."""

    def losses(self) -> dict[str, tuple[Expectation, Tensor, Tensor]]:
        x, y, solution = ridge()
        w = torch.zeros(3, dtype=torch.float64, requires_grad=True)

        def on_batch(batch: tuple[Tensor, Tensor]) -> Tensor:
            return (batch[0] @ w - batch[1]) ** 2 + w @ w

        with seeded(0):
            loader = DataLoader(TensorDataset(x, y), batch_size=8, shuffle=True)
        indexes = Categorical(torch.ones(len(x)))
        return {
            "full sum": (Expectation(lambda i: on_batch((x[i], y[i])), indexes), w, solution),
            "sampled indexes": (Expectation(lambda i: on_batch((x[i], y[i])), indexes, "score"), w, solution),
            "Batches": (Expectation(on_batch, Batches(x, y, size=8, seed=0), samples=1), w, solution),
            "DataLoader": (Expectation(on_batch, loader, samples=1), w, solution),
        }

    @pytest.mark.parametrize("kind", ["full sum", "sampled indexes", "Batches", "DataLoader"])
    def test_descent_ends_at_the_closed_form(self, kind: str) -> None:
        loss, w, solution = self.losses()[kind]
        average = torch.zeros(3, dtype=torch.float64)
        for t in range(300):
            (gradient,) = torch.autograd.grad(loss(), w)
            with torch.no_grad():
                w -= 0.05 * gradient
                average += w * (t >= 100) / 200
        assert (average - solution).norm() < (1e-6 if kind == "full sum" else 0.1) * solution.norm()

    @pytest.mark.parametrize("kind", ["sampled indexes", "Batches", "DataLoader"])
    def test_a_minibatch_is_an_unbiased_estimate_of_the_full_sum(self, kind: str) -> None:
        loss, w, _ = self.losses()[kind]
        with torch.no_grad():
            w += 0.5
        full, other, _ = self.losses()["full sum"]
        other.data.copy_(w.detach())
        (truth,) = torch.autograd.grad(full(), other)
        gradient = loss.gradient(w, repeats=400)
        assert ((gradient.mean[0] - truth) / gradient.standard_error[0]).abs().max() < 4


class TestBadInput:
    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            ({"f": 3}, TypeError, "f must be a function of samples, but it is of type int"),
            ({"xi": 3}, TypeError, "xi must be a function that makes a distribution.*of type int"),
            ({"xi": lambda: 3}, TypeError, "xi must make a torch.distributions.Distribution, but it made a int"),
            ({"samples": 0}, ValueError, "samples must be a whole number from 1 on, but it is 0"),
            ({"samples": 2.5}, ValueError, "samples must be a whole number from 1 on, but it is 2.5"),
            ({"estimator": "reparam"}, ValueError, "estimator must be 'auto' or one of pathwise, score"),
            ({"estimator": Score}, TypeError, "an estimator such as Score"),
            ({"xi": [1], "estimator": "score"}, ValueError, "xi is batches of data, which take no estimator"),
            ({"f": lambda xi: xi > 0}, TypeError, r"floating-point tensor, but it returned torch.bool. Try .float\(\)"),
            ({"f": lambda xi: 1.0}, TypeError, "floating-point tensor, but it returned float"),
            ({"f": lambda xi: xi.mean()}, ValueError, r"but it returned \(\). Sum over the features of each sample"),
            ({"f": lambda batch: batch, "xi": [1]}, TypeError, "f must return the loss of a batch"),
            ({"f": lambda batch: torch.ones(0), "xi": [1]}, ValueError, "f returned an empty tensor"),
        ],
    )
    def test_is_named(self, arguments: dict[str, Any], error: type[Exception], message: str) -> None:
        with pytest.raises(error, match=message):
            Expectation(**({"f": torch.square, "xi": Normal(0.0, 1.0)} | arguments))()

    def test_of_gradient(self) -> None:
        theta = leaf(1.3)
        loss = Expectation(torch.square, lambda: Normal(theta, 1))
        with pytest.raises(ValueError, match="repeats must be 2 or more and at_once 1 or more, but they are 1 and 32"):
            loss.gradient(theta, repeats=1)
