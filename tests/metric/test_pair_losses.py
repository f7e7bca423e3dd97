"""Losses of pairs and triplets against sums over triplets, pytorch-metric-learning, and what must hold at the edges."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from torchstone.metric import MarginLoss, batch_all_margin, batch_all_triplet, nt_xent
from torchstone.metric.pairs import distances, unit

LOSSES: dict[str, Callable[..., Tensor]] = {
    "triplet": batch_all_triplet,
    "margin": batch_all_margin,
    "nt_xent": partial(nt_xent, temperature=0.5),
}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(b: int = 24, d: int = 5, classes: int = 4, seed: int = 0) -> tuple[Tensor, Tensor]:
    draw = generator(seed)
    x = torch.randn(b, d, dtype=torch.float64, generator=draw)
    return x.requires_grad_(), torch.randint(classes, (b,), generator=draw)


def triplets(x: Tensor, labels: Tensor, y: Tensor, reference_labels: Tensor, own: bool) -> tuple[Tensor, ...]:
    """D_ap, D_an and the anchor of every triplet: B³ of them."""
    distance = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")
    positive = labels[:, None] == reference_labels
    negative = ~positive
    if own:
        positive = positive & ~torch.eye(len(x), dtype=torch.bool)
    a, p, n = (positive[:, :, None] & negative[:, None, :]).nonzero(as_tuple=True)
    return distance[a, p], distance[a, n], a


def naive_triplet(x: Tensor, y: Tensor, labels: Tensor, others: Tensor, own: bool, margin: float) -> dict[str, Tensor]:
    ap, an, _ = triplets(x, labels, y, others, own)
    losses = (ap - an + margin).relu()
    return {"sum": losses.sum(), "mean": losses.mean(), "nonzero": losses[losses > 0].mean()}


def naive_margin(
    x: Tensor, y: Tensor, labels: Tensor, others: Tensor, own: bool, margin: float, beta: Tensor
) -> dict[str, Tensor]:
    ap, an, a = triplets(x, labels, y, others, own)
    beta = beta[labels[a]] if len(beta) > 1 else beta
    pull, push = (ap - beta + margin).relu(), (beta + margin - an).relu()
    total = (pull + push).sum()
    return {"sum": total, "mean": total / len(ap), "nonzero": total / ((pull > 0).sum() + (push > 0).sum())}


def assert_same_with_gradients(ours: Tensor, theirs: Tensor, *inputs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    gradients = (torch.autograd.grad(value, inputs, retain_graph=True) for value in (ours, theirs))
    for own, other in zip(*gradients, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("reduction", ["nonzero", "mean", "sum"])
@pytest.mark.parametrize("margin", [-0.2, 0.05, 2.0])
@pytest.mark.parametrize("normalize", [True, False])
def test_triplet_is_the_sum_over_triplets(reduction: Any, margin: float, normalize: bool) -> None:
    x, labels = batch()
    z = torch.nn.functional.normalize(x) if normalize else x
    ours = batch_all_triplet(x, labels, margin, normalize=normalize, reduction=reduction)
    assert_same_with_gradients(ours, naive_triplet(z, z, labels, labels, True, margin)[reduction], x)


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("reduction", ["nonzero", "mean", "sum"])
def test_margin_is_the_sum_over_triplets(classes: int, reduction: Any) -> None:
    x, labels = batch(classes=3)
    beta = torch.linspace(0.9, 1.3, classes, dtype=torch.float64).requires_grad_()
    z = torch.nn.functional.normalize(x)
    ours = batch_all_margin(x, labels, 0.1, beta, reduction=reduction)
    assert_same_with_gradients(ours, naive_margin(z, z, labels, labels, True, 0.1, beta)[reduction], x, beta)


@given(st.integers(0, 10_000), st.floats(-0.5, 1.5))
def test_a_memory_bank_is_the_sum_over_its_triplets(seed: int, margin: float) -> None:
    x, labels = batch(b=6, seed=seed)
    bank, others = batch(b=30, seed=seed + 1)
    z, y = torch.nn.functional.normalize(x), torch.nn.functional.normalize(bank)
    given_bank = {"reference": bank, "reference_labels": others, "reduction": "sum"}
    ours = batch_all_triplet(x, labels, margin, **given_bank)  # type: ignore[arg-type]
    assert_same_with_gradients(ours, naive_triplet(z, y, labels, others, False, margin)["sum"], x, bank)
    ours = batch_all_margin(x, labels, margin, 1.0, **given_bank)  # type: ignore[arg-type]
    beta = torch.ones(1, dtype=torch.float64)
    assert_same_with_gradients(ours, naive_margin(z, y, labels, others, False, margin, beta)["sum"], x, bank)


@given(st.integers(0, 10_000))
def test_classes_of_any_size_and_equal_distances_are_counted_right(seed: int) -> None:
    draw = generator(seed)
    x = torch.randint(3, (15, 2), generator=draw).double()  # a grid: many distances are equal, and many are 0
    labels = (4 * torch.rand(15, generator=draw) ** 3).long()
    ap, an, _ = triplets(x, labels, x, labels, True)
    ours = batch_all_triplet(x, labels, 1.0, normalize=False, reduction="sum")
    torch.testing.assert_close(ours, (ap - an + 1).relu().sum())


@pytest.mark.parametrize("bank", [False, True])
def test_pytorch_metric_learning_agrees(bank: bool) -> None:
    from pytorch_metric_learning import losses

    x, labels = batch(b=20)
    y, others = batch(b=40, seed=9)
    arguments = {"reference": y, "reference_labels": others} if bank else {}
    theirs = {"ref_emb": y, "ref_labels": others} if bank else {}
    for ours, reference in [
        (batch_all_triplet(x, labels, 0.1, **arguments), losses.TripletMarginLoss(margin=0.1)),
        (batch_all_margin(x, labels, 0.1, 0.8, **arguments), losses.MarginLoss(margin=0.1, beta=0.8)),
        (nt_xent(x, labels, 0.2, **arguments), losses.NTXentLoss(temperature=0.2)),
    ]:
        assert_same_with_gradients(ours, reference(x, labels, **theirs), x)


def test_integers_of_any_width_are_labels() -> None:
    x, labels = batch()
    beta = torch.linspace(0.8, 1.2, 4)
    assert torch.equal(batch_all_margin(x, labels.to(torch.uint8), beta=beta), batch_all_margin(x, labels, beta=beta))


@pytest.mark.parametrize("classes", [None, 4])
def test_learned_boundaries_and_their_price_are_as_in_pytorch_metric_learning(classes: int | None) -> None:
    from pytorch_metric_learning import losses

    x, labels = batch()
    ours = MarginLoss(0.1, 0.9, classes=classes, nu=0.3)
    theirs = losses.MarginLoss(margin=0.1, nu=0.3, beta=0.9, learn_beta=True, num_classes=classes)
    a, b = ours(x, labels), theirs(x, labels)
    torch.testing.assert_close(a, b)
    torch.testing.assert_close(*(torch.autograd.grad(value, loss.beta)[0] for value, loss in [(a, ours), (b, theirs)]))


def test_nt_xent_of_one_positive_is_the_cross_entropy_of_its_row() -> None:
    x, _ = batch(b=8)
    labels = torch.tensor([0, 0, 1, 2, 3, 4, 5, 6])
    cosines = unit(x) @ unit(x).T / 0.3
    rows = torch.cat([cosines[0, 1:][None], cosines[1, [0, *range(2, 8)]][None]])
    wanted = torch.nn.functional.cross_entropy(rows, torch.tensor([0, 0]))
    torch.testing.assert_close(nt_xent(x, labels, 0.3), wanted)


@pytest.mark.parametrize("temperature", [1e-4, 2e-4, 100.0])
def test_nt_xent_is_right_at_any_temperature(temperature: float) -> None:
    x, labels = batch(b=12)
    s = (unit(x) @ unit(x).T).tolist()
    losses = []
    for a in range(12):
        against = [s[a][n] / temperature for n in range(12) if labels[n] != labels[a]]
        for p in range(12):
            if p != a and labels[p] == labels[a]:
                top = max(*against, s[a][p] / temperature)
                rest = sum(math.exp(value - top) for value in [*against, s[a][p] / temperature])
                losses.append(top + math.log(rest) - s[a][p] / temperature)
    loss = nt_xent(x.float(), labels, temperature)
    torch.testing.assert_close(loss.double(), torch.tensor(losses, dtype=torch.float64).mean(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_those_of_the_values(name: str) -> None:
    x, labels = batch(b=10, d=3)
    bank, others = batch(b=7, d=3, seed=1)
    arguments = {"reference_labels": others}
    assert torch.autograd.gradcheck(lambda x: LOSSES[name](x, labels), x)
    assert torch.autograd.gradcheck(lambda x, y: LOSSES[name](x, labels, reference=y, **arguments), (x, bank))


@pytest.mark.parametrize("name", LOSSES)
@given(seed=st.integers(0, 10_000))
def test_rotations_and_order_change_nothing(name: str, seed: int) -> None:
    x, labels = batch(seed=seed)
    draw = generator(seed)
    rotation = torch.linalg.qr(torch.randn(5, 5, dtype=torch.float64, generator=draw)).Q
    order = torch.randperm(len(x), generator=draw)
    torch.testing.assert_close(LOSSES[name]((x @ rotation)[order], labels[order]), LOSSES[name](x, labels))


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("labels", [[0, 0, 0, 0], [0, 1, 2, 3], [0]])
def test_without_triplets_the_loss_is_zero_with_gradient_zero(name: str, labels: list[int]) -> None:
    x = torch.randn(len(labels), 3, generator=generator()).requires_grad_()
    loss = LOSSES[name](x, torch.tensor(labels))
    assert loss.item() == 0
    assert torch.equal(torch.autograd.grad(loss, x)[0], torch.zeros_like(x))


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_coinciding_embeddings_have_finite_gradients(name: str, value: float, dtype: torch.dtype) -> None:
    x = torch.randn(6, 3, dtype=dtype, generator=generator())
    x[:4] = value
    x.requires_grad_()
    loss = LOSSES[name](x, torch.tensor([0, 0, 1, 1, 2, 2]))
    gradient = torch.autograd.grad(loss, x)[0]
    assert loss.isfinite()
    assert gradient.isfinite().all()
    assert gradient.abs().max() < 100


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_what_is_not_finite_gives_nan_and_never_a_number(name: str, value: float) -> None:
    x = torch.randn(6, 3, generator=generator())
    x[2, 1] = value
    assert LOSSES[name](x, torch.tensor([0, 0, 1, 1, 2, 2])).isnan()


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(
    ("dtype", "wanted"),
    [(torch.float16, torch.float32), (torch.float32, torch.float32), (torch.float64, torch.float64)],
)
def test_the_dtype_is_float32_or_that_of_float64_input(name: str, dtype: torch.dtype, wanted: torch.dtype) -> None:
    x, labels = batch()
    loss = LOSSES[name](x.to(dtype), labels)
    assert loss.dtype == wanted
    torch.testing.assert_close(loss.double(), LOSSES[name](x, labels), rtol=1e-2, atol=1e-3)


def test_distances_of_near_and_equal_points() -> None:
    x = torch.tensor([[1.0, 1.0], [1.0, 1.0 + 1e-6], [4.0, 5.0]], dtype=torch.float64)
    wanted = torch.tensor([[0, 1e-6, 5], [1e-6, 0, 5], [5, 5, 0]], dtype=torch.float64)
    torch.testing.assert_close(distances(x, x), wanted, rtol=1e-3, atol=0)


@pytest.mark.parametrize(
    ("loss", "arguments", "error", "words"),
    [
        ("triplet", {"margin": math.nan}, ValueError, "`margin` must be finite"),
        ("triplet", {"reduction": "average"}, ValueError, "`reduction` must be"),
        ("triplet", {"reference": torch.zeros(3, 5)}, ValueError, "go together"),
        ("triplet", {"reference": torch.zeros(3, 4), "reference_labels": torch.zeros(3).long()}, ValueError, "5 featu"),
        ("margin", {"nu": -1.0}, ValueError, "`nu` must be"),
        ("margin", {"beta": math.inf}, ValueError, "`beta` must be finite"),
        ("margin", {"beta": torch.ones(2)}, ValueError, "classes 0 to 1, but `labels` go from 0 to 3"),
        ("nt_xent", {"temperature": 0.0}, ValueError, "`temperature` must be finite and above 0"),
        ("nt_xent", {"labels": torch.zeros(24)}, TypeError, "`labels` must be a tensor of integers"),
        ("nt_xent", {"embeddings": torch.zeros(24, 5, 1)}, ValueError, "`embeddings` must be an"),
    ],
)
def test_bad_input_is_refused_in_words(
    loss: str, arguments: dict[str, object], error: type[Exception], words: str
) -> None:
    x, labels = batch()
    with pytest.raises(error, match=words):
        LOSSES[loss](**{"embeddings": x, "labels": labels, **arguments})
