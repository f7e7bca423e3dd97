"""Enumeration: where ξ has finitely many outcomes, the expectation is a sum, and so is its gradient."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution

from torchstone.programs.expectation.sampling import Function, Shape, innermost, values_of

MOST = 1024


@dataclass(frozen=True)
class Enumerate:
    r"""The exact gradient, from every outcome.

    .. math:: \mathbb{E}[f(\theta, \xi)] = \sum_{\xi} p_\theta(\xi)\, f(\theta, \xi)

    The components of an ``Independent`` are taken in all their combinations.

    Args:
        most: refuse more outcomes than this.

    Example:
        >>> from torch.distributions import Bernoulli
        >>> from torchstone.programs.expectation import Expectation
        >>> p = torch.tensor(0.3, requires_grad=True)
        >>> Expectation(lambda bit: (bit - 0.45) ** 2, lambda: Bernoulli(p), estimator="enumerate")().backward()
        >>> p.grad                                         # (1 - 0.45)² - 0.45²
        tensor(0.1000)

    Paper: none; the definition of an expectation.
    Differs from the paper: nothing.
    """

    most: int = MOST

    def __call__(self, f: Function, p: Distribution, shape: Shape) -> Float[Tensor, "r k *batch"]:
        """The expectation itself, as often as estimates are asked for.

        Raises:
            ValueError: there are too many outcomes, or infinitely many.
        """
        count = outcomes(p)
        if count > self.most:
            raise ValueError(
                f"xi has {'infinitely many' if math.isinf(count) else f'{count:.4g}'} outcomes, but at most "
                f"{self.most} are enumerated. Use estimator='score', or Enumerate(most=...)."
            )
        xi = support(p)
        expectation = (p.log_prob(xi).exp() * values_of(f, xi, p)).sum(0)
        return expectation.expand(*shape, *expectation.shape)


def outcomes(p: Distribution) -> float:
    """How many outcomes each problem of the batch has; infinite if they cannot be listed."""
    base = innermost(p)
    if not base.has_enumerate_support:
        return math.inf
    single = len(base.enumerate_support(expand=False))
    components = base.batch_shape[len(p.batch_shape) :].numel()
    return math.inf if components * math.log2(single) > 60 else single**components


def support(p: Distribution) -> Tensor:
    """All outcomes, (n, *batch, *event), the same for each problem of the batch.

    >>> from torch.distributions import Bernoulli, Independent
    >>> support(Independent(Bernoulli(torch.full((2,), 0.5)), 1))
    tensor([[0., 0.],
            [0., 1.],
            [1., 0.],
            [1., 1.]])
    """
    base = innermost(p)
    single = base.enumerate_support(expand=False).flatten(0, len(base.batch_shape))  # (s, *event)
    components = base.batch_shape[len(p.batch_shape) :]
    choices = torch.cartesian_prod(*[torch.arange(len(single), device=single.device)] * components.numel())
    xi = single[choices.view(-1, *components)]  # (n, *components, *event)
    kept = xi.view(len(xi), *[1] * len(p.batch_shape), *xi.shape[1:])
    return kept.expand(-1, *p.batch_shape, *xi.shape[1:])
