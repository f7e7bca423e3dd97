import pytest
import torch
from torch import Tensor

from torchstone.similarity import SimilarityWarning, cka, hsic, rbf_kernel, u_center
from torchstone.similarity.streaming import BLOCKS, HsicSums, imprint, jackknife_error, jackknife_interval, stack


def sums_of(xs: list[Tensor], ys: list[Tensor], parts: list[slice], kernel: str = "linear") -> HsicSums:
    sums = HsicSums.zeros(len(xs), len(ys))
    for batch, part in enumerate(parts):
        a, b = ([imprint(x[part], [kernel]) for x in side] for side in (xs, ys))
        sums.add(batch, a[0].rows, stack(a, kernel), stack(b, kernel))
    return sums


@pytest.fixture
def layers(vectors):
    base = vectors(30, 5).double()
    return [base, base @ vectors(5, 40, seed=2).double(), base.tanh()], [
        base.square(),
        vectors(30, 50, seed=3).double(),
    ]


def test_one_batch_is_debiased_cka_and_hsic(layers):
    xs, ys = layers
    sums = sums_of(xs, ys, [slice(0, 30)]).pooled()
    for i, x in enumerate(xs):
        for j, y in enumerate(ys):
            assert sums.cka()[i, j] == pytest.approx(float(cka(x, y)), abs=1e-12)
            assert sums.hsic()[i, j] == pytest.approx(float(hsic(x, y)), rel=1e-10, abs=1e-12)


def test_one_batch_of_the_rbf_kernel(layers):
    (x, *_), (y, *_) = layers
    got = sums_of([x], [y], [slice(0, 30)], "rbf:0.4").pooled().cka()
    gram, other = (u_center(rbf_kernel(z, bandwidth=0.4)) for z in (x, y))
    assert got.item() == pytest.approx(float((gram * other).sum() / (gram.norm() * other.norm())), abs=1e-12)


def test_unequal_batches_are_pooled_with_the_weights_of_hsic(layers):
    (x, *_), (y, *_) = layers
    parts = [slice(0, 11), slice(11, 16), slice(16, 30)]
    weights = [n * (n - 3) for n in (11, 5, 14)]
    pooled = sums_of([x], [y], parts).pooled()
    expected = sum(w * hsic(x[p], y[p]) for w, p in zip(weights, parts, strict=True)) / sum(weights)
    assert pooled.hsic().item() == pytest.approx(float(expected), rel=1e-10)


def test_leaving_one_out_is_computing_without_it(layers):
    xs, ys = layers
    parts = [slice(0, 10), slice(10, 18), slice(18, 30)]
    left_out = sums_of(xs, ys, parts).leave_one_out().cka()
    assert left_out.shape == (3, 3, 2)
    for k in range(3):
        without = sums_of(xs, ys, [part for i, part in enumerate(parts) if i != k]).pooled().cka()
        assert torch.allclose(left_out[k], without, atol=1e-12)


def test_many_batches_share_a_bounded_number_of_blocks(vectors):
    x = vectors(4 * (BLOCKS + 10), 3)
    sums = sums_of([x], [x], [slice(i, i + 4) for i in range(0, len(x), 4)])
    assert sums.cross.shape == (BLOCKS, 1, 1)
    assert sums.weight.sum() == 4 * (BLOCKS + 10)


def test_a_large_mean_or_scale_costs_no_accuracy_in_single_precision(vectors):
    x, y = vectors(64, 20), vectors(64, 20, seed=2).cumsum(1)
    expected = float(cka(x.double(), y.double()))
    for offset, scale in [(1000.0, 1.0), (0.0, 1e-9), (0.0, 1e12)]:
        got = sums_of([x * scale + offset], [y * scale + offset], [slice(0, 64)]).pooled().cka()
        assert got.item() == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize("value", [0.0, 0.1, -12345.678])
def test_a_constant_layer_leaves_exactly_nothing(value):
    mark = imprint(torch.full((257, 33), value), ["linear"])
    assert torch.count_nonzero(mark.packed["linear"]) == 0


def simplex(n: int, dtype: torch.dtype, scale: float = 1.0, offset: float = 0.0) -> Tensor:
    """Examples that all lie equally far from each other, turned so that no coordinate is a round number."""
    basis = torch.randn(n, n, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return (scale * torch.linalg.qr(basis).Q + offset).to(dtype)


@pytest.mark.parametrize(
    ("kernel", "dtype"), [("linear", torch.float32), ("linear", torch.float64), ("rbf:0.4", torch.float64)]
)
@pytest.mark.parametrize(("n", "scale", "offset"), [(4, 1.0, 0.0), (32, 1e-3, 0.0), (64, 10.0, 0.0), (256, 1.0, 1.0)])
def test_examples_that_are_equally_alike_leave_exactly_nothing(kernel, dtype, n, scale, offset):
    mark = imprint(simplex(n, dtype, scale, offset), [kernel])
    assert torch.count_nonzero(mark.packed[kernel]) == 0


def test_equally_alike_examples_have_no_cka_streamed_or_not(vectors):
    equal, other = simplex(32, torch.float64), vectors(32, 5).double()
    with pytest.warns(SimilarityWarning, match="equally alike"):
        assert cka(equal, other).isnan()
    assert sums_of([equal], [other], [slice(0, 32)]).pooled().cka().isnan()


def test_one_batch_of_equally_alike_examples_adds_nothing_to_the_others(vectors):
    equal, x, y = simplex(16, torch.float32), vectors(24, 16), vectors(40, 3, seed=2)
    both = sums_of([torch.cat([x, equal])], [y], [slice(0, 24), slice(24, 40)]).pooled()
    alone = sums_of([x], [y], [slice(0, 24)]).pooled()
    assert both.own_a.item() == alone.own_a.item()
    assert both.cross.item() == alone.cross.item()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
def test_what_is_not_finite_shows_in_the_size(vectors, value):
    x = vectors()
    x[3, 2] = value
    assert not imprint(x, ["linear"]).size.isfinite()


def test_an_rbf_kernel_without_a_bandwidth_is_nan(vectors):
    x = torch.zeros(20, 3)
    x[:4] = vectors(4, 3)
    assert sums_of([x], [x], [slice(0, 20)], "rbf:0.4").pooled().cka().isnan().all()


@pytest.mark.parametrize("outlier", [1e3, 1e5])
def test_the_rbf_kernel_of_a_batch_with_an_outlier_is_that_of_cka(vectors, outlier):
    x, y = vectors(), vectors(seed=2) + vectors()
    x[3, 2] = outlier
    expected = float(cka(x, y, kernel="rbf"))
    assert sums_of([x], [y], [slice(0, 40)], "rbf:0.4").pooled().cka().item() == pytest.approx(expected, abs=1e-5)


def test_autocast_does_not_reach_the_gram_matrices(vectors):
    x = vectors(64, 200)
    plain = imprint(x, ["linear"]).packed["linear"]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = imprint(x, ["linear"]).packed["linear"]
    assert torch.equal(plain, mixed)


def test_the_jackknife_of_a_mean_is_its_standard_error(vectors):
    sample = vectors(12, 3).double()
    left_out = (sample.sum(0) - sample) / 11
    assert torch.allclose(jackknife_error(left_out), sample.std(0) / 12**0.5)


def test_the_interval_of_a_mean_is_students(vectors):
    from scipy.stats import t

    sample = vectors(9, 1).double()
    low, high = jackknife_interval(sample.mean(0), (sample.sum(0) - sample) / 8)
    expected = t.interval(0.95, 8, loc=float(sample.mean()), scale=float(sample.std()) / 3)
    assert (low.item(), high.item()) == pytest.approx(expected)
