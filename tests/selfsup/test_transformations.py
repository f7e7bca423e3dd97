"""Warps against Pillow, scipy and exact turns; what is drawn; corners; moments; what is refused."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import affine_transform
from torch import Tensor

from torchstone.data import warp
from torchstone.selfsup import (
    Parametric,
    RandomAffine,
    RandomProjective,
    Rotation90,
    Transformation,
    homography,
    resample,
)
from torchstone.selfsup.projective import convex, depths

MATRICES = {"affine": RandomAffine(), "projective": RandomProjective()}
EVERY = MATRICES | {"rotation": Rotation90()}
UNIT = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
STILL = torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0, 0.0])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(*shape: int) -> Tensor:
    return torch.rand(shape, generator=generator())


def smooth(b: int, side: int) -> Tensor:
    """Waves longer than a few pixels, which bilinear interpolation hardly blurs."""
    place = torch.arange(side) / side
    wave = torch.sin(2 * math.pi * place)[:, None] * torch.cos(2 * math.pi * place) + place
    return wave.expand(b, 1, side, side)


def mapped(matrix: Tensor, points: Tensor) -> Tensor:
    a = torch.cat([points, torch.ones_like(points[..., :1])], dim=-1) @ matrix.mT
    return a[..., :2] / a[..., 2:]


def in_pixels(matrix: Tensor, height: int, width: int) -> Tensor:
    units = torch.tensor([width, height, 1.0], dtype=torch.float64).diag()
    return units @ matrix.double() @ units.inverse()


def inside(matrix: Tensor, height: int, width: int) -> Tensor:
    """The new pixels that are read at least a pixel from the border of the old image."""
    down, right = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    read = mapped(in_pixels(matrix, height, width), torch.stack([right, down], dim=2).double())
    return ((read > 1.5) & (read < torch.tensor([width, height]) - 1.5)).all(2)


@pytest.mark.parametrize("transform", MATRICES.values(), ids=MATRICES)
@pytest.mark.parametrize("shape", [(24, 24), (21, 34)])
def test_warps_are_pillows(transform: Parametric, shape: tuple[int, int]) -> None:
    x, t = images(4, 1, *shape), transform.sample(4, generator())
    ours = transform.apply(x, t)
    aspect = {"aspect": shape[1] / shape[0]} if isinstance(transform, RandomAffine) else {}
    for image, matrix, mine in zip(x, transform.matrix(t, **aspect), ours, strict=True):
        coefficients = in_pixels(matrix, *shape).flatten()[:8].tolist()
        kind = Image.Transform.AFFINE if isinstance(transform, RandomAffine) else Image.Transform.PERSPECTIVE
        picture = Image.fromarray(image[0].numpy())
        theirs = picture.transform(
            shape[::-1], kind, coefficients[: 6 if kind == Image.Transform.AFFINE else 8], Image.Resampling.BILINEAR
        )
        compared = inside(matrix, *shape)
        assert compared.sum() > 30
        torch.testing.assert_close(mine[0][compared], torch.from_numpy(np.array(theirs))[compared], atol=1e-4, rtol=0)


def test_affine_warps_are_scipys_up_to_the_border() -> None:
    transform, x = RandomAffine(fill=0.25), images(5, 1, 20, 26).double()
    t = transform.sample(5, generator()).double()
    for image, matrix, mine in zip(x, transform.matrix(t, aspect=26 / 20), transform.apply(x, t), strict=True):
        pixels = in_pixels(matrix, 20, 26).numpy()
        swapped = pixels[[1, 0, 2]][:, [1, 0, 2]]  # scipy counts (row, column), from the centres of pixels
        offset = swapped[:2, 2] + swapped[:2, :2] @ [0.5, 0.5] - 0.5
        theirs = affine_transform(image[0].numpy(), swapped[:2, :2], offset, order=1, mode="grid-constant", cval=0.25)
        torch.testing.assert_close(mine[0], torch.from_numpy(theirs), atol=1e-9, rtol=0)


def test_affine_maps_are_those_of_data_warp() -> None:
    transform, x = RandomAffine(fill=0.0), images(6, 3, 17, 23)
    t = transform.sample(6, generator())
    alpha, phi = torch.atan2(t[:, 1], t[:, 0]), t[:, 5]
    linear = torch.stack([alpha.cos(), -(alpha + phi).sin(), alpha.sin(), (alpha + phi).cos()], dim=1).view(-1, 2, 2)
    torch.testing.assert_close(
        transform.apply(x, t), warp(x, t[:, 4, None, None] * linear, t[:, 2:4]), atol=1e-4, rtol=0
    )


def test_the_identity_changes_nothing() -> None:
    x = images(3, 2, 9, 7)
    torch.testing.assert_close(resample(x, torch.eye(3).expand(3, 3, 3)), x, atol=1e-5, rtol=0)
    torch.testing.assert_close(RandomAffine().apply(x, STILL.expand(3, 6)), x, atol=1e-5, rtol=0)


@pytest.mark.parametrize("transform", MATRICES.values(), ids=MATRICES)
def test_there_and_back_again(transform: Parametric) -> None:
    x = smooth(8, 64)
    matrix = transform.matrix(transform.sample(8, generator()))
    back = resample(resample(x, matrix), matrix.inverse())
    for before, after, there in zip(x, back, matrix.inverse(), strict=True):
        kept = inside(there, 64, 64)
        kept[:4] = kept[-4:] = kept[:, :4] = kept[:, -4:] = False  # around these, what lies outside is mixed in
        assert kept.sum() > 300
        torch.testing.assert_close(after[0][kept], before[0][kept], atol=0.02, rtol=0)


@pytest.mark.parametrize("k", range(4))
def test_quarter_turns_are_exact(k: int) -> None:
    x = images(2, 3, 8, 8)
    turned = x.rot90(k, dims=(2, 3))
    assert torch.equal(Rotation90().apply(x, torch.tensor([k, k])), turned)
    still = RandomProjective(shift=0, scale=(1, 1))
    t = homography(UNIT.roll(k, 0)[None], UNIT[None]).flatten(1)[:, :8].expand(2, 8)  # corner i goes where i - k was
    torch.testing.assert_close(still.apply(x, t), turned, atol=1e-4, rtol=0)
    turn = torch.tensor([math.cos(k * math.pi / 2), -math.sin(k * math.pi / 2), 0, 0, 1, 0])
    torch.testing.assert_close(RandomAffine().apply(x, turn.expand(2, 6)), turned, atol=1e-4, rtol=0)


def test_without_shift_and_scale_all_four_turns_are_drawn() -> None:
    still, x = RandomProjective(shift=0, scale=(1, 1)), images(1, 1, 6, 6).expand(200, 1, 6, 6)
    drawn = still.apply(x, still.sample(200, generator()))
    fits = torch.stack([(drawn - x.rot90(k, dims=(2, 3))).abs().amax((1, 2, 3)) < 1e-4 for k in range(4)])
    assert fits.sum(0).eq(1).all()
    assert fits.sum(1).min() > 30
    upright = RandomProjective(shift=0, scale=(1, 1), rot90=False)
    torch.testing.assert_close(upright.apply(x, upright.sample(200, generator())), x, atol=1e-4, rtol=0)


@given(st.integers(0, 2**31))
def test_homographies_lead_the_corners_exactly(seed: int) -> None:
    corners = RandomProjective().corners(50, generator(seed))
    matrix = homography(corners, UNIT.expand(50, 4, 2))
    torch.testing.assert_close(mapped(matrix, corners), UNIT.expand(50, 4, 2), atol=1e-5, rtol=0)
    torch.testing.assert_close(mapped(matrix.inverse(), UNIT), corners, atol=1e-5, rtol=0)


def test_drawn_homographies_lead_back_to_the_corners() -> None:
    transform = RandomProjective()
    t = transform.sample(30, generator(5))
    corners = transform.corners(30, generator(5))  # the same draws
    torch.testing.assert_close(mapped(transform.matrix(t), corners), UNIT.expand(30, 4, 2), atol=1e-5, rtol=0)


def test_depth_is_positive_for_every_draw() -> None:
    t = RandomProjective().sample(100_000, generator())
    assert depths(t).min() > 0.15


def test_folded_images_are_drawn_again() -> None:
    wild = RandomProjective(shift=0.45, scale=(0.5, 1.5))
    assert not convex(wild.corners(2000, generator())).all()
    t = wild.sample(2000, generator())
    assert (depths(t) > 0).all()
    assert convex(mapped(wild.matrix(t).inverse(), UNIT)).all()
    with pytest.raises(ValueError, match="hardly any leaves the image unfolded"):
        RandomProjective(shift=1e-3, scale=(1e-6, 1e-6)).sample(100, generator())


def test_affine_targets_have_their_moments() -> None:
    transform = RandomAffine()
    y = transform.target(transform.sample(100_000, generator()))
    torch.testing.assert_close(y.mean(0), torch.zeros(6), atol=0.01, rtol=0)
    torch.testing.assert_close(y.var(0), torch.tensor([1 / 2, 1 / 2, *4 * [1 / 3]]), atol=0.01, rtol=0)
    assert y.square().mean().item() == pytest.approx(0.389, abs=0.002)
    assert y.abs().max() <= 1 + 1e-6


@pytest.mark.parametrize("transform", MATRICES.values(), ids=MATRICES)
def test_targets_lead_back(transform: Parametric) -> None:
    t = transform.sample(100, generator()).double()
    torch.testing.assert_close(transform.from_target(transform.target(t)), t)


def test_a_range_without_width_is_nothing_to_predict() -> None:
    transform = RandomAffine(degrees=0, translate=0, scale=(1, 1), shear=0)
    t = transform.sample(7, generator())
    assert torch.equal(t, STILL.expand(7, 6))
    assert torch.equal(transform.target(t)[:, 1:], torch.zeros(7, 5))
    x = images(7, 1, 5, 5)
    torch.testing.assert_close(transform.apply(x, t), x, atol=1e-5, rtol=0)


def test_predictions_beyond_the_ranges_stay_drawable() -> None:
    transform = RandomAffine()
    t = transform.from_target(torch.full((1, 6), 50.0))
    assert t[0, 2:].tolist() == pytest.approx([0.2, 0.2, 1.3, math.radians(30)])
    assert transform.matrix(t).isfinite().all()


@pytest.mark.parametrize("transform", MATRICES.values(), ids=MATRICES)
def test_what_is_applied_has_right_gradients(transform: Parametric) -> None:
    x = images(2, 1, 5, 5).double().requires_grad_()
    y = (0.9 * transform.target(transform.sample(2, generator()).double())).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, y: transform.apply(x, transform.from_target(y)), (x, y), atol=1e-4)


@pytest.mark.parametrize("transform", EVERY.values(), ids=EVERY)
def test_the_generator_decides_and_each_image_has_its_own(transform: Transformation) -> None:
    assert isinstance(transform, Transformation)
    x, t = images(6, 3, 8, 8), transform.sample(6, generator(1))
    assert torch.equal(t, transform.sample(6, generator(1)))
    assert not torch.equal(t, transform.sample(6, generator(2)))
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    torch.testing.assert_close(transform.apply(x[order], t[order]), transform.apply(x, t)[order])
    torch.testing.assert_close(transform.target(t[order]), transform.target(t)[order])


@pytest.mark.parametrize("transform", EVERY.values(), ids=EVERY)
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_precision_and_device_stay(transform: Transformation, dtype: torch.dtype) -> None:
    t = transform.sample(2, generator())
    assert transform.apply(images(2, 3, 8, 8).to(dtype), t).dtype == dtype
    assert transform.apply(torch.zeros(2, 3, 8, 8, device="meta"), t).device.type == "meta"


def test_what_lies_outside_is_the_mean_or_what_you_say() -> None:
    x = images(2, 3, 8, 8) + 1
    far = torch.tensor([[1.0, 0, 5], [0, 1, 5], [0, 0, 1]]).expand(2, 3, 3)
    torch.testing.assert_close(resample(x, far), x.mean((2, 3), keepdim=True).expand_as(x))
    torch.testing.assert_close(resample(x, far, fill=0.5), torch.full_like(x, 0.5))
    behind = torch.diag(torch.tensor([-1.0, -1.0, -1.0])).expand(2, 3, 3)  # the identity, seen from the other side
    torch.testing.assert_close(resample(x, behind, fill=0.5), torch.full_like(x, 0.5))


@pytest.mark.parametrize("place", [(0, 0), (1, 2), (2, 0), (2, 2)])
@pytest.mark.parametrize("fill", ["mean", 0.0])
def test_a_matrix_that_is_not_finite_leaves_no_image(place: tuple[int, int], fill: float) -> None:
    """A prediction that has diverged must not pass for a picture."""
    x, matrix = images(2, 3, 8, 8), torch.eye(3).repeat(2, 1, 1)
    matrix[0][place] = math.nan
    moved = resample(x, matrix, fill=fill)
    assert moved[0].isnan().all()
    torch.testing.assert_close(moved[1], x[1])


def test_senseless_ranges_are_refused() -> None:
    for bad, match in (
        ({"degrees": -1}, "`degrees` must lie between 0 and 180"),
        ({"translate": math.nan}, "`translate` must lie"),
        ({"scale": (1.3, 0.7)}, "`scale` must be the least and the largest zoom"),
        ({"scale": (0, 1)}, "both positive"),
        ({"shear": 90}, "`shear` must lie between 0 and 89"),
        ({"fill": "black"}, "`fill` must be a finite number or 'mean', but is 'black'"),
    ):
        with pytest.raises(ValueError, match=match):
            RandomAffine(**bad)
    for bad, match in (
        ({"shift": -0.1}, "`shift` must be a fraction"),
        ({"scale": (1, math.inf)}, "both positive"),
        ({"fill": math.nan}, "`fill` must be"),
    ):
        with pytest.raises(ValueError, match=match):
            RandomProjective(**bad)


@pytest.mark.parametrize("transform", EVERY.values(), ids=EVERY)
def test_other_images_are_refused(transform: Transformation) -> None:
    t = transform.sample(2, generator())
    for x in (torch.zeros(2, 1, 8, 8, dtype=torch.uint8), torch.zeros(2, 8, 8)):
        with pytest.raises(ValueError, match="`images` must be floating-point images"):
            transform.apply(x, t)
    with pytest.raises(ValueError, match=r"one .*for each"):
        transform.apply(images(3, 1, 8, 8), t)


def test_images_that_cannot_be_turned_and_points_on_a_line_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must be square .* 8×9"):
        Rotation90().apply(images(1, 1, 8, 9), torch.tensor([1]))
    with pytest.raises(ValueError, match="three lie on a line"):
        homography(torch.tensor([[[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [0.0, 1.0]]]), UNIT[None])
    with pytest.raises(ValueError, match=r"both be \(n, 4, 2\)"):
        homography(UNIT, UNIT)
