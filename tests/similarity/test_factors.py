import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from torchstone.similarity import factor
from torchstone.similarity.factors import cross_cosines, panels


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(n=st.integers(3, 25), d=st.integers(1, 40), single=st.booleans(), seed=st.integers(0, 1000))
def test_factors_give_the_centred_matrix_back(n: int, d: int, single: bool, seed: int) -> None:
    x = normal(n, d, seed=seed).to(torch.float32 if single else torch.float64)
    layer = factor(x)
    assert layer.vt is not None
    centred = x.double() - x.double().mean(0)
    # the Gram route works on squares: half the digits of float64, all those of float32
    torch.testing.assert_close(layer.u * layer.s @ layer.vt, centred, rtol=0, atol=1e-6 if single else 1e-11)
    identity = torch.eye(layer.rank, dtype=torch.float64)
    torch.testing.assert_close(layer.u.mT @ layer.u, identity, rtol=0, atol=1e-11)
    assert (layer.s.diff() <= 0).all()


@pytest.mark.parametrize(("n", "d"), [(40, 12), (12, 40)])
@pytest.mark.parametrize("offset", [0.0, 1e4])
@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_the_rank_is_that_of_the_data_not_of_its_rounding(n: int, d: int, offset: float, scale: float) -> None:
    x = (scale * (normal(n, 5) @ normal(5, d, seed=1) + offset)).float()
    assert factor(x).rank == 5


@pytest.mark.parametrize(("n", "d"), [(40, 12), (12, 40)])
def test_rank_of_float64_is_numpys(n: int, d: int) -> None:
    x = normal(n, 5) @ normal(5, d, seed=1)
    assert factor(x).rank == np.linalg.matrix_rank((x - x.mean(0)).numpy()) == 5


def test_a_direction_of_small_variance_is_kept() -> None:
    x = normal(100, 3) * torch.tensor([1.0, 1e-2, 1e-4])
    assert factor(x.float()).rank == 3


def test_gram_diagonal_is_the_squared_norm_of_each_example() -> None:
    x = normal(9, 4)
    torch.testing.assert_close(factor(x).gram_diagonal, (x - x.mean(0)).square().sum(1))


def test_stacked_products_are_the_single_ones() -> None:
    a = [factor(normal(15, d, seed=d)) for d in (3, 20, 1)]
    b = [factor(normal(15, d, seed=-d)) for d in (4, 30)]
    for x, panel in zip(a, panels(a, b), strict=True):
        for y, m in zip(b, panel, strict=True):
            torch.testing.assert_close(m, cross_cosines(x, y), rtol=0, atol=1e-14)


def test_the_basis_is_kept_on_demand() -> None:
    assert factor(normal(8, 3), keep_basis=False).vt is None
    assert factor(normal(8, 30).float(), keep_basis=False).vt is None


def test_theorem_1_is_seen() -> None:
    assert factor(normal(8, 7)).spans_everything
    assert not factor(normal(8, 6)).spans_everything
    assert not factor(normal(8, 2) @ normal(2, 50)).spans_everything
