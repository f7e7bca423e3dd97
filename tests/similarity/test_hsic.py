import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from torchstone.similarity import center, hsic, u_center


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def song(k: Tensor, l: Tensor) -> Tensor:  # noqa: E741
    """HSIC_1 as Song et al. write it."""
    n = len(k)
    k, l = (g - torch.diag(g.diagonal()) for g in (k, l))  # noqa: E741
    ones = torch.ones(n, dtype=k.dtype)
    middle = (ones @ k @ ones) * (ones @ l @ ones) / ((n - 1) * (n - 2))
    return (torch.trace(k @ l) + middle - 2 / (n - 2) * (ones @ k @ l @ ones)) / (n * (n - 3))


@given(n=st.integers(4, 20), seed=st.integers(0, 1000))
def test_debiased_hsic_is_songs_estimator(n: int, seed: int) -> None:
    x, y = normal(n, 3, seed=seed), normal(n, 30, seed=seed + 1)
    torch.testing.assert_close(hsic(x, y), song(x @ x.mT, y @ y.mT), rtol=1e-9, atol=1e-11)


def test_biased_hsic_is_the_trace() -> None:
    x, y, n = normal(12, 3), normal(12, 4, seed=1), 12
    h = torch.eye(n, dtype=torch.float64) - 1 / n
    trace = torch.trace(x @ x.mT @ h @ y @ y.mT @ h) / (n - 1) ** 2
    torch.testing.assert_close(hsic(x, y, estimator="biased"), trace)


def test_debiased_hsic_of_independent_data_is_zero_on_average() -> None:
    values = torch.stack([hsic(normal(8, 20, seed=i), normal(8, 20, seed=-i - 1)) for i in range(300)])
    assert values.mean().abs() < 3 * values.std() / 300**0.5


@given(n=st.integers(4, 12), seed=st.integers(0, 1000))
def test_u_centring(n: int, seed: int) -> None:
    z = normal(2, n, 3, seed=seed)
    gram = z @ z.mT
    centred = u_center(gram)
    torch.testing.assert_close(centred.sum(-1), torch.zeros(2, n, dtype=torch.float64), rtol=0, atol=1e-11)
    assert torch.equal(centred.diagonal(dim1=-2, dim2=-1), torch.zeros(2, n, dtype=torch.float64))
    torch.testing.assert_close(u_center(center(gram)), centred, rtol=0, atol=1e-11)  # additive terms do not count
    torch.testing.assert_close(u_center(gram[1]), centred[1])


def test_centring_is_the_projection() -> None:
    gram = normal(2, 6, 6)
    h = torch.eye(6, dtype=torch.float64) - 1 / 6
    torch.testing.assert_close(center(gram), h @ gram @ h)


def test_a_large_mean_in_float32_does_no_harm() -> None:
    x, y = normal(64, 8).float(), normal(64, 8, seed=1).float() + normal(64, 8).float()
    clean = hsic(x.double(), y.double())
    torch.testing.assert_close(hsic(x, y).double(), clean, rtol=1e-6, atol=0)
    moved = x + 1e4  # rounds x to 3 digits: compare with the rounded numbers themselves
    torch.testing.assert_close(hsic(moved, y).double(), hsic(moved.double() - 1e4, y.double()), rtol=1e-6, atol=0)


@pytest.mark.parametrize("d", [3, 30])
@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_no_float32_is_too_large_or_small(scale: float, d: int) -> None:
    x, y = normal(12, d).float(), normal(12, d, seed=1).float()
    large = hsic(scale * x, scale * y)
    assert large.dtype == torch.float64
    torch.testing.assert_close(large / (scale**2) / (scale**2), hsic(x, y), rtol=1e-5, atol=0)


@pytest.mark.parametrize("d", [3, 30])
def test_an_overflow_is_refused(d: int) -> None:
    x = normal(12, d) * 1e100
    with pytest.raises(ValueError, match="HSIC of x and y overflows in float64"):
        hsic(x, x)


def test_constant_input_has_no_covariance() -> None:
    for kernel in ("linear", "rbf"):
        assert hsic(torch.full((6, 3), 5.0), normal(6, 2).float(), kernel=kernel) == 0  # type: ignore[arg-type]


@pytest.mark.parametrize("estimator", ["debiased", "biased"])
@pytest.mark.parametrize(("d1", "d2"), [(2, 3), (9, 12)])
def test_gradients(estimator: str, d1: int, d2: int) -> None:
    x, y = normal(6, d1).requires_grad_(), normal(6, d2, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: hsic(a, b, estimator=estimator), (x, y))


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="3 examples: the debiased estimator needs at least 4"):
        hsic(normal(3, 2), normal(3, 2))
    with pytest.raises(ValueError, match="estimator is 'unbiased': it must be one of 'debiased', 'biased'"):
        hsic(normal(5, 2), normal(5, 2), estimator="unbiased")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="gram has shape"):
        u_center(normal(5, 4))
    with pytest.raises(ValueError, match="at least 4"):
        u_center(normal(3, 3))
