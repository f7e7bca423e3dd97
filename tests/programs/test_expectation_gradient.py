"""The gradient with its standard error: it covers the truth as often as it says, and wrong estimators are found out."""

import math
from collections.abc import Callable

import pytest
import torch
from scipy import stats
from torch import Tensor
from torch.distributions import Distribution, Normal
from torch.utils.data import DataLoader, TensorDataset

from torchstone.data import Batches
from torchstone.nets import seeded
from torchstone.programs.expectation import Estimator, Expectation, Gradient, Pathwise, Score
from torchstone.programs.expectation.sampling import Function, Shape, evaluated
from torchstone.programs.expectation.score import mean_of_others

THETA, GROUPS, REPEATS = 1.3, 400, 50


def leaf(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64, requires_grad=True)


class TestCoverage:
    """Of many intervals ± t·(standard error), as many hold the truth as a t interval should: E sin ξ = sin θ / √e."""

    def assert_covers(self, estimator: Estimator, samples: int) -> None:
        theta = leaf(THETA)
        loss = Expectation(torch.sin, lambda: Normal(theta, 1), estimator, samples)
        loss()
        hits = self.hits(loss, theta, math.cos(THETA) / math.sqrt(math.e))
        assert stats.binomtest(hits, GROUPS, 0.95).pvalue > 0.001

    def hits(self, loss: Expectation, theta: Tensor, truth: float) -> int:
        whole = loss.gradient(theta, repeats=GROUPS * REPEATS, at_once=200)
        parts = zip(whole.estimates[0].split(REPEATS), whole.values.split(REPEATS), strict=True)
        groups = [Gradient((estimates,), values) for estimates, values in parts]
        t = stats.t.ppf(0.975, REPEATS - 1)
        return sum(bool((g.mean[0] - truth).abs() <= t * g.standard_error[0]) for g in groups)

    @pytest.mark.parametrize(
        ("estimator", "samples"),
        [
            (Pathwise(), 4),
            (Score("none"), 4),
            (Score("none", antithetic=True), 4),
            (Score(), 2),
            (Score(antithetic=True), 4),
            (Score("moving"), 4),
            (Pathwise(antithetic=True), 2),
        ],
        ids=str,
    )
    def test_where_samples_depend_on_each_other_and_where_not(self, estimator: Estimator, samples: int) -> None:
        self.assert_covers(estimator, samples)

    def test_would_not_hold_of_samples_counted_one_by_one(self) -> None:
        """The error of the mean over mirror images is not that of as many independent samples."""

        def one_by_one(f: Function, p: Distribution, shape: Shape) -> Tensor:
            pairs = p.rsample(torch.Size((shape[0] // 2, 1)))
            return evaluated(f, torch.cat([pairs, 2 * p.mean - pairs], dim=1).view(-1, 1), p)

        with pytest.raises(AssertionError):
            self.assert_covers(one_by_one, 1)


class TestOnData:
    x = torch.randn(64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def scores(self, batches: Batches | DataLoader[tuple[Tensor, ...]]) -> Tensor:
        """How many standard errors off each of 100 gradients is."""
        theta = leaf(THETA)
        loss = Expectation(lambda batch: (theta - batch[0]) ** 2, batches, samples=1)
        truth = 2 * (THETA - self.x.mean())
        found = [loss.gradient(theta, repeats=20) for _ in range(100)]
        return torch.stack([(g.mean[0] - truth) / g.standard_error[0] for g in found])

    def test_independent_batches(self) -> None:
        assert 0.8 < self.scores(Batches(self.x, torch.zeros(64), size=8, seed=0)).std() < 1.3

    def test_batches_dealt_out_without_replacement_err_less_than_that(self) -> None:
        with seeded(0):
            loader = DataLoader(TensorDataset(self.x), batch_size=8, shuffle=True)
        assert self.scores(loader).std() < 0.8


def scored(values: Tensor, advantage: Tensor, log_prob: Tensor) -> Tensor:
    return values + advantage.detach() * (log_prob - log_prob.detach())


def own_value_in_the_baseline(f: Function, p: Distribution, shape: Shape) -> Tensor:
    xi = p.sample(torch.Size(shape))
    values = evaluated(f, xi, p)
    return scored(values, values - values.mean(1, keepdim=True), p.log_prob(xi))


def mirror_image_in_the_baseline(f: Function, p: Distribution, shape: Shape) -> Tensor:
    half = p.sample(torch.Size((shape[0], shape[1] // 2)))
    xi = torch.cat([half, 2 * p.mean.detach() - half], dim=1)
    values = evaluated(f, xi, p)
    return scored(values, values - mean_of_others(values), p.log_prob(xi))


def mirrored_at_zero(f: Function, p: Distribution, shape: Shape) -> Tensor:
    half = p.rsample(torch.Size((shape[0], shape[1] // 2)))
    return evaluated(f, torch.cat([half, -half], dim=1), p)


def without_the_derivative_of_f(f: Function, p: Distribution, shape: Shape) -> Tensor:
    xi = p.sample(torch.Size(shape))
    values = evaluated(f, xi, p).detach()
    return scored(values, values - mean_of_others(values), p.log_prob(xi))


def summed_over_samples(f: Function, p: Distribution, shape: Shape) -> Tensor:
    return shape[1] * evaluated(f, p.rsample(torch.Size(shape)), p)


def with_the_square_of_the_score(f: Function, p: Distribution, shape: Shape) -> Tensor:
    xi = p.sample(torch.Size(shape))
    return scored(evaluated(f, xi, p), evaluated(f, xi, p) * (xi - p.mean), p.log_prob(xi))


class TestWrongEstimators:
    """The z-tests of the other files would not let these pass: E (ξ + θ)² has the derivative 8θ."""

    def z_score(self, estimator: Estimator) -> float:
        theta = leaf(THETA)
        loss = Expectation(lambda xi: (xi + theta) ** 2, lambda: Normal(theta, 1), estimator, 4)
        gradient = loss.gradient(theta, repeats=2000, at_once=100)
        return float((gradient.mean[0] - 8 * THETA).abs() / gradient.standard_error[0])

    @pytest.mark.parametrize(
        "wrong",
        [
            own_value_in_the_baseline,
            mirror_image_in_the_baseline,
            mirrored_at_zero,
            without_the_derivative_of_f,
            summed_over_samples,
            with_the_square_of_the_score,
        ],
    )
    def test_are_found_out(self, wrong: Callable[[Function, Distribution, Shape], Tensor]) -> None:
        assert self.z_score(wrong) > 4

    @pytest.mark.parametrize("right", [Pathwise(), Score("none"), Score(), Score(antithetic=True)], ids=str)
    def test_while_right_ones_pass(self, right: Estimator) -> None:
        assert self.z_score(right) < 4
