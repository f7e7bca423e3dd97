"""What a program does where it has to decide: go through all paths, draw one, average, or take the likeliest."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from torchstone.programs.holes.averages import blend, gathered

COLD = 0.1
"""The temperature at which averages end, and at which an averaging program is called."""


MOST_ASKED = 100_000
"""How often a run may ask for the truth of flags without features, before it is taken to go on for ever."""


class TooLongError(Exception):
    """A path has more decisions than ``max_steps``; whoever runs paths leaves it out."""


class DisagreementError(ValueError):
    """Examples of a batch, or elements of a tensor, take different branches, of which Python can take only one."""


def check_single(logits_ndim: int, most: int) -> None:
    """Refuse one decision on many elements, where each path takes one outcome."""
    if logits_ndim > most:
        raise DisagreementError(
            "A flag or choice was given a tensor of several elements, but a path takes one decision for each example. "
            "Loop over the elements, or use branches='mix'."
        )


@dataclass
class Decider:
    """The base: an outcome is decided once, and the same constant is decided alike in the whole program.

    A path has at most ``max_steps`` decisions, if that is given.
    """

    by_paths: ClassVar[bool] = False
    """Whether each run takes one path of known probability."""
    final: ClassVar[bool] = False
    """Whether nothing is left soft."""
    max_steps: int | None = field(default=None, kw_only=True)
    steps: int = field(default=0, init=False)
    log_p: Tensor | float = field(default=0.0, init=False)
    """The log-probability of the path so far; 0 where paths have none."""
    constants: dict[Hashable, int] = field(default_factory=dict, init=False)
    asked: int = field(default=0, init=False)
    """How often a constant decided an ``if`` or ``while``."""

    def index(self, logits: Tensor) -> int:
        """Which of k outcomes, from logits (..., k)."""
        raise TypeError(
            "This program decides by `if`, `while` or a list, but branches='mix' and 'relax' average values and cannot "
            "be on two branches at once. Use select(flag, a, b), or branches='enumerate'."
        )

    def step(self) -> None:
        """Count a decision.

        Raises:
            TooLongError: there are more than ``max_steps``.
        """
        self.steps += 1
        if self.max_steps is not None and self.steps > self.max_steps:
            raise TooLongError

    def settled(self, constant: Hashable | None, logits: Tensor) -> int:
        """The index; that of a ``constant`` is decided once."""
        if constant is None:
            return self.index(logits)
        if constant not in self.constants:
            self.constants[constant] = self.index(logits)
        return self.constants[constant]

    def truth(self, constant: Hashable | None, logits: Tensor) -> bool:
        """Whether ``if`` and ``while`` go on.

        Raises:
            RuntimeError: constants were asked so often that the program will not end.
        """
        self.asked += constant is not None
        if self.asked > MOST_ASKED:
            raise RuntimeError(
                f"Flags without features were asked {MOST_ASKED:,} times in one run. Such a flag is decided once for "
                "the whole run, so that `while flag(...)` never ends once it is true: give it features. In a long loop "
                "that does end, ask it once, above the loop."
            )
        return bool(self.settled(constant, logits))

    def pick(self, constant: Hashable | None, logits: Tensor, options: Sequence[Any]) -> Any:
        """One of the options, or a mean of them."""
        return options[self.settled(constant, logits)]


@dataclass
class Prefix(Decider):
    """Take the decisions of a prefix, then each first outcome, noting the other ways: all paths, by replay."""

    by_paths: ClassVar[bool] = True
    prefix: tuple[int, ...] = ()
    taken: tuple[int, ...] = field(default=(), init=False)
    others: list[tuple[int, ...]] = field(default_factory=list, init=False)

    def index(self, logits: Tensor) -> int:
        """The next decision of the prefix, or the first outcome."""
        self.step()
        new = len(self.taken) >= len(self.prefix)
        index = 0 if new else self.prefix[len(self.taken)]
        if new:
            self.others += [(*self.taken, other) for other in range(1, logits.shape[-1])]
        self.taken = (*self.taken, index)
        self.log_p = self.log_p + logits.log_softmax(-1)[..., index]
        return index


@dataclass
class Draw(Decider):
    """Draw each outcome by its probability."""

    by_paths: ClassVar[bool] = True
    generator: torch.Generator

    def index(self, logits: Tensor) -> int:
        """A draw."""
        self.step()
        check_single(logits.ndim, 1)
        log_p = logits.log_softmax(-1)
        index = int(torch.multinomial(log_p.detach().exp().cpu(), 1, generator=self.generator))
        self.log_p = self.log_p + log_p[index]
        return index


@dataclass
class Mean(Decider):
    """Average the options by their probabilities, or by those of a noisy softmax of some ``temperature``."""

    noise: Callable[[Tensor], Tensor] | None = None
    temperature: float = COLD
    shared: dict[Hashable, Tensor] = field(default_factory=dict, init=False)
    """The weights of constants, whose noise is the same in the whole program."""

    def pick(self, constant: Hashable | None, logits: Tensor, options: Sequence[Any]) -> Any:
        """The mean of the options."""
        if constant is None:
            return blend(self.weights(logits), options)
        if constant not in self.shared:
            self.shared[constant] = self.weights(logits)
        return blend(self.shared[constant], options)

    def weights(self, logits: Tensor) -> Tensor:
        """The probabilities, of logits (..., k), with noise of their own."""
        noisy = logits if self.noise is None else logits + self.noise(logits)
        return (noisy / self.temperature).softmax(-1)


@dataclass
class Likeliest(Decider):
    """The likeliest outcome, what a program does once it is trained."""

    final: ClassVar[bool] = True

    def index(self, logits: Tensor) -> int:
        """The outcome of the largest logit, in which a batch must agree."""
        self.step()
        try:
            indexes = set(logits.argmax(-1).flatten().tolist())
        except RuntimeError as error:
            error.add_note(
                "torch.vmap lets nobody look at a decision. Call the program without it: with one example at a time, "
                "or, where it decides by select(flag, a, b), with stacked arguments."
            )
            raise
        if len(indexes) > 1:
            raise DisagreementError(
                f"{logits.argmax(-1).numel()} examples take different branches, and `if` can take only one of them. "
                "Use select(flag, a, b) in the program, or call it with one example at a time."
            )
        return int(indexes.pop())

    def pick(self, constant: Hashable | None, logits: Tensor, options: Sequence[Any]) -> Any:
        """The likeliest option, for each example of a batch its own."""
        if logits.ndim == 1 or any(callable(option) for option in options):
            return super().pick(constant, logits, options)
        return gathered(logits.argmax(-1), options)


def as_called(averages: bool, max_steps: int | None = None) -> Decider:
    """Who decides where a program is called: averages after a fit by averages, else what is likeliest."""
    return Mean() if averages else Likeliest(max_steps=max_steps)
