"""A ring of bits of which one is known, and of all the xor with the next: the parity chain of TerpreT."""

import torch
from torch import Tensor

from torchstone.programs.holes import Program, flag, program, select

Ring = tuple[Tensor, Tensor]
"""The bit that is known, and the xors (bits,)."""


def chain(bits: int) -> Program:
    """A program that is given the first bit, leaves the others open, and returns the xor of each with the next."""

    @program
    def xors(first: Tensor) -> Tensor:
        one, zero = torch.ones_like(first), torch.zeros_like(first)
        ring = torch.stack([first, *(select(flag(f"bit {i}"), one, zero) for i in range(1, bits))])
        return xor(ring, ring.roll(-1))

    return xors


def xor(a: Tensor, b: Tensor) -> Tensor:
    """1 where two bits differ; of independent probabilities, how likely they do.

    >>> xor(torch.tensor([0.0, 0.0, 1.0, 0.5]), torch.tensor([0.0, 1.0, 1.0, 0.1]))
    tensor([0.0000, 1.0000, 0.0000, 0.5000])
    """
    return a + b - 2 * a * b


def drawn(bits: int, seed: int) -> Ring:
    """A ring of random bits."""
    ring = torch.randint(2, (bits,), generator=torch.Generator().manual_seed(seed)).float()
    return ring[0], xor(ring, ring.roll(-1))


def propagated(first: Tensor, xors: Tensor) -> Tensor:
    """The bits of a ring, each found from the one before.

    >>> propagated(torch.tensor(1.0), torch.tensor([1.0, 0.0, 1.0]))
    tensor([1., 0., 0.])
    """
    return torch.cat([first[None], (first + xors[:-1].cumsum(0)) % 2])
