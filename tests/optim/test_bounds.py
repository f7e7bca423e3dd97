"""The bound on AMSGrad's regret: closed forms, and that runs keep it."""

import math

import pytest
import torch
from torch import Tensor

from torchstone.optim import Problem, amsgrad_bound, reddi_online, reddi_stochastic, reddi_theorem1, regret


def slopes(problem: Problem, steps: int, seeds: int) -> Tensor:
    t = torch.arange(1, steps + 1)
    return torch.stack([problem.coefficients(t, torch.Generator().manual_seed(seed)) for seed in range(seeds)], 1)


@pytest.mark.parametrize("make", [reddi_online, reddi_stochastic, reddi_theorem1])
@pytest.mark.parametrize("beta1", [0.0, 0.5])
@pytest.mark.parametrize("lr", [0.1, 1.0])
def test_runs_of_amsgrad_keep_the_bound(make: type[Problem], beta1: float, lr: float) -> None:
    steps, problem = 2000, make()
    found = regret("amsgrad", problem, steps, seeds=3, lr=lr, betas=(beta1, 0.99), semantics="paper")
    bound = amsgrad_bound(slopes(problem, steps, 3), lr=lr, betas=(beta1, 0.99))
    assert (found.realised[-1] <= bound).all()


def test_a_constant_gradient() -> None:
    """v_t = 1 - β₂^t rises, so it is its own maximum; all three terms by hand."""
    steps, lr, beta1, beta2 = 50, 0.3, 0.4, 0.9
    root = [math.sqrt(1 - beta2**t) for t in range(1, steps + 1)]
    first = 4 * math.sqrt(steps) / (lr * (1 - beta1)) * root[-1]
    second = 4 / (2 * (1 - beta1)) * sum(beta1 * r * math.sqrt(t) / lr for t, r in enumerate(root, 1))
    gap = (1 - beta1) ** 2 * (1 - beta1 / math.sqrt(beta2)) * math.sqrt(1 - beta2)
    third = lr * math.sqrt(1 + math.log(steps)) / gap * math.sqrt(steps)
    bound = amsgrad_bound(torch.ones(steps, 2), lr=lr, betas=(beta1, beta2))
    assert bound.tolist() == pytest.approx([first + second + third] * 2)


def test_the_maximum_is_kept_after_a_burst() -> None:
    burst = torch.tensor([[10.0]] + [[0.0]] * 30, dtype=torch.float64)
    bound = amsgrad_bound(burst, lr=1.0, betas=(0.0, 0.9))
    by_hand = 4 * math.sqrt(31) * math.sqrt(0.1 * 100) + math.sqrt(1 + math.log(31)) / math.sqrt(0.1) * 10
    assert bound.item() == pytest.approx(by_hand)


def test_without_momentum_it_grows_no_faster_than_the_root_of_t_log_t() -> None:
    short, long = (amsgrad_bound(torch.ones(t, 1), lr=1.0, betas=(0.0, 0.9)).item() for t in (100, 10_000))
    assert long / short <= math.sqrt(100 * (1 + math.log(10_000)) / (1 + math.log(100)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"gradients": torch.ones(3)}, "gradients must be"),
        ({"gradients": torch.ones(0, 1)}, "gradients must be"),
        ({"gradients": torch.tensor([[math.nan]])}, "not finite"),
        ({"gradients": torch.ones(3, 1) * 1j}, "real numbers"),
        ({"lr": 0.0}, "lr must be"),
        ({"diameter": math.inf}, "diameter must be"),
        ({"betas": (0.99, 0.9)}, "betas must have"),
        ({"betas": (-0.1, 0.9)}, "betas must have"),
        ({"betas": (0.0, 1.0)}, "betas must have"),
    ],
)
def test_refusals(change: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        amsgrad_bound(**({"gradients": torch.ones(3, 1), "lr": 1.0} | change))
