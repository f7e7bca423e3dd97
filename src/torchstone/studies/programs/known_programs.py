"""Two programs that are known but for a part of them, and what may stand in for that part or for the whole."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from torchstone.nets import seeded
from torchstone.programs.holes import MLP, Choose, Poly, Program, hole, program, select
from torchstone.programs.holes.bodies import Curve

HOLE, FORMULA, CHOICE = "hole", "hole, formula", "hole, choice"
BLACK, LARGE, CUBIC, PARTS, WRONG = "black box", "large black box", "cubic black box", "sum over parts", "wrong program"
PARAMETERS = 49
"""Of every network but the large one, which has four times as many."""

Inputs = tuple[Tensor, ...]
Curves = Mapping[str, Callable[[Tensor], Tensor]]


def bill(diagonals: Float[Tensor, "b 3"], price: Float[Tensor, " b"]) -> Tensor:
    """What it costs to paint squares; what goes beyond 2 is a fifth cheaper."""
    total = torch.zeros_like(price)
    for d in diagonals.unbind(-1):
        total = total + hole("area", d) * price
    return torch.as_tensor(select(total > 2, 2 + 0.8 * (total - 2), total))


def bill_without_price(diagonals: Float[Tensor, "b 3"], price: Float[Tensor, " b"]) -> Tensor:
    """The same where all squares are taken to cost the same."""
    return bill(diagonals, torch.ones_like(price))


def bill_as_a_whole(diagonals: Float[Tensor, "b 3"], price: Float[Tensor, " b"]) -> Tensor:
    """Of the program nothing is left but what goes in."""
    return torch.as_tensor(hole("everything", *diagonals.unbind(-1), price))


def spring(x: Float[Tensor, " b"], v: Float[Tensor, " b"]) -> Tensor:
    """Where a mass is three seconds after it was at x with speed v: ten steps of Euler's method, some friction."""
    for _ in range(10):
        v = v + 0.3 * (hole("force", x) - 0.1 * v)
        x = x + 0.3 * v
    return x


def spring_from_rest(x: Float[Tensor, " b"], v: Float[Tensor, " b"]) -> Tensor:
    """The same where every mass is taken to start from rest."""
    return spring(x, torch.zeros_like(v))


def spring_as_a_whole(x: Float[Tensor, " b"], v: Float[Tensor, " b"]) -> Tensor:
    """Of the program nothing is left but what goes in."""
    return torch.as_tensor(hole("everything", x, v))


def bills(n: int, generator: torch.Generator, outside: bool) -> Inputs:
    """Three diagonals in [0, 2], or in [2, 4] if outside, and a price in [0.5, 1.5]."""
    diagonals = 2 * torch.rand(n, 3, generator=generator) + 2 * outside
    return diagonals, 0.5 + torch.rand(n, generator=generator)


def starts(n: int, generator: torch.Generator, outside: bool) -> Inputs:
    """A position in [-1.5, 1.5], or in [2, 2.5] if outside, and a speed in [-1.5, 1.5]."""
    x, v = torch.rand(2, n, generator=generator)
    return 2 + 0.5 * x if outside else 3 * x - 1.5, 3 * v - 1.5


@dataclass(frozen=True)
class Problem:
    """A program with a hole, what is true of the hole, and rivals.

    Args:
        right, wrong, whole: the program, one that leaves out an input, and one that knows nothing.
        name: of the hole.
        law: what belongs there.
        coefficients: of the law as a polynomial, from the constant on.
        candidates: from which a choice is made; the law is among them.
        draw: n examples' inputs, inside or outside the range that is trained on.
        inputs: how many numbers the program takes.
        inside, shown: where the hole's error is measured, and where the hole is drawn.
    """

    right: Callable[..., Tensor]
    wrong: Callable[..., Tensor]
    whole: Callable[..., Tensor]
    name: str
    law: Callable[[Tensor], Tensor]
    coefficients: tuple[float, float, float, float]
    candidates: Curves
    draw: Callable[[int, torch.Generator, bool], Inputs]
    inputs: int
    inside: tuple[float, float]
    shown: tuple[float, float]

    @torch.no_grad()
    def truth(self, inputs: Inputs) -> Tensor:
        """What the program returns with the law in its hole."""
        known = program(self.right)
        known.holes[self.name] = Law(self.law)
        output: Tensor = known(*inputs)
        return output

    def filled(self, arm: str, seed: int) -> Program:
        """The program of an arm, not yet trained."""
        function = {HOLE: self.right, FORMULA: self.right, CHOICE: self.right, WRONG: self.wrong}.get(arm, self.whole)
        made = program(function)
        made.holes["everything" if function is self.whole else self.name] = self.body(arm, seed)
        return made

    def body(self, arm: str, seed: int) -> nn.Module:
        """What an arm learns."""
        makers: Mapping[str, Callable[[], nn.Module]] = {
            FORMULA: lambda: Poly(3),
            CHOICE: lambda: Choose(self.candidates),
            BLACK: lambda: network(PARAMETERS, self.inputs, seed),
            LARGE: lambda: network(4 * PARAMETERS, self.inputs, seed),
            CUBIC: lambda: Poly(3, inputs=self.inputs),
            PARTS: lambda: SumOverParts(4, 6, seed=seed),
        }
        return makers.get(arm, lambda: network(PARAMETERS, 1, seed))()


def network(parameters: int, inputs: int, seed: int) -> MLP:
    """A network with so many parameters, or as many as come next below.

    >>> [sum(p.numel() for p in network(49, inputs, 0).parameters()) for inputs in (1, 2, 4)]
    [49, 49, 49]
    """
    return MLP((parameters - 1) // (inputs + 2), inputs=inputs, seed=seed)


class Law(nn.Module):
    """A known function in the place of a hole."""

    def __init__(self, f: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.f = f

    def forward(self, x: Tensor) -> Tensor:
        """f(x)."""
        return self.f(x)


class SumOverParts(Curve):
    r"""A network that does not mind the order of diagonals, :math:`y = \rho(\sum_i \phi(d_i, \text{price}))`.

    Both φ and ρ have one hidden layer, that of φ being summed. With 4 and 6 units there are 49 parameters.

    Args:
        parts, hidden: units of φ and of ρ.
        seed: where the weights come from.

    Paper: Zaheer et al. 2017, arXiv:1703.06114 (Deep Sets), equation 4.
    """

    def __init__(self, parts: int, hidden: int, *, seed: int) -> None:
        super().__init__(inputs=4)
        with seeded(seed):
            self.phi = nn.Linear(2, parts)
            self.rho = nn.Sequential(nn.Linear(parts, hidden), nn.Tanh(), nn.Linear(hidden, 1))

    def value(self, u: Float[Tensor, "*batch 4"]) -> Float[Tensor, "*batch"]:
        """The diagonals and the price, in a common scale."""
        diagonals, price = u[..., :3], u[..., 3:]
        pairs = torch.stack([diagonals, price.expand_as(diagonals)], -1)  # (*batch, 3, 2)
        result: Tensor = self.rho(torch.tanh(self.phi(pairs)).sum(-2))[..., 0]
        return result


PROBLEMS: Mapping[str, Problem] = {
    "bill": Problem(
        right=bill,
        wrong=bill_without_price,
        whole=bill_as_a_whole,
        name="area",
        law=lambda d: d * d / 2,
        coefficients=(0.0, 0.0, 0.5, 0.0),
        candidates={
            "d": lambda d: d,
            "d*d": lambda d: d * d,
            "d*d/2": lambda d: d * d / 2,
            "4*d": lambda d: 4 * d,
            "2**0.5*d": lambda d: 2**0.5 * d,
        },
        draw=bills,
        inputs=4,
        inside=(0.05, 2.0),
        shown=(0.0, 4.0),
    ),
    "spring": Problem(
        right=spring,
        wrong=spring_from_rest,
        whole=spring_as_a_whole,
        name="force",
        law=lambda x: -x - x**3,
        coefficients=(0.0, -1.0, 0.0, -1.0),
        candidates={
            "-x": lambda x: -x,
            "-2*x": lambda x: -2 * x,
            "-x**3": lambda x: -(x**3),
            "-x - x**3": lambda x: -x - x**3,
            "-sin(x)": lambda x: -torch.sin(x),
        },
        draw=starts,
        inputs=2,
        inside=(-1.5, 1.5),
        shown=(-2.5, 2.5),
    ),
}
