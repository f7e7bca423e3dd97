"""DropBlock: dropout of whole squares of a feature map."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

LARGE, SMALL = 5, 2  # sides of the blocks on maps of at least LARGE pixels, and on smaller ones


def drop_block(
    x: Float[Tensor, "n c h w"],
    rate: float | Float[Tensor, ""],
    block: int,
    *,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "n c h w"]:
    r"""Set random squares of each channel to zero, and scale what is left to keep the mean.

    .. math:: \gamma = \frac{r}{s^2} \cdot \frac{h w}{(h - s + 1)(w - s + 1)}, \qquad
              y = x \odot M \cdot \frac{|M|}{\sum M}

    Every place where a square of side :math:`s` fits begins one with probability :math:`\gamma`; :math:`M` is 0 on the
    squares, 1 elsewhere. Squares may overlap, so a little less than :math:`r` is dropped. Where nothing is left, y = 0.

    Args:
        x: maps (n, c, h, w).
        rate: :math:`r`, in [0, 1), about the share of cells to drop; a 0-d tensor is not looked at.
        block: :math:`s`, the side of the squares in cells, between 1 and the smaller side of the map.
        generator: on the device of ``x``; by default torch's global one, as for any dropout.

    Returns:
        The maps (n, c, h, w).

    Raises:
        ValueError: ``x`` has another rank, ``rate`` is outside [0, 1), or ``block`` is below 1 or larger than the map.

    Example:
        >>> y = drop_block(torch.ones(1, 1, 4, 4), 0.3, 2, generator=torch.Generator().manual_seed(2))
        >>> y[0, 0].bool().int()
        tensor([[1, 1, 1, 1],
                [1, 1, 1, 1],
                [1, 0, 0, 1],
                [1, 0, 0, 1]], dtype=torch.int32)
        >>> y.mean()
        tensor(1.)

    Paper: Ghiasi, Lin, Le 2018, arXiv:1810.12890, algorithm 1.
    Differs from the paper: nothing.
    """
    if x.ndim != 4:
        raise ValueError(f"`x` must be maps (n, c, h, w), but has shape {tuple(x.shape)}. Add axes: x[None].")
    h, w = x.shape[-2:]
    if not isinstance(rate, Tensor) and not 0 <= rate < 1:
        raise ValueError(f"`rate` must lie in [0, 1), but is {rate}.")
    if not 1 <= block <= min(h, w):
        raise ValueError(f"`block` must lie between 1 and {min(h, w)}, the smaller side of the map, but is {block}.")
    rows, columns = h - block + 1, w - block + 1
    gamma = rate / block**2 * (h * w) / (rows * columns)
    draws = torch.rand(*x.shape[:2], rows, columns, generator=generator, device=x.device)
    seeds = nn.functional.pad((draws < gamma).to(x.dtype), [block - 1] * 4)
    kept = 1 - max_pool2d(seeds, block, stride=1)  # (n, c, h, w)
    fine = torch.promote_types(x.dtype, torch.float32)  # half precision cannot count the cells
    return x * kept * (kept.numel() / kept.count_nonzero().clamp(min=1).to(fine)).to(x.dtype)


class DropBlock(nn.Module):
    """:func:`drop_block` while training, nothing else: squares of side 5 on maps of 5 cells or more, else of side 2.

    The rate grows from 0 to ``rate`` over the first ``ramp`` batches. The count of batches is in the ``state_dict``.

    Args:
        rate: about the share of cells dropped in the end, in [0, 1).
        ramp: batches until then, at least 1.

    Raises:
        ValueError: ``rate`` or ``ramp`` is out of range.

    >>> DropBlock(0.1)(torch.ones(2, 3, 8, 8)).shape
    torch.Size([2, 3, 8, 8])
    """

    batches: Tensor

    def __init__(self, rate: float = 0.1, *, ramp: int = 40_000) -> None:
        super().__init__()
        if not 0 <= rate < 1 or ramp < 1:
            raise ValueError(f"`rate` must lie in [0, 1) and `ramp` be 1 or more, but they are {rate} and {ramp}.")
        self.rate, self.ramp = rate, ramp
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """The maps (n, c, h, w), with squares missing while training."""
        if not self.training:
            return x
        self.batches += 1
        side = min(x.shape[-2:])
        block = LARGE if side >= LARGE else min(SMALL, side)
        return drop_block(x, self.rate * (self.batches / self.ramp).clamp(max=1), block)
