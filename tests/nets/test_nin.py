"""NIN: the released code's number of parameters, its maps, its seed, what is refused."""

import pytest
import torch
from torch import Tensor, nn

from torchstone.nets import NIN


def images(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def numbers(net: nn.Module, kind: type[nn.Module]) -> int:
    found = [module for module in net.modules() if isinstance(module, kind)]
    return sum(weights.numel() for module in found for weights in module.parameters())


def test_it_has_the_parameters_of_the_released_code() -> None:
    net = NIN(seed=0)
    assert numbers(net, nn.Conv2d) == 1_406_016
    assert numbers(net, nn.BatchNorm2d) == 4_352
    assert sum(weights.numel() for weights in net.parameters()) == 1_406_016 + 4_352


def test_maps_have_the_papers_sizes_at_32_pixels() -> None:
    net, x, shapes = NIN(24, seed=0).eval(), images(1, 3, 32, 32), []
    for child in net.children():
        x = child(x)
        shapes.append(tuple(x.shape[1:]))
    assert shapes == [(12, 16, 16), (24, 8, 8), (24, 8, 8), (24, 8, 8), (24,)]


def test_the_forward_pass_goes_through_its_children() -> None:
    net, x = NIN(6, channels=1, seed=0).eval(), images(2, 1, 9, 14)
    maps = nn.Sequential(net.block1, net.block2, net.block3, net.block4)(x)
    torch.testing.assert_close(net(x), maps.mean((2, 3)))


def test_weights_are_he_s_and_the_seed_decides() -> None:
    net = NIN(48, seed=1)
    weights = net.block3[0].weight
    assert weights.var().item() == pytest.approx(2 / (9 * 48), rel=0.05)
    assert torch.equal(weights, NIN(48, seed=1).block3[0].weight)
    assert not torch.equal(weights, NIN(48, seed=2).block3[0].weight)


def test_other_images_and_senseless_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(n, 3, h, w\)"):
        NIN(6, seed=0)(images(2, 1, 8, 8))
    with pytest.raises(ValueError, match="at least 4×4 pixels"):
        NIN(6, seed=0)(images(2, 3, 3, 8))
    with pytest.raises(ValueError, match="`width` must be at least 2"):
        NIN(1, seed=0)
