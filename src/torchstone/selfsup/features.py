"""What a layer of an encoder says about images, frozen and in evaluation mode."""

from difflib import get_close_matches
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from torchstone.selfsup.inputs import Images, as_images, chunks, for_encoder
from torchstone.training import evaluating


def features(
    encoder: nn.Module, images: Images, *, layer: str | None = None, pool: int | None = None, batch_size: int = 256
) -> Float[Tensor, "n d"]:
    """The outputs of one layer, one row an image: what probes are fitted to.

    Args:
        encoder: the network; used in evaluation mode, and left in the mode it was in.
        images: (n, c, h, w), uint8 (divided by 255) or floating point.
        layer: the name of a module inside the encoder, such as ``"block2"`` of :class:`torchstone.nets.NIN`; by default
            the encoder's own output.
        pool: if given, maps are averaged to pool × pool cells first.
        batch_size: images at a time.

    Returns:
        Features (n, d), on the encoder's device; maps are flattened.

    Raises:
        ValueError: the images are empty; there is no such layer or it is not called; it does not put out one row or map
            for each image; ``pool`` is given for what is no map.

    >>> from torchstone.nets import NIN
    >>> net, x = NIN(12, channels=1, seed=0), torch.zeros(2, 1, 16, 16)
    >>> features(net, x).shape, features(net, x, layer="block2").shape, features(net, x, layer="block2", pool=2).shape
    (torch.Size([2, 12]), torch.Size([2, 192]), torch.Size([2, 48]))
    """
    x = as_images(images)
    if pool is not None and pool < 1:
        raise ValueError(f"`pool` must be at least 1, but is {pool}.")
    with evaluating(encoder), torch.no_grad():
        rows = [_output(encoder, batch, layer, pool) for batch in chunks(x, batch_size)]
    return torch.cat(rows)


def encode(encoder: nn.Module, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d"]:
    """The encoder's rows for a batch, maps flattened.

    Raises:
        ValueError: it puts out something else than one row or map for each image.
    """
    return _checked(encoder(x), len(x), "`encoder`").flatten(1)


def _output(encoder: nn.Module, batch: Tensor, layer: str | None, pool: int | None) -> Float[Tensor, "b d"]:
    x = for_encoder(batch, encoder)
    kept: list[Any] = []
    handle = _module(encoder, layer).register_forward_hook(lambda _module, _inputs, output: kept.append(output))
    try:
        encoder(x)
    finally:
        handle.remove()
    if not kept:
        raise ValueError(f"`layer` {layer!r} is not called in the encoder's forward pass. Name another.")
    output = _checked(kept[-1], len(x), "`encoder`" if layer is None else f"`layer` {layer!r}")
    if pool is not None:
        if output.ndim != 4:
            raise ValueError(f"`pool` needs maps (b, c, h, w), but the output has shape {tuple(output.shape)}.")
        output = adaptive_avg_pool2d(output, pool)
    return output.flatten(1)


def _module(encoder: nn.Module, layer: str | None) -> nn.Module:
    if layer is None:
        return encoder
    modules: dict[str, nn.Module] = dict(encoder.named_modules())
    if layer not in modules or not layer:
        close = [name for name in get_close_matches(layer, modules, n=3) or dict(encoder.named_children()) if name]
        raise ValueError(f"`layer` {layer!r} is no module of the encoder. It has {', '.join(close) or 'none'}.")
    return modules[layer]


def _checked(output: Any, n: int, what: str) -> Tensor:
    if not isinstance(output, Tensor) or output.ndim < 2 or len(output) != n:
        given = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ValueError(
            f"{what} must put out one row or map for each image, ({n}, ...), but put out {given}. Wrap it."
        )
    return output
