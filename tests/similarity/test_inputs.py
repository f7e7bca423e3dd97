"""Every row of bad input that a function of two matrices can meet, for all of them."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from torchstone.similarity import (
    SimilarityWarning,
    angular_distance,
    canonical_correlations,
    cca,
    cka,
    factor,
    hsic,
    linear_regression,
    procrustes_distance,
    pwcca,
    svcca,
)

FUNCTIONS = [
    cka, partial(cka, kernel="rbf"), hsic, cca, svcca, pwcca, linear_regression,
    procrustes_distance, angular_distance, canonical_correlations,
]  # fmt: skip
every_function = pytest.mark.parametrize("function", FUNCTIONS)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@every_function
def test_different_numbers_of_examples(function) -> None:
    message = "x has 128 rows, y 130: representations must come from the same examples in the same order"
    with pytest.raises(ValueError, match=message):
        function(normal(128, 3), normal(130, 3))


@every_function
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_not_finite(function, bad: float) -> None:
    x = normal(20, 3)
    x[4, 1] = bad
    with pytest.raises(ValueError, match="y has NaN or infinite values"):
        function(normal(20, 3), x)


@every_function
@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (torch.ones(20, 3, dtype=torch.bool), TypeError, "x has dtype torch.bool"),
        (torch.ones(20, 3, dtype=torch.complex64), TypeError, "x has dtype torch.complex64"),
        (np.ones((20, 3), dtype=bool), TypeError, "x has dtype bool"),
        (np.array([["a"]]), TypeError, "x has dtype <U1"),
        ([[1.0], [2.0]], TypeError, "x is a list"),
        (torch.ones(20), ValueError, r"x has shape \(20,\)"),
        (torch.ones(20, 3, 4, 4), ValueError, r"Flatten .*x.flatten\(1\)"),
        (torch.ones(0, 3), ValueError, r"x has shape \(0, 3\): at least 2 examples"),
        (torch.ones(20, 0), ValueError, r"x has shape \(20, 0\)"),
        (torch.ones(1, 3), ValueError, r"x has shape \(1, 3\)"),
    ],
)
def test_wrong_inputs(function, x: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        function(x, normal(20, 3))


@every_function
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int64, torch.uint8])
def test_narrow_numbers_are_computed_in_float64_and_all_but_hsic_delivered_in_float32(
    function, dtype: torch.dtype
) -> None:
    x, y = (normal(20, 3) * 20 + 100).to(dtype), normal(20, 4, seed=1)
    result = function(x, y)
    assert result.dtype == (torch.float64 if function is hsic else torch.float32)
    torch.testing.assert_close(result, function(x.double(), y.double()).to(result.dtype))


@every_function
def test_arrays_are_computed_in_float64(function) -> None:
    x, y = normal(20, 3).numpy(), normal(20, 4, seed=1).numpy()
    x.setflags(write=False)
    result = function(x, y[:, ::-1])
    assert result.dtype == torch.float64
    assert torch.equal(result, function(torch.tensor(x).double(), torch.tensor(y).flip(1).double()))


@every_function
def test_inputs_stay_as_they_are(function) -> None:
    x, y = normal(20, 3), normal(20, 4, seed=1)
    before = x.clone(), y.clone()
    first = function(x, y)
    assert torch.equal(first, function(x, y))
    assert torch.equal(x, before[0])
    assert torch.equal(y, before[1])


@pytest.mark.parametrize("function", [f for f in FUNCTIONS if f not in (hsic, canonical_correlations)])
@pytest.mark.parametrize("value", [0.0, 0.1, 1e4])
def test_constant_input_is_undefined_and_named(function, value: float) -> None:
    with pytest.warns(SimilarityWarning, match="x is constant on these 20 examples"):
        assert function(torch.full((20, 3), value), normal(20, 4)).isnan()
    with pytest.warns(SimilarityWarning, match="y is constant on these 20 examples"):
        assert function(normal(20, 4), torch.full((20, 3), value)).isnan()


def test_constant_up_to_rounding_is_constant() -> None:
    x = torch.full((20, 3), 1e4)
    x[3, 1] = torch.nextafter(x[3, 1], torch.tensor(2e4))
    assert factor(x).rank == 0


def test_gradients_arrive_in_the_dtype_of_the_input() -> None:
    x = normal(20, 3).half().requires_grad_()
    cka(x, normal(20, 4)).backward()
    assert x.grad is not None
    assert x.grad.dtype == torch.float16


@pytest.mark.parametrize("convert", [Tensor.numpy, Tensor.half, Tensor.bfloat16])
@pytest.mark.parametrize(("n", "d"), [(200, 20), (40, 60)])
def test_rounding_counts_in_the_dtype_that_came(convert, n: int, d: int) -> None:
    """Five directions and what rounding made of them are five directions, not twenty."""
    x = convert(normal(n, 5) @ normal(5, d, seed=1))
    assert factor(x).rank == 5


@pytest.mark.parametrize("convert", [Tensor.clone, Tensor.numpy])
def test_integers_are_exact_however_large(convert) -> None:
    x = torch.randint(50, (100, 3), generator=torch.Generator().manual_seed(0))
    assert cka(convert(x + 10**9), convert(x)).item() == pytest.approx(1)


def test_sparse_tensors_are_refused() -> None:
    with pytest.raises(TypeError, match=r"x is a sparse tensor.*x\.to_dense"):
        cka(torch.eye(5).to_sparse(), torch.eye(5))


@pytest.mark.parametrize("function", [f for f in FUNCTIONS if f is not hsic])
@pytest.mark.parametrize("scale", [1e-200, 1e200])
@pytest.mark.parametrize("d", [3, 12])
def test_no_scale_is_too_large_or_small_for_an_index_that_ignores_it(function, scale: float, d: int) -> None:
    x, y = normal(20, d).double(), normal(20, 4, seed=1).double()
    torch.testing.assert_close(function(scale * x, y), function(x, y))
