import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler, normalize
from torch import Tensor

from torchstone.probes import ProbeWarning, l2_normalize, scaler


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_unit_rows_are_scikit_learns() -> None:
    x = normal(10, 4)
    np.testing.assert_allclose(l2_normalize(x).numpy(), normalize(x.numpy()))


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e300])
def test_unit_rows_do_not_depend_on_scale(scale: float) -> None:
    x = normal(10, 4)
    torch.testing.assert_close(l2_normalize(scale * x), l2_normalize(x))


def test_a_row_of_zeros_stays_with_a_warning() -> None:
    x = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    with pytest.warns(ProbeWarning, match="1 of 2 rows are all 0"):
        unit = l2_normalize(x)
    torch.testing.assert_close(unit, torch.tensor([[0.6, 0.8], [0.0, 0.0]]))


def test_standard_columns_are_scikit_learns_and_a_constant_one_is_only_centred() -> None:
    x, other = (torch.cat([normal(20, 3, seed=seed), torch.full((20, 1), 0.1)], 1) for seed in (0, 1))
    peer = StandardScaler().fit(x.numpy())
    np.testing.assert_allclose(scaler(x, "standard")(other).numpy(), peer.transform(other.numpy()), atol=1e-12)
    assert scaler(x, "standard")(x)[:, 3].abs().max() < 1e-12


def test_every_problem_has_its_own_mean() -> None:
    x, test = normal(3, 20, 4) * torch.arange(1, 4)[:, None, None], normal(7, 4)
    together = scaler(x, "standard")(test)
    torch.testing.assert_close(together, torch.stack([scaler(one, "standard")(test) for one in x]))


def test_without_scaling_features_stay() -> None:
    assert torch.equal(scaler(normal(5, 2), None)(torch.tensor([[1, 2]])), torch.tensor([[1.0, 2.0]]))


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="`scaling` is 'max': it must be 'standard', 'l2' or None"):
        scaler(normal(3, 2), "max")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="NaN or infinite"):
        scaler(normal(3, 2) / 0, "standard")
    with pytest.raises(ValueError, match="NaN or infinite"):
        l2_normalize(normal(3, 2) / 0)
