"""Which estimator is chosen, and what is refused because its gradient would be wrong."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import (
    Bernoulli,
    Categorical,
    Distribution,
    Exponential,
    Gamma,
    Gumbel,
    Independent,
    LogNormal,
    MixtureSameFamily,
    Normal,
    OneHotCategorical,
    OneHotCategoricalStraightThrough,
    Pareto,
    Poisson,
    TransformedDistribution,
    Uniform,
    Weibull,
)
from torch.distributions.transforms import AffineTransform, SigmoidTransform

from torchstone.nets import seeded
from torchstone.programs.expectation import BiasedGradientError, Enumerate, Expectation, Pathwise, Score
from torchstone.programs.expectation.edges import parameters_move_the_edge
from torchstone.programs.expectation.used import parameters_used
from torchstone.smoothness import smooth


def leaf(*values: float) -> Tensor:
    return torch.tensor(values if len(values) > 1 else values[0], dtype=torch.float64, requires_grad=True)


def step(xi: Tensor) -> Tensor:
    return (xi > 0).to(xi)


def parabola_with_a_step(xi: Tensor) -> Tensor:
    return xi**2 + 3 * (xi > 0).to(xi)


def branch(xi: Tensor) -> Tensor:
    return torch.stack([2 * x if x.item() > 0 else 5 - x for x in xi])


TABLE = torch.arange(10.0, dtype=torch.float64) ** 2
JUMPS: dict[str, Callable[[Tensor], Tensor]] = {
    "step": step,
    "parabola with a step": parabola_with_a_step,
    "round": torch.round,
    "sign": torch.sign,
    "remainder": lambda xi: xi % 1,
    "where": lambda xi: torch.where(xi > 0, xi, 1 - xi),
    "masked_fill": lambda xi: xi.masked_fill(xi > 0, 7.0),
    "argmax": lambda xi: torch.stack([xi, -xi]).argmax(0).double(),
    "index": lambda xi: TABLE[xi.long() % 10],
    "searchsorted": lambda xi: TABLE[torch.searchsorted(TABLE, xi) % 10],
    "int": lambda xi: torch.stack([TABLE[int(x) % 10] for x in xi]),
    "if on item": branch,
    "if on any": lambda xi: xi if (xi > 0).any() else -xi,
    "numpy": lambda xi: torch.from_numpy(xi.detach().numpy().round()),
    "module": nn.Threshold(0.5, 3.0),
    "vmap": torch.vmap(step),
}


class TestAuto:
    @pytest.mark.parametrize("f", [torch.square, torch.abs, torch.relu, torch.exp, torch.sigmoid, lambda xi: 0 * xi])
    def test_takes_the_path_where_f_is_continuous(self, f: Callable[[Tensor], Tensor]) -> None:
        theta = leaf(1.3)
        loss = Expectation(f, lambda: Normal(theta, 1))
        loss()
        assert loss.estimator == Pathwise()

    @pytest.mark.parametrize("kind", JUMPS)
    def test_takes_the_score_where_it_jumps(self, kind: str) -> None:
        theta = leaf(0.3)
        loss = Expectation(JUMPS[kind], lambda: Normal(theta, 1), samples=100)
        (gradient,) = torch.autograd.grad(loss(), theta)
        assert loss.estimator == Score()
        assert gradient != 0

    def test_takes_the_score_where_the_derivative_is_cut(self) -> None:
        theta = leaf(1.3)
        loss = Expectation(lambda xi: xi.detach() ** 2, lambda: Normal(theta, 1))
        loss()
        assert loss.estimator == Score()

    def test_does_not_take_a_straight_through_sample_for_a_path(self) -> None:
        logits, cost = leaf(0.1, 0.2, 0.3), torch.arange(3.0).double()
        loss = Expectation(lambda xi: (xi @ cost) ** 2, lambda: OneHotCategoricalStraightThrough(logits=logits))
        (gradient,) = torch.autograd.grad(loss(), logits)
        (truth,) = torch.autograd.grad(logits.softmax(0) @ cost**2, logits)
        torch.testing.assert_close(gradient, truth)
        assert loss.estimator == Enumerate()
        for p in (OneHotCategoricalStraightThrough(logits=logits), Independent(loss.source(), 0)):
            with pytest.raises(ValueError, match="has an rsample with a derivative that is made up"):
                Expectation(lambda xi: xi @ cost, lambda p=p: p, "pathwise")()

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
    @pytest.mark.parametrize("kind", JUMPS)
    def test_of_the_path_across_every_kind_of_jump(self, kind: str) -> None:
        theta = leaf(1.3)
        with pytest.raises(BiasedGradientError, match=r"The pathwise gradient (would|may) be biased"):
            Expectation(JUMPS[kind], lambda: Normal(theta, 1), "pathwise")()

    @pytest.mark.parametrize("f", [step, parabola_with_a_step])
    @pytest.mark.parametrize("estimator", ["pathwise", "antithetic"])
    def test_of_the_path_across_a_jump_with_its_line(self, f: Callable[[Tensor], Tensor], estimator: str) -> None:
        theta = leaf(1.3)
        with pytest.raises(BiasedGradientError, match="pathwise gradient would be biased") as caught:
            Expectation(f, lambda: Normal(theta, 1), estimator)()
        assert "'gt' at test_expectation_choice.py:" in str(caught.value)
        assert "(xi > 0).to(xi)" in str(caught.value)
        assert caught.value.report is not None
        assert caught.value.report.order.times == -1

    def test_shows_the_line_where_python_decides(self) -> None:
        theta = leaf(1.3)
        with pytest.raises(
            BiasedGradientError, match=r"(?s)may be biased.*leaves torch by 'item' at test_expectation_choice.py:\d+"
        ):
            Expectation(branch, lambda: Normal(theta, 1), "pathwise")()

    def test_ends_where_f_is_declared_to_be_continuous(self) -> None:
        theta = leaf(1.3)
        loss = Expectation(lambda xi: smooth(0, torch.where(xi > 0, xi, -xi)), lambda: Normal(theta, 1), "pathwise")
        assert abs(float(loss.gradient(theta).mean[0]) - math.erf(1.3 / math.sqrt(2))) < 0.1

    def test_is_not_of_what_does_not_change(self) -> None:
        theta = leaf(1.3)
        loss = Expectation(torch.ones_like, lambda: Normal(theta, 1), "pathwise")
        assert loss().item() == 1

    def test_waits_for_the_first_call_with_gradients(self) -> None:
        theta = leaf(1.3)
        loss = Expectation(step, lambda: Normal(2 * theta, 1), "pathwise")
        with torch.no_grad():
            assert 0 <= loss().item() <= 1
        with pytest.raises(BiasedGradientError):
            loss()

    @pytest.mark.parametrize("f", [step, torch.round, lambda bit: bit.detach()], ids=["step", "round", "detach"])
    @pytest.mark.parametrize("estimator", ["gumbel", "straight_through"])
    def test_of_a_relaxed_gradient_of_which_nothing_is_left(
        self, f: Callable[[Tensor], Tensor], estimator: str
    ) -> None:
        p = leaf(0.3)
        with pytest.raises(BiasedGradientError, match="The relaxed gradient would be void"):
            Expectation(f, lambda: Bernoulli(p), estimator)()

    def test_of_an_index_of_the_largest_bit(self) -> None:
        logits = leaf(0.1, 0.2, 0.3)
        with pytest.raises(BiasedGradientError, match="'argmax' at"):
            Expectation(lambda xi: TABLE[xi.argmax(-1)], lambda: OneHotCategorical(logits=logits), "straight_through")()

    def test_of_the_path_through_a_cut(self) -> None:
        theta = leaf(1.3)
        with pytest.raises(BiasedGradientError, match="'detach' cuts the gradient off"):
            Expectation(lambda xi: xi.detach() ** 2, lambda: Normal(theta, 1), "pathwise")()

    @pytest.mark.parametrize("estimator", ["auto", "score", "pathwise"])
    def test_of_a_jump_that_a_parameter_of_f_moves(self, estimator: str) -> None:
        theta = leaf(1.3)
        with pytest.raises(BiasedGradientError, match="jumps at a place that its own parameters move"):
            Expectation(lambda xi: theta**2 + (xi > theta).to(xi), Normal(0.0, 1.0), estimator)()

    @pytest.mark.parametrize("noise", [lambda mean: Normal(0.0, 1.0), lambda mean: Normal(mean, 1.0)])
    def test_of_such_a_jump_through_which_no_gradient_goes(self, noise: Callable[[Tensor], Distribution]) -> None:
        theta, mean = leaf(1.3), leaf(0.2)
        with pytest.raises(BiasedGradientError, match="jumps at a place that its own parameters move"):
            Expectation(lambda xi: (xi > theta).double(), lambda: noise(mean))()

    def test_but_not_of_a_jump_that_stays_where_it_is(self) -> None:
        theta = leaf(1.3)
        loss = Expectation(lambda xi: theta**2 * (xi > 0).to(xi), Normal(0.0, 1.0), "pathwise", 1000)
        (gradient,) = torch.autograd.grad(loss(), theta)
        assert gradient.item() == pytest.approx(1.3, abs=0.2)

    def test_but_not_of_the_probability_of_a_discrete_code(self) -> None:
        logits, means, x = leaf(0.1, 0.2, -0.3), leaf(-1.0, 0.0, 1.0), torch.tensor(0.4)

        def code() -> Categorical:
            return Categorical(logits=logits)

        def f(z: Tensor) -> Tensor:
            return code().log_prob(z) - Normal(means[z], 1).log_prob(x)

        estimates = torch.autograd.grad(Expectation(f, code, "score", 20_000)(), (logits, means))
        truths = torch.autograd.grad((code().probs * f(torch.arange(3))).sum(), (logits, means))
        for estimate, truth in zip(estimates, truths, strict=True):
            torch.testing.assert_close(estimate, truth, atol=0.03, rtol=0)

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


class TestMovingEdges:
    """Where parameters move the support, the score does not see what comes in at its edge."""

    def test_the_score_is_refused_and_the_path_is_right(self) -> None:
        """ξ ~ U(0, θ): E ξ² = θ²/3; the score is the constant -1/θ, so its gradient would be that of a mean of 0."""
        theta = leaf(1.5)
        for f, estimator in [(torch.square, "score"), (step, "auto")]:
            with pytest.raises(BiasedGradientError, match="move the edge of the support of xi, a Uniform") as caught:
                Expectation(f, lambda: Uniform(0 * theta, theta), estimator)()
            assert caught.value.report is None
        gradient = Expectation(torch.square, lambda: Uniform(0 * theta, theta)).gradient(theta, repeats=500)
        assert abs(float(gradient.mean[0]) - 2 * 1.5 / 3) < 4 * float(gradient.standard_error[0])

    def test_are_those_of_parameters(self) -> None:
        theta, one = leaf(1.5), torch.tensor(1.0, dtype=torch.float64)
        mix = Categorical(torch.ones(2))
        for p in [
            Uniform(-one, theta),
            Uniform(theta, 5 * one),
            Pareto(theta, one),
            Independent(Uniform(torch.zeros(2), theta.expand(2)), 1),
            TransformedDistribution(Exponential(one), [AffineTransform(theta, 1)]),
            TransformedDistribution(Uniform(-one, one), [AffineTransform(0, theta), SigmoidTransform()]),
            MixtureSameFamily(mix, Uniform(torch.zeros(2), torch.stack([theta, one]))),
        ]:
            assert parameters_move_the_edge(p), p

    def test_are_not_those_that_stay(self) -> None:
        theta, one = leaf(1.5), torch.tensor(1.0, dtype=torch.float64)
        for p in [
            Normal(theta, one),
            Exponential(theta),
            Gamma(theta, one),
            LogNormal(theta, one),
            Pareto(one, theta),
            Weibull(theta, theta),
            Gumbel(theta, one),
            Uniform(-one, one),
            OneHotCategorical(logits=leaf(0.0, 1.0)),
            TransformedDistribution(Exponential(one), [AffineTransform(0, theta)]),
            TransformedDistribution(Normal(theta, 1), [SigmoidTransform()]),
            MixtureSameFamily(Categorical(logits=leaf(0.0, 1.0)), Normal(torch.zeros(2), 1)),
        ]:
            assert not parameters_move_the_edge(p), p


class TestTrying:
    """What looks at f leaves it as it was."""

    def test_finds_the_parameters_that_are_used(self) -> None:
        theta, unused, frozen = leaf(1.3), leaf(2.0), torch.ones(())
        with seeded(0):
            net = nn.Linear(2, 1)

        def f(xi: Tensor) -> Tensor:
            return (net(xi)[:, 0] > theta).float() + frozen

        found = parameters_used(f, torch.zeros(3, 2))
        assert {id(tensor) for tensor in found} == {id(theta), id(net.weight), id(net.bias)}
        assert id(unused) not in map(id, found)

    def test_leaves_running_statistics(self) -> None:
        with seeded(0):
            net = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 1), nn.Flatten(0)).double()
        mean = leaf(0.0, 1.0)
        Expectation(lambda xi: net(xi), lambda: Independent(Normal(mean, 1), 1))()
        assert net[1].num_batches_tracked == 1
