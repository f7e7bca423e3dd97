"""The paper's Table 1, in its own words: which maps of the inputs leave which index as it is."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from torchstone.similarity import (
    METRICS,
    angular_distance,
    cca,
    cka,
    factor,
    hsic,
    indexes,
    linear_regression,
    procrustes_distance,
    pwcca,
    svcca,
)

Index = Callable[[Tensor, Tensor], Tensor]

CKA = {
    "cka": cka,
    "cka biased": partial(cka, estimator="biased"),
    "cka rbf": partial(cka, kernel="rbf"),
}
CCA = {"cca": cca, "cca mean rho": partial(cca, summary="mean_rho")}
SVCCA = {
    "svcca": partial(svcca, threshold=0.8),
    "svcca by singular values": partial(svcca, threshold=0.8, criterion="singular_values", summary="mean_rho"),
}
PROCRUSTES = {"procrustes": procrustes_distance, "angular": angular_distance}
SIZED = {"hsic": hsic, "size-and-shape": partial(procrustes_distance, normalize=False)}
ROTATING = CKA | CCA | SVCCA | PROCRUSTES | SIZED | {"linear regression": linear_regression}
SCALING = CKA | CCA | SVCCA | PROCRUSTES | {"linear regression": linear_regression, "pwcca": pwcca}
EVERY = SCALING | SIZED
SYMMETRIC = CKA | CCA | SVCCA | PROCRUSTES | SIZED

# Three shapes: both narrow (feature form), and one each way.
shapes = st.sampled_from([(40, 3, 6), (40, 8, 5), (30, 4, 4)])
seeds = st.integers(0, 10_000)


def draw(shape: tuple[int, int, int], seed: int) -> tuple[Tensor, Tensor, torch.Generator]:
    """Two dependent representations with unequal variances, and the generator that made them."""
    n, d1, d2 = shape
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, d1, generator=generator, dtype=torch.float64) * torch.arange(1, d1 + 1)
    y = x @ torch.randn(d1, d2, generator=generator, dtype=torch.float64)
    return x, y + 3 * torch.randn(n, d2, generator=generator, dtype=torch.float64), generator


def rotation(d: int, generator: torch.Generator) -> Tensor:
    return torch.linalg.qr(torch.randn(d, d, generator=generator, dtype=torch.float64)).Q


def generic(d: int, generator: torch.Generator) -> Tensor:
    """An invertible map with singular values well away from 1."""
    stretch = torch.logspace(-1, 1, d, dtype=torch.float64)
    return rotation(d, generator) * stretch @ rotation(d, generator)


def assert_same(after: Tensor, before: Tensor) -> None:
    torch.testing.assert_close(after, before, rtol=1e-7, atol=1e-9)


def assert_orthogonally_invariant(index: Index, x: Tensor, y: Tensor, g: torch.Generator) -> None:
    assert_same(index(x @ rotation(x.shape[1], g), y @ rotation(y.shape[1], g)), index(x, y))


def assert_scale_invariant(index: Index, x: Tensor, y: Tensor) -> None:
    assert_same(index(1e-6 * x, 1e6 * y), index(x, y))


def assert_translation_invariant(index: Index, x: Tensor, y: Tensor) -> None:
    assert_same(index(x + 7, y - torch.arange(y.shape[1])), index(x, y))


def assert_independent_of_the_order_of_examples(index: Index, x: Tensor, y: Tensor, g: torch.Generator) -> None:
    order = torch.randperm(len(x), generator=g)
    assert_same(index(x[order], y[order]), index(x, y))


def assert_symmetric(index: Index, x: Tensor, y: Tensor) -> None:
    assert_same(index(y, x), index(x, y))


@pytest.mark.parametrize("name", ROTATING)
@given(shape=shapes, seed=seeds)
def test_orthogonal_maps(name: str, shape: tuple[int, int, int], seed: int) -> None:
    assert_orthogonally_invariant(ROTATING[name], *draw(shape, seed))


@pytest.mark.parametrize("name", SCALING)
@given(shape=shapes, seed=seeds)
def test_isotropic_scaling(name: str, shape: tuple[int, int, int], seed: int) -> None:
    assert_scale_invariant(SCALING[name], *draw(shape, seed)[:2])


@pytest.mark.parametrize("name", EVERY)
@given(shape=shapes, seed=seeds)
def test_offsets_and_order(name: str, shape: tuple[int, int, int], seed: int) -> None:
    x, y, generator = draw(shape, seed)
    assert_translation_invariant(EVERY[name], x, y)
    assert_independent_of_the_order_of_examples(EVERY[name], x, y, generator)


@pytest.mark.parametrize("name", SYMMETRIC)
@given(shape=shapes, seed=seeds)
def test_symmetry(name: str, shape: tuple[int, int, int], seed: int) -> None:
    assert_symmetric(SYMMETRIC[name], *draw(shape, seed)[:2])


@given(shape=shapes, seed=seeds)
def test_cca_is_invariant_to_invertible_maps_and_cka_is_not(shape: tuple[int, int, int], seed: int) -> None:
    x, y, generator = draw(shape, seed)
    mixed = y @ generic(y.shape[1], generator)
    for index in (*CCA.values(), linear_regression):
        assert_same(index(x, mixed), index(x, y))
    for index in (*CKA.values(), *PROCRUSTES.values()):
        assert (index(x, mixed) - index(x, y)).abs() > 1e-4


def test_what_is_not_invariant() -> None:
    x, y, generator = draw((40, 4, 4), 3)
    assert (pwcca(x @ rotation(4, generator), y) - pwcca(x, y)).abs() > 1e-4
    assert (pwcca(x, y) - pwcca(y, x)).abs() > 1e-4
    assert (linear_regression(x, y) - linear_regression(y, x)).abs() > 1e-4
    assert (linear_regression(x @ generic(4, generator), y) - linear_regression(x, y)).abs() > 1e-4
    torch.testing.assert_close(hsic(3 * x, y), 9 * hsic(x, y))


def _table(metric: str, x: Tensor, y: Tensor) -> Tensor:
    return indexes([metric], [factor(x)], [factor(y)], threshold=0.8)[metric].squeeze()


@pytest.mark.parametrize("metric", METRICS)
@given(shape=shapes, seed=seeds)
def test_the_catalogue_tells_the_truth(metric: str, shape: tuple[int, int, int], seed: int) -> None:
    x, y, generator = draw(shape, seed)
    index, facts = partial(_table, metric), METRICS[metric]
    if "orthogonal" in facts.invariances:
        assert_orthogonally_invariant(index, x, y, generator)
    if "invertible linear" in facts.invariances:
        assert_same(index(x @ generic(x.shape[1], generator), y @ generic(y.shape[1], generator)), index(x, y))
    if "isotropic scaling" in facts.invariances:
        assert_scale_invariant(index, x, y)
        assert index(x, x + 0) > index(x, y)
    if facts.symmetric:
        assert_symmetric(index, x, y)
