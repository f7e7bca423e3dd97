"""Conv4 and ResNet-12: parameters counted by others, sizes, the block against plain arithmetic, what is refused."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, conv2d, leaky_relu, max_pool2d

from torchstone.nets import Conv4, DropBlock, ResNet12

NARROW = (4, 6, 8, 10)
ENCODERS: dict[str, Callable[[int], nn.Module]] = {
    "conv4": lambda seed: Conv4(8, seed=seed),
    "resnet12": lambda seed: ResNet12(widths=NARROW, seed=seed),
}


def parameters(net: nn.Module) -> int:
    return sum(weights.numel() for weights in net.parameters())


def images(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def test_resnet12_has_the_parameters_of_the_released_code() -> None:
    net = ResNet12(seed=0)
    assert parameters(net) == 12_424_320
    assert net.eval()(images(1, 3, 32, 32)).shape == (1, 640)


def test_conv4_has_the_parameters_counted_by_hand() -> None:
    assert parameters(Conv4(seed=0)) == 9 * (3 * 64 + 3 * 64 * 64) + 4 * 2 * 64
    assert parameters(Conv4(32, channels=1, seed=0)) == 9 * (32 + 3 * 32 * 32) + 4 * 2 * 32


@pytest.mark.parametrize(("side", "d"), [(16, 8), (28, 8), (32, 32), (84, 200)])
def test_conv4_flattens_its_last_map(side: int, d: int) -> None:
    assert Conv4(8, seed=0).eval()(images(2, 3, side, side)).shape == (2, d)


def test_resnet12_drops_cells_in_two_blocks_and_squares_in_two() -> None:
    net = ResNet12(widths=NARROW, seed=0)
    kinds = [type(module) for module in net.modules() if isinstance(module, nn.Dropout | DropBlock)]
    assert kinds == [nn.Dropout, nn.Dropout, DropBlock, DropBlock]


def test_maps_have_the_papers_sides_at_84_pixels() -> None:
    net, x, sides = ResNet12(widths=NARROW, seed=0).eval(), images(1, 3, 84, 84), []
    for block in net.blocks:
        x = block(x)
        sides.append(x.shape[-1])
    assert sides == [42, 21, 10, 5]


def test_a_block_is_what_the_formula_says() -> None:
    block = ResNet12(widths=NARROW, drop=0.0, seed=0).double().eval().blocks[0]
    x = images(3, 3, 12, 12).double()
    weights = [module.weight for module in block.modules() if isinstance(module, nn.Conv2d)]

    def normed(h: Tensor, weight: Tensor) -> Tensor:
        zeros, ones = torch.zeros(len(weight)).double(), torch.ones(len(weight)).double()
        return batch_norm(conv2d(h, weight, padding=weight.shape[-1] // 2), zeros, ones)

    h = normed(leaky_relu(normed(leaky_relu(normed(x, weights[0]), 0.1), weights[1]), 0.1), weights[2])
    expected = max_pool2d(leaky_relu(h + normed(x, weights[3]), 0.1), 2)
    torch.testing.assert_close(block(x), expected)


@pytest.mark.parametrize("make", ENCODERS.values(), ids=ENCODERS)
def test_the_seed_decides_the_weights(make: Callable[[int], nn.Module]) -> None:
    first, again, other = (make(seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(next(iter(first.values())), next(iter(other.values())))


@pytest.mark.parametrize("make", ENCODERS.values(), ids=ENCODERS)
def test_every_parameter_gets_a_gradient_while_training(make: Callable[[int], nn.Module]) -> None:
    net = make(0)
    with torch.random.fork_rng(devices=[]):
        net(images(16, 3, 32, 32)).square().sum().backward()
    assert all(weights.grad is not None and weights.grad.abs().sum() > 0 for weights in net.parameters())


@pytest.mark.parametrize("make", ENCODERS.values(), ids=ENCODERS)
def test_in_eval_an_image_does_not_see_its_neighbours(make: Callable[[int], nn.Module]) -> None:
    net, x = make(0).eval(), images(6, 3, 32, 32)
    torch.testing.assert_close(net(x)[:1], net(x[:1]))
    assert torch.equal(net(x), net(x))


@pytest.mark.parametrize("make", ENCODERS.values(), ids=ENCODERS)
def test_images_of_another_shape_are_refused(make: Callable[[int], nn.Module]) -> None:
    net = make(0)
    for x in (images(2, 1, 32, 32), images(3, 32, 32), (255 * images(2, 3, 32, 32)).byte()):
        with pytest.raises(ValueError, match=r"takes floating-point images of shape \(n, 3, h, w\)"):
            net(x)
    with pytest.raises(ValueError, match=r"at least 16×16 pixels.*15×16"):
        net(images(2, 3, 15, 16))


def test_senseless_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="`width` and `channels` must be at least 1"):
        Conv4(0, seed=0)
    with pytest.raises(ValueError, match="`channels` and `widths` must be at least 1"):
        ResNet12(widths=(), seed=0)
    with pytest.raises(ValueError, match="`channels` and `widths` must be at least 1"):
        ResNet12(channels=0, seed=0)
    with pytest.raises(ValueError, match="`rate` must lie in"):
        ResNet12(widths=NARROW, drop=1.0, seed=0)
