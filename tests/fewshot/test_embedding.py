"""Embedding: evaluation mode always, batches change nothing, copies, overlap with base classes."""

import pytest
import torch
from torch import Tensor, nn

from torchstone.data import affine_jitter, random_flip
from torchstone.fewshot import BaseClassifier, embed, embed_copies
from torchstone.nets import Conv4


def images(n: int = 10) -> Tensor:
    return torch.rand(n, 1, 16, 16, generator=torch.Generator().manual_seed(0))


def encoder() -> Conv4:
    return Conv4(4, channels=1, seed=0).train()


def test_no_image_sees_its_batch() -> None:
    net, x = encoder(), images()
    whole = embed(net, x)
    torch.testing.assert_close(torch.cat([embed(net, image[None]) for image in x]), whole)
    torch.testing.assert_close(embed(net, x, batch_size=3), whole)
    assert not whole.requires_grad
    assert all(module.training for module in net.modules())


def test_the_mode_comes_back_after_an_error() -> None:
    net = encoder()
    with pytest.raises(ValueError, match="takes floating-point images"):
        embed(net, images().repeat(1, 2, 1, 1))
    assert net.training
    assert torch.is_grad_enabled()


def test_bytes_are_divided_and_the_dtype_follows_the_encoder() -> None:
    bytes_ = (255 * images()).byte()
    torch.testing.assert_close(embed(encoder(), bytes_), embed(encoder(), bytes_.float() / 255))
    assert embed(encoder().double(), bytes_).dtype == torch.float64


def test_maps_are_flattened() -> None:
    assert embed(nn.Identity(), images()).shape == (10, 256)


def test_of_a_classifier_the_head_is_dropped_and_known_classes_are_refused() -> None:
    net = BaseClassifier(encoder(), 4, classes=["A", "B", "C"], seed=0)
    assert torch.equal(embed(net, images(), classes=["D", "E"]), embed(net.encoder, images()))
    with pytest.raises(ValueError, match="must be disjoint, but both have 'B'"):
        embed(net, images(), classes=["D", "B"])


def test_a_head_follows_the_encoder_and_the_seed() -> None:
    first, again, other = (BaseClassifier(encoder().double(), 4, classes=range(3), seed=s) for s in (0, 0, 1))
    assert first.head.weight.dtype == torch.float64
    assert torch.equal(first.head.weight, again.head.weight)
    assert not torch.equal(first.head.weight, other.head.weight)


def test_a_head_for_other_features_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="`d` is 5, but `encoder` gives 4 features for images of shape"):
        BaseClassifier(encoder(), 5, classes=range(3), seed=0)(images())


def test_copies_are_changed_images() -> None:
    x = images()
    copies = embed_copies(nn.Flatten(), x, random_flip(), copies=20, seed=0).unflatten(2, (1, 16, 16))
    same = (copies == x[:, None]).flatten(2).all(2)
    mirrored = (copies == x[:, None].flip(-1)).flatten(2).all(2)
    assert (same ^ mirrored).all()
    assert same.any()
    assert mirrored.any()


def test_copies_follow_the_seed() -> None:
    first, again, other = (embed_copies(encoder(), images(), affine_jitter(), copies=2, seed=s) for s in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first[:, 0], first[:, 1])


def test_what_is_refused() -> None:
    x = images()
    with pytest.raises(TypeError, match="`images` is a list"):
        embed(encoder(), x.tolist())
    with pytest.raises(TypeError, match="`images` must be uint8"):
        embed(encoder(), x.long())
    for shape in ((0, 1, 16, 16), (5,)):
        with pytest.raises(ValueError, match="one example a row is needed"):
            embed(encoder(), torch.zeros(shape))
    with pytest.raises(ValueError, match="`batch_size` must be at least 1"):
        embed(encoder(), x, batch_size=0)
    with pytest.raises(ValueError, match="NaN or infinite features"):
        embed(nn.Flatten(), x.log() / 0)
    with pytest.raises(ValueError, match="`copies` must be at least 1"):
        embed_copies(encoder(), x, random_flip(), copies=0, seed=0)
