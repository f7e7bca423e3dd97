"""The score-function estimator: it needs f's values and no derivative of them, and a baseline to be of use."""

import math
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution

from torchstone.programs.expectation.sampling import Function, Shape, draw, evaluated

Baseline = Literal["none", "moving", "leave-one-out"]
MEMORY = 0.9


@dataclass
class Score:
    r"""The score-function gradient, also known as REINFORCE or the likelihood-ratio estimator.

    .. math:: \nabla_\theta \mathbb{E}[f(\theta, \xi)]
              = \mathbb{E}\bigl[(f(\theta, \xi) - b)\, \nabla_\theta \log p_\theta(\xi)
              + \nabla_\theta f(\theta, \xi)\bigr]

    for any ``baseline`` b that does not depend on the sample. f may jump, and ξ may be discrete. The support of ξ must
    not move with θ: what comes in at its edge shows in no score. Value i of a batch must be f's answer to sample i
    alone: it is weighed by the score of that sample.

    Args:
        baseline: ``"none"``, b = 0; ``"moving"``, a mean of earlier values, :math:`m \leftarrow 0.9 m + 0.1 \bar f`
            (the first time 0; it is not in a checkpoint); ``"leave-one-out"``, for each sample the mean of the others.
        antithetic: for each sample take its mirror image too; a pair is left out together.

    Raises:
        ValueError: there is no such baseline.

    Example:
        >>> import torch
        >>> from torch.distributions import Poisson
        >>> from torchstone.programs.expectation import Expectation
        >>> rate = torch.tensor(2.0, requires_grad=True)
        >>> constant = Expectation(lambda count: 3 + 0 * count, lambda: Poisson(rate), estimator="score")
        >>> constant().backward()
        >>> rate.grad                                      # leave-one-out: no noise where f is constant
        tensor(0.)

    Paper: Williams 1992, Machine Learning 8, equation 4; leave-one-out in Kool, van Hoof, Welling 2019, "Buy 4
        REINFORCE samples, get a baseline for free!", and Mnih, Rezende 2016, arXiv:1602.06725.
    Differs from the paper: nothing.
    """

    baseline: Baseline = "leave-one-out"
    antithetic: bool = False
    mean: float | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.baseline not in ("none", "moving", "leave-one-out"):
            raise ValueError(f"baseline must be 'none', 'moving' or 'leave-one-out', but it is {self.baseline!r}.")

    def __call__(self, f: Function, p: Distribution, shape: Shape) -> Float[Tensor, "r k *batch"]:
        """f of samples, plus a term that is 0 and has the gradient of the equation."""
        xi = draw(p, shape, reparameterised=False, antithetic=self.antithetic)
        values = evaluated(f, xi, p)
        score = p.log_prob(xi)
        return values + self.advantage(values.detach()) * (score - score.detach())

    def advantage(self, values: Float[Tensor, "r k *batch"]) -> Float[Tensor, "r k *batch"]:
        """How much better each value is than its baseline."""
        if self.baseline == "leave-one-out":
            return values - mean_of_others(values, group=2 if self.antithetic else 1)
        return values if self.mean is None else values - self.mean

    def remember(self, estimate: Float[Tensor, ""]) -> None:
        """Take an estimate into the moving baseline, unless it is infinite or NaN."""
        value = float(estimate.detach())
        if self.baseline == "moving" and math.isfinite(value):
            self.mean = value if self.mean is None else MEMORY * self.mean + (1 - MEMORY) * value


def mean_of_others(values: Float[Tensor, "r k *batch"], *, group: int = 1) -> Float[Tensor, "r k *batch"]:
    """For each of k values the mean of those outside its group; the groups are i, i + k/group, ...

    Raises:
        ValueError: there is no other group.

    >>> import torch
    >>> mean_of_others(torch.tensor([[1.0, 2.0, 6.0]]))
    tensor([[4.0000, 3.5000, 1.5000]])
    """
    k = values.shape[1]
    if k < 2 * group:
        raise ValueError(
            f"samples must be {2 * group} or more for the leave-one-out baseline{' of pairs' * (group > 1)}, but it is "
            f"{k}. Take more, or estimator=Score('none')."
        )
    own = torch.cat([torch.stack(values.chunk(group, dim=1)).sum(0)] * group, dim=1)
    return (values.sum(1, keepdim=True) - own) / (k - group)
