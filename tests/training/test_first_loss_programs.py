"""Programs of every kind learn under ``fit``, and the look at their first loss changes no bit."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from torchstone.nets import seeded
from torchstone.training import Player, fit

X = torch.randn(8, 6, generator=torch.Generator().manual_seed(0))
Program = tuple[nn.Module, Callable[[Tensor], Tensor]]


def mlp() -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))


def half_precision() -> Program:
    net = mlp()

    def objective(x: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return net(x).float().square().mean()

    return net, objective


def recomputed() -> Program:
    net = mlp()
    return net, lambda x: checkpoint(net, x, use_reentrant=False).square().mean()


def parametrized() -> Program:
    normed = nn.utils.parametrizations.spectral_norm(nn.Linear(6, 8))
    net = nn.Sequential(normed, nn.utils.parametrizations.weight_norm(nn.Linear(8, 3)))
    return net, lambda x: net(x).square().mean()


def ensemble() -> Program:
    nets = [nn.Linear(6, 3) for _ in range(3)]
    stacked, _ = torch.func.stack_module_state(nets)
    members = nn.ParameterDict({name: nn.Parameter(value.detach()) for name, value in stacked.items()})

    def loss(parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        return torch.func.functional_call(nets[0], parameters, (x,)).square().mean()

    return members, lambda x: torch.func.vmap(loss, in_dims=(0, None))(dict(members.items()), x).mean()


def gradient_of_a_gradient() -> Program:
    net = mlp()

    def objective(x: Tensor) -> Tensor:
        x = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(net(x).square().sum(), x, create_graph=True)
        return slope.square().mean()

    return net, objective


def follows_a_teacher() -> Program:
    net = mlp()
    teacher = copy.deepcopy(net)

    def objective(x: Tensor) -> Tensor:
        with torch.no_grad():
            target = teacher(x)
            for average, weight in zip(teacher.parameters(), net.parameters(), strict=True):
                average.lerp_(weight, 0.1)
        return (net(x) - target - 1).square().mean()

    return net, objective


def straight_through() -> Program:
    net = mlp()

    def objective(x: Tensor) -> Tensor:
        y = net(x)
        return ((y.round() - y).detach() + y).square().mean()

    return net, objective


class Rounded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.round()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]


def hand_written_derivative() -> Program:
    net = mlp()
    return net, lambda x: Rounded.apply(net(x)).square().mean()  # type: ignore[no-untyped-call]


def sparse_gradients() -> Program:
    net = nn.Embedding(5, 4, sparse=True)
    return net, lambda x: net((x > 0).long()).square().mean()


def weights_clamped_by_hand() -> Program:
    net = mlp()

    def objective(x: Tensor) -> Tensor:
        for parameter in net.parameters():
            parameter.data.clamp_(-0.3, 0.3)
        return net(x).square().mean()

    return net, objective


def sampled() -> Program:
    net = mlp()

    def objective(x: Tensor) -> Tensor:
        hard = F.gumbel_softmax(net(x), hard=True)
        normal = torch.distributions.Normal(net(x), F.softplus(net(x)))
        return (hard * normal.rsample()).square().mean()

    return net, objective


def unrolled() -> Program:
    cell = nn.GRUCell(6, 6)

    def objective(x: Tensor) -> Tensor:
        state = torch.zeros(8, 6)
        for _ in range(20):
            state = cell(x, state)
        return state.square().mean()

    return cell, objective


PROGRAMS = [
    half_precision,
    recomputed,
    parametrized,
    ensemble,
    gradient_of_a_gradient,
    follows_a_teacher,
    straight_through,
    hand_written_derivative,
    sparse_gradients,
    weights_clamped_by_hand,
    sampled,
    unrolled,
]


@pytest.mark.parametrize("build", PROGRAMS, ids=lambda build: build.__name__)
def test_it_learns_and_the_check_changes_no_bit(build: Callable[[], Program]) -> None:
    left = []
    for check in (True, False):
        with seeded(0):
            net, objective = build()
        player = Player(net, objective, torch.optim.SGD(net.parameters(), 0.05))
        history = fit(player, [X, -X], steps=3, check=check)
        left.append([*net.state_dict().values(), *history.metrics.values()])
    assert all(torch.equal(a, b) for a, b in zip(*left, strict=True))
