import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from torchstone.optim import SURFACES, Surface, quadratic
from torchstone.optim.moons import MOONS, moons, moons_batch

BOX = ((-1.0, 1.0), (-1.0, 1.0))
KNOWN = [name for name, surface in SURFACES.items() if surface.minima]


def bowl(point: Tensor) -> Tensor:
    return point.square().sum(-1)


@pytest.mark.parametrize("name", KNOWN)
def test_the_minima_are_flat_and_curve_upwards(name: str) -> None:
    surface = SURFACES[name]
    for minimum in surface.minima:
        point = torch.tensor(minimum, dtype=torch.float64)
        slope = torch.autograd.functional.jacobian(surface.f, point)
        curvature = torch.autograd.functional.hessian(surface.f, point)
        assert slope.abs().max() < 1e-3
        assert torch.linalg.eigvalsh(curvature).min() > 0


@pytest.mark.parametrize("name", KNOWN)
def test_nothing_on_the_map_is_lower_than_the_minima(name: str) -> None:
    surface = SURFACES[name]
    x, y = (torch.linspace(low, high, 201, dtype=torch.float64) for low, high in surface.box)
    lowest = surface.lowest
    assert lowest is not None
    assert float(surface.f(torch.cartesian_prod(x, y)).min()) >= lowest - 1e-9


@pytest.mark.parametrize(
    ("name", "point", "value"),
    [
        ("beale", (0.0, 0.0), 1.5**2 + 2.25**2 + 2.625**2),
        ("saddle", (3.0, 2.0), 5.0),
        ("valley", (10.0, 1.0), 1.0),
        ("ridge", (0.0, 0.0), 0.25),
        ("rosenbrock", (0.0, 1.0), 101.0),
        ("himmelblau", (0.0, 0.0), 170.0),
        ("rastrigin", (1.0, 0.0), 1.0),
        ("booth", (0.0, 0.0), 74.0),
        ("camel", (1.0, 1.0), 4 - 2.1 + 1 / 3 + 1.0),
        ("styblinski_tang", (1.0, -1.0), -15.0),
        ("quadratic-100", (2.0, 3.0), 452.0),
        ("moons", (0.0, 0.0), math.log(2)),
    ],
)
def test_values_worked_out_by_hand(name: str, point: tuple[float, float], value: float) -> None:
    assert SURFACES[name].f(torch.tensor(point, dtype=torch.float64)).item() == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("name", SURFACES)
def test_gradients(name: str) -> None:
    surface = SURFACES[name]
    points = torch.tensor([surface.start, (0.3, -0.4)], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(surface.f, points)


@given(st.floats(1, 1e6))
def test_the_curvatures_of_the_quadratic_differ_by_kappa(kappa: float) -> None:
    curvature = torch.autograd.functional.hessian(quadratic(kappa).f, torch.zeros(2, dtype=torch.float64))
    torch.testing.assert_close(curvature, torch.diag(torch.tensor([1.0, kappa], dtype=torch.float64)))


@pytest.mark.parametrize("kappa", [0.5, 0.0, -3.0, math.inf, math.nan])
def test_no_other_condition_number(kappa: float) -> None:
    with pytest.raises(ValueError, match="kappa must be a finite number of at least 1"):
        quadratic(kappa)


def test_the_batches_of_the_moons_average_to_the_whole_loss() -> None:
    generator, weights = torch.Generator().manual_seed(0), torch.tensor([[1.0, -2.0], [0.5, 3.0]], dtype=torch.float64)
    draws = torch.stack([moons_batch(weights, generator) for _ in range(4000)])
    error = (draws.mean(0) - moons(weights)) / (draws.std(0) / math.sqrt(len(draws)))
    assert error.abs().max() < 4
    assert draws.std(0).min() > 0.05, "they are batches"


def test_the_moons_are_two_halves_that_a_line_through_the_origin_splits_in_part() -> None:
    best = torch.tensor(SURFACES["moons"].minima[0], dtype=torch.float64)
    assert MOONS % 2 == 0
    assert 0 < float(moons(best)) < math.log(2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", SURFACES)
def test_the_type_of_the_points_is_kept(name: str, dtype: torch.dtype) -> None:
    assert SURFACES[name].f(torch.zeros(3, 4, 2, dtype=dtype)).shape == (3, 4)
    assert SURFACES[name].f(torch.zeros(2, dtype=dtype)).dtype == dtype


def of_one_point_only(point: Tensor) -> Tensor:
    return point[0] ** 2 + point[1] ** 2


def mixing(point: Tensor) -> Tensor:
    return bowl(point) - bowl(point).mean()


def cut_off(point: Tensor) -> Tensor:
    return bowl(point).detach()


def undefined(point: Tensor) -> Tensor:
    return bowl(point).sqrt().neg().log()


@pytest.mark.parametrize(
    ("f", "words"),
    [
        (of_one_point_only, "point.unbind"),
        (cut_off, "differentiable"),
        (mixing, "no other point changes"),
        (undefined, "at its start"),
        (lambda point: 0.0, "differentiable"),
    ],
)
def test_functions_that_are_no_surfaces(f: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Surface("mine", f, start=(0.5, 0.5), box=BOX)


@pytest.mark.parametrize(
    ("places", "words"),
    [
        ({"start": (2.0, 0.0)}, "start"),
        ({"start": (math.nan, 0.0)}, "start"),
        ({"start": (0.0, 0.0, 0.0)}, "start"),
        ({"minima": ((0.0, 5.0),)}, "a minimum"),
        ({"minima": ((0.9, 0.9),)}, "must be where f is lowest"),
        ({"box": ((1.0, -1.0), (-1.0, 1.0))}, "low < high"),
        ({"box": ((-1.0, 1.0),) * 3}, "box must be"),
        ({"box": ((-math.inf, 1.0), (-1.0, 1.0))}, "low < high"),
    ],
)
def test_places_that_are_none(places: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Surface("mine", bowl, **({"start": (0.5, 0.5), "box": BOX} | places))
