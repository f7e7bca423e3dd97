"""What metric learning works on: embeddings in rows and one integer label for each; checked."""

import math
import warnings

import torch
from torch import Tensor


class MetricWarning(UserWarning):
    """Numbers that are easily read for more than they say."""


def warn(message: str) -> None:
    """Issue a :class:`MetricWarning`."""
    warnings.warn(message, MetricWarning, stacklevel=3)


def check_embeddings(embeddings: Tensor, name: str = "embeddings") -> None:
    """Refuse what is not an (n, d) matrix of floating-point numbers; its values are not looked at."""
    if not isinstance(embeddings, Tensor) or not embeddings.is_floating_point():
        kind = embeddings.dtype if isinstance(embeddings, Tensor) else type(embeddings).__name__
        raise TypeError(f"`{name}` must be a floating-point tensor, but is {kind}. Convert it first: {name}.float().")
    if embeddings.ndim != 2 or 0 in embeddings.shape:
        raise ValueError(
            f"`{name}` must be an (n, d) matrix with one example a row, n and d at least 1, but has shape "
            f"{tuple(embeddings.shape)}. Flatten maps first: {name}.flatten(1)."
        )


def check_finite(embeddings: Tensor, name: str) -> None:
    """Refuse NaN and infinite values."""
    bad = ~embeddings.isfinite().all(1)
    if bad.any():
        raise ValueError(
            f"`{name}` has NaN or infinite values in {int(bad.sum())} of {len(bad)} rows, first in row "
            f"{int(bad.nonzero()[0])}: training diverged, or the network divides by zero."
        )


def check_labels(labels: Tensor, embeddings: Tensor | None = None, name: str = "labels") -> None:
    """Refuse what is not one integer label for each row of ``embeddings`` on its device."""
    whole = isinstance(labels, Tensor) and not (labels.is_floating_point() or labels.is_complex())
    if not whole or labels.dtype == torch.bool:
        kind = labels.dtype if isinstance(labels, Tensor) else type(labels).__name__
        raise TypeError(f"`{name}` must be a tensor of integers, one class number for each row, but is {kind}.")
    if labels.ndim != 1 or (embeddings is not None and len(labels) != len(embeddings)):
        wanted = "(n,)" if embeddings is None else f"({len(embeddings)},)"
        raise ValueError(
            f"`{name}` must have shape {wanted}, one label for each row, but has shape {tuple(labels.shape)}."
        )
    if embeddings is not None and labels.device != embeddings.device:
        raise ValueError(f"`{name}` is on {labels.device}, its embeddings on {embeddings.device}: move one of them.")


def check_range(labels: Tensor, classes: int, owner: str) -> None:
    """Refuse labels outside 0 ... ``classes`` - 1, which would find no class weight."""
    low, high = (int(end) for end in labels.aminmax()) if len(labels) else (0, 0)
    if low < 0 or high >= classes:
        raise ValueError(
            f"{owner} has weights for the {classes} classes 0 to {classes - 1}, but `labels` go from {low} to {high}. "
            "Number the training classes from 0 without gaps: labels.unique(return_inverse=True)[1]."
        )


def check_number(name: str, value: float, low: float = -math.inf, *, open_end: bool = False) -> None:
    """Refuse a hyperparameter that is not finite or lies below ``low`` (at it, for an open end)."""
    if not math.isfinite(value) or value < low or (open_end and value == low):
        wanted = "finite" if low == -math.inf else f"finite and {'above' if open_end else 'at least'} {low:g}"
        raise ValueError(f"`{name}` must be {wanted}, but is {value}.")
