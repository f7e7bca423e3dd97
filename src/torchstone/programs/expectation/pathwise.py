"""The pathwise estimator: the noise is drawn first, and the gradient goes through the sample."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution

from torchstone.programs.expectation.sampling import Function, Shape, draw, evaluated, innermost


@dataclass(frozen=True)
class Pathwise:
    r"""The pathwise, or reparameterisation, gradient.

    With :math:`\xi = g(\theta, \varepsilon)`, where the distribution of :math:`\varepsilon` does not depend on θ,

    .. math:: \nabla_\theta \mathbb{E}[f(\theta, \xi)]
              = \mathbb{E}_\varepsilon\bigl[\nabla_\theta f(\theta, g(\theta, \varepsilon))\bigr]

    if f is continuous (and piecewise differentiable) in ξ. Where f jumps this is wrong: it does not see the jump.

    Args:
        antithetic: for each sample take its mirror image at the mean too; removes what is odd in the integrand.

    Example:
        >>> import torch
        >>> from torch.distributions import Normal
        >>> from torchstone.programs.expectation import Expectation
        >>> theta = torch.tensor(1.5, requires_grad=True)
        >>> mirrored = Expectation(torch.square, lambda: Normal(theta, 1), estimator=Pathwise(antithetic=True))
        >>> mirrored().backward()
        >>> theta.grad                                     # 2θ, without any noise: (θ + ε) + (θ - ε)
        tensor(3.)

    Paper: Kingma, Welling 2013, arXiv:1312.6114, section 2.4; antithetic pairs in Mohamed, Rosca, Figurnov, Mnih 2019,
        arXiv:1906.10652, section 7.
    Differs from the paper: nothing.
    """

    antithetic: bool = False

    def __call__(self, f: Function, p: Distribution, shape: Shape) -> Float[Tensor, "r k *batch"]:
        """f of reparameterised samples.

        Raises:
            ValueError: the distribution has no ``rsample``, or one that is not what it says.
        """
        if not reparameterised(p):
            why = "an rsample with a derivative that is made up" if p.has_rsample else "no rsample"
            raise ValueError(
                f"The pathwise estimator needs samples that can be differentiated, but {type(p).__name__} has {why}. "
                "Use estimator='score', or 'auto'."
            )
        return evaluated(f, draw(p, shape, reparameterised=True, antithetic=self.antithetic), p)


def reparameterised(p: Distribution) -> bool:
    """Whether samples move with the parameters; outcomes that can be counted do not, whatever ``rsample`` gives.

    >>> import torch
    >>> from torch.distributions import Normal, OneHotCategoricalStraightThrough
    >>> reparameterised(Normal(0.0, 1.0)), reparameterised(OneHotCategoricalStraightThrough(torch.ones(3)))
    (True, False)
    """
    return p.has_rsample and not innermost(p).has_enumerate_support
