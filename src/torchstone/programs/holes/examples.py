"""Examples of what a whole program returns: numbers as tensors, what a difference costs, and what is refused."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]
Example = tuple[tuple[Any, ...], Any]


def squared(output: Tensor, target: Tensor) -> Tensor:
    """The squared error, element by element.

    Raises:
        TypeError: the target is no number.
        ValueError: they differ in shape.
    """
    if not isinstance(target, Tensor):
        raise TypeError(
            f"A target must be a number, a list of numbers or a tensor, but here is a {type(target).__name__}. For "
            "other targets give a loss= of your own."
        )
    if output.shape != target.shape and not output.numel() == target.numel() == 1:
        raise ValueError(
            f"The program returned a tensor of shape {tuple(output.shape)}, but the target has shape "
            f"{tuple(target.shape)}. Give targets of that shape, or a loss= of your own."
        )
    return (output - target) ** 2


def checked(examples: Iterable[Any], dtype: torch.dtype, device: torch.device) -> list[Example]:
    """Examples as pairs (arguments, target), with numbers as tensors.

    Raises:
        TypeError: an example is no pair, or its first part is no tuple.
        ValueError: there are none, or a number is not finite.
    """
    found: list[Example] = []
    for i, example in enumerate(examples):
        if not isinstance(example, tuple | list) or len(example) != 2 or not isinstance(example[0], tuple):
            raise TypeError(
                f"examples[{i}] must be a pair ((argument, ...), what the program should return), but it is "
                f"{str(example)[:80]}. One argument is a tuple too: ((x,), y)."
            )
        found.append((tuple(tensor_of(x, dtype, device) for x in example[0]), tensor_of(example[1], dtype, device)))
        if any(isinstance(x, Tensor) and not x.isfinite().all() for x in (*found[-1][0], found[-1][1])):
            raise ValueError(f"examples[{i}] has a number that is NaN or infinite. Leave it out, or mend it.")
    if not found:
        raise ValueError("`examples` is empty. Give pairs ((argument, ...), what the program should return).")
    return found


def tensor_of(value: Any, dtype: torch.dtype, device: torch.device) -> Any:
    """Numbers, lists of numbers and arrays as tensors, floats in the program's dtype; all else as it is.

    Python's whole numbers become floats too.
    """
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "fiub":
        value = torch.as_tensor(value)
    if isinstance(value, Tensor):
        return value.detach().to(device, dtype if value.is_floating_point() else value.dtype)
    if isinstance(value, bool | int | float):
        return torch.tensor(value, dtype=dtype, device=device)
    if isinstance(value, list | tuple) and value and all(isinstance(x, int | float) for x in value):
        return torch.tensor(value, dtype=dtype, device=device)
    return value


def stacked(column: Sequence[Any]) -> Tensor:
    """One argument of all examples.

    Raises:
        ValueError: the examples differ in shape, or this is no number.
    """
    if not all(isinstance(x, Tensor) and x.shape == column[0].shape for x in column):
        kinds = sorted({str(tuple(x.shape)) if isinstance(x, Tensor) else type(x).__name__ for x in column})
        raise ValueError(
            f"To run at once, all examples must have arguments and targets of one shape, but here are "
            f"{', '.join(kinds[:4])}. Use batching='none', which takes one example after the other."
        )
    return torch.stack(list(column))


def number(output: Any, like: Any) -> Tensor:
    """What a program returned, as a tensor.

    Raises:
        TypeError: it is no number and no tensor.
    """
    if not isinstance(output, Tensor | int | float):
        raise TypeError(
            f"The program must return a number or a tensor to be fitted, but it returned {type(output).__name__}."
        )
    if isinstance(output, Tensor):
        return output
    dtype, device = (like.dtype, like.device) if isinstance(like, Tensor) else (None, None)
    return torch.as_tensor(output, dtype=dtype, device=device)
