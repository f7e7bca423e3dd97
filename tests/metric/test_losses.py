"""The table of losses against pytorch-metric-learning and closed forms, and one behaviour for bad input."""

import math
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor

from torchstone.metric import LOSSES, ClassSoftmax, MetricLoss, SoftTriple
from torchstone.metric.pairs import unit

C, D = 5, 6
OWN = [name for name, row in LOSSES.items() if row.weights]
FREE = [name for name, row in LOSSES.items() if not row.weights]


def batch(b: int = 20, seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(b, D, dtype=dtype, generator=draw).requires_grad_(), torch.randint(C, (b,), generator=draw)


def make(name: str, **settings: float) -> MetricLoss:
    return LOSSES[name].make(C, D, seed=0, **settings)


def theirs(name: str, ours: MetricLoss) -> Any:
    """The same loss of pytorch-metric-learning, of (embeddings, labels), with the same weights."""
    from pytorch_metric_learning import losses, miners, regularizers

    def weighted(loss: Any, attribute: str, weight: Tensor) -> Any:
        setattr(loss, attribute, torch.nn.Parameter(weight.detach()))
        return loss

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        weight = getattr(ours.criterion, "weight", torch.zeros(0))
        match name:
            case "contrastive":
                return losses.ContrastiveLoss(pos_margin=0.2, neg_margin=1.1)
            case "triplet":
                return losses.TripletMarginLoss(margin=0.3)
            case "nt_xent":
                return losses.NTXentLoss(temperature=0.3)
            case "proxy_nca":
                return weighted(losses.ProxyNCALoss(C, D, softmax_scale=3), "proxies", weight)
            case "margin":
                return losses.MarginLoss(margin=0.1, beta=0.9, learn_beta=True)
            case "margin_by_class":
                return losses.MarginLoss(margin=0.1, beta=0.9, learn_beta=True, num_classes=C)
            case "normalized_softmax":
                return weighted(losses.NormalizedSoftmaxLoss(C, D, temperature=0.2), "W", weight.T)
            case "cosface":
                return weighted(losses.CosFaceLoss(C, D, margin=0.3, scale=10), "W", weight.T)
            case "arcface":
                return weighted(losses.ArcFaceLoss(C, D, margin=50, scale=10), "W", weight.T)
            case "fast_ap":
                return losses.FastAPLoss(num_bins=7)
            case "snr_contrastive":
                mean = {"embedding_regularizer": regularizers.ZeroMeanRegularizer(), "embedding_reg_weight": 0.1}
                return losses.SignalToNoiseRatioContrastiveLoss(pos_margin=0.2, neg_margin=1.1, **mean)
            case "multi_similarity":
                return losses.MultiSimilarityLoss(alpha=3, beta=20, base=0.3)
            case "mined_multi_similarity":
                loss, miner = losses.MultiSimilarityLoss(alpha=3, beta=20, base=0.3), miners.MultiSimilarityMiner(0.2)
                return lambda x, y: loss(x, y, miner(x, y))
            case _:
                price = regularizers.SparseCentersRegularizer(C, 10)
                loss = losses.SoftTripleLoss(C, D, la=8, gamma=0.2, margin=0.1, weight_regularizer=price)
                loss.weight_reg_weight = 0.3
                return weighted(loss, "fc", weight.flatten(0, 1).T)


SETTINGS: dict[str, dict[str, float]] = {
    "contrastive": {"pos_margin": 0.2, "neg_margin": 1.1},
    "triplet": {"margin": 0.3},
    "nt_xent": {"temperature": 0.3},
    "proxy_nca": {"scale": 3},
    "margin": {"margin": 0.1, "beta": 0.9},
    "margin_by_class": {"margin": 0.1, "beta": 0.9},
    "normalized_softmax": {"temperature": 0.2},
    "cosface": {"margin": 0.3, "scale": 10},
    "arcface": {"angle": 50, "scale": 10},
    "fast_ap": {"bins": 7},
    "snr_contrastive": {"pos_margin": 0.2, "neg_margin": 1.1, "regularization": 0.1},
    "multi_similarity": {"alpha": 3, "beta": 20, "base": 0.3},
    "mined_multi_similarity": {"alpha": 3, "beta": 20, "base": 0.3, "epsilon": 0.2},
    "soft_triple": {"scale": 8, "gamma": 5, "margin": 0.1, "regularization": 0.3},
}


def test_the_papers_fourteen_methods_are_there() -> None:
    assert LOSSES.keys() == SETTINGS.keys()
    assert len(LOSSES) == 14


@pytest.mark.parametrize("name", LOSSES)
def test_pytorch_metric_learning_agrees(name: str) -> None:
    x, labels = batch()
    ours = make(name, **SETTINGS[name])
    a, b = ours(x, labels), theirs(name, ours)(x, labels)
    torch.testing.assert_close(a, b.to(a), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(*(torch.autograd.grad(value, x)[0] for value in (a, b)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_defaults_lie_in_their_ranges_and_the_losses_know_them(name: str) -> None:
    row = LOSSES[name]
    for span in row.space.values():
        assert span.low <= span.default <= span.high
        assert span.low > 0 or not span.log
    x, labels = batch(dtype=torch.float32)
    for settings in [row.defaults, {key: span.high for key, span in row.space.items()}]:
        assert row.make(C, D, seed=0, **settings)(x, labels).isfinite()


@pytest.mark.parametrize("name", LOSSES)
def test_weights_are_said_and_seeded(name: str) -> None:
    first, again, other = (LOSSES[name].make(C, D, seed=seed).state_dict() for seed in (0, 0, 1))
    assert bool(list(make(name).parameters())) == LOSSES[name].weights
    assert all(torch.equal(first[key], again[key]) for key in first)
    if any(key.endswith("weight") for key in first):
        assert not all(torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_those_of_the_values(name: str) -> None:
    x, labels = batch(b=8)
    loss = make(name, **SETTINGS[name]).double()
    assert torch.autograd.gradcheck(lambda x: loss(x, labels), x)


@pytest.mark.parametrize("name", FREE)
def test_batches_without_pairs_are_zero_and_counted(name: str) -> None:
    loss = make(name)
    x, _ = batch(b=4, dtype=torch.float32)
    for labels in ([1, 1, 1, 1], [0, 1, 2, 3], [0, 0, 1, 1]):
        value = loss(x, torch.tensor(labels))
        assert torch.autograd.grad(value, x)[0].isfinite().all()
    assert (loss.batches_without_negatives, loss.batches_without_positives) == (1, 1)


@pytest.mark.parametrize("name", ["triplet", "nt_xent", "margin", "margin_by_class"])
@pytest.mark.parametrize("labels", [[1, 1, 1, 1], [0, 1, 2, 3]])
def test_what_needs_both_kinds_of_pairs_is_zero_without(name: str, labels: list[int]) -> None:
    x, _ = batch(b=4, dtype=torch.float32)
    loss = make(name)(x, torch.tensor(labels))
    assert loss.item() == 0
    assert not torch.autograd.grad(loss, x)[0].any()


@pytest.mark.parametrize("name", LOSSES)
def test_coinciding_embeddings_have_finite_gradients(name: str) -> None:
    loss = make(name)
    x, _ = batch(b=6, dtype=torch.float32)
    x = x.detach().clone()
    x[:4] = x[0]
    if hasattr(loss.criterion, "weight"):
        x[0] = loss.criterion.weight.detach().flatten(0, -2)[0]  # an angle of 0
    x.requires_grad_()
    value = loss(x, torch.tensor([0, 0, 1, 1, 2, 2]))
    assert value.isfinite()
    assert torch.autograd.grad(value, x)[0].isfinite().all()


@pytest.mark.parametrize("name", LOSSES)
def test_nan_gives_nan_and_half_works(name: str) -> None:
    x, labels = batch(dtype=torch.float32)
    loss = make(name)
    assert loss(x.half(), labels).isfinite()
    assert loss(x.half(), labels).dtype == torch.float32
    broken = x.detach().clone()
    broken[3, 2] = torch.nan
    assert loss(broken, labels).isnan()


@pytest.mark.parametrize("name", LOSSES)
def test_labels_out_of_range_and_other_widths_are_refused(name: str) -> None:
    x, labels = batch(dtype=torch.float32)
    with pytest.raises(ValueError, match="classes 0 to 4, but `labels` go from 0 to 5"):
        make(name)(x, torch.arange(20) % 6)
    with pytest.raises(ValueError, match="from -1 to"):
        make(name)(x, torch.arange(20) % 4 - 1)
    with pytest.raises(ValueError, match="the 6 features"):
        make(name)(x[:, :3], labels)
    with pytest.raises(TypeError, match="`labels` must be a tensor of integers"):
        make(name)(x, labels.float())


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32])
@pytest.mark.parametrize("name", LOSSES)
def test_integers_of_any_width_are_labels(name: str, dtype: torch.dtype) -> None:
    x, labels = batch()
    loss = make(name)
    assert torch.equal(loss(x, labels.to(dtype)), loss(x, labels))


@pytest.mark.parametrize("criterion", [ClassSoftmax(C, D, scale=3.0, seed=0), SoftTriple(C, D, seed=0)])
def test_classes_without_the_wrapper_take_them_too(criterion: torch.nn.Module) -> None:
    x, labels = batch()
    assert torch.equal(criterion(x, labels.to(torch.uint8)), criterion(x, labels))


def test_the_package_loads_pytorch_metric_learning_only_where_it_serves() -> None:
    code = "import sys, torchstone.metric; sys.exit('pytorch_metric_learning' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_unknown_hyperparameters_are_refused() -> None:
    with pytest.raises(ValueError, match="'triplet' has no 'scale': its hyperparameters are margin"):
        LOSSES["triplet"].make(C, D, scale=2.0)
    with pytest.raises(ValueError, match="`classes` and `dim` must be at least 1"):
        LOSSES["triplet"].make(0, D)


def test_margins_of_zero_make_one_loss_of_three() -> None:
    x, labels = batch()
    values = [
        make("cosface", margin=0, scale=8.0)(x, labels),
        make("arcface", angle=0, scale=8.0)(x, labels),
        make("normalized_softmax", temperature=1 / 8)(x, labels),
        make("proxy_nca", scale=4.0)(x, labels),
    ]
    for value in values[1:]:
        torch.testing.assert_close(value, values[0])


def test_arcface_falls_with_the_angle_everywhere() -> None:
    loss = ClassSoftmax(1, 2, scale=1.0, angle=60.0, seed=0)
    cosines = torch.linspace(0, math.pi, 500, dtype=torch.float64).cos()
    logits = loss._with_margin(cosines)
    assert (logits.diff() < 0).all()


def test_soft_triple_with_one_center_is_cosface() -> None:
    x, labels = batch()
    soft = SoftTriple(C, D, scale=9.0, margin=0.2, regularization=0.5, centers=1, seed=0)
    hard = ClassSoftmax(C, D, scale=9.0, margin=0.2, seed=1)
    hard.weight.data = soft.weight.data[:, 0]
    torch.testing.assert_close(soft(x, labels), hard(x, labels))


def test_soft_triple_with_equal_centers_has_nothing_to_draw_together() -> None:
    x, labels = batch()
    values = []
    for regularization in (0.0, 1.0):
        loss = SoftTriple(C, D, regularization=regularization, centers=3, seed=0)
        loss.weight.data = loss.weight.data[:, :1].repeat(1, 3, 1)
        values.append(loss(x, labels))
        assert torch.autograd.grad(values[-1], loss.weight)[0].isfinite().all()
    torch.testing.assert_close(*values)


def test_fast_ap_of_fine_bins_is_the_average_precision_of_what_two_bins_share() -> None:
    x, labels = batch(b=12, seed=3)
    bins, losses, exact = 20_000, [], []
    squares = (torch.cdist(unit(x), unit(x)) ** 2).tolist()
    for a in range(12):
        found, total, precision = 0, 0.0, 0.0
        for seen, (square, j) in enumerate(sorted((squares[a][j], j) for j in range(12) if j != a)):
            first = 1 - math.modf(square * bins / 4)[0]  # the share of the nearer bin
            if labels[j] == labels[a]:
                total += first * (found + first) / (seen + first) + (1 - first) * (found + 1) / (seen + 1)
                precision += (found + 1) / (seen + 1)
                found += 1
        if found:
            losses.append(1 - total / found)
            exact.append(1 - precision / found)
    loss = make("fast_ap", bins=bins)(x, labels).item()
    assert loss == pytest.approx(sum(losses) / len(losses), abs=1e-6)
    assert loss > sum(exact) / len(exact)


def test_multi_similarity_of_large_scales_is_the_hardest_pair() -> None:
    x, labels = batch()
    s = unit(x) @ unit(x).T
    same = labels[:, None] == labels
    hardest_positive = s.masked_fill(~same | torch.eye(20, dtype=torch.bool), 9).amin(1)
    hardest_negative = s.masked_fill(same, -9).amax(1)
    wanted = (0.5 - hardest_positive.clamp(max=0.5)) + (hardest_negative - 0.5).relu()
    torch.testing.assert_close(
        make("multi_similarity", alpha=1e6, beta=1e6)(x, labels), wanted.mean(), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("loss", ["soft_triple", "arcface", "cosface"])
def test_bad_hyperparameters_are_refused_in_words(loss: str) -> None:
    with pytest.raises(ValueError, match="`scale` must be finite and above 0"):
        make(loss, scale=0.0)
    name = "angle" if loss == "arcface" else "margin"
    with pytest.raises(ValueError, match=f"`{name}` must"):
        make(loss, **{name: -1.0})


@pytest.mark.parametrize("name", LOSSES)
def test_no_hyperparameter_may_be_nan(name: str) -> None:
    for hyperparameter in LOSSES[name].space:
        with pytest.raises(ValueError, match=f"`{hyperparameter}` must be"):
            make(name, **{hyperparameter: float("nan")})


def test_what_only_whole_numbers_or_positive_ones_can_be() -> None:
    for bins in (2.5, 1):
        with pytest.raises(ValueError, match="`bins` must be"):
            make("fast_ap", bins=bins)
    with pytest.raises(ValueError, match="`alpha` must be finite and above 0"):
        make("multi_similarity", alpha=0)
    with pytest.raises(ValueError, match="`classes` and `dim` must be at least 1"):
        LOSSES["cosface"].make(-1, D)
