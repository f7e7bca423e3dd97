"""Affine jitter against exact rotations, moves and moments; flips; composition."""

import math

import pytest
import torch
from torch import Tensor

from torchstone.data import affine_jitter, compose, random_flip, warp

QUARTER_TURN = torch.tensor([[0.0, -1.0], [1.0, 0.0]])  # right becomes down: clockwise on the screen


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(*shape: int) -> Tensor:
    return torch.rand(shape, generator=generator())


def blob(b: int, side: int = 41) -> Tensor:
    """A round spot in the middle."""
    place = torch.arange(side) - (side - 1) / 2
    spot = torch.exp(-(place[:, None] ** 2 + place**2) / (2 * 3.0**2))
    return spot.expand(b, 1, side, side)


def centre(x: Tensor) -> Tensor:
    """Mean (right, down) position of the ink, in pixels from the middle."""
    place = torch.arange(x.shape[-1]) - (x.shape[-1] - 1) / 2
    mass = x.sum((1, 2, 3))
    return torch.stack([(x.sum((1, 2)) * place).sum(1) / mass, (x.sum((1, 3)) * place).sum(1) / mass], dim=1)


def spread(x: Tensor) -> Tensor:
    """Covariance of the ink's position (b, 2, 2), in square pixels."""
    place = torch.arange(x.shape[-1]) - (x.shape[-1] - 1) / 2
    mass, pixels = x.sum((1, 2, 3)), x[:, 0]
    right, down = (pixels * place**2).sum((1, 2)) / mass, (pixels * place[:, None] ** 2).sum((1, 2)) / mass
    both = (pixels * place * place[:, None]).sum((1, 2)) / mass
    return torch.stack([right, both, both, down], dim=1).view(-1, 2, 2)


def test_warp_by_the_identity_changes_nothing() -> None:
    x = noise(3, 2, 7, 9)
    torch.testing.assert_close(warp(x, torch.eye(2).expand(3, 2, 2), torch.zeros(3, 2)), x, rtol=0, atol=1e-5)


def test_warp_by_a_quarter_turn_is_a_clockwise_rotation() -> None:
    x = noise(2, 3, 8, 8)
    turned = warp(x, QUARTER_TURN.expand(2, 2, 2), torch.zeros(2, 2))
    torch.testing.assert_close(turned, x.rot90(-1, dims=(2, 3)), rtol=0, atol=1e-4)


def test_warp_by_a_mirror_is_a_flip_of_a_picture_that_is_not_square() -> None:
    x = noise(1, 1, 5, 9)
    torch.testing.assert_close(
        warp(x, torch.diag(torch.tensor([-1.0, 1.0]))[None], torch.zeros(1, 2)), x.flip(3), rtol=0, atol=1e-5
    )


def test_warp_works_in_pixels_when_the_picture_is_not_square() -> None:
    x = torch.zeros(1, 1, 21, 41)
    x[0, 0, 10, 20 + 6] = 1  # six to the right of the middle
    turned = warp(x, QUARTER_TURN[None], torch.zeros(1, 2))
    assert turned[0, 0, 10 + 6, 20].item() == pytest.approx(1, abs=1e-3)  # six below it


def test_warp_moves_each_picture_by_its_own_fraction_and_fills_with_black() -> None:
    x = noise(2, 1, 8, 10) + 1
    moved = warp(x, torch.eye(2).expand(2, 2, 2), torch.tensor([[0.3, 0.0], [0.0, -0.25]]))
    torch.testing.assert_close(moved[0, :, :, 3:], x[0, :, :, :-3], rtol=0, atol=1e-4)
    torch.testing.assert_close(moved[1, :, :-2], x[1, :, 2:], rtol=0, atol=1e-4)
    assert moved[0, :, :, :3].abs().max() < 1e-4
    assert moved[1, :, -2:].abs().max() < 1e-4


def test_warp_has_right_gradients() -> None:
    x = noise(1, 1, 5, 5).double().requires_grad_()
    matrix = torch.tensor([[[0.9, 0.2], [-0.1, 1.1]]], dtype=torch.float64, requires_grad=True)
    shift = torch.tensor([[0.03, -0.07]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(warp, (x, matrix, shift))


def test_jitter_of_nothing_changes_nothing() -> None:
    x = noise(4, 1, 9, 9)
    still = affine_jitter(degrees=0, scale=0, shear=0, shift=0, noise=0)
    torch.testing.assert_close(still(x, generator()), x, rtol=0, atol=1e-5)


def test_shift_moves_the_ink_uniformly_within_its_range() -> None:
    moved = affine_jitter(degrees=0, scale=0, shear=0, shift=0.1, noise=0)(blob(1000), generator())
    places = centre(moved) / 41
    assert places.abs().max() == pytest.approx(0.1, abs=0.002)
    assert places.std(0).tolist() == pytest.approx([0.1 / math.sqrt(3)] * 2, rel=0.06)


def test_scale_zooms_within_its_range() -> None:
    before = spread(blob(1))[0, 0, 0].sqrt()
    zoom = spread(affine_jitter(degrees=0, scale=0.2, shear=0, shift=0, noise=0)(blob(1000), generator()))
    zoom = zoom[:, 0, 0].sqrt() / before
    assert zoom.aminmax()[0].item() == pytest.approx(0.8, abs=0.02)
    assert zoom.aminmax()[1].item() == pytest.approx(1.2, abs=0.02)


def test_shear_slants_columns_within_its_range() -> None:
    before = spread(blob(1))[0, 1, 1]
    slanted = spread(affine_jitter(degrees=0, scale=0, shear=30, shift=0, noise=0)(blob(1000), generator()))
    tangents = slanted[:, 0, 1] / before
    assert tangents.abs().max().item() == pytest.approx(math.tan(math.radians(30)), rel=0.03)
    torch.testing.assert_close(slanted[:, 1, 1], before.expand(1000), rtol=0.02, atol=0)


def test_degrees_turn_within_their_range() -> None:
    bar = torch.zeros(1000, 1, 41, 41)
    bar[:, :, 20, 21:38] = 1  # from the middle to the right
    place = centre(affine_jitter(degrees=40, scale=0, shear=0, shift=0, noise=0)(bar, generator()))
    angles = torch.rad2deg(torch.atan2(place[:, 1], place[:, 0]))
    assert angles.aminmax()[0].item() == pytest.approx(-40, abs=1)
    assert angles.aminmax()[1].item() == pytest.approx(40, abs=1)


def test_noise_has_its_deviation_and_stays_in_range() -> None:
    grey = torch.full((8, 1, 64, 64), 0.5)
    quiet = affine_jitter(degrees=0, scale=0, shear=0, shift=0, noise=0.1)(grey, generator())
    assert quiet.std().item() == pytest.approx(0.1, rel=0.02)
    loud = affine_jitter(noise=5.0)(grey, generator())
    assert tuple(map(float, loud.aminmax())) == (0, 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_generator_decides_and_the_dtype_stays(dtype: torch.dtype) -> None:
    x, augment = noise(4, 1, 8, 8).to(dtype), compose(random_flip(), affine_jitter())
    assert torch.equal(augment(x, generator(1)), augment(x, generator(1)))
    assert not torch.equal(augment(x, generator(1)), augment(x, generator(2)))
    assert augment(x, generator()).dtype == dtype


def test_pictures_stay_on_their_device() -> None:
    augment = compose(random_flip(), affine_jitter())
    assert augment(torch.zeros(2, 1, 8, 8, device="meta"), generator()).device.type == "meta"


def test_half_of_the_pictures_are_flipped() -> None:
    x = noise(1, 2, 3, 4).expand(2000, 2, 3, 4)
    flipped = random_flip()(x, generator())
    mirrored = (flipped == x.flip(3)).flatten(1).all(1)
    assert torch.equal(flipped[~mirrored], x[~mirrored])
    assert mirrored.float().mean().item() == pytest.approx(0.5, abs=0.05)


def test_compose_applies_in_order_with_one_generator() -> None:
    x = noise(5, 1, 4, 4)
    source = generator(3)
    by_hand = affine_jitter()(random_flip()(x, source), source)
    assert torch.equal(compose(random_flip(), affine_jitter())(x, generator(3)), by_hand)
    assert compose()(x, generator()) is x


def test_ranges_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="`degrees` must lie between 0 and 180, but is -1"):
        affine_jitter(degrees=-1)
    with pytest.raises(ValueError, match=r"`scale` must lie between 0 and 0\.99"):
        affine_jitter(scale=1)
    with pytest.raises(ValueError, match="`noise` must lie between 0 and inf, but is nan"):
        affine_jitter(noise=math.nan)


@pytest.mark.parametrize(
    ("value", "reach"), [(255.0, "from 0 to 255"), (-0.5, "from -0.5 to 0"), (math.nan, "from nan to nan")]
)
def test_pictures_that_the_jitter_would_clamp_are_refused(value: float, reach: str) -> None:
    x = torch.zeros(2, 1, 8, 8)
    x[1, 0, 3, 3] = value
    with pytest.raises(ValueError, match=rf"`x` must lie in \[0, 1\].* but reaches {reach}\. Divide bytes by 255"):
        affine_jitter()(x, generator())


@pytest.mark.parametrize("x", [torch.zeros(2, 8, 8), torch.zeros(2, 1, 8, 8, dtype=torch.uint8)])
def test_other_pictures_are_refused(x: Tensor) -> None:
    with pytest.raises(ValueError, match="`x` must be a floating-point batch of images"):
        affine_jitter()(x, generator())
    with pytest.raises(ValueError, match="`x` must be a floating-point batch of images"):
        random_flip()(x, generator())
