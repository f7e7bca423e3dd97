import numpy as np
import pytest
import torch
from scipy.linalg import subspace_angles
from sklearn.cross_decomposition import CCA
from torch import Tensor

from torchstone.similarity import canonical_correlations, cca, cka, factor, linear_regression, pwcca, svcca
from torchstone.similarity.cca import leading


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def related(n: int = 60, d1: int = 4, d2: int = 6) -> tuple[Tensor, Tensor]:
    x = normal(n, d1)
    return x, x @ normal(d1, d2, seed=1) + 2 * normal(n, d2, seed=2)


def whitened(x: Tensor) -> Tensor:
    return torch.linalg.qr(x - x.mean(0)).Q


def test_the_authors_number_once_centred() -> None:
    random = np.random.RandomState(1337)
    x = random.randn(100, 10)
    assert cca(x, random.randn(100, 10) + x).item() == pytest.approx(0.54540, abs=5e-6)


def test_correlations_are_the_cosines_of_scipys_angles() -> None:
    x, y = related()
    angles = subspace_angles((x - x.mean(0)).numpy(), (y - y.mean(0)).numpy())
    np.testing.assert_allclose(canonical_correlations(x, y).numpy(), np.cos(angles)[::-1], rtol=1e-10)


def test_correlations_are_sklearns() -> None:
    x, y = related()
    u, v = CCA(n_components=4, tol=1e-10, max_iter=10_000).fit_transform(x.numpy(), y.numpy())
    expected = [np.corrcoef(u[:, i], v[:, i])[0, 1] for i in range(4)]
    np.testing.assert_allclose(canonical_correlations(x, y).numpy(), expected, atol=1e-5)


def test_summaries() -> None:
    x, y = related()
    rho = canonical_correlations(x, y)
    torch.testing.assert_close(cca(x, y), rho.square().mean())
    torch.testing.assert_close(cca(x, y, summary="mean_rho"), rho.mean())


def test_cca_is_the_cka_of_whitened_features() -> None:
    x, y = related(d1=4, d2=6)
    aligned = cka(whitened(x), whitened(y), estimator="biased")
    torch.testing.assert_close(cca(x, y), aligned * (4 * 6) ** 0.5 / 4)


def test_cca_does_not_see_a_channelwise_scale() -> None:
    x, y = related()
    torch.testing.assert_close(cca(x, y * torch.logspace(-2, 2, 6, dtype=torch.float64)), cca(x, y))


def test_svcca_is_cca_of_leading_principal_components() -> None:
    x, y = related(d1=5, d2=8)
    reduced = []
    for z in (x, y):
        centred = z - z.mean(0)
        variances = torch.linalg.svdvals(centred).square()
        k = int((variances.cumsum(0) / variances.sum() < 0.8).sum()) + 1
        reduced.append(centred @ torch.linalg.svd(centred).Vh[:k].mT)
    assert reduced[0].shape[1] < 5
    torch.testing.assert_close(svcca(x, y, threshold=0.8), cca(*reduced))
    torch.testing.assert_close(svcca(x, y, threshold=1.0), cca(x, y))


def test_what_svcca_keeps() -> None:
    orthogonal = torch.linalg.qr(normal(9, 4) - normal(9, 4).mean(0)).Q
    layer = factor(orthogonal * torch.tensor([8.0, 4.0, 2.0, 1.0]))  # shares of variance .753 .188 .047 .012
    assert [leading(layer, t, "variance").rank for t in (0.7, 0.9, 0.95, 0.99, 1.0)] == [1, 2, 3, 4, 4]
    assert [leading(layer, t, "singular_values").rank for t in (0.5, 0.75, 0.9)] == [1, 2, 3]


def test_pwcca_weights() -> None:
    x, y = related()
    p, q = whitened(x), whitened(y)
    u, rho, _ = torch.linalg.svd(p.mT @ q, full_matrices=False)
    alpha = ((p @ u).mT @ (x - x.mean(0))).abs().sum(1)
    torch.testing.assert_close(pwcca(x, y), (alpha * rho).sum() / alpha.sum())
    torch.testing.assert_close(pwcca(y, x), pwcca(x, y))  # the network with the smaller dimension is X


def test_pwcca_with_squares_is_linear_regression() -> None:
    x, y = related()
    p, q = whitened(x), whitened(y)
    u, rho, _ = torch.linalg.svd(p.mT @ q, full_matrices=False)
    alpha = ((p @ u).mT @ (x - x.mean(0))).square().sum(1)
    torch.testing.assert_close((alpha * rho**2).sum() / alpha.sum(), linear_regression(x, y))


@pytest.mark.parametrize("index", [cca, pwcca, svcca])
def test_theorem_1(index) -> None:
    x, y = normal(10, 12), normal(10, 3, seed=1)
    for first, second in ((x, y), (y, x)):
        with pytest.raises(ValueError, match=r"spans all 9 dimensions that 10 centred examples have.*allow_degenerate"):
            index(first, second, **({"threshold": 1.0} if index is svcca else {}))
    forced = index(x, y, allow_degenerate=True, **({"threshold": 1.0} if index is svcca else {}))
    torch.testing.assert_close(forced, torch.ones((), dtype=torch.float64))


def test_few_directions_are_no_degeneracy() -> None:
    low_rank = normal(20, 3) @ normal(3, 50, seed=1)
    assert 0 < cca(low_rank, normal(20, 4, seed=2)) < 1
    assert 0 < svcca(low_rank + 1e-3 * normal(20, 50, seed=3), normal(20, 4, seed=2)) < 1


@pytest.mark.parametrize("index", [cca, svcca, pwcca, canonical_correlations])
def test_gradients(index) -> None:
    x, y = (z.requires_grad_() for z in related(12, 2, 3))
    assert torch.autograd.gradcheck(index, (x, y))


def test_bad_options() -> None:
    x, y = related()
    with pytest.raises(ValueError, match="summary is 'r': it must be one of 'r2', 'mean_rho'"):
        cca(x, y, summary="r")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="criterion is 'sum'"):
        svcca(x, y, criterion="sum")  # type: ignore[arg-type]
    for threshold in (0.0, 1.5, float("nan")):
        with pytest.raises(ValueError, match=r"threshold is .*: it must be in \(0, 1\]"):
            svcca(x, y, threshold=threshold)
