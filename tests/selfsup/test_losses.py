"""The three losses: values by hand, gradients, independence of the order."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from torchstone.selfsup import RandomAffine, RandomProjective, image_loss, matrix_loss, parameter_loss

LOSSES: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], tuple[int, ...]]] = {
    "parameters": (parameter_loss, (5, 6)),
    "matrix": (matrix_loss, (5, 3, 3)),
    "images": (image_loss, (5, 2, 4, 4)),
}
EVERY = pytest.mark.parametrize(("loss", "shape"), LOSSES.values(), ids=LOSSES)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@EVERY
def test_it_is_zero_only_for_what_is_right(loss: Callable[..., Tensor], shape: tuple[int, ...]) -> None:
    assert loss(normal(*shape), normal(*shape)) == 0
    assert loss(normal(*shape), normal(*shape, seed=1)) > 0


@EVERY
def test_the_order_of_the_batch_does_not_matter(loss: Callable[..., Tensor], shape: tuple[int, ...]) -> None:
    a, b, order = normal(*shape), normal(*shape, seed=1), torch.tensor([3, 1, 0, 4, 2])
    torch.testing.assert_close(loss(a[order], b[order]), loss(a, b))


@EVERY
def test_gradients_are_right(loss: Callable[..., Tensor], shape: tuple[int, ...]) -> None:
    assert torch.autograd.gradcheck(loss, (normal(*shape), normal(*shape, seed=1).requires_grad_()))


@EVERY
def test_other_shapes_are_refused(loss: Callable[..., Tensor], shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="must have the same shape"):
        loss(normal(*shape), normal(1, *shape[1:]))


def test_the_matrix_loss_is_half_the_squared_norm() -> None:
    a, b = normal(4, 3, 3), normal(4, 3, 3, seed=1)
    by_hand = sum(0.5 * torch.linalg.matrix_norm(m - n) ** 2 for m, n in zip(a, b, strict=True)) / 4
    torch.testing.assert_close(matrix_loss(a, b), by_hand)


def test_predicting_nothing_costs_the_variance_of_the_targets() -> None:
    transform = RandomAffine()
    y = transform.target(transform.sample(50_000, torch.Generator().manual_seed(0)))
    assert parameter_loss(y, torch.zeros_like(y)).item() == pytest.approx((1 / 2 + 1 / 2 + 4 / 3) / 6, abs=0.003)


@pytest.mark.parametrize("transform", [RandomAffine(), RandomProjective(rot90=False)])
def test_descent_on_the_image_loss_finds_a_transformation(transform: RandomAffine | RandomProjective) -> None:
    """Nobody says what t was: only what it does to an image."""
    place = torch.arange(24) / 24
    x = (torch.sin(2 * math.pi * place)[:, None] + torch.cos(math.pi * place) + place * place[:, None])[None, None]
    t = transform.from_target(0.3 * torch.tensor([[3.2, 0.7, 0.6, -0.5, 0.4, -0.3, 0.2, -0.3]])[:, : _p(transform)])
    guess = transform.target(transform.sample(1, torch.Generator().manual_seed(0))) * 0
    guess[0, 0] = 1
    guess = guess.requires_grad_()
    optimizer = torch.optim.Adam([guess], lr=0.02)
    losses = []
    for _ in range(60):
        loss = image_loss(transform.apply(x, t), transform.apply(x, transform.from_target(guess)))
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < 0.1 * losses[0]


def _p(transform: RandomAffine | RandomProjective) -> int:
    return 6 if isinstance(transform, RandomAffine) else 8
