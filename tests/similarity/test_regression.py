import pytest
import torch
from sklearn.linear_model import LinearRegression
from torch import Tensor

from torchstone.similarity import linear_regression


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("d1", "d2"), [(3, 7), (7, 3), (90, 4)])
def test_it_is_sklearns_score_of_predicting_x_from_y(d1: int, d2: int) -> None:
    from sklearn.metrics import r2_score

    x, y = normal(50, d1) + 2, normal(50, d2, seed=1)
    x[:, 0] += y[:, 0]
    predicted = LinearRegression().fit(y.numpy(), x.numpy()).predict(y.numpy())
    expected = r2_score(x.numpy(), predicted, multioutput="variance_weighted")
    assert linear_regression(x, y).item() == pytest.approx(expected, abs=1e-12)


def test_only_predictors_can_span_everything() -> None:
    wide, narrow = normal(10, 12), normal(10, 3, seed=1)
    with pytest.raises(ValueError, match="linear_regression says nothing here: y spans all 9"):
        linear_regression(narrow, wide)
    assert 0 < linear_regression(wide, narrow) < 1
    forced = linear_regression(narrow, wide, allow_degenerate=True)
    torch.testing.assert_close(forced, torch.ones((), dtype=torch.float64))


def test_gradients() -> None:
    assert torch.autograd.gradcheck(
        linear_regression, (normal(9, 3).requires_grad_(), normal(9, 2, seed=1).requires_grad_())
    )
