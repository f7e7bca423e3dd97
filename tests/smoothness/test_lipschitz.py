"""Lipschitz bounds: exact where a program is affine, and beaten by no attack elsewhere."""

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from torchstone.nets import seeded
from torchstone.smoothness import check
from torchstone.smoothness.operators import convolution_norm, gram_norm, schur_norm, spectral_norm

Function = Callable[[Tensor], Tensor]


def bound_of(function: Function | nn.Module, x: Tensor) -> float:
    return check(function, x, wrt="inputs").lipschitz


def attack(function: Function | nn.Module, shape: tuple[int, ...], steps: int = 25) -> float:
    """The largest ratio of distances that random pairs, pushed uphill, reach: near, far, large and small ones."""
    generator = torch.Generator().manual_seed(0)
    best = 0.0
    for size, gap in ((1.0, 1e-3), (1.0, 1.0), (5.0, 1e-3), (0.05, 0.05)):
        x = (size * torch.randn(shape, generator=generator, dtype=torch.float64)).requires_grad_()
        d = (gap * torch.randn(shape, generator=generator, dtype=torch.float64)).requires_grad_()
        for _ in range(steps):
            change = function(x + d) - function(x)
            ratio = change.norm() / d.norm()
            best = max(best, float(ratio.detach()))
            if not ratio.requires_grad or not math.isfinite(float(ratio.detach())):
                break
            for leaf, slope in zip((x, d), torch.autograd.grad(ratio, (x, d), allow_unused=True), strict=True):
                if slope is not None:
                    step = 0.1 * float(leaf.detach().norm()) / (float(slope.norm()) + 1e-30)
                    leaf.data += step * slope
    return best


def fixed(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


W, V = fixed(1, 6, 6), fixed(2, 6)
K = fixed(3, 3, 2, 3, 3)
MAPS = (2, 2, 7, 6)

FUNCTIONS: dict[str, tuple[Function, tuple[int, ...]]] = {
    "linear": (lambda x: F.linear(x, W, V), (4, 6)),
    "matmul from the left": (lambda x: W @ x, (6, 3)),
    "batched matmul": (lambda x: torch.stack([W, 2 * W]) @ x, (6, 3)),
    "einsum": (lambda x: torch.einsum("nd,ed->en", x, W), (4, 6)),
    "add": (lambda x: x + 3 * x.flip(0) - V, (6,)),
    "added to itself": (lambda x: torch.add(x, x, alpha=2), (6,)),
    "broadcast": (lambda x: x[:, None] + x, (6,)),
    "broadcast by name, after a constant": (lambda x: torch.broadcast_tensors(fixed(4, 5, 1), x)[1], (6,)),
    "both of a grid": (lambda x: torch.stack(torch.meshgrid(2 * x, x.tanh(), indexing="ij")), (6,)),
    "product with a constant": (lambda x: x * V, (6,)),
    "product with a broadcast constant": (lambda x: x * fixed(4, 5, 6), (6,)),
    "product of bounded": (lambda x: torch.tanh(x) * torch.sigmoid(x), (6,)),
    "bounded squared": (lambda x: torch.tanh(x) ** 3, (6,)),
    "quotient by a constant": (lambda x: x / (V.abs() + 0.3), (6,)),
    "quotient": (lambda x: torch.tanh(x) / (1.5 + x.cos()), (6,)),
    "reciprocal": (lambda x: (1 + torch.sigmoid(x)).reciprocal(), (6,)),
    "root": (lambda x: (torch.tanh(x).square() + 0.1).sqrt(), (6,)),
    "root of sigmoid": (lambda x: (torch.sigmoid(x) + 0.2).sqrt(), (6,)),
    "log": (lambda x: (torch.sigmoid(x) + 0.2).log(), (6,)),
    "log1p": (lambda x: torch.log1p(x.abs()), (6,)),
    "exp": (lambda x: torch.exp(torch.tanh(x)), (6,)),
    "cosh": (lambda x: torch.cosh(torch.tanh(x)), (6,)),
    "relu": (torch.relu, (6,)),
    "leaky relu": (lambda x: F.leaky_relu(x, 1.4), (6,)),
    "prelu": (lambda x: F.prelu(x, torch.tensor([2.0], dtype=torch.float64)), (6,)),
    "elu": (lambda x: F.elu(x, 1.7), (6,)),
    "selu": (F.selu, (6,)),
    "gelu": (F.gelu, (6,)),
    "gelu by tanh": (lambda x: F.gelu(x, approximate="tanh"), (6,)),
    "silu": (F.silu, (6,)),
    "mish": (F.mish, (6,)),
    "softplus": (lambda x: F.softplus(x, beta=3), (6,)),
    "hardswish": (F.hardswish, (6,)),
    "erf": (torch.erf, (6,)),
    "sinc": (torch.sinc, (6,)),
    "softsign": (F.softsign, (6,)),
    "softmax": (lambda x: torch.softmax(x, -1), (2, 6)),
    "log softmax": (lambda x: F.log_softmax(x, -1), (2, 6)),
    "log softmax of few": (lambda x: F.log_softmax(x, dim=0), (2, 6)),
    "logsumexp": (lambda x: x.logsumexp(-1), (2, 6)),
    "cross entropy": (lambda x: F.cross_entropy(x, torch.tensor([0, 1])), (2, 6)),
    "cross entropy with ignored": (lambda x: F.cross_entropy(x, torch.tensor([0, -100])), (2, 6)),
    "cross entropy, summed": (lambda x: F.cross_entropy(x, torch.tensor([0, 1]), reduction="sum"), (2, 6)),
    "cross entropy of masses": (lambda x: F.cross_entropy(x, fixed(5, 2, 6).abs()), (2, 6)),
    "l1": (lambda x: F.l1_loss(x, V), (6,)),
    "l1, summed, of two": (lambda x: F.l1_loss(x, -x.flip(0), reduction="sum"), (6,)),
    "norm": (lambda x: x.norm(dim=-1), (2, 6)),
    "vector norm": (lambda x: torch.linalg.vector_norm(x), (2, 6)),
    "max": (lambda x: x.max(-1).values, (3, 6)),
    "maximum": (lambda x: torch.maximum(x, x.flip(0)), (6,)),
    "sort": (lambda x: x.sort().values, (6,)),
    "topk twice": (lambda x: torch.cat([x.topk(2).values, x]), (6,)),
    "sum": (lambda x: x.sum(), (3, 6)),
    "mean": (lambda x: x.mean(0), (3, 6)),
    "cumsum": (lambda x: x.cumsum(0), (6,)),
    "cat": (lambda x: torch.cat([x, 2 * x]), (6,)),
    "stack of one": (lambda x: torch.stack([x, x, x]), (6,)),
    "expand": (lambda x: x.expand(3, 6), (6,)),
    "repeat": (lambda x: x.repeat(2, 2), (6,)),
    "repeated index": (lambda x: x[[0, 0, 1, 0]], (6,)),
    "gather": (lambda x: x.gather(1, torch.zeros(2, 5, dtype=torch.long)), (2, 6)),
    "unfold": (lambda x: x.unfold(0, 3, 1), (6,)),
    "reflected": (lambda x: F.pad(x, (2, 2), mode="reflect"), (1, 6)),
    "padded": (lambda x: F.pad(x, (2, 2), value=7.0), (1, 6)),
    "written into": (lambda x: written(x), (6,)),
    "written into all rows": (lambda x: written_whole(x), (6,)),
    "in place": (lambda x: (x * 2).mul_(3).add_(x), (6,)),
    "masked": (lambda x: x.masked_fill(V > 0, 1.0), (6,)),
    "where": (lambda x: torch.where(V > 0, x, 2 * x), (6,)),
    "convolution": (lambda x: F.conv2d(x, K, padding=1), MAPS),
    "strided convolution": (lambda x: F.conv2d(x, K, stride=2, padding=1), MAPS),
    "dilated convolution": (lambda x: F.conv2d(x, K, dilation=2), MAPS),
    "grouped convolution": (lambda x: F.conv2d(x, K[:2, :1], groups=2), MAPS),
    "even kernel": (lambda x: F.conv2d(x, K[:, :, :2, :2]), (1, 2, 20, 20)),
    "convolution, one dimension": (lambda x: F.conv1d(x, K[..., 0], padding="same"), (2, 2, 40)),
    "unbatched convolution": (lambda x: F.conv2d(x, K), MAPS[1:]),
    "transposed convolution": (lambda x: F.conv_transpose2d(x, K.transpose(0, 1), stride=2), MAPS),
    "max pooling": (lambda x: F.max_pool2d(x, 3, 1), MAPS),
    "max pooling, unbatched": (lambda x: F.max_pool2d(x, 3, 1), MAPS[1:]),
    "max pooling, dilated": (lambda x: F.max_pool2d(x, 2, 2, dilation=2), MAPS),
    "distance": (lambda x: torch.dist(x, -x.flip(0)), (6,)),
    "max pooling, apart": (lambda x: F.max_pool2d(x, 2), MAPS),
    "average pooling": (lambda x: F.avg_pool2d(x, 3, 2, padding=1), MAPS),
    "adaptive pooling": (lambda x: F.adaptive_avg_pool2d(x, (3, 4)), MAPS),
    "nearest": (lambda x: F.interpolate(x, scale_factor=2), MAPS),
    "bilinear": (lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), MAPS),
    "batch norm": (lambda x: F.batch_norm(x, V[:2], V[:2].abs(), V[2:4], V[4:]), MAPS),
    "layer norm": (lambda x: F.layer_norm(x, (6,), V, V, eps=0.1), (2, 6)),
    "dropout, evaluated": (lambda x: F.dropout(x, 0.5, training=False), (6,)),
    "detached": (lambda x: x + 2 * x.detach(), (6,)),
    "layers": (lambda x: torch.tanh(torch.relu(x @ W) @ W + V).sum(-1), (3, 6)),
}


def written(x: Tensor) -> Tensor:
    h = torch.zeros(3, 6, dtype=x.dtype)
    h[1:] = x
    h[0] = 2 * x
    return h


def written_whole(x: Tensor) -> Tensor:
    h = torch.zeros(3, 6, dtype=x.dtype)
    h[:] = x
    return h


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_attack_beats_the_bound(name: str) -> None:
    function, shape = FUNCTIONS[name]
    bound = bound_of(function, fixed(0, *shape))
    assert math.isfinite(bound)
    assert attack(function, shape) <= bound * (1 + 1e-9)


TIGHT = (
    "linear",
    "matmul from the left",
    "product with a constant",
    "relu",
    "leaky relu",
    "norm",
    "sum",
    "mean",
    "cat",
)


@pytest.mark.parametrize("name", [*TIGHT, "repeated index", "max", "softplus", "detached", "added to itself"])
def test_bounds_that_are_attained(name: str) -> None:
    function, shape = FUNCTIONS[name]
    assert attack(function, shape, steps=300) >= 0.98 * bound_of(function, fixed(0, *shape))


UNBOUNDED: dict[str, Function] = {
    "square": lambda x: x * x,
    "cube": lambda x: x**3,
    "exp": torch.exp,
    "sqrt": lambda x: x.abs().sqrt(),
    "log": lambda x: x.abs().log(),
    "self-product": lambda x: x @ x,
    "rounding": lambda x: x.round(),
    "attention": lambda x: F.scaled_dot_product_attention(x[None, None], x[None, None], x[None, None]),
    "running maximum, of no known bound": lambda x: x.cummax(0).values,
    "distance of another norm": lambda x: torch.dist(x, 2 * x, 1),
    "l1 that broadcasts": lambda x: F.l1_loss(x[:1], torch.ones(1, 6), reduction="sum"),
    "cross entropy, the old way": lambda x: F.cross_entropy(x, torch.tensor(1), size_average=False),
    "weighted bags": lambda x: F.embedding_bag(
        torch.tensor([[0, 1]]), x[:, None], None, mode="sum", per_sample_weights=x[None, :2]
    ),
    "jump": lambda x: torch.where(x > 0, x, x + 1),
    "chosen row": lambda x: torch.eye(6)[x.argmax()] * 1.0,
    "one over": lambda x: 1 / x,
}


@pytest.mark.parametrize("name", UNBOUNDED)
@pytest.mark.filterwarnings("ignore:Using a target size", "ignore:size_average and reduce")
def test_no_bound_is_given_where_there_is_none(name: str) -> None:
    x = torch.rand(6, generator=torch.Generator().manual_seed(0)) + 0.5
    assert bound_of(UNBOUNDED[name], x if name != "attention" else x[:, None]) == math.inf


@given(st.integers(1, 4), st.lists(st.integers(1, 7), min_size=2, max_size=5), st.integers(0, 99))
def test_exact_for_linear_networks(batch: int, widths: list[int], seed: int) -> None:
    with seeded(seed):
        net = nn.Sequential(*(nn.Linear(a, b, dtype=torch.float64) for a, b in pairwise(widths)))
    weights = [layer.weight.detach() for layer in net]
    product = weights[0]
    for weight in weights[1:]:
        product = weight @ product
    expected = float(torch.linalg.matrix_norm(product, 2))
    assert bound_of(net, fixed(seed, batch, widths[0])) == pytest.approx(expected, rel=1e-9)


def test_exact_for_convolutions_and_what_is_affine_with_them() -> None:
    with seeded(0):
        net = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.AvgPool2d(2), nn.Flatten()).eval()
    x = torch.ones(1, 2, 6, 6)
    jacobian = torch.autograd.functional.jacobian(net, x).reshape(27, 72)
    assert bound_of(net, x) == pytest.approx(float(torch.linalg.matrix_norm(jacobian, 2)), rel=1e-6)


def test_a_constant_does_not_stretch() -> None:
    assert bound_of(lambda x: torch.ones(3) * 2, torch.ones(3)) == 0
    assert bound_of(lambda x: (0 * x) ** 2, torch.ones(3)) == 0


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
def test_spectral_norms(m: int, n: int, seed: int) -> None:
    matrix = fixed(seed, m, n)
    exact = float(torch.linalg.svdvals(matrix)[0])
    assert spectral_norm(matrix) == pytest.approx(exact, rel=1e-12)
    assert exact * (1 - 1e-12) <= float(gram_norm(matrix)) <= exact * min(m, n) ** (1 / 256) * (1 + 1e-12)
    assert schur_norm(lambda x: (matrix.abs() @ x).flatten(), torch.zeros(n)) >= exact * (1 - 1e-12)


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e150])
def test_gram_iteration_neither_overflows_nor_vanishes(scale: float) -> None:
    assert float(gram_norm(scale * torch.eye(3, dtype=torch.float64))) == pytest.approx(scale, rel=0.01)


def test_norms_of_nothing_and_of_what_is_not_finite() -> None:
    assert spectral_norm(torch.zeros(0, 3)) == 0
    assert spectral_norm(torch.full((2, 2), math.nan)) == math.inf
    assert bound_of(nn.Sequential(nn.Softmax(-1)), torch.full((2, 2), math.nan)) == 0.5


@given(st.integers(1, 7), st.integers(1, 40), st.integers(0, 99))
def test_the_norm_of_a_convolution_is_bounded_for_every_side(k: int, side: int, seed: int) -> None:
    kernel = fixed(seed, 2, 2, k)
    x = torch.eye(2 * side, dtype=torch.float64).reshape(2 * side, 2, side)
    matrix = F.conv1d(x, kernel, padding=k - 1).flatten(1)
    bound = convolution_norm(kernel, (side + 2 * (k - 1),))
    exact = float(torch.linalg.matrix_norm(matrix, 2))
    assert exact <= bound * (1 + 1e-12)
    if side >= 30:
        assert bound <= 1.1 * exact + 1e-12
