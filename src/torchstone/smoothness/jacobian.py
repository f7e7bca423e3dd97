"""The exact Lipschitz constant of an affine program: its derivative is the same everywhere."""

import torch
from torch import Tensor

from torchstone.smoothness.domain import Shape, Value, ancestry
from torchstone.smoothness.operators import spectral_norm

ROWS = 256  # a pass backward each
ENTRIES = 1_000_000


def exact_lipschitz(value: Value, outputs: list[Tensor], leaves: list[Tensor]) -> float:
    r"""The bound that is known, or :math:`\|J\|_2` if the program is affine, nothing is cut and J is small."""
    columns = sum(leaf.numel() for leaf in leaves)
    count = sum(output.numel() for output in outputs)
    if (
        value.shape != Shape(1)
        or any(part.blocked for part in ancestry(value))
        or count > ROWS
        or count * columns > ENTRIES
    ):
        return value.lipschitz
    if not all(t.is_floating_point() for t in [*outputs, *leaves]):
        return value.lipschitz
    flat = torch.cat([output.flatten() for output in outputs])
    rows = [
        torch.autograd.grad(entry, leaves, retain_graph=True, materialize_grads=True)
        for entry in flat
        if entry.requires_grad
    ]
    jacobian = torch.stack([torch.cat([part.flatten() for part in row]) for row in rows])
    return min(value.lipschitz, spectral_norm(jacobian))
