"""The plain family against the paper's appendix: rows, sizes, parameters; its start; what it refuses."""

import math

import pytest
import torch
from torch import Tensor, nn

from torchstone.nets import TINY_10, PlainNet, Row, plain, plain_table, tiny10, width_n


def outputs(net: PlainNet, x: Tensor) -> dict[str, tuple[int, ...]]:
    """The shape of every representation."""
    shapes = {}
    for name, part in net.named_children():
        x = part(x)
        shapes[name] = tuple(x.shape[1:])
    return shapes


def convolutions(net: PlainNet) -> list[nn.Conv2d]:
    return [module for module in net.modules() if isinstance(module, nn.Conv2d)]


def parameters(net: nn.Module) -> int:
    return sum(weights.numel() for weights in net.parameters())


def test_tiny10_has_the_papers_sizes_at_32_pixels() -> None:
    assert outputs(tiny10(10, seed=0), torch.zeros(2, 3, 32, 32)) == {
        "block1": (16, 32, 32),
        "block2": (16, 32, 32),
        "block3": (32, 16, 16),
        "block4": (32, 16, 16),
        "block5": (32, 16, 16),
        "block6": (64, 8, 8),
        "block7": (64, 6, 6),
        "block8": (64, 6, 6),
        "pool": (64,),
        "logits": (10,),
    }


def test_tiny10_has_the_parameters_counted_by_hand() -> None:
    kernels = 9 * (3 * 16 + 16 * 16 + 16 * 32 + 2 * 32 * 32 + 32 * 64 + 64 * 64) + 64 * 64
    norms = 2 * (2 * 16 + 3 * 32 + 3 * 64)
    assert parameters(tiny10(10, seed=0)) == kernels + norms + 64 * 10 + 10 == 86_458


@pytest.mark.parametrize(("n", "depth"), [(1, 10), (2, 18), (4, 34), (8, 66)])
def test_plain_has_the_papers_depths_and_widths(n: int, depth: int) -> None:
    widths = [row.width for row in plain_table(n) for _ in range(row.repeat)]
    assert len(widths) + 2 == depth == 8 * n + 2
    assert widths == [96] * (3 * n) + [192] * (5 * n)


def test_plain_10_ends_with_a_valid_and_a_pointwise_convolution() -> None:
    net = plain(plain_table(1), 10, seed=0)
    assert [conv.stride[0] for conv in convolutions(net)] == [1, 1, 2, 1, 1, 2, 1, 1]
    assert [(conv.kernel_size[0], conv.padding[0]) for conv in convolutions(net)[-2:]] == [(3, 0), (1, 0)]
    assert outputs(net, torch.zeros(1, 3, 32, 32))["block8"] == (192, 6, 6)


def test_width_n_is_tiny10_with_one_width() -> None:
    net = width_n(5, 7, seed=0)
    assert {conv.out_channels for conv in convolutions(net)} == {5}
    assert [conv.stride for conv in convolutions(net)] == [conv.stride for conv in convolutions(tiny10(7, seed=0))]


def test_width_multiplies_and_never_vanishes() -> None:
    assert [conv.out_channels for conv in convolutions(tiny10(2, width=0.5, seed=0))] == [8, 8, 16, 16, 16, 32, 32, 32]
    assert {conv.out_channels for conv in convolutions(tiny10(2, width=0.001, seed=0))} == {1}


def test_a_block_is_convolution_norm_relu() -> None:
    net = tiny10(10, channels=1, seed=0)
    x = torch.randn(4, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    conv = convolutions(net)[0]
    y = nn.functional.conv2d(x, conv.weight, padding=1)
    mean, variance = y.mean((0, 2, 3), keepdim=True), y.var((0, 2, 3), correction=0, keepdim=True)
    expected = ((y - mean) / (variance + 1e-5).sqrt()).clamp(min=0)
    torch.testing.assert_close(net.get_submodule("block1")(x), expected, rtol=1e-4, atol=1e-5)


def test_logits_are_a_linear_function_of_the_mean_over_the_map() -> None:
    net = tiny10(10, channels=1, seed=0).eval()
    x = torch.rand(4, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    maps = x
    for i in range(1, 9):
        maps = net.get_submodule(f"block{i}")(maps)
    head = net.get_submodule("logits")
    torch.testing.assert_close(net(x), maps.mean((2, 3)) @ head.weight.T + head.bias)


def test_weights_start_as_he_says() -> None:
    net = plain([Row(64), Row(128, stride=2)], 50, channels=16, seed=0)
    for conv in convolutions(net):
        deviation = math.sqrt(2 / (9 * conv.out_channels))
        assert conv.weight.std().item() == pytest.approx(deviation, rel=0.05)
        assert abs(conv.weight.mean().item()) < 0.05 * deviation
    head = net.get_submodule("logits")
    assert head.weight.std().item() == pytest.approx(1 / math.sqrt(128), rel=0.05)
    assert not head.bias.any()


def test_norms_start_as_identities() -> None:
    for norm in tiny10(10, seed=0).modules():
        if isinstance(norm, nn.BatchNorm2d):
            assert norm.weight.eq(1).all()
            assert norm.bias.eq(0).all()
            assert norm.running_mean is not None
            assert norm.running_var is not None
            assert norm.running_mean.eq(0).all()
            assert norm.running_var.eq(1).all()
            assert norm.num_batches_tracked == 0


def test_the_seed_decides_the_weights() -> None:
    first, again, other = (tiny10(10, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["block1.conv.weight"], other["block1.conv.weight"])


def test_every_parameter_gets_a_gradient() -> None:
    net = tiny10(10, channels=1, seed=0)
    x = torch.rand(8, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    nn.functional.cross_entropy(net(x), torch.arange(8)).backward()
    assert all(weights.grad is not None and weights.grad.abs().sum() > 0 for weights in net.parameters())


def test_the_smallest_input_works_and_a_smaller_one_is_refused() -> None:
    net = tiny10(10, channels=1, seed=0).eval()
    assert net(torch.zeros(2, 1, 9, 9)).shape == (2, 10)
    with pytest.raises(ValueError, match=r"at least 9×9 pixels, but `input` has 8×9"):
        net(torch.zeros(2, 1, 8, 9))


@pytest.mark.parametrize(
    "rows", [(Row(2, stride=3, kernel=5, padding=0),) * 2, (Row(2, kernel=1, padding=0),), TINY_10]
)
def test_the_smallest_side_is_the_smallest_that_works(rows: tuple[Row, ...]) -> None:
    net = plain(rows, 3, channels=1, seed=0).eval()
    blocks = nn.Sequential(*list(net)[:-2])
    side = net.smallest_side
    assert min(blocks(torch.zeros(1, 1, side, side)).shape) > 0
    if side > 1:
        with pytest.raises(RuntimeError):
            blocks(torch.zeros(1, 1, side - 1, side - 1))


@pytest.mark.parametrize("shape", [(2, 3, 28, 28), (1, 28, 28), (2, 784)])
def test_images_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"takes images of shape \(n, 1, h, w\)"):
        tiny10(10, channels=1, seed=0)(torch.zeros(shape))


def test_senseless_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="`rows` must have at least one block"):
        plain([], 10, seed=0)
    with pytest.raises(ValueError, match="one row is Row\\(width=0"):
        plain([Row(0)], 10, seed=0)
    with pytest.raises(ValueError, match="`classes` and `channels` must be at least 1"):
        tiny10(0, seed=0)
    with pytest.raises(ValueError, match="`width` multiplies"):
        tiny10(10, width=math.nan, seed=0)
    with pytest.raises(ValueError, match="must be at least 1, but is 0"):
        plain_table(0)
