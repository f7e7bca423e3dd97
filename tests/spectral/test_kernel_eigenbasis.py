"""The kernel's eigenvectors: sines on a circle, orthonormal anywhere."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import circulant

from torchstone.spectral import KernelEigenbasis, kernel_eigenbasis, petal_manifold, project, radial_label_noise
from torchstone.spectral.signals import SumOfSines

X = torch.randn(40, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def circle(n: int) -> torch.Tensor:
    return petal_manifold(torch.arange(n, dtype=torch.float64) / n, 0)


def kernel(x: np.ndarray, sigma: float) -> np.ndarray:
    """Entry by entry, as it is printed in textbooks."""
    return np.array([[math.exp(-float(((a - b) ** 2).sum()) / (2 * sigma**2)) for b in x] for a in x])


class TestKernelEigenbasis:
    def test_rebuilds_the_kernel(self) -> None:
        basis = kernel_eigenbasis(X, 1.25)
        rebuilt = basis.vectors @ basis.eigenvalues.diag() @ basis.vectors.T
        np.testing.assert_allclose(rebuilt, kernel(X.numpy(), 1.25), atol=1e-13)

    @settings(max_examples=20)
    @given(st.integers(0, 2**31), st.floats(0.01, 100))
    def test_is_orthonormal_and_sorted(self, seed: int, sigma: float) -> None:
        x = torch.randn(15, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        basis = kernel_eigenbasis(x, sigma)
        torch.testing.assert_close(basis.vectors.T @ basis.vectors, torch.eye(15, dtype=torch.float64))
        assert bool((basis.eigenvalues.diff() <= 0).all())
        assert float(basis.eigenvalues.sum()) == pytest.approx(15)  # the trace

    def test_on_a_circle_they_are_sines_from_low_to_high(self) -> None:
        """The matrix is then circulant: its eigenvalues are the FFT of its first column."""
        x = circle(24)
        basis = kernel_eigenbasis(x, 0.3)
        column = kernel(x.numpy(), 0.3)[:, 0]
        assert np.allclose(circulant(column), kernel(x.numpy(), 0.3))
        np.testing.assert_allclose(basis.eigenvalues, np.sort(np.fft.fft(column).real)[::-1], atol=1e-12)
        for k in (1, 4, 9):
            shares = project(SumOfSines(k, n=24, dtype=torch.float64, seed=k).values, basis).square()
            assert float(shares[2 * k - 1 : 2 * k + 1].sum() / shares.sum()) == pytest.approx(1)

    def test_the_largest_entry_of_each_vector_is_positive(self) -> None:
        vectors = kernel_eigenbasis(X, 1.0).vectors
        assert bool((vectors.amax(0) == vectors.abs().amax(0)).all())

    @given(st.integers(0, 2**31))
    @settings(max_examples=20)
    def test_moving_and_turning_the_examples_changes_nothing(self, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        turn = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64)).Q
        moved = X @ turn + torch.randn(3, generator=generator, dtype=torch.float64)
        torch.testing.assert_close(kernel_eigenbasis(moved, 1.0).eigenvalues, kernel_eigenbasis(X, 1.0).eigenvalues)

    def test_examples_that_coincide_lower_the_rank(self) -> None:
        assert kernel_eigenbasis(X, 1.0).rank == 40
        assert kernel_eigenbasis(torch.cat([X, X[:15]]), 1.0).rank == 40
        assert kernel_eigenbasis(torch.ones(5, 2), 1.0).rank == 1

    @pytest.mark.parametrize(("sigma", "rank"), [(1e-200, 40), (1e200, 1)])
    def test_widths_whose_squares_no_float_holds(self, sigma: float, rank: int) -> None:
        """Every example its own, or all alike."""
        basis = kernel_eigenbasis(X, sigma)
        assert basis.rank == rank
        assert float(basis.eigenvalues.sum()) == pytest.approx(40)

    def test_single_precision_is_computed_in_double(self) -> None:
        single = kernel_eigenbasis(X.float(), 1.0)
        assert torch.equal(single.vectors, kernel_eigenbasis(X.float().double(), 1.0).vectors)

    @pytest.mark.parametrize(
        ("x", "sigma", "error", "message"),
        [
            (torch.zeros(3, 2, dtype=torch.int64), 1.0, TypeError, "floating-point"),
            (torch.zeros(3), 1.0, ValueError, "one example a row"),
            (torch.zeros(0, 2), 1.0, ValueError, "one example a row"),
            (torch.tensor([[math.nan]]), 1.0, ValueError, "finite"),
            (X, 0.0, ValueError, "sigma"),
            (X, math.nan, ValueError, "sigma"),
            (X, math.inf, ValueError, "sigma"),
        ],
    )
    def test_refuses(self, x: torch.Tensor, sigma: float, error: type[Exception], message: str) -> None:
        with pytest.raises(error, match=message):
            kernel_eigenbasis(x, sigma)


class TestProject:
    BASIS = kernel_eigenbasis(X, 1.25)

    @given(st.integers(0, 2**31))
    def test_keeps_lengths_and_can_be_undone(self, seed: int) -> None:
        values = torch.randn(2, 5, 40, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        found = project(values, self.BASIS)
        torch.testing.assert_close(found.square().sum(-1), values.square().sum(-1))
        torch.testing.assert_close(found @ self.BASIS.vectors.T, values)

    def test_of_an_eigenvector_is_one_coefficient(self) -> None:
        torch.testing.assert_close(project(self.BASIS.vectors.T, self.BASIS), torch.eye(40, dtype=torch.float64))

    def test_slow_radial_noise_is_smooth_and_fast_is_rough(self) -> None:
        slow, fast = (project(radial_label_noise(X, k), self.BASIS).square() for k in (1.0, 50.0))
        assert float(slow[:10].sum() / slow.sum()) > 0.8
        assert float(fast[:10].sum() / fast.sum()) < 0.5

    def test_whole_numbers_are_values_too(self) -> None:
        labels = torch.arange(40)
        torch.testing.assert_close(project(labels, self.BASIS), project(labels.double(), self.BASIS))

    def test_nan_is_kept(self) -> None:
        values = torch.ones(2, 40)
        values[0, 3] = math.nan
        assert project(values, self.BASIS).isnan().all(1).tolist() == [True, False]

    @pytest.mark.parametrize(
        ("values", "error", "message"),
        [
            (torch.ones(40, 1), ValueError, "squeeze"),
            (torch.tensor(1.0), ValueError, "40 examples"),
            (torch.ones(40, dtype=torch.bool), TypeError, "real numbers"),
            (torch.ones(40, dtype=torch.complex64), TypeError, "real numbers"),
        ],
    )
    def test_refuses(self, values: torch.Tensor, error: type[Exception], message: str) -> None:
        with pytest.raises(error, match=message):
            project(values, self.BASIS)

    def test_a_basis_can_be_made_by_hand(self) -> None:
        axes = KernelEigenbasis(torch.ones(2), torch.eye(2, dtype=torch.float64), 2)
        assert project(torch.tensor([3.0, 4.0]), axes).tolist() == [3, 4]
