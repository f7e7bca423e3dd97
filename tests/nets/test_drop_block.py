"""DropBlock: what it keeps on average, in closed form; whole squares; the cases at the edge."""

import sys

import pytest
import torch
from torch import Tensor

from torchstone.nets import DropBlock, drop_block


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def expected_keep(side: int, rate: float, block: int) -> float:
    """The mean over the cells of (1 - γ)^(number of squares that cover the cell)."""
    places = side - block + 1
    gamma = rate / block**2 * side**2 / places**2
    cover = [sum(first <= i < first + block for first in range(places)) for i in range(side)]
    return sum((1 - gamma) ** (a * b) for a in cover for b in cover) / side**2


@pytest.mark.parametrize(("side", "block"), [(10, 5), (5, 5), (4, 2), (2, 2), (7, 1), (9, 3)])
def test_it_keeps_what_the_formula_says(side: int, block: int) -> None:
    maps = 20_000
    kept = drop_block(torch.ones(maps, 1, side, side), 0.1, block, generator=generator()).gt(0).double()
    share = kept.mean((1, 2, 3))
    error = share.std() / maps**0.5
    assert abs(share.mean() - expected_keep(side, 0.1, block)) < 4 * error
    assert expected_keep(side, 0.1, block) >= 0.9 - 1e-12


def test_the_mean_stays() -> None:
    y = drop_block(torch.ones(50, 3, 8, 8, dtype=torch.float64), 0.2, 3, generator=generator())
    assert y.mean().item() == pytest.approx(1, abs=1e-12)


def test_what_is_dropped_is_a_union_of_squares_inside_the_map() -> None:
    dropped = drop_block(torch.ones(200, 2, 9, 7), 0.2, 3, generator=generator()) == 0
    assert dropped.any()
    whole = dropped.unfold(2, 3, 1).unfold(3, 3, 1).all(-1).all(-1)  # where a whole square is gone
    again = torch.zeros_like(dropped)
    for image, channel, row, column in whole.nonzero().tolist():
        again[image, channel, row : row + 3, column : column + 3] = True
    assert torch.equal(again, dropped)


def test_nothing_kept_is_zero_not_nan() -> None:
    x = torch.ones(1, 1, 2, 2, requires_grad=True)
    seeds = [seed for seed in range(50) if not drop_block(x, 0.99, 2, generator=generator(seed)).any()]
    y = drop_block(x, 0.99, 2, generator=generator(seeds[0]))
    y.sum().backward()
    assert torch.equal(y.detach(), torch.zeros(1, 1, 2, 2))
    assert torch.equal(x.grad, torch.zeros(1, 1, 2, 2))  # type: ignore[arg-type]


def test_rate_zero_is_the_identity() -> None:
    x = torch.randn(3, 4, 5, 5, generator=generator())
    assert torch.equal(drop_block(x, 0.0, 2, generator=generator()), x)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_the_dtype_stays(dtype: torch.dtype) -> None:
    assert drop_block(torch.ones(64, 64, 5, 5, dtype=dtype), 0.1, 2, generator=generator()).dtype == dtype
    assert drop_block(torch.ones(64, 64, 5, 5, dtype=dtype), 0.1, 2, generator=generator()).isfinite().all()


def test_in_eval_it_is_the_identity_and_counts_nothing() -> None:
    layer = DropBlock(0.5, ramp=1).eval()
    x = torch.randn(2, 3, 6, 6, generator=generator())
    assert layer(x) is x
    assert layer.batches == 0


def test_the_rate_grows_with_the_batches() -> None:
    layer = DropBlock(0.5, ramp=100)

    def dropped() -> float:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return layer(torch.ones(500, 4, 4, 4)).eq(0).float().mean().item()

    first = dropped()
    layer.batches.fill_(99)
    last = dropped()
    layer.batches.fill_(10_000)
    assert 0 < first < 0.02
    assert last == pytest.approx(1 - expected_keep(4, 0.5, 2), abs=0.02)
    assert dropped() == pytest.approx(last)
    assert "batches" in layer.state_dict()


@pytest.mark.parametrize(("side", "block"), [(10, 5), (5, 5), (4, 2), (2, 2), (1, 1)])
def test_the_side_of_the_squares_follows_the_map(side: int, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    module = sys.modules["torchstone.nets.drop_block"]
    monkeypatch.setattr(module, "drop_block", lambda x, rate, block: seen.append(block) or x)
    DropBlock()(torch.ones(1, 1, side, side + 3))
    assert seen == [block]


@pytest.mark.parametrize(("rate", "block"), [(1.0, 2), (-0.1, 2), (float("nan"), 2), (0.1, 0), (0.1, 5)])
def test_senseless_numbers_are_refused(rate: float, block: int) -> None:
    x: Tensor = torch.ones(1, 1, 4, 6)
    with pytest.raises(ValueError, match=r"`(rate|block)` must lie"):
        drop_block(x, rate, block)


@pytest.mark.parametrize(("rate", "ramp"), [(1.0, 10), (-0.1, 10), (0.1, 0)])
def test_a_senseless_layer_is_refused(rate: float, ramp: int) -> None:
    with pytest.raises(ValueError, match="`rate` must lie in"):
        DropBlock(rate, ramp=ramp)


def test_maps_without_a_batch_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`x` must be maps \(n, c, h, w\), but has shape \(6, 6, 6\)"):
        drop_block(torch.ones(6, 6, 6), 0.1, 2)
