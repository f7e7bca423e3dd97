"""What fills a hole of real numbers: a polynomial, a small network, a monotone curve, a threshold."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import combinations_with_replacement
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import softplus

from torchstone.nets import seeded


def count(name: str, value: object, least: int = 1) -> int:
    """Refuse what is no whole number, or too small a one."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be a whole number, {least} or more, but it is {value!r}.")
    return value


def broadcast(arguments: Sequence[Any], like: Tensor) -> Float[Tensor, "*batch inputs"]:
    """Numbers and tensors, broadcast against each other, along a last axis."""
    tensors = [torch.as_tensor(x, dtype=like.dtype, device=like.device) for x in arguments]
    return torch.stack(torch.broadcast_tensors(*tensors), -1)  # type: ignore[no-untyped-call]


class Curve(nn.Module, ABC):
    r"""A real function of ``inputs`` real arguments, which are first brought to a common scale.

    .. math:: u_j = (x_j - m_j) / s_j, \qquad y = g(u)

    m and s are the mean and the standard deviation of the arguments in the examples; the first ``fit`` sets them.
    Arguments of any shape are broadcast against each other, and the function is applied to each element. The buffer
    ``valid``, (2, inputs), holds the least and the largest arguments of the last fit, and NaN before.
    """

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.inputs = count("inputs", inputs)
        self.register_buffer("center", torch.zeros(inputs))
        self.register_buffer("spread", torch.ones(inputs))
        self.register_buffer("valid", torch.full((2, inputs), math.nan))

    @abstractmethod
    def value(self, u: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch"]:
        """g, of arguments in a common scale."""

    def forward(self, *arguments: Any) -> Tensor:
        """The function of its arguments, which are broadcast.

        Raises:
            ValueError: there are more or fewer arguments than ``inputs``.
        """
        if len(arguments) != self.inputs:
            raise ValueError(
                f"{type(self).__name__} was made for inputs={self.inputs}, but is called with {len(arguments)} "
                f"arguments. Make it with inputs={len(arguments)}."
            )
        x = broadcast(arguments, self.get_buffer("center"))
        return self.value((x - self.get_buffer("center")) / self.get_buffer("spread"))

    @torch.no_grad()
    def set_scale(self, x: Float[Tensor, "n inputs"]) -> None:
        """Take center and spread from examples; what never varies keeps spread 1."""
        spread = x.std(0, correction=0)
        self.get_buffer("center").copy_(x.mean(0))
        self.get_buffer("spread").copy_(torch.where(spread > 0, spread, 1.0))


class Poly(Curve):
    r"""A polynomial: all products of powers up to a total degree, whose coefficients are learned.

    .. math:: y = \sum_{|e| \le \mathrm{degree}} c_e \prod_j (x_j / s_j)^{e_j}

    with s the largest size of each argument in the examples, which brings the coefficients to one scale. They begin
    at 0.

    Args:
        degree: the highest power.
        inputs: how many arguments.

    Example:
        >>> area = Poly(2)
        >>> area.exponents
        ((0,), (1,), (2,))
        >>> area.coefficients.data = torch.tensor([0.0, 0.0, 0.5])
        >>> area(torch.tensor([1.0, 3.0]))
        tensor([0.5000, 4.5000], grad_fn=<SumBackward1>)
    """

    def __init__(self, degree: int, *, inputs: int = 1) -> None:
        super().__init__(inputs)
        self.degree = count("degree", degree, 0)
        self.exponents = monomials(degree, inputs)
        self.coefficients = nn.Parameter(torch.zeros(len(self.exponents)))

    def value(self, u: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch"]:
        """The sum of its terms."""
        return (torch.stack([powers(u, e) for e in self.exponents], -1) * self.coefficients).sum(-1)

    @torch.no_grad()
    def set_scale(self, x: Float[Tensor, "n inputs"]) -> None:
        """Divide by the largest size only, since a shift would hide the formula, and keep the function as it is."""
        terms, largest = self.terms(), x.abs().amax(0)
        self.get_buffer("spread").copy_(torch.where(largest > 0, largest, 1.0))
        self.coefficients.copy_(self.coefficients.new_tensor([terms[e] * size for e, size in self.sizes().items()]))

    def reset_parameters(self) -> None:
        """Small random coefficients, for another start."""
        nn.init.normal_(self.coefficients, std=0.3)

    def terms(self) -> dict[tuple[int, ...], float]:
        """The coefficient of each product of powers of the arguments as they are."""
        coefficients, sizes = self.coefficients.tolist(), self.sizes()
        return {e: c / sizes[e] for e, c in zip(self.exponents, coefficients, strict=True)}

    def sizes(self) -> dict[tuple[int, ...], float]:
        """What each product of powers is divided by."""
        spread = self.get_buffer("spread").tolist()
        return {e: math.prod(s**k for s, k in zip(spread, e, strict=True)) for e in self.exponents}


def monomials(degree: int, inputs: int) -> tuple[tuple[int, ...], ...]:
    """The exponents of all products of powers up to a degree.

    >>> monomials(2, 2)
    ((0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2))
    """
    picks = (pick for total in range(degree + 1) for pick in combinations_with_replacement(range(inputs), total))
    return tuple(tuple(pick.count(j) for j in range(inputs)) for pick in picks)


def powers(u: Tensor, exponents: tuple[int, ...]) -> Tensor:
    """The product of powers of the last axis."""
    product = torch.ones_like(u[..., 0])
    for j, exponent in enumerate(exponents):
        for _ in range(exponent):
            product = product * u[..., j]
    return product


class MLP(Curve):
    r"""A network with one hidden layer, :math:`y = b' + w' \cdot \tanh(W u + b)`.

    Args:
        hidden: units.
        inputs: how many arguments.
        seed: where its weights come from.

    Example:
        >>> MLP(16)(torch.zeros(3)).shape
        torch.Size([3])
    """

    def __init__(self, hidden: int = 16, *, inputs: int = 1, seed: int = 0) -> None:
        super().__init__(inputs)
        with seeded(seed):
            self.net = nn.Sequential(nn.Linear(inputs, count("hidden", hidden)), nn.Tanh(), nn.Linear(hidden, 1))

    def value(self, u: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch"]:
        """The network's output."""
        result: Tensor = self.net(u)[..., 0]
        return result


class Monotone(Curve):
    r"""A smooth function that rises (or falls) in each of its arguments, whatever its weights are.

    .. math:: y = \pm\Bigl(\sum_i a_i \tanh(w_i \cdot u + b_i) + v \cdot u\Bigr) + c, \qquad a, w, v > 0

    where a, w and v are softplus of the parameters.

    Args:
        hidden: units.
        inputs: how many arguments.
        falling: whether it falls.
        seed: where its weights come from.

    Example:
        >>> rising = Monotone()(torch.linspace(-3, 3, 50))
        >>> bool((rising.diff() > 0).all())
        True
    """

    def __init__(self, hidden: int = 16, *, inputs: int = 1, falling: bool = False, seed: int = 0) -> None:
        super().__init__(inputs)
        self.falling = falling
        self.outer = nn.Parameter(torch.empty(count("hidden", hidden)))
        self.inner = nn.Parameter(torch.empty(hidden, inputs))
        self.bias = nn.Parameter(torch.empty(hidden))
        self.slope = nn.Parameter(torch.empty(inputs))
        self.offset = nn.Parameter(torch.empty(()))
        with seeded(seed):
            self.reset_parameters()

    def reset_parameters(self) -> None:
        """Units spread over three standard deviations, of small effect."""
        nn.init.normal_(self.outer, mean=-2.0, std=0.5)
        nn.init.normal_(self.inner, std=0.5)
        nn.init.uniform_(self.bias, -3.0, 3.0)
        nn.init.zeros_(self.slope)
        nn.init.zeros_(self.offset)

    def value(self, u: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch"]:
        """The sum of rising curves."""
        rising = torch.tanh(u @ softplus(self.inner).T + self.bias) @ softplus(self.outer) + u @ softplus(self.slope)
        return (-rising if self.falling else rising) + self.offset


class Threshold(Curve):
    r"""What decides a flag: a linear function of its arguments, true where it is positive.

    .. math:: P(\text{true}) = \sigma(w \cdot u + b)

    Args:
        inputs: how many arguments.

    Example:
        >>> Threshold()(torch.tensor(0.3)).sigmoid()
        tensor(0.5744, grad_fn=<SigmoidBackward0>)
    """

    def __init__(self, inputs: int = 1) -> None:
        super().__init__(inputs)
        self.weight = nn.Parameter(torch.ones(inputs))
        self.bias = nn.Parameter(torch.zeros(()))

    def reset_parameters(self) -> None:
        """A random direction through a random place."""
        nn.init.normal_(self.weight)
        nn.init.normal_(self.bias)

    def value(self, u: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch"]:
        """The logit of true."""
        return u @ self.weight + self.bias
