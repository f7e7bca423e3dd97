"""Siren: a network of sines for coordinates, with the initialisation that makes its depth harmless."""

import math
from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn


class SineLayer(nn.Module):
    r"""One layer :math:`\sin(\omega_0 (W x + b))`.

    Args:
        d_in: features that come in.
        d_out: features that go out.
        w0: :math:`\omega_0`; it multiplies the bias, too.
        bound: weights are drawn from :math:`U(-\text{bound}, \text{bound})`, biases from
            :math:`U(-1/\sqrt{d_{in}}, 1/\sqrt{d_{in}})`.
        generator: draws them.
    """

    def __init__(self, d_in: int, d_out: int, *, w0: float, bound: float, generator: torch.Generator) -> None:
        super().__init__()
        self.linear = uniform_linear(d_in, d_out, bound, generator)
        self.w0 = w0

    def forward(self, x: Float[Tensor, "*b d_in"]) -> Float[Tensor, "*b d_out"]:
        """The activations."""
        activations: Tensor = torch.sin(self.w0 * self.linear(x))
        return activations

    def extra_repr(self) -> str:
        """What ``print`` shows."""
        return f"w0={self.w0:g}"


class Siren(nn.Sequential):
    r"""A network of sines for functions of coordinates in [-1, 1].

    .. math:: h_{l+1} = \sin(\omega_0 (W_l h_l + b_l)), \qquad f(x) = W_L h_L + b_L

    with :math:`W_0 \sim U(-1/d, 1/d)` in the first layer and
    :math:`W_l \sim U(-\sqrt{6/n}/\omega_0, \sqrt{6/n}/\omega_0)` in all others, n the layer's inputs. Whatever the
    depth, :math:`\omega_0 W_l h_l` then starts near a standard normal distribution and the activations near the
    arcsine distribution.

    ``w0`` sets which frequencies the first layer begins with: :math:`\omega_0/(2\pi d)` cycles per unit at most for
    each coordinate. 30 suits pictures over [-1, 1]²; sound needs thousands. Small networks and learning rates above
    about 1e-3 make it unstable.

    Args:
        d_in: :math:`d`, number of coordinates.
        widths: width of each sine layer, at least one.
        d_out: number of outputs.
        w0: :math:`\omega_0` of the first layer.
        w0_hidden: :math:`\omega_0` of the other sine layers; also divides the last layer's bound.
        seed: seed of the initial weights; the global generators are not used.

    Raises:
        ValueError: no widths, a size below 1, or an ``w0`` that is not positive and finite.

    Example:
        >>> net = Siren(2, [64, 64], seed=0)
        >>> [name for name, _ in net.named_children()], net(torch.zeros(5, 2)).shape
        (['sine1', 'sine2', 'output'], torch.Size([5, 1]))

    Paper: Sitzmann, Martel, Bergman, Lindell, Wetzstein 2020, Implicit Neural Representations with Periodic Activation
        Functions, arXiv:2006.09661, section 3.2.
    Differs from the paper: in three places we do as its code does. The first layer starts from U(-1/d, 1/d), which is
        not what the text says; ω₀ multiplies the biases, too; biases start as those of torch's linear layers.
    """

    def __init__(
        self,
        d_in: int,
        widths: Sequence[int],
        d_out: int = 1,
        *,
        w0: float = 30.0,
        w0_hidden: float = 30.0,
        seed: int,
    ) -> None:
        sizes = [d_in, *widths]
        if not widths or min(*sizes, d_out) < 1:
            raise ValueError(f"d_in, d_out and one or more widths must be 1 or more, but came {sizes} and {d_out}.")
        if not (0 < w0 < math.inf and 0 < w0_hidden < math.inf):
            raise ValueError(f"w0 and w0_hidden must be positive and finite, but they are {w0} and {w0_hidden}.")
        generator = torch.Generator().manual_seed(seed)
        parts = OrderedDict[str, nn.Module]()
        for i, (before, after) in enumerate(pairwise(sizes)):
            omega, bound = (w0_hidden, math.sqrt(6 / before) / w0_hidden) if i else (w0, 1 / d_in)
            parts[f"sine{i + 1}"] = SineLayer(before, after, w0=omega, bound=bound, generator=generator)
        parts["output"] = uniform_linear(sizes[-1], d_out, math.sqrt(6 / sizes[-1]) / w0_hidden, generator)
        super().__init__(parts)


def uniform_linear(d_in: int, d_out: int, bound: float, generator: torch.Generator) -> nn.Linear:
    """A linear layer with weights from U(-bound, bound) and torch's default biases."""
    with torch.device("meta"):  # so that nothing is drawn from the global generator
        empty = nn.Linear(d_in, d_out)
    layer = empty.to_empty(device="cpu")
    with torch.no_grad():
        layer.weight.uniform_(-bound, bound, generator=generator)
        layer.bias.uniform_(-1 / math.sqrt(d_in), 1 / math.sqrt(d_in), generator=generator)
    return layer
