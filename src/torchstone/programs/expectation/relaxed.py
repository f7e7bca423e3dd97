"""Discrete noise made continuous: the Gumbel-softmax and straight-through estimators. Both are biased."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import (
    Bernoulli,
    Distribution,
    Independent,
    OneHotCategorical,
    RelaxedBernoulli,
    RelaxedOneHotCategorical,
)

from torchstone.programs.expectation.sampling import Function, Shape, evaluated, innermost


@dataclass(frozen=True)
class Gumbel:
    r"""The gradient of a relaxed problem: ξ is replaced by a softened one.

    .. math:: \xi = \mathrm{softmax}\bigl((\log p_\theta + G) / \tau\bigr), \qquad G_i \sim \mathrm{Gumbel}(0, 1)

    and for a Bernoulli :math:`\xi = \sigma((\mathrm{logit}\, p_\theta + L) / \tau)` with logistic L. So f must accept
    what lies between outcomes. Biased, the less the smaller ``temperature`` τ is, and the noisier.

    Args:
        temperature: τ.

    Raises:
        ValueError: the temperature is not positive.

    Paper: Jang, Gu, Poole 2016, arXiv:1611.01144, equation 2; Maddison, Mnih, Teh 2016, arXiv:1611.00712, equation 10.
    Differs from the paper: the value is that of the relaxed problem too.
    """

    temperature: float = 0.5

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ValueError(f"temperature must be positive, but it is {self.temperature}.")

    def __call__(self, f: Function, p: Distribution, shape: Shape) -> Float[Tensor, "r k *batch"]:
        """f of relaxed samples.

        Raises:
            ValueError: ξ is neither bits nor one-hot vectors.
        """
        return evaluated(f, relaxed(p, self.temperature).rsample(torch.Size(shape)), p)


@dataclass(frozen=True)
class StraightThrough:
    r"""The straight-through gradient: f sees the outcome, the gradient goes to the probabilities.

    .. math:: \frac{\partial \xi}{\partial \theta} := \frac{\partial p_\theta}{\partial \theta}

    Unbiased if f is affine in ξ; biased otherwise, and by how much nobody knows beforehand.

    Paper: Bengio, Léonard, Courville 2013, arXiv:1308.3432, section 3.
    Differs from the paper: the gradient goes to the probability, not to the logit.
    """

    def __call__(self, f: Function, p: Distribution, shape: Shape) -> Float[Tensor, "r k *batch"]:
        """f of samples whose gradient is that of their probabilities.

        Raises:
            ValueError: ξ is neither bits nor one-hot vectors.
        """
        probabilities = discrete(p).probs
        return evaluated(f, p.sample(torch.Size(shape)) + (probabilities - probabilities.detach()), p)


def relaxed(p: Distribution, temperature: float) -> Distribution:
    """The distribution with the corners of the simplex softened."""
    if isinstance(p, Independent):
        return Independent(relaxed(p.base_dist, temperature), p.reinterpreted_batch_ndims)
    logits = discrete(p).logits
    soft = RelaxedBernoulli if isinstance(p, Bernoulli) else RelaxedOneHotCategorical
    return soft(logits.new_tensor(temperature), logits=logits)


def discrete(p: Distribution) -> Bernoulli | OneHotCategorical:
    """The bits or one-hot vectors that p gives.

    Raises:
        ValueError: it gives something else.
    """
    base = innermost(p)
    if not isinstance(base, Bernoulli | OneHotCategorical):
        raise ValueError(
            f"Relaxed estimators know Bernoulli and OneHotCategorical, but xi is a {type(base).__name__}. A "
            "Categorical gives indexes, between which f has no values: take OneHotCategorical."
        )
    return base
