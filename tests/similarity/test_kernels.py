import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import rbf_kernel as sklearn_rbf
from torch import Tensor

from torchstone.similarity import SimilarityWarning, cka, linear_kernel, rbf_kernel


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("n", [9, 10])  # 36 and 45 pairs: an even and an odd number
@pytest.mark.parametrize("include_diagonal", [False, True])
def test_rbf_is_sklearns_with_the_median_of_scipy(n: int, include_diagonal: bool) -> None:
    from scipy.spatial.distance import pdist, squareform

    x = normal(n, 3).numpy()
    distances = pdist(x, "sqeuclidean")
    median = np.median(squareform(distances) if include_diagonal else distances)
    expected = sklearn_rbf(x, gamma=1 / (2 * 0.2**2 * median))
    got = rbf_kernel(x, bandwidth=0.2, include_diagonal=include_diagonal)
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-9)


def test_linear_kernel_is_numpys_covariance_of_examples() -> None:
    x = normal(7, 3)
    centred = x.numpy() - x.numpy().mean(0)
    np.testing.assert_allclose(linear_kernel(x).numpy(), centred @ centred.T, atol=1e-12)


def test_rbf_gradient() -> None:
    assert torch.autograd.gradcheck(lambda x: rbf_kernel(x), normal(6, 2).requires_grad_())


def test_coinciding_examples_are_named() -> None:
    x = torch.zeros(10, 2)
    x[0] = 1
    with pytest.warns(SimilarityWarning, match="half the pairs of examples coincide in x"):
        assert rbf_kernel(x).isnan().all()


@pytest.mark.parametrize("d", [3, 700])
def test_examples_that_differ_in_their_last_digits_coincide(d: int) -> None:
    x = normal(10, d)
    x[:9] = x[0] * (1 + 2**-52 * torch.arange(9.0, dtype=torch.float64))[:, None]
    with pytest.warns(SimilarityWarning, match="coincide in x"):
        assert rbf_kernel(x).isnan().all()


def test_examples_that_all_coincide_are_all_equally_alike() -> None:
    assert torch.equal(rbf_kernel(torch.full((5, 2), 0.1)), torch.ones(5, 5))


@pytest.mark.parametrize("bandwidth", [0.0, -1.0, float("nan")])
def test_bandwidth_must_be_positive(bandwidth: float) -> None:
    with pytest.raises(ValueError, match=r"bandwidth is .*: it must be positive"):
        rbf_kernel(normal(5, 2), bandwidth=bandwidth)


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (lambda x: x, r"kernel returned shape \(8, 3\) for 8 examples"),
        (lambda x: 1.0, "kernel returned float"),
        (lambda x: x @ x.mT / 0, "kernel returned NaN or infinite"),
        (lambda x: torch.arange(64.0).view(8, 8), "not symmetric"),
        ("cosine", "kernel is 'cosine': it must be 'linear', 'rbf' or a callable"),
    ],
)
def test_bad_kernels(kernel: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cka(normal(8, 3), normal(8, 3), kernel=kernel)  # type: ignore[arg-type]
