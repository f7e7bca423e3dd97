"""The (n, d) matrix that a layer's output becomes, on one batch and on all."""

from collections.abc import Sequence

import torch
from torch import Tensor

from torchstone.similarity.reductions import Reduce, keeps_examples, reduction


class Features:
    """The (n, d) matrix of a layer's output, checked; ``rows`` is the number of examples in the present batch."""

    def __init__(self, reduce: Reduce, *, strict: bool) -> None:
        self.reduce = reduction(reduce)
        self.one_row_each = keeps_examples(reduce)
        self.strict = strict
        self.rows = 0

    def __call__(self, name: str, output: Tensor) -> Tensor | None:
        """The matrix (float32, or float64 where the output is), sharing memory with the output where it can.

        ``None`` for a leaf module without such a matrix that nobody asked for by name.
        """
        problem = self._problem(output)
        if problem and self.strict:
            raise ValueError(f"Layer {name!r} {problem}.")
        if problem:
            return None
        output = output if output.dtype in (torch.float32, torch.float64) else output.to(torch.float32)
        try:
            matrix = self.reduce(output)
        except ValueError as error:
            raise ValueError(f"The output {tuple(output.shape)} of layer {name!r} {error}.") from error
        if not isinstance(matrix, Tensor) or matrix.ndim != 2:
            shape = tuple(matrix.shape) if isinstance(matrix, Tensor) else type(matrix).__name__
            raise ValueError(f"`reduce` must give a matrix (n, d); for layer {name!r} it gave {shape}.")
        return matrix

    def kept(self, name: str, output: Tensor) -> Tensor | None:
        """The matrix in memory of its own, on the CPU."""
        matrix = self(name, output)
        return None if matrix is None else torch.empty_like(matrix, device="cpu").copy_(matrix)

    def _problem(self, output: Tensor) -> str | None:
        if output.dtype == torch.bool or output.is_complex():
            return f"puts out {output.dtype}; real numbers are expected. Use `select` or name other layers"
        if not self.strict and not output.is_floating_point():
            return "puts out integers"
        if self.one_row_each and (not output.ndim or output.shape[0] != self.rows):
            return (
                f"puts out {tuple(output.shape)} for a batch of {self.rows} examples; its first dimension must be the "
                "examples. Use `select`, a callable `reduce`, or name other layers"
            )
        return None


def joined(name: str, chunks: Sequence[Tensor]) -> Tensor:
    """The matrix of a layer on all batches."""
    widths = sorted({chunk.shape[1] for chunk in chunks})
    if len(widths) > 1:
        raise ValueError(
            f"Layer {name!r} has {widths} features, depending on the batch: pad the inputs to one size, or use a "
            "`reduce` such as 'mean'."
        )
    return torch.cat([*chunks])
