from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import orthogonal_procrustes
from scipy.spatial import procrustes as scipy_procrustes
from torch import Tensor

from torchstone.similarity import angular_distance, cka, procrustes_distance

size_and_shape = partial(procrustes_distance, normalize=False)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def standard(x: Tensor) -> Tensor:
    centred = x - x.mean(0)
    return centred / centred.norm()


def test_the_nuclear_norm_is_scipys() -> None:
    x, y = normal(30, 5), normal(30, 5, seed=1)
    _, nuclear = orthogonal_procrustes(standard(x).numpy(), standard(y).numpy())
    assert procrustes_distance(x, y).item() == pytest.approx((2 - 2 * nuclear) ** 0.5)
    assert angular_distance(x, y).item() == pytest.approx(np.arccos(nuclear))


def test_scipys_disparity_also_fits_the_scale() -> None:
    x, y = normal(30, 5), normal(30, 5, seed=1)
    nuclear = 1 - procrustes_distance(x, y) ** 2 / 2
    assert scipy_procrustes(x.numpy(), y.numpy())[2] == pytest.approx(1 - nuclear.item() ** 2)


@pytest.mark.parametrize(("n", "d"), [(30, 5), (6, 40)])
def test_size_and_shape_is_what_the_best_rotation_leaves(n: int, d: int) -> None:
    x, y = normal(n, d), 3 * normal(n, d, seed=1)
    a, b = (z - z.mean(0) for z in (x, y))
    rotation, _ = orthogonal_procrustes(a.numpy(), b.numpy())
    torch.testing.assert_close(size_and_shape(x, y), (a @ torch.from_numpy(rotation) - b).norm())


def test_the_narrower_one_is_padded() -> None:
    x, y = normal(20, 3), normal(20, 5, seed=1)
    padded = torch.cat([x, torch.zeros(20, 2, dtype=torch.float64)], 1)
    torch.testing.assert_close(procrustes_distance(x, y), procrustes_distance(padded, y))


def test_few_examples_take_the_short_way_to_the_same_number() -> None:
    x, y = normal(12, 40), normal(12, 30, seed=1)
    nuclear = torch.linalg.svdvals(standard(x).mT @ standard(y)).sum()
    torch.testing.assert_close(procrustes_distance(x, y), (2 - 2 * nuclear).sqrt())


@pytest.mark.parametrize(
    "distance",
    [
        procrustes_distance,
        angular_distance,
        size_and_shape,
        lambda x, y: cka(x, y, kernel="rbf", estimator="biased").acos(),
    ],
    ids=["procrustes", "angular", "size-and-shape", "arccos of CKA"],
)
@given(seed=st.integers(0, 10_000), n=st.integers(6, 20))
def test_metric_axioms(distance, seed: int, n: int) -> None:
    x, y = normal(n, 2, seed=seed), normal(n, 3, seed=seed + 1)
    z = torch.cat([x, y[:, :1]], 1)  # nearly between the two
    assert distance(x, y) >= 0
    torch.testing.assert_close(distance(x, y), distance(y, x))
    assert distance(x, x + 0) < 1e-6
    for a, b, c in ((x, z, y), (x, y, z), (z, x, y)):
        assert distance(a, c) <= distance(a, b) + distance(b, c) + 1e-9


def test_one_constant_input() -> None:
    x = normal(10, 3)
    torch.testing.assert_close(size_and_shape(x, torch.ones(10, 2)), (x - x.mean(0)).norm())


@pytest.mark.parametrize("distance", [procrustes_distance, angular_distance, size_and_shape])
def test_gradients(distance) -> None:
    x, y = normal(9, 3).requires_grad_(), normal(9, 2, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(distance, (x, y))
