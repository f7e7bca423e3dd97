"""Step sizes that shrink with the step."""

import math

import pytest
import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, StepLR

from torchstone.optim import InverseSqrt, create


def optimizer(*rates: float) -> Optimizer:
    groups = [{"params": [torch.zeros(1, requires_grad=True)], "lr": rate} for rate in rates]
    return torch.optim.SGD(groups)


def rates(optimizer: Optimizer, steps: int, *schedulers: LRScheduler) -> list[list[float]]:
    """The learning rates of each step's groups."""
    seen = []
    for _ in range(steps):
        seen.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    return seen


def test_each_group_follows_the_inverse_root():
    two = optimizer(1.0, 0.25)
    for t, (first, second) in enumerate(rates(two, 500, InverseSqrt(two)), 1):
        assert first == pytest.approx(1 / math.sqrt(t), rel=1e-12)
        assert second == pytest.approx(0.25 / math.sqrt(t), rel=1e-12)


def test_it_composes_with_another_schedule():
    one = optimizer(1.0)
    seen = rates(one, 9, InverseSqrt(one), StepLR(one, 3, gamma=0.1))
    expected = [[0.1 ** ((t - 1) // 3) / math.sqrt(t)] for t in range(1, 10)]
    torch.testing.assert_close(torch.tensor(seen), torch.tensor(expected))


def test_a_run_goes_on_from_its_state():
    straight, first, second = optimizer(0.3), optimizer(0.3), optimizer(0.3)
    expected = rates(straight, 10, InverseSqrt(straight))
    before = InverseSqrt(first)
    seen = rates(first, 4, before)
    after = InverseSqrt(second)
    second.load_state_dict(first.state_dict())
    after.load_state_dict(before.state_dict())
    assert seen + rates(second, 6, after) == expected


def test_rules_of_this_package_follow_it():
    x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    rule = create("adamnc", [x], lr=1.0, beta1=0.0, eps=0.0)
    scheduler = InverseSqrt(rule)
    moved = []
    for _ in range(4):
        x.grad, before = torch.ones_like(x), x.item()
        rule.step()
        scheduler.step()
        moved.append(before - x.item())
    assert moved == pytest.approx([1 / math.sqrt(t) for t in (1, 2, 3, 4)])
