"""Every estimator against the truth: closed forms of gradients and of variances, and z-tests."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import (
    Bernoulli,
    Beta,
    Categorical,
    Distribution,
    Exponential,
    Independent,
    Normal,
    OneHotCategorical,
    Poisson,
    kl_divergence,
)

from torchstone.programs.expectation import Enumerate, Estimator, Expectation, Gumbel, Pathwise, Score, StraightThrough
from torchstone.programs.expectation.enumeration import outcomes, support
from torchstone.programs.expectation.score import mean_of_others

THETA = 1.3
SAMPLES = 50  # 100,000 in 2000 estimates
UNBIASED = [Score("none"), Score("leave-one-out"), Score("leave-one-out", antithetic=True), Score("none", True)]
SMOOTH = [Pathwise(), Pathwise(antithetic=True)]


def leaf(*values: float) -> Tensor:
    return torch.tensor(values if len(values) > 1 else values[0], dtype=torch.float64, requires_grad=True)


def z_score(loss: Expectation, parameter: Tensor, truth: Tensor | float, repeats: int = 2000) -> float:
    gradient = loss.gradient(parameter, repeats=repeats, at_once=100)
    return float(((gradient.mean[0] - truth) / gradient.standard_error[0]).abs().max())


def density(x: float) -> float:
    return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)


class TestAgainstTheTruth:
    """ξ ~ N(θ, 1): the derivative of E f(ξ) in closed form."""

    @pytest.mark.parametrize("estimator", [*UNBIASED, *SMOOTH], ids=str)
    @pytest.mark.parametrize(
        ("f", "truth"),
        [
            (torch.exp, math.exp(THETA + 0.5)),
            (lambda xi: xi**3, 3 * THETA**2 + 3),
            (torch.abs, math.erf(THETA / math.sqrt(2))),
        ],
        ids=["exp", "cube", "abs"],
    )
    def test_smooth_functions(self, estimator: Estimator, f: Callable[[Tensor], Tensor], truth: float) -> None:
        theta = leaf(THETA)
        assert z_score(Expectation(f, lambda: Normal(theta, 1), estimator, SAMPLES), theta, truth) < 4

    @pytest.mark.parametrize("estimator", UNBIASED, ids=str)
    def test_a_step_by_its_score(self, estimator: Estimator) -> None:
        theta = leaf(THETA)
        loss = Expectation(lambda xi: (xi > 0).double(), lambda: Normal(theta, 1), estimator, SAMPLES)
        assert z_score(loss, theta, density(THETA)) < 4

    @pytest.mark.parametrize("estimator", UNBIASED[:2], ids=str)
    def test_of_counts_by_their_score(self, estimator: Estimator) -> None:
        rate = leaf(2.0)
        loss = Expectation(lambda xi: xi**2, lambda: Poisson(rate), estimator, SAMPLES)
        assert z_score(loss, rate, 2 * 2.0 + 1) < 4

    def test_of_implicitly_reparameterised_noise(self) -> None:
        a = leaf(2.0)
        loss = Expectation(lambda xi: xi, lambda: Beta(a, leaf(3.0).detach()), "pathwise", SAMPLES)
        assert z_score(loss, a, 3 / (2 + 3) ** 2) < 4

    def test_a_divergence_whose_f_has_the_parameters_too(self) -> None:
        mean, prior = leaf(0.7), Normal(torch.zeros((), dtype=torch.float64), 1)

        def log_ratio(xi: Tensor) -> Tensor:
            return Normal(mean, 1).log_prob(xi) - prior.log_prob(xi)

        (truth,) = torch.autograd.grad(kl_divergence(Normal(mean, 1), prior), mean)
        for estimator in ("pathwise", "score"):
            assert z_score(Expectation(log_ratio, lambda: Normal(mean, 1), estimator, SAMPLES), mean, truth) < 4

    @pytest.mark.parametrize("estimator", [Score("none"), Score(), Enumerate()], ids=str)
    def test_of_a_bit(self, estimator: Estimator) -> None:
        p = leaf(0.3)
        loss = Expectation(lambda bit: (bit - 0.45) ** 2, lambda: Bernoulli(p), estimator, SAMPLES)
        gradient = loss.gradient(p, repeats=2000)
        error = float((gradient.mean[0] - (1 - 2 * 0.45)).abs())
        assert error <= 4 * float(gradient.standard_error[0]) + 1e-12

    def test_a_moving_baseline_after_it_has_learned(self) -> None:
        theta = leaf(THETA)
        loss = Expectation(lambda xi: 100 + xi**2, lambda: Normal(theta, 1), Score("moving"), SAMPLES)
        before = loss.gradient(theta, repeats=200).variance[0]
        for _ in range(50):
            loss()
        assert z_score(loss, theta, 2 * THETA) < 4
        assert loss.gradient(theta, repeats=200).variance[0] < before / 100

    def test_the_value_is_the_expectation(self) -> None:
        theta = leaf(THETA)
        for estimator in [*UNBIASED, *SMOOTH]:
            gradient = Expectation(torch.square, lambda: Normal(theta, 1), estimator).gradient(theta, repeats=500)
            error = gradient.values.std() / len(gradient.values) ** 0.5
            assert abs(gradient.value - (THETA**2 + 1)) < 4 * float(error)


class TestVariances:
    """ξ ~ N(θ, 1), f = ξ²: the closed forms of a single sample, and of a pair."""

    def estimates(self, estimator: Estimator, samples: int = 1) -> Tensor:
        theta = leaf(THETA)
        loss = Expectation(torch.square, lambda: Normal(theta, 1), estimator, samples)
        return loss.gradient(theta, repeats=10_000, at_once=200).estimates[0]

    @pytest.mark.parametrize(
        ("estimator", "samples", "variance"),
        [
            (Pathwise(), 1, 4),
            (Score("none"), 1, THETA**4 + 14 * THETA**2 + 15),
            (Score("none", antithetic=True), 2, 8 * THETA**2),
        ],
        ids=str,
    )
    def test_is_that_of_the_closed_form(self, estimator: Estimator, samples: int, variance: float) -> None:
        squares = (self.estimates(estimator, samples) - 2 * THETA).square()
        assert abs(squares.mean() - variance) < 4 * squares.std() / 100

    def test_mirrored_pairs_leave_none_for_the_path(self) -> None:
        assert self.estimates(Pathwise(antithetic=True), samples=2).var() < 1e-20

    def test_the_standard_error_is_that_of_the_mean(self) -> None:
        theta = leaf(THETA)
        loss = Expectation(torch.square, lambda: Normal(theta, 1), "pathwise", 4)
        gradient = loss.gradient(theta, repeats=2000)
        torch.testing.assert_close(gradient.standard_error[0].item(), (4 / 4 / 2000) ** 0.5, rtol=0.1, atol=0)

    @pytest.mark.parametrize("antithetic", [False, True])
    def test_leave_one_out_has_none_where_f_is_constant(self, antithetic: bool) -> None:
        theta = leaf(THETA)
        loss = Expectation(lambda xi: 3 + 0 * xi, lambda: Normal(theta, 1), Score(antithetic=antithetic), 8)
        assert loss.gradient(theta).estimates[0].abs().max() < 1e-12


class TestLeaveOneOut:
    @given(st.integers(2, 6), st.integers(0, 100))
    def test_is_the_mean_of_the_others(self, k: int, seed: int) -> None:
        values = torch.randn(3, k, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        for i in range(k):
            others = values[:, [j for j in range(k) if j != i]].mean(1)
            torch.testing.assert_close(mean_of_others(values)[:, i], others)

    def test_leaves_out_the_mirror_image_too(self) -> None:
        values = torch.tensor([[1.0, 2.0, 4.0, 10.0, 20.0, 40.0]])  # pairs 1 and 10, 2 and 20, 4 and 40
        expected = torch.tensor([[66.0, 55.0, 33.0] * 2]) / 4
        torch.testing.assert_close(mean_of_others(values, group=2), expected)

    def test_needs_others(self) -> None:
        theta = leaf(THETA)
        with pytest.raises(ValueError, match="samples must be 2 or more for the leave-one-out baseline, but it is 1"):
            Expectation(torch.square, lambda: Normal(theta, 1), "score", 1)()


class TestEnumeration:
    def test_is_exact_and_without_noise(self) -> None:
        logits = leaf(0.1, -0.5, 0.9)
        values = torch.tensor([3.0, 1.0, 7.0], dtype=torch.float64)
        loss = Expectation(lambda i: values[i], lambda: Categorical(logits=logits), "enumerate")
        gradient = loss.gradient(logits, repeats=2)
        (truth,) = torch.autograd.grad((logits.softmax(0) * values).sum(), logits)
        torch.testing.assert_close(gradient.mean[0], truth)
        assert gradient.standard_error[0].abs().max() == 0

    def test_goes_through_all_combinations_of_independent_components(self) -> None:
        p = leaf(0.2, 0.5, 0.7)
        parity = Expectation(lambda bits: bits.sum(-1) % 2, lambda: Independent(Bernoulli(p), 1), "enumerate")
        (gradient,) = torch.autograd.grad(parity(), p)
        (truth,) = torch.autograd.grad((1 - (1 - 2 * p).prod()) / 2, p)
        torch.testing.assert_close(gradient, truth)

    def test_takes_the_problems_of_a_batch_apart(self) -> None:
        p = leaf(0.2, 0.5, 0.7)
        loss = Expectation(lambda bit: bit * torch.arange(3), lambda: Bernoulli(p), "enumerate")
        assert loss().item() == pytest.approx((0.5 * 1 + 0.7 * 2) / 3)

    @pytest.mark.parametrize(
        ("p", "count"),
        [
            (Bernoulli(torch.full((5,), 0.5)), 2),
            (Independent(Bernoulli(torch.full((4, 5), 0.5)), 1), 32),
            (OneHotCategorical(torch.ones(7)), 7),
            (Independent(OneHotCategorical(torch.ones(2, 3)), 1), 9),
            (Independent(Bernoulli(torch.full((2000,), 0.5)), 1), math.inf),
            (Poisson(torch.tensor(1.0)), math.inf),
        ],
        ids=str,
    )
    def test_counts_before_it_lists(self, p: Distribution, count: float) -> None:
        assert outcomes(p) == count
        if math.isfinite(count):
            xi = support(p)
            assert xi.shape == (count, *p.batch_shape, *p.event_shape)
            torch.testing.assert_close(p.log_prob(xi).exp().sum(0), torch.ones(p.batch_shape))

    def test_refuses_what_is_too_much(self) -> None:
        many = Independent(Bernoulli(torch.full((11,), 0.5)), 1)
        with pytest.raises(ValueError, match="xi has 2048 outcomes, but at most 1024 are enumerated"):
            Expectation(lambda bits: bits.sum(-1), many, "enumerate")()
        with pytest.raises(ValueError, match="infinitely many outcomes"):
            Expectation(lambda xi: xi, Normal(0, 1), "enumerate")()
        assert Expectation(lambda bits: bits.sum(-1), many, Enumerate(most=2048))().item() == pytest.approx(5.5)


class TestRelaxations:
    def test_straight_through_is_right_where_f_is_affine(self) -> None:
        logits, weights = leaf(0.1, -0.5, 0.9), torch.tensor([3.0, 1.0, 7.0], dtype=torch.float64)
        loss = Expectation(lambda xi: xi @ weights, lambda: OneHotCategorical(logits=logits), "straight_through")
        (truth,) = torch.autograd.grad(logits.softmax(0) @ weights, logits)
        torch.testing.assert_close(torch.autograd.grad(loss(), logits)[0], truth)

    def test_straight_through_lets_f_see_outcomes(self) -> None:
        p, seen = leaf(0.3), []

        def f(bit: Tensor) -> Tensor:
            seen.append(bit.detach())
            return bit

        Expectation(f, lambda: Bernoulli(p), StraightThrough(), check=False)()
        assert set(seen[0].tolist()) <= {0.0, 1.0}

    def test_gumbel_nears_the_truth_as_it_cools(self) -> None:
        logits = leaf(0.3, -0.4)
        target = torch.tensor([0.2, 0.8], dtype=torch.float64)
        problem = (lambda xi: (xi - target).square().sum(-1), lambda: OneHotCategorical(logits=logits))
        truth = Expectation(*problem, "enumerate").gradient(logits, repeats=2).mean[0]
        errors = []
        for temperature in (2.0, 0.2):
            estimated = Expectation(*problem, Gumbel(temperature), 200).gradient(logits, repeats=100)
            errors.append(float((estimated.mean[0] - truth).abs().max()))
        assert errors[1] < errors[0] / 3

    def test_gumbel_of_independent_bits(self) -> None:
        p = leaf(0.2, 0.6)
        loss = Expectation(lambda bits: bits.sum(-1), lambda: Independent(Bernoulli(p), 1), Gumbel(0.1), 500)
        assert loss().item() == pytest.approx(0.8, abs=0.1)

    @pytest.mark.parametrize("estimator", [Gumbel(), StraightThrough()], ids=str)
    def test_refuse_indexes(self, estimator: Estimator) -> None:
        logits = leaf(0.1, 0.2)
        with pytest.raises(ValueError, match="A Categorical gives indexes"):
            Expectation(lambda i: i.double(), lambda: Categorical(logits=logits), estimator)()

    def test_refuse_a_frozen_world(self) -> None:
        with pytest.raises(ValueError, match=r"temperature must be positive, but it is 0"):
            Gumbel(0.0)


class TestBadInput:
    def test_a_pathwise_gradient_of_counts(self) -> None:
        rate = leaf(2.0)
        with pytest.raises(ValueError, match="but Poisson has no rsample"):
            Expectation(lambda xi: xi, lambda: Poisson(rate), "pathwise")()

    def test_mirrors_of_what_is_not_symmetric(self) -> None:
        rate, theta = leaf(2.0), leaf(0.0)
        with pytest.raises(ValueError, match="must be symmetric around it, but it is a Exponential"):
            Expectation(lambda xi: xi, lambda: Exponential(rate), "antithetic")()
        with pytest.raises(ValueError, match="samples must be even"):
            Expectation(lambda xi: xi, lambda: Normal(theta, 1), "antithetic", 3)()

    def test_unknown_baseline(self) -> None:
        with pytest.raises(ValueError, match="baseline must be 'none', 'moving' or 'leave-one-out', but it is 'mean'"):
            Score("mean")  # type: ignore[arg-type]
