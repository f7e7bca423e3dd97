"""ELBO and IWAE: exact values, the order of the bounds, and a model whose likelihood is known."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Normal, kl_divergence

from torchstone.programs.expectation import elbo, iwae


@given(st.integers(0, 1000))
def test_the_order_of_the_bounds(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    log_weights = 3 * torch.randn(50, 4, generator=generator, dtype=torch.float64)
    bounds = torch.stack([elbo(log_weights), *(iwae(log_weights, samples=m) for m in (5, 10, 50))])
    assert (bounds.diff(dim=0) >= 0).all()


def test_closed_forms() -> None:
    weights = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]], dtype=torch.float64)
    torch.testing.assert_close(elbo(weights.log()), weights.log().mean(0))
    torch.testing.assert_close(iwae(weights.log()), weights.mean(0).log())
    pairs = torch.tensor([[2.0, 3.0], [6.0, 7.0]], dtype=torch.float64)
    torch.testing.assert_close(iwae(weights.log(), samples=2), pairs.log().mean(0))


def test_are_exact_where_q_is_the_posterior() -> None:
    """z ~ N(0, 1), x | z ~ N(z, 1): p(x) = N(x; 0, √2), p(z | x) = N(x/2, √½)."""
    x = torch.tensor([0.3, -1.0, 2.0], dtype=torch.float64)
    q = Normal(x / 2, 0.5**0.5)
    z = q.mean + q.stddev * torch.randn(20, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    log_weights = Normal(0, 1).log_prob(z) + Normal(z, 1).log_prob(x) - q.log_prob(z)
    for m in (1, 5, 20):
        torch.testing.assert_close(iwae(log_weights, samples=m), Normal(0, 2**0.5).log_prob(x))


def test_the_bounds_close_in_on_a_known_likelihood_from_below() -> None:
    """The same model with a wrong q: the ELBO is log p(x) - KL(q, p(z | x)), and each IWAE lies strictly between."""
    x, posterior = torch.tensor(0.3, dtype=torch.float64), Normal(0.15, 0.5**0.5)
    q, truth = Normal(torch.tensor(0.7, dtype=torch.float64), 1.0), Normal(0, 2**0.5).log_prob(x)
    generator = torch.Generator().manual_seed(0)
    means, errors = [truth - kl_divergence(q, posterior)], [torch.zeros(())]
    for m in (1, 5, 50):
        z = q.mean + torch.randn(50, 2000, generator=generator, dtype=torch.float64)  # new ones for each bound
        bounds = iwae(Normal(0, 1).log_prob(z) + Normal(z, 1).log_prob(x) - q.log_prob(z), samples=m)
        means.append(bounds.mean())
        errors.append(bounds.std() / len(bounds) ** 0.5)
    exact, elbo_, iwae5, iwae50 = means
    assert abs(elbo_ - exact) < 4 * errors[1]
    assert elbo_ + 4 * errors[1] < iwae5 - 4 * errors[2] < iwae50 - 4 * errors[3] < truth


def test_no_overflow() -> None:
    assert torch.isfinite(iwae(torch.tensor([1000.0, -1000.0]))).item()


@pytest.mark.parametrize(("k", "m"), [(6, 4), (6, 0), (0, 1), (6, 12)])
def test_bad_input(k: int, m: int) -> None:
    with pytest.raises(
        ValueError, match=f"samples must divide the number of log_weights.*samples={m} and there are {k}"
    ):
        iwae(torch.zeros(k), samples=m)


def test_weights_that_are_none() -> None:
    with pytest.raises(TypeError, match="log_weights must be floating-point numbers, but they are"):
        elbo(torch.ones(3, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"of shape \(k, ...\), the samples first, but it is a single number"):
        iwae(torch.tensor(1.0))
