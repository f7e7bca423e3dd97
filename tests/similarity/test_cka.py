import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from torchstone.similarity import SimilarityWarning, center, chance_level, cka, rbf_kernel
from torchstone.similarity.cka import cka_by_features, cka_by_grams
from torchstone.similarity.inputs import pair


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def demo() -> tuple[np.ndarray, np.ndarray]:
    """The data of the authors' notebook."""
    random = np.random.RandomState(1337)
    x = random.randn(100, 10)
    return x, random.randn(100, 10) + x


def test_the_authors_numbers() -> None:
    x, y = demo()
    assert cka(x, y, estimator="biased").item() == pytest.approx(0.55761, abs=5e-6)
    assert cka(x, y).item() == pytest.approx(0.51346, abs=5e-6)
    theirs = cka(x, y, kernel=lambda z: rbf_kernel(z, bandwidth=0.5, include_diagonal=True), estimator="biased")
    assert theirs.item() == pytest.approx(0.65483, abs=5e-6)


@pytest.mark.parametrize("estimator", ["debiased", "biased"])
@given(n=st.integers(5, 30), d1=st.integers(1, 40), d2=st.integers(1, 40), seed=st.integers(0, 1000))
def test_gram_form_is_feature_form(estimator: str, n: int, d1: int, d2: int, seed: int) -> None:
    shared = normal(n, 1, seed=seed)
    a, b = pair(normal(n, d1, seed=seed + 1) + shared, normal(n, d2, seed=seed + 2) + shared)
    by_features = cka_by_features(a, b, estimator)
    by_grams = cka_by_grams(*(side.centred @ side.centred.mT for side in (a, b)), estimator)
    torch.testing.assert_close(by_features, by_grams, rtol=0, atol=1e-12)


def test_biased_cka_is_the_cosine_of_centred_grams_and_the_rv_coefficient() -> None:
    x, y = normal(30, 3), normal(30, 3).exp()
    k, l = center(x @ x.mT).flatten(), center(y @ y.mT).flatten()  # noqa: E741
    torch.testing.assert_close(cka(x, y, estimator="biased"), torch.cosine_similarity(k, l, dim=0))
    joint = torch.cov(torch.cat([x, y], 1).mT)
    s_xx, s_yy, s_xy = joint[:3, :3], joint[3:, 3:], joint[:3, 3:]
    rv = torch.trace(s_xy @ s_xy.mT) / (torch.trace(s_xx @ s_xx) * torch.trace(s_yy @ s_yy)).sqrt()
    torch.testing.assert_close(cka(x, y, estimator="biased"), rv)


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
@pytest.mark.parametrize("d", [2, 80])
def test_self_similarity_is_exactly_one(kernel: str, d: int) -> None:
    x = normal(20, d)
    assert cka(x, x, kernel=kernel) == 1  # type: ignore[arg-type]
    assert cka(x, x.clone(), kernel=kernel, estimator="debiased") == 1  # type: ignore[arg-type]


@pytest.mark.parametrize(("n", "d1", "d2"), [(100, 10, 10), (100, 100, 100), (100, 300, 20)])
def test_independent_data(n: int, d1: int, d2: int) -> None:
    debiased, biased = [], []
    for i in range(30):
        a, b = pair(normal(n, d1, seed=2 * i), normal(n, d2, seed=2 * i + 1))
        debiased.append(cka_by_features(a, b, "debiased"))
        biased.append(cka_by_features(a, b, "biased"))
    values = torch.stack(debiased)
    assert values.mean().abs() < 3 * values.std() / 30**0.5
    assert torch.stack(biased).mean().item() == pytest.approx(chance_level(n, d1, d2), abs=0.02)


def test_shuffled_rows_have_nothing_in_common() -> None:
    x = normal(400, 5)
    shuffled = [x[torch.randperm(400, generator=torch.Generator().manual_seed(i))] for i in range(20)]
    values = torch.stack([cka(x, y) for y in shuffled])
    assert values.mean().abs() < 3 * values.std() / 20**0.5


def test_one_translated_subset_moves_linear_cka_to_davaris_limit() -> None:
    x, n = normal(200, 10).abs(), 200
    subset = torch.arange(n) < 20
    rho, centred = 20 / n, x - x.mean(0)
    limit = n * rho / (1 - rho) * centred[subset].mean(0).square().sum() / (centred @ centred.mT).norm()
    for direction in (normal(10, seed=5), normal(10, seed=6)):  # whatever the direction
        moved = x + 1e7 * subset[:, None] * direction
        torch.testing.assert_close(cka(x, moved, estimator="biased"), limit, rtol=1e-5, atol=1e-5)


def test_two_latent_factors() -> None:
    n, (a, b, c) = 200_000, (2.0, 1.0, 1.5)  # standard deviations: a is shared
    z = normal(n, 3) * torch.tensor([a, b, c], dtype=torch.float64)
    expected = a**4 / ((a**4 + b**4) * (a**4 + c**4)) ** 0.5
    assert cka(z[:, :2], z[:, [0, 2]]).item() == pytest.approx(expected, abs=0.01)


def test_a_polynomial_kernel_of_ones_own() -> None:
    x, y = normal(20, 3), normal(20, 3, seed=1)
    features = torch.stack([x[:, i] * x[:, j] for i in range(3) for j in range(3)], 1)
    squares = torch.stack([y[:, i] * y[:, j] for i in range(3) for j in range(3)], 1)
    torch.testing.assert_close(cka(x, y, kernel=lambda z: (z @ z.mT) ** 2), cka(features, squares))


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("d", [8, 200])
def test_float32_with_large_means_and_odd_scales(scale: float, d: int) -> None:
    shared = normal(64, d)
    x = ((shared + 1e4) * scale).float()
    y = ((shared + normal(64, d, seed=1) - 1e4) * scale).float()
    exact = cka((x.double() / scale - 1e4), (y.double() / scale + 1e4))
    assert cka(x, y).item() == pytest.approx(exact.item(), abs=1e-6)
    assert 0.3 < exact < 0.7


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
@pytest.mark.parametrize("estimator", ["debiased", "biased"])
@pytest.mark.parametrize(("d1", "d2"), [(1, 2), (9, 12)])
@pytest.mark.filterwarnings("ignore::torchstone.similarity.SimilarityWarning")
def test_gradients(kernel: str, estimator: str, d1: int, d2: int) -> None:
    x, y = normal(6, d1).requires_grad_(), normal(6, d2, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: cka(a, b, kernel=kernel, estimator=estimator, bandwidth=0.8), (x, y))


def test_the_biased_estimator_warns_of_its_chance_level() -> None:
    with pytest.warns(
        SimilarityWarning, match=f"100 and 10 features on 100 .* score about {chance_level(100, 100, 10):.3f}"
    ):
        cka(normal(100, 100), normal(100, 10), estimator="biased")


def test_an_undefined_rbf_kernel_is_explained_once_and_truly() -> None:
    x = torch.zeros(12, 2)
    x[:3] = normal(3, 2)
    with pytest.warns(SimilarityWarning) as caught:
        assert cka(x, normal(12, 2), kernel="rbf").isnan()
    assert [str(warning.message).partition(":")[0] for warning in caught] == [
        "More than half the pairs of examples coincide in x"
    ]
    with pytest.warns(SimilarityWarning) as caught:
        assert cka(x, torch.ones(12, 2), kernel="rbf").isnan()
    assert "y is constant" in str(caught[-1].message)


@pytest.mark.parametrize("d", [3, 30])
def test_a_constant_layer_is_named(d: int) -> None:
    with pytest.warns(SimilarityWarning, match="y is constant on these 12 examples"):
        assert cka(normal(12, d), torch.full((12, d), 0.1)).isnan()


def test_equally_distant_examples_have_no_debiased_similarity() -> None:
    with pytest.warns(SimilarityWarning, match="equally alike"):
        assert cka(torch.eye(8), normal(8, 3)).isnan()


@pytest.mark.parametrize("sizes", [(1, 3, 3), (10, 0, 3), (10, 3, -1)])
def test_chance_level_needs_examples_and_features(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="at least 2 examples and 1 feature"):
        chance_level(*sizes)
