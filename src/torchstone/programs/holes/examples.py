"""Examples of what a whole program returns, and a program run on them under somebody who decides."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from torchstone.programs.holes.choices import Bodies
from torchstone.programs.holes.deciders import Decider, check_single
from torchstone.programs.holes.run import Observer, Run, running

Batching = Literal["vmap", "native", "none"]
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


@dataclass(frozen=True)
class Task:
    """A program, examples of what it should return, and what a difference costs.

    Args:
        function: the program's.
        bodies: of its holes.
        examples: pairs (arguments, target).
        loss: of an output and a target; what it returns is averaged for each example.
        batching: ``"vmap"``: the function is written for one example, and runs on all of them at once by
            ``torch.vmap``; ``"native"``: it takes arguments stacked along a first axis and returns results so;
            ``"none"``: one example after the other, each with a control flow of its own.
    """

    function: Callable[..., Any]
    bodies: Bodies
    examples: list[Example]
    loss: Loss = squared
    batching: Batching = "vmap"

    def groups(self, rows: Sequence[int]) -> Iterator[Example]:
        """What runs at once: single examples, or all of them stacked."""
        if self.batching == "none":
            yield from (self.examples[row] for row in rows)
        elif rows == range(len(self.examples)):
            yield self.together
        else:
            inputs, target = self.together
            yield tuple(column[list(rows)] for column in inputs), target[list(rows)]

    @cached_property
    def together(self) -> Example:
        """All examples, stacked."""
        columns = zip(*(inputs for inputs, _ in self.examples), strict=True)
        return tuple(map(stacked, columns)), stacked([target for _, target in self.examples])

    def singly(self) -> Iterator[Example]:
        """One example after the other."""
        for row in range(len(self.examples)):
            yield from self.groups([row])

    def alone(self) -> "Task":
        """The same task without vmap, so that values can be looked at."""
        return replace(self, batching="native" if self.batching == "native" else "none")

    def run(self, decider: Decider, group: Example, **options: Any) -> tuple[Tensor, Tensor]:
        """The losses of a group and the log-probabilities of the path that was taken, both (b,)."""
        inputs, target = group
        if self.batching != "vmap":
            return self.scored(decider, inputs, target, **options)

        def one(*columns: Tensor) -> tuple[Tensor, Tensor]:
            return self.scored(decider, columns[:-1], columns[-1], **options)

        try:
            return torch.vmap(one, randomness="different")(*inputs, target)
        except RuntimeError as error:
            if "vmap" in str(error):
                error.add_note(
                    "torchstone ran all examples at once by torch.vmap, but this program needs their values. Use "
                    "batching='none' (one after the other), or batching='native' if it takes stacked arguments."
                )
            raise

    def scored(self, decider: Decider, inputs: tuple[Any, ...], target: Any, **options: Any) -> tuple[Tensor, Tensor]:
        """The loss, and the log-probability of the path."""
        output = self.output(decider, inputs, **options)
        losses = self.losses(output, target)
        kept = 1 if self.batching == "native" else 0
        losses = losses.flatten(kept).mean(-1) if losses.ndim > kept else losses
        if self.batching == "none":
            losses = losses[None]
        log_p = torch.as_tensor(getattr(decider, "log_p", 0.0), dtype=losses.dtype, device=losses.device)
        check_single(log_p.ndim, kept)
        return losses, log_p if self.batching == "vmap" else log_p.expand(losses.shape)

    def losses(self, output: Any, target: Any) -> Tensor:
        """What an output costs, element by element.

        Raises:
            ValueError: the loss of stacked examples is not one for each.
        """
        output = number(output, target)
        if self.batching != "native":
            return self.loss(output, target)
        losses = self.loss(output.expand(target.shape) if output.ndim == 0 else output, target)
        if losses.shape[:1] != target.shape[:1]:
            raise ValueError(
                f"With batching='native', `loss` must return losses whose first axis is that of the {len(target)} "
                f"examples, but it returned shape {tuple(losses.shape)}. Torch's losses do with reduction='none'."
            )
        return losses

    def output(
        self,
        decider: Decider,
        inputs: tuple[Any, ...],
        *,
        observer: Observer | None = None,
        cache: dict[Any, Any] | None = None,
        open: bool = False,
    ) -> Any:
        """What the program returns."""
        with running(Run(self.function, self.bodies, decider, observer, cache, open)):
            try:
                return self.function(*inputs)
            except TypeError as error:
                if "converted to an index" in str(error):
                    error.add_note("Numbers come as tensors of floats. Write range(int(n)), with batching='none'.")
                raise


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
