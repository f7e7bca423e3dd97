"""A program, examples of what it should return, and how it runs on them: one by one, stacked, or under vmap."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from torchstone.programs.holes.container import Bodies
from torchstone.programs.holes.deciders import Decider, TooLongError, as_called, check_single
from torchstone.programs.holes.examples import Example, Loss, number, squared, stacked
from torchstone.programs.holes.run import Observer, Run, running

Batching = Literal["vmap", "native", "none"]
BATCHING = get_args(Batching)


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
        log_p = torch.as_tensor(decider.log_p, dtype=losses.dtype, device=losses.device)
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


@torch.no_grad()
def loss_as_called(task: Task, *, averages: bool = False, max_steps: int | None = None) -> float:
    """The mean loss of a program as it is called: with its likeliest decisions, or on averages.

    It is infinite where the likeliest path of an example has more than ``max_steps`` decisions.
    """
    task = task.alone()
    try:
        losses = [task.run(as_called(averages, max_steps), group)[0].mean() for group in task.singly()]
    except TooLongError:
        return math.inf
    return float(torch.stack(losses).mean())
