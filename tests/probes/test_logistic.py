from math import inf, nan
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ortho_group
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from torchstone.probes import LogisticFit, ProbeWarning, logistic_regression


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def episodes(e: int, way: int, shot: int, d: int, *, spread: float = 1.0, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Unit vectors around one centre a class, classes in a random order."""
    x = normal(e, way, 1, d, seed=seed) + spread * normal(e, way, shot, d, seed=seed + 1)
    order = torch.randperm(way * shot, generator=torch.Generator().manual_seed(seed))
    y = torch.arange(way).repeat_interleave(shot)[order].expand(e, -1)
    return torch.nn.functional.normalize(x.flatten(1, 2)[:, order], dim=-1), y


def sklearn_fit(x: Tensor, y: Tensor, c: float, weight: Tensor | None = None) -> LogisticRegression:
    model = LogisticRegression(C=c, tol=1e-10, max_iter=100_000)
    return model.fit(x.numpy(), y.numpy(), None if weight is None else weight.numpy())


def gradient(x: Tensor, y: Tensor, fit: LogisticFit, c: float) -> tuple[Tensor, Tensor]:
    """Of the objective, by autograd."""
    weight, bias = fit.weight.clone().requires_grad_(), fit.bias.clone().requires_grad_()
    loss = torch.nn.functional.cross_entropy(x @ weight.T + bias, y, reduction="sum")
    (weight.square().sum() / 2 + c * loss).backward()
    assert weight.grad is not None
    assert bias.grad is not None
    return weight.grad, bias.grad


@pytest.mark.parametrize("c", [0.01, 1.0, 100.0])
@pytest.mark.parametrize(("way", "shot", "d"), [(5, 5, 40), (5, 1, 16), (3, 30, 8), (4, 4, 16)])
def test_the_optimum_is_scikit_learns(way: int, shot: int, d: int, c: float) -> None:
    x, y = episodes(3, way, shot, d)
    fit = logistic_regression(x, y, c=c)
    for i in range(3):
        peer = sklearn_fit(x[i], y[i], c)
        np.testing.assert_allclose(fit.weight[i].numpy(), peer.coef_, atol=1e-4, rtol=0)
        np.testing.assert_allclose(fit.bias[i].numpy(), peer.intercept_, atol=1e-4, rtol=0)


def test_two_classes_are_scikit_learns_at_twice_c() -> None:
    x, y = episodes(1, 2, 20, 6)
    fit, peer = logistic_regression(x, y, c=1.5), sklearn_fit(x[0], y[0], 3.0)
    np.testing.assert_allclose(2 * fit.weight[0, 1].numpy(), peer.coef_[0], atol=1e-4, rtol=0)


def test_weights_are_scikit_learns_sample_weights() -> None:
    (x, y), weight = episodes(1, 3, 10, 8), normal(1, 30).abs()
    fit, peer = logistic_regression(x, y, weight=weight), sklearn_fit(x[0], y[0], 1.0, weight[0])
    np.testing.assert_allclose(fit.weight[0].numpy(), peer.coef_, atol=1e-4, rtol=0)


@given(
    way=st.integers(2, 6),
    shot=st.integers(1, 8),
    d=st.integers(1, 30),
    c=st.floats(1e-3, 1e4),
    scale=st.floats(0.01, 30),
    seed=st.integers(0, 1000),
)
def test_the_gradient_is_zero_at_the_optimum(way: int, shot: int, d: int, c: float, scale: float, seed: int) -> None:
    x, y = episodes(1, way, shot, d, seed=seed)
    fit = logistic_regression(scale * x[0] + 3, y[0], c=c)
    assert fit.converged
    for part in gradient(scale * x[0] + 3, y[0], fit, c):
        assert part.abs().max().item() < 1e-5


def test_the_weights_are_a_sum_over_examples() -> None:
    """Where the gradient is 0, W = C Σ (onehot(y) - p) xᵀ: the representer theorem."""
    x, y = (t[0] for t in episodes(1, 5, 5, 640))
    fit = logistic_regression(x, y, c=2.0)
    left = torch.nn.functional.one_hot(y).double() - fit.logits(x).softmax(-1)
    torch.testing.assert_close(fit.weight, 2.0 * left.T @ x, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("shot", "d"), [(5, 3000), (40, 200), (40, 201)])
def test_problems_are_solved_as_if_each_were_alone(shot: int, d: int) -> None:
    x, y = episodes(7, 5, shot, d)  # 300 kB each or more: the cache does not hold all
    together = logistic_regression(x, y)
    alone = [logistic_regression(*problem) for problem in zip(x, y, strict=True)]
    torch.testing.assert_close(together.weight, torch.stack([fit.weight for fit in alone]), atol=1e-9, rtol=0)
    torch.testing.assert_close(together.bias, torch.stack([fit.bias for fit in alone]), atol=1e-9, rtol=0)


def test_hard_problems_do_not_disturb_easy_ones() -> None:
    easy, y = episodes(1, 5, 5, 10)
    alone = logistic_regression(easy, y, c=1.0)
    mixed = logistic_regression(torch.cat([easy, 1000 * easy]), y.expand(2, -1), c=1.0)
    torch.testing.assert_close(mixed.weight[:1], alone.weight, atol=1e-9, rtol=0)
    assert mixed.iterations[1] > mixed.iterations[0]


@pytest.mark.parametrize(("n", "d"), [(24, 60), (24, 5)])
def test_both_ways_agree_on_rotated_and_shifted_features(n: int, d: int) -> None:
    x, y = normal(n, d), torch.arange(n) % 3
    rotation = torch.from_numpy(ortho_group.rvs(d, random_state=0))
    fit, moved = logistic_regression(x, y), logistic_regression(x @ rotation + 5, y)
    torch.testing.assert_close(moved.weight @ rotation.T, fit.weight, atol=1e-6, rtol=0)
    torch.testing.assert_close(moved.logits(x @ rotation + 5), fit.logits(x), atol=1e-5, rtol=0)


@pytest.mark.parametrize("d", [20, 60])
def test_zero_columns_change_nothing_but_the_shape(d: int) -> None:
    """The short way (n < d) and the long way (n >= d) lead to the same place."""
    x, y = normal(30, 20), torch.arange(30) % 3
    wide = torch.nn.functional.pad(x, (0, d - 20))
    torch.testing.assert_close(logistic_regression(wide, y).weight[:, :20], logistic_regression(x, y).weight)


@pytest.mark.parametrize("scale", [1.0, 1e5])
@pytest.mark.parametrize(("n", "d"), [(25, 640), (200, 20)])
def test_rows_that_depend_on_each_other_are_no_trouble(n: int, d: int, scale: float) -> None:
    """Features of rank 1 are one feature, of their length, in whatever direction."""
    values, direction = normal(n, 1), normal(1, d, seed=1).abs()
    fit = logistic_regression(scale * values @ direction, torch.arange(n) % 3)
    one = logistic_regression(scale * values * direction.norm(), torch.arange(n) % 3)
    assert fit.converged
    torch.testing.assert_close(fit.weight @ direction.T / direction.norm(), one.weight, atol=1e-6, rtol=1e-6)


def test_order_of_examples_and_names_of_classes_do_not_matter() -> None:
    x, y = (t[0] for t in episodes(1, 4, 5, 50))
    fit, order = logistic_regression(x, y), torch.randperm(20, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(logistic_regression(x[order], y[order]).weight, fit.weight, atol=1e-6, rtol=0)
    torch.testing.assert_close(logistic_regression(x, 3 - y).weight, fit.weight.flip(0), atol=1e-6, rtol=0)


@pytest.mark.parametrize("d", [5, 50])
def test_copies_of_an_example_multiply_c(d: int) -> None:
    x, y = (t[0] for t in episodes(1, 3, 4, d))
    copied = logistic_regression(x.repeat(5, 1), y.repeat(5))
    torch.testing.assert_close(copied.weight, logistic_regression(x, y, c=5.0).weight, atol=1e-6, rtol=0)


@pytest.mark.parametrize("d", [5, 50])
def test_padding_has_no_effect(d: int) -> None:
    x, y = episodes(1, 3, 4, d)
    padded = torch.cat([x, torch.full((1, 3, d), 9.0, dtype=torch.float64)], 1)
    weight = torch.tensor([[1.0] * 12 + [0.0] * 3])
    fit = logistic_regression(padded, torch.cat([y, torch.zeros(1, 3).long()], 1), weight=weight)
    torch.testing.assert_close(fit.weight, logistic_regression(x, y).weight, atol=1e-6, rtol=0)
    torch.testing.assert_close(fit.bias, logistic_regression(x, y).bias, atol=1e-6, rtol=0)


def test_a_class_that_a_problem_lacks_is_never_predicted_and_changes_nothing() -> None:
    x, y = episodes(2, 3, 4, 20)
    mixed = logistic_regression(x, torch.stack([y[0], y[1] * 2]), classes=5)
    alone = logistic_regression(x[1], y[1])
    torch.testing.assert_close(mixed.weight[1, [0, 2, 4]], alone.weight, atol=1e-6, rtol=0)
    assert torch.equal(mixed.bias[1].isinf(), torch.tensor([False, True, False, True, False]))
    assert not mixed.weight[1, [1, 3]].any()
    assert torch.equal(mixed.predict(x)[1], alone.predict(x[1]) * 2)


@pytest.mark.parametrize("shape", [(6, 3), (6, 30)])
def test_features_that_say_nothing_leave_the_frequencies(shape: tuple[int, int]) -> None:
    y = torch.tensor([0, 0, 0, 1, 1, 2])
    fit = logistic_regression(torch.ones(shape, dtype=torch.float64), y)
    assert not fit.weight.any()
    torch.testing.assert_close(fit.bias.softmax(0), torch.tensor([3, 2, 1]).double() / 6)


@pytest.mark.parametrize("d", [4, 40])
def test_large_c_converges_and_separates_what_can_be(d: int) -> None:
    x, y = episodes(20, 4, 5, d, spread=0.2)
    fit = logistic_regression(x, y, c=1e4)
    assert fit.converged.all()
    assert d < 40 or torch.equal(fit.predict(x), y)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (torch.float64, torch.float64),
        (torch.float32, torch.float32),
        (torch.float16, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.int32, torch.float32),
        (torch.uint8, torch.float32),
    ],
)
def test_results_are_float32_unless_features_are_float64(dtype: torch.dtype, expected: torch.dtype) -> None:
    x = (10 * normal(12, 20).abs()).to(dtype)
    fit = logistic_regression(x, torch.arange(12) % 3)
    assert fit.weight.dtype == fit.bias.dtype == fit.logits(x).dtype == expected
    exact = logistic_regression(x.double(), torch.arange(12) % 3)
    torch.testing.assert_close(fit.weight.double(), exact.weight, atol=1e-6, rtol=0)


def test_the_fit_is_detached_and_repeatable() -> None:
    x, y = episodes(3, 5, 5, 40)
    first, second = (logistic_regression(x.requires_grad_(), y) for _ in range(2))
    assert not first.weight.requires_grad
    assert torch.equal(first.weight, second.weight)


def test_running_out_of_steps_is_said_with_numbers() -> None:
    x, y = episodes(3, 5, 5, 40)
    with pytest.warns(ProbeWarning, match=r"3 of 3 logistic regressions stopped after 1 steps with gradients up to"):
        fit = logistic_regression(x, y, c=100.0, max_iter=1)
    assert not fit.converged.any()


@pytest.mark.parametrize("d", [5, 50])
def test_biases_sum_to_zero(d: int) -> None:
    x, y = episodes(3, 4, 5, d)
    torch.testing.assert_close(logistic_regression(x + 7, y).bias.sum(-1), torch.zeros(3).double(), atol=1e-8, rtol=0)


def test_what_cannot_be_predicted_is_refused() -> None:
    x, y = episodes(2, 3, 4, 5)
    fit = logistic_regression(x, y)
    with pytest.raises(ValueError, match="`x` has NaN or infinite values"):
        fit.predict(x * nan)
    with pytest.raises(ValueError, match=r"`x` has shape \(2, 12, 4\), but the weights \(2, 3, 5\)"):
        fit.predict(x[..., :4])


def bad(x: Any = None, y: Any = None, **settings: Any) -> None:
    features, labels = episodes(2, 3, 4, 5)
    logistic_regression(features if x is None else x, labels if y is None else y, **settings)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (normal(2, 12, 5) * nan, "`x` has NaN or infinite values"),
        (torch.full((2, 12, 5), inf), "`x` has NaN or infinite values"),
        (normal(2, 12, 5) * 1e200, "`x` has NaN or infinite values"),  # their squares are
        (normal(12), r"`x` has shape \(12,\): features are \(n, d\)"),
        (normal(2, 12, 0), r"`x` has shape \(2, 12, 0\)"),
        (normal(2, 11, 5), r"`y` has shape \(2, 12\), but must have one label a row: \(2, 11\)"),
    ],
)
def test_features_that_are_refused(x: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bad(x)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (torch.zeros(2, 12).long(), "one class only"),
        (torch.arange(12).expand(2, -1) % 3 - 1, "labels from -1 to 1, but they must lie between 0 and 1"),
        (torch.stack([torch.arange(12) % 3, torch.arange(12) % 2]), r"Class 2 has no example in problem 1 \(of 2\)"),
    ],
)
def test_labels_that_are_refused(y: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bad(y=y)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"c": 0.0}, "`c` is 0.0"),
        ({"c": nan}, "`c` is nan"),
        ({"tol": -1.0}, "`tol` is -1.0"),
        ({"max_iter": 0}, "`max_iter` is 0"),
        ({"classes": 2}, "labels from 0 to 2, but they must lie between 0 and 1"),
        ({"weight": -torch.ones(2, 12)}, "`weight` must be at least 0, but the lowest is -1.0"),
        ({"weight": torch.ones(12)}, r"as `y` has: \(2, 12\), not \(12,\)"),
        ({"classes": 1}, "labels from 0 to 2, but they must lie between 0 and 0"),
        ({"weight": torch.full((2, 12), inf)}, "`weight` has NaN or infinite values"),
    ],
)
def test_settings_that_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bad(**settings)


@pytest.mark.parametrize(
    ("x", "y"),
    [(np.zeros((2, 12, 5)), None), (normal(2, 12, 5) > 0, None), (None, torch.zeros(2, 12)), (None, [[0, 1]])],
)
def test_types_that_are_refused(x: Any, y: Any) -> None:
    with pytest.raises(TypeError, match=r"`[xy]` (is|has)"):
        bad(x, y)
