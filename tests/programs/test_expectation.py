"""The loss as a whole: optimizers and `fit`, randomness, what is refused, batches, data, and bad input."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Independent, Normal
from torch.utils.data import DataLoader, TensorDataset

from torchstone.data import Batches
from torchstone.nets import seeded
from torchstone.programs.expectation import Expectation, Pathwise, Score
from torchstone.training import Player, fit


def leaf(*values: float) -> Tensor:
    return torch.tensor(values if len(values) > 1 else values[0], dtype=torch.float64, requires_grad=True)


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

    def test_a_loss_that_is_not_finite_stays_out_of_the_moving_baseline(self) -> None:
        theta, factor, score = leaf(1.3), [math.nan], Score("moving")
        loss = Expectation(lambda xi: factor[0] * xi, lambda: Normal(theta, 1), score)
        assert math.isnan(loss().item())
        assert score.mean is None
        factor[0] = 1.0
        assert loss().item() == score.mean

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
        message = r"f must return one number for each sample, \(3, 2\) of 3 samples, but it returned \(3,\)"
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
            ({"xi": Normal(torch.zeros(0), 1.0)}, ValueError, r"The batch_shape \(0,\) of xi is empty"),
            ({"f": lambda batch: batch, "xi": [1]}, TypeError, "f must return the loss of a batch"),
            ({"f": lambda batch: torch.ones(0), "xi": [1]}, ValueError, "f returned an empty tensor"),
        ],
    )
    def test_is_named(self, arguments: dict[str, Any], error: type[Exception], message: str) -> None:
        with pytest.raises(error, match=message):
            Expectation(**({"f": torch.square, "xi": Normal(0.0, 1.0)} | arguments))()

    def test_of_what_f_and_xi_are_called_with(self) -> None:
        theta = leaf(1.3)
        with pytest.raises(RuntimeError) as caught:
            Expectation(lambda xi: xi if xi > 0 else -xi, lambda: Normal(theta, 1))()
        assert "in f, called with 3 samples at once, of shape (3,)" in caught.value.__notes__[0]
        with pytest.raises(TypeError) as wrong:
            Expectation(torch.square, lambda: Normal(theta, 1))("batch")
        assert "in xi, called with what the expectation was called with: 1 arguments" in wrong.value.__notes__[0]

    @pytest.mark.parametrize(
        ("inputs", "error", "message"),
        [
            ([], ValueError, "inputs must be the parameters that the gradient is for, but there are none"),
            (torch.ones(()), ValueError, "but one of them does not require gradients"),
            ([1.0], TypeError, "inputs must be tensors, but there is one of type float"),
        ],
    )
    def test_of_inputs(self, inputs: Any, error: type[Exception], message: str) -> None:
        theta = leaf(1.3)
        with pytest.raises(error, match=message):
            Expectation(torch.square, lambda: Normal(theta, 1)).gradient(inputs)

    def test_a_gradient_where_gradients_are_off(self) -> None:
        theta = leaf(1.3)
        loss = Expectation(torch.square, lambda: Normal(theta, 1))
        with torch.no_grad():
            gradient = loss.gradient(theta)
        assert abs(float(gradient.mean[0]) - 2.6) < 4 * float(gradient.standard_error[0])

    @pytest.mark.parametrize("switch", [torch.no_grad, torch.inference_mode])
    def test_values_where_gradients_are_off(self, switch: Callable[[], Any]) -> None:
        theta = leaf(1.3)
        loss = Expectation(torch.square, lambda: Normal(2 * theta, 1), samples=2000)
        with switch():
            assert loss().item() == pytest.approx(2.6**2 + 1, abs=0.5)
        assert loss.estimator == Pathwise()

    def test_of_gradient(self) -> None:
        theta = leaf(1.3)
        loss = Expectation(torch.square, lambda: Normal(theta, 1))
        with pytest.raises(ValueError, match="repeats must be 2 or more and at_once 1 or more, but they are 1 and 32"):
            loss.gradient(theta, repeats=1)
