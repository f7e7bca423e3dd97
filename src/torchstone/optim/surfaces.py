"""Functions of two numbers, on which a learning rule's way can be watched."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from torchstone.optim.moons import moons, moons_batch

Function = Callable[[Tensor], Tensor]
Pair = tuple[float, float]


@dataclass(frozen=True)
class Surface:
    r"""A function :math:`f(x, y)` to minimise, with where to start, what to show, and what is known of its minima.

    Args:
        name: what it is called on the command line.
        f: from points, (..., 2), to their values, (...); each value must depend on its own point alone.
        start: :math:`(x_0, y_0)`, inside the box.
        box: ((x low, x high), (y low, y high)), the part of the plane that is shown.
        minima: where f is lowest; all of them, if known.
        formula: f as text, for the picture.
        title: what the picture is called; the name by default.
        bounded: False says that f falls without end, so that leaving the box is the aim and ends a path.
        noisy: from (points, generator) to values, of which the rules follow the gradient in the place of f's: the loss
            of one mini-batch, say. One draw serves all points.

    Raises:
        ValueError: start, box or minima are no finite numbers, start or a minimum lies outside the box, f does not
            give every point its own finite, differentiable value, or it is lower at the start than at the minima.

    Example:
        >>> bowl = Surface("bowl", lambda point: point.square().sum(-1), start=(1, 1), box=((-2, 2), (-2, 2)))
        >>> bowl.f(torch.tensor([[1.0, 2.0], [0.0, 0.0]]))
        tensor([5., 0.])
    """

    name: str
    f: Function
    start: Pair
    box: tuple[Pair, Pair]
    minima: tuple[Pair, ...] = ()
    formula: str = ""
    title: str = ""
    bounded: bool = True
    noisy: Callable[[Tensor, torch.Generator], Tensor] | None = None

    def __post_init__(self) -> None:
        self._check_places()
        self._check_function()

    @property
    def lowest(self) -> float | None:
        """The value of f at its minima; None where they are not known."""
        if not self.minima:
            return None
        return float(self.f(torch.tensor(self.minima, dtype=torch.float64)).min())

    @property
    def diagonal(self) -> float:
        """The length of the box's diagonal."""
        (left, right), (bottom, top) = self.box
        return math.hypot(right - left, top - bottom)

    def holds(self, points: Float[Tensor, "*k 2"]) -> Tensor:
        """Whether each point lies in the box, edges included; NaN does not."""
        low, high = torch.tensor(self.box, dtype=points.dtype, device=points.device).T
        inside: Tensor = (points >= low) & (points <= high)
        return inside.all(-1)

    def _check_places(self) -> None:
        if len(self.box) != 2:
            raise ValueError(f"box must be ((x low, x high), (y low, y high)), but is {self.box}.")
        for low, high in self.box:
            if not (math.isfinite(low) and math.isfinite(high) and low < high):
                raise ValueError(f"box must be ((x low, x high), (y low, y high)) with low < high, but is {self.box}.")
        for words, place in [("start", self.start), *(("a minimum", minimum) for minimum in self.minima)]:
            if len(place) != 2 or not bool(self.holds(torch.tensor(place, dtype=torch.float64))):
                raise ValueError(f"The surface '{self.name}' has {words} at {place}, outside its box {self.box}.")

    def _check_function(self) -> None:
        corners = [[x, y] for x in self.box[0] for y in self.box[1]]
        points = torch.tensor([self.start, *corners], dtype=torch.float64, requires_grad=True)
        with torch.enable_grad():
            values = self.f(points)
        if not isinstance(values, Tensor) or values.shape != (len(points),) or not values.requires_grad:
            raise ValueError(
                f"f of the surface '{self.name}' must turn {tuple(points.shape)} points into {len(points)} "
                "differentiable values. Write it with `x, y = point.unbind(-1)`."
            )
        one_by_one = torch.stack([self.f(point) for point in points.detach()])
        if not torch.allclose(values.detach(), one_by_one, equal_nan=True):
            raise ValueError(
                f"f of the surface '{self.name}' must give each point a value that no other point changes."
            )
        if not bool(values[0].isfinite()):
            raise ValueError(
                f"f of the surface '{self.name}' is {values[0].detach().item()} at its start {self.start}."
            )
        lowest = self.lowest
        if lowest is not None and not lowest <= float(values[0].detach()) + 1e-9:
            raise ValueError(
                f"minima of the surface '{self.name}' must be where f is lowest, but there it is {lowest}, and at its "
                f"start {values[0].detach().item()}."
            )


def quadratic(kappa: float) -> Surface:
    r"""A bowl whose curvatures differ by the factor :math:`\kappa`.

    .. math:: f(x, y) = \tfrac12 (x^2 + \kappa y^2)

    Gradient descent with the rate :math:`1/L = 1/\kappa` brings x to :math:`(1 - 1/\kappa)^t x_0` in t steps.

    Args:
        kappa: :math:`\kappa`, the condition number, at least 1.

    Raises:
        ValueError: kappa is not a finite number of 1 or more.

    >>> quadratic(100).f(torch.tensor([1.0, 1.0]))
    tensor(50.5000)

    Paper: Polyak 1964, "Some methods of speeding up the convergence of iteration methods", has the rates on it.
    Differs from the paper: nothing.
    """
    if not (math.isfinite(kappa) and kappa >= 1):
        raise ValueError(f"kappa must be a finite number of at least 1, but is {kappa}.")

    def f(point: Tensor) -> Tensor:
        x, y = point.unbind(-1)
        return (x.square() + kappa * y.square()) / 2

    return Surface(
        f"quadratic-{kappa:g}",
        f,
        start=(-4.0, 1.0),
        box=((-5.0, 5.0), (-2.0, 2.0)),
        minima=((0.0, 0.0),),
        formula=f"½ (x² + {kappa:g} y²)",
        title=f"Quadratic bowl, condition number {kappa:g}",
    )


def beale(point: Tensor) -> Tensor:
    """Beale's function: flat plains, steep walls, one minimum at the end of a curved valley."""
    x, y = point.unbind(-1)
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2


def saddle(point: Tensor) -> Tensor:
    """Falls along y without end, and rises along x."""
    x, y = point.unbind(-1)
    return x.square() - y.square()


def valley(point: Tensor) -> Tensor:
    """A long valley: 100 times steeper across than along."""
    x, y = point.unbind(-1)
    return (x.square() / 100 + y.square()) / 2


def ridge(point: Tensor) -> Tensor:
    """Two long valleys with a ridge between them, from which a rule must choose a side."""
    x, y = point.unbind(-1)
    return (y.square() - 1).square() / 4 + x.square() / 200


def rosenbrock(point: Tensor) -> Tensor:
    """Rosenbrock's function: into the banana is easy, along it is hard."""
    x, y = point.unbind(-1)
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def himmelblau(point: Tensor) -> Tensor:
    """Himmelblau's function: four minima, all equally low."""
    x, y = point.unbind(-1)
    return (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2


def rastrigin(point: Tensor) -> Tensor:
    """Rastrigin's function with A = 10: a bowl of egg cups."""
    return 20 + (point.square() - 10 * torch.cos(2 * math.pi * point)).sum(-1)


def booth(point: Tensor) -> Tensor:
    """Booth's function: a tilted quadratic bowl."""
    x, y = point.unbind(-1)
    return (x + 2 * y - 7) ** 2 + (2 * x + y - 5) ** 2


def camel(point: Tensor) -> Tensor:
    """The six-hump camel: six valleys, of which two are the lowest."""
    x, y = point.unbind(-1)
    return (4 - 2.1 * x**2 + x**4 / 3) * x**2 + x * y + (4 * y**2 - 4) * y**2


def styblinski_tang(point: Tensor) -> Tensor:
    """Styblinski and Tang's function: four valleys, of which one is the lowest."""
    return (point**4 - 16 * point**2 + 5 * point).sum(-1) / 2


HIMMELBLAU = ((3.0, 2.0), (-2.805118, 3.131312), (-3.779310, -3.283186), (3.584428, -1.848127))
CAMEL = ((0.0898420, -0.7126564), (-0.0898420, 0.7126564))
SURFACES: Mapping[str, Surface] = {
    surface.name: surface
    for surface in (
        Surface(
            "beale",
            beale,
            start=(1.0, 1.5),
            box=((-4.5, 4.5), (-4.5, 4.5)),
            minima=((3.0, 0.5),),
            formula="(1.5 − x + xy)² + (2.25 − x + xy²)² + (2.625 − x + xy³)²",
            title="Beale's function",
        ),
        Surface(
            "saddle",
            saddle,
            start=(1.5, 1e-3),
            box=((-2.0, 2.0), (-2.0, 2.0)),
            formula="x² − y²",
            title="Saddle point",
            bounded=False,
        ),
        Surface(
            "valley",
            valley,
            start=(-4.0, 1.5),
            box=((-5.0, 5.0), (-2.0, 2.0)),
            minima=((0.0, 0.0),),
            formula="½ (x² / 100 + y²)",
            title="Long valley",
        ),
        Surface(
            "ridge",
            ridge,
            start=(-4.0, 1e-3),
            box=((-5.0, 5.0), (-2.0, 2.0)),
            minima=((0.0, -1.0), (0.0, 1.0)),
            formula="¼ (y² − 1)² + x² / 200",
            title="Ridge between two valleys",
        ),
        Surface(
            "rosenbrock",
            rosenbrock,
            start=(-2.0, 2.0),
            box=((-2.0, 2.0), (-1.0, 3.0)),
            minima=((1.0, 1.0),),
            formula="(1 − x)² + 100 (y − x²)²",
            title="Rosenbrock's function",
        ),
        Surface(
            "himmelblau",
            himmelblau,
            start=(0.0, -1.0),
            box=((-5.0, 5.0), (-5.0, 5.0)),
            minima=HIMMELBLAU,
            formula="(x² + y − 11)² + (x + y² − 7)²",
            title="Himmelblau's function",
        ),
        Surface(
            "rastrigin",
            rastrigin,
            start=(-2.0, 3.5),
            box=((-4.5, 4.5), (-4.5, 4.5)),
            minima=((0.0, 0.0),),
            formula="20 + x² + y² − 10 (cos 2πx + cos 2πy)",
            title="Rastrigin's function",
        ),
        Surface(
            "booth",
            booth,
            start=(-8.0, 6.0),
            box=((-10.0, 10.0), (-10.0, 10.0)),
            minima=((1.0, 3.0),),
            formula="(x + 2y − 7)² + (2x + y − 5)²",
            title="Booth's function",
        ),
        Surface(
            "camel",
            camel,
            start=(-1.8, -0.9),
            box=((-2.0, 2.0), (-1.0, 1.0)),
            minima=CAMEL,
            formula="(4 − 2.1x² + x⁴ / 3) x² + xy + (4y² − 4) y²",
            title="Six-hump camel",
        ),
        Surface(
            "styblinski_tang",
            styblinski_tang,
            start=(0.5, 4.5),
            box=((-5.0, 5.0), (-5.0, 5.0)),
            minima=((-2.9035340, -2.9035340),),
            formula="½ (x⁴ − 16x² + 5x + y⁴ − 16y² + 5y)",
            title="Styblinski and Tang's function",
        ),
        quadratic(100),
        Surface(
            "moons",
            moons,
            start=(3.0, -1.0),
            box=((-4.0, 4.0), (-2.0, 6.0)),
            minima=((-1.3408810851, 3.6821732796),),
            formula="mean log(1 + exp(−label · (x, y)·example)), 4 of 64 examples a step",
            title="Logistic regression on two moons",
            noisy=moons_batch,
        ),
    )
}
