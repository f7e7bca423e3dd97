"""AED and RotNet: they learn their tasks; decoder and turns; determinism; what is refused."""

import pytest
import torch
from sklearn.base import clone
from torch import Tensor, nn

from torchstone.nets import Conv4
from torchstone.selfsup import AED, Recipe, RotNet

SMALL = Recipe(rate=0.05, batch_size=16)


def test_an_auto_encoder_learns_to_reconstruct(encoder: nn.Module, images: Tensor) -> None:
    aed = AED(encoder, width=4, recipe=SMALL).fit(images, steps=120)
    by_hand = (aed.reconstruct(images) - images).square().mean().item()
    assert aed.reconstruction_error(images, batch_size=10) == pytest.approx(by_hand, rel=1e-4)
    assert by_hand < 0.3 * (images - images.mean()).square().mean().item()


def test_noise_goes_in_and_does_not_come_out(encoder: nn.Module, images: Tensor) -> None:
    plain, noisy, again = (
        AED(encoder, noise, width=4, recipe=SMALL).fit(images, steps=2).history_.metrics["player/loss"]
        for noise in (0.0, 0.5, 0.5)
    )
    assert torch.equal(noisy, again)
    assert not torch.equal(plain, noisy)
    denoiser = AED(encoder, 0.3, width=4, recipe=SMALL).fit(images, steps=120)
    assert denoiser.reconstruction_error(images) < 0.5 * (images - images.mean()).square().mean().item()


@pytest.mark.parametrize("shape", [(1, 12, 12), (3, 17, 22), (2, 16, 40)])
def test_the_decoder_gives_images_of_every_size(shape: tuple[int, int, int]) -> None:
    x = torch.rand(4, *shape, generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng(devices=[]):
        encoder = nn.Sequential(nn.Flatten(), nn.LazyLinear(5))
        encoder(x)
    aed = AED(encoder, width=2, recipe=Recipe(rate=0.01, batch_size=4)).fit(x, steps=1)
    assert aed.reconstruct(x).shape == x.shape


def test_rotnet_learns_to_tell_the_turns(encoder: nn.Module, images: Tensor) -> None:
    net = RotNet(encoder, recipe=SMALL).fit(images, steps=40)
    assert net.transformation_error(images) < 0.1


def test_an_untrained_rotnet_guesses(images: Tensor) -> None:
    blank = images * 0 + 0.5  # all turns look alike
    net = RotNet(Conv4(4, channels=1, seed=0), recipe=SMALL)
    blank = nn.functional.pad(blank, (2, 2, 2, 2), value=0.5)
    assert net.fit(blank, steps=1).transformation_error(blank) == pytest.approx(0.75)


@pytest.mark.parametrize("turns", [1, 2, 4])
def test_each_image_is_turned_so_often_and_never_twice_alike(encoder: nn.Module, turns: int) -> None:
    k = RotNet(encoder, turns=turns)._drawn(500, torch.Generator().manual_seed(0)).view(turns, 500)
    assert all(len(set(column.tolist())) == turns for column in k.T)
    assert torch.bincount(k.flatten(), minlength=4).div(turns * 500).tolist() == pytest.approx([0.25] * 4, abs=0.08)


def test_the_seed_decides(encoder: nn.Module, images: Tensor) -> None:
    for method in (AED(encoder, 0.1, width=2, recipe=SMALL), RotNet(encoder, turns=2, recipe=SMALL)):
        first, again, other = (clone(method).fit(images, steps=2, seed=seed).transform(images) for seed in (0, 0, 1))
        assert torch.equal(first, again)
        assert not torch.equal(first, other)


def test_senseless_settings_are_refused(encoder: nn.Module, images: Tensor) -> None:
    with pytest.raises(ValueError, match="`noise` must be 0 or more"):
        AED(encoder, -1, recipe=SMALL).fit(images, steps=1)
    with pytest.raises(ValueError, match="`width` 1 or more"):
        AED(encoder, width=0, recipe=SMALL).fit(images, steps=1)
    with pytest.raises(ValueError, match="`turns` must lie between 1 and 4, but is 5"):
        RotNet(encoder, turns=5, recipe=SMALL).fit(images, steps=1)
    with pytest.raises(ValueError, match="must be square"):
        RotNet(encoder, recipe=SMALL).fit(images[:, :, :10], steps=1)
