"""A program with holes: an ordinary Python function, some of whose parts are learned from what the whole returns."""

import functools
import inspect
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from torchstone.programs.holes.bodies import Curve
from torchstone.programs.holes.calls import CURRENT, Run, running
from torchstone.programs.holes.choices import Bodies, Constant, Permutation
from torchstone.programs.holes.deciders import Decider, Likeliest, Mean
from torchstone.programs.holes.examples import Batching, Loss, Task, checked, squared
from torchstone.programs.holes.explain import explained
from torchstone.programs.holes.fitting import Fit, Hardened, fitted
from torchstone.programs.holes.objective import (
    ALL_PATHS,
    Branches,
    FallbackWarning,
    Objective,
    TooManyPathsError,
    called,
    paths,
)
from torchstone.programs.holes.options import check_options
from torchstone.programs.holes.search import Search, searched
from torchstone.programs.holes.source import places
from torchstone.programs.holes.survey import ConfoundedWarning, check_reached, confounded, confusions, prepare
from torchstone.programs.holes.validity import columns, outside, ranges, set_scales
from torchstone.smoothness import Report
from torchstone.smoothness import check as smoothness


class Program(nn.Module):
    """An ordinary function with holes; made by :func:`program`.

    ``holes`` holds the body of each hole by its name. Called, a program runs with its likeliest decisions; after a fit
    with ``branches="mix"`` or ``"relax"`` it averages, until it is hardened.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function
        self.holes = Bodies()
        self.ranges: dict[str, Tensor] = {}
        self.averages = False
        functools.update_wrapper(self, function)

    def forward(self, *inputs: Any) -> Any:
        """What the function returns.

        Warns:
            ExtrapolationWarning: a hole is called outside the range in which it was trained.
        """
        outer = CURRENT.get()
        decider: Decider = (Mean() if self.averages else Likeliest()) if outer is None else outer.decider
        observer = self._warn_outside if outer is None else None
        with running(Run(self.holes, decider, observer)):
            return self.function(*inputs)

    def fit(
        self,
        examples: Sequence[Any],
        *,
        branches: Branches = "enumerate",
        batching: Batching = "vmap",
        loss: Loss = squared,
        steps: int = 500,
        restarts: int = 5,
        lr: float = 0.03,
        batch: int | None = None,
        samples: int = 8,
        max_paths: int = 64,
        max_steps: int = 64,
        check: bool = True,
        seed: int = 0,
    ) -> Fit:
        """Learn the holes from what the whole program should return.

        The first start is from the weights as they are, the others are drawn. Each runs Adam (its rate falls to 0 by a
        cosine) and, where the loss is the same each time, L-BFGS. The best after decisions are made is kept.

        Args:
            examples: pairs ((argument, ...), what the program should return).
            branches: what is done at decisions: ``"enumerate"``: all paths, weighed by their probabilities;
                ``"likelihood"``: all paths, and how likely they make the target, a loss being the negative logarithm of
                a likelihood; ``"sample"``: drawn paths and the score function; ``"mix"``: averages of values, by
                ``select`` and ``choose``; ``"relax"``: such averages with noise, which cools down.
            batching: ``"vmap"``: the function is written for one example, all run at once; ``"native"``: it takes
                stacked examples; ``"none"``: one after the other (always so with ``"sample"``).
            loss: of an output and a target, element by element.
            steps, lr: of Adam in each start, and its rate at first.
            restarts: how many starts; one whose loss is no number stops there, and is on record.
            batch: examples in a step; all of them by default.
            samples: paths drawn for each example, at least 2.
            max_paths: with more paths, all paths become ``"sample"``, with a warning, unless batching is ``"native"``.
            max_steps: decisions in a path; longer paths are left out.
            check: whether to refuse a program in which a gradient is cut off.
            seed: of restarts, draws and noise.

        Returns:
            What came of every start.

        Raises:
            ValueError: examples or options are no good; no example reaches a hole (``UnreachedError``); the program
                does something else when run again (``NotRepeatableError``); a parameter gets no gradient.

        Warns:
            ConfoundedWarning: the examples say nothing of one hole that others could not undo.
            FallbackWarning: there are too many paths to enumerate.
        """
        check_options(branches, batching, steps, restarts, lr, batch, samples, max_paths, max_steps)
        task = self._task(examples, loss, "none" if branches == "sample" else batching)
        self._survey(task, branches, max_paths, max_steps)
        task, branches = self._within(task, branches, max_paths, max_steps)
        generator = torch.Generator().manual_seed(seed)
        objective = Objective(task, branches, samples, max_paths, max_steps, generator)
        if check:
            self._report(objective).raise_if("error")
        told = self._told(task, branches, max_paths, max_steps)
        found = fitted(self.holes, objective, steps=steps, restarts=restarts, lr=lr, batch=batch, seed=seed)
        self.averages = branches in ("mix", "relax")
        self.ranges = ranges(task, self.averages)
        return Fit(tuple(found), branches, objective.truncated(), told)

    def search(
        self,
        examples: Sequence[Any],
        *,
        loss: Loss = squared,
        batching: Batching = "vmap",
        most: int = 100_000,
        max_steps: int = 64,
    ) -> Search:
        """Try every combination of the constants, and keep the best: where they are few, nothing beats it.

        Args:
            examples, loss, batching, max_steps: as in :meth:`fit`.
            most: refuse more combinations than this.

        Returns:
            How many combinations there were, the best loss, and how many reach it.

        Raises:
            ValueError: there are more combinations, or something is left to learn besides constants.

        Paper: Gaunt et al. 2016, arXiv:1608.04428 (TerpreT): search dominates gradients on discrete programs.
        """
        task = self._task(examples, loss, batching)
        prepare(task, "enumerate", max_steps)
        return searched(task, most, max_steps)

    def check(
        self,
        examples: Sequence[Any],
        *,
        branches: Branches = "enumerate",
        batching: Batching = "none",
        loss: Loss = squared,
        max_paths: int = 64,
        max_steps: int = 64,
    ) -> Report:
        """Which holes a gradient reaches, and which line is in the way, before anything is trained.

        Args:
            examples: as in :meth:`fit`; the first is looked at.
            branches, batching, loss, max_paths, max_steps: as in :meth:`fit`.

        Returns:
            The report of :func:`torchstone.smoothness.check` on the loss; parameters are those of ``program.holes``.
        """
        task = self._task(examples, loss, batching)
        prepare(task, branches, max_steps)
        generator = torch.Generator().manual_seed(0)
        return self._report(Objective(task, branches, 2, max_paths, max_steps, generator))

    def harden(self, examples: Sequence[Any], *, loss: Loss = squared, batching: Batching = "none") -> Hardened:
        """Make every decision certain: the likeliest choice, the sign of a flag, the nearest order.

        Args:
            examples, loss: on which to say what that costs, as in :meth:`fit`.
            batching: ``"none"`` or ``"native"``.

        Returns:
            The mean loss of the program as it was called before, and as it is called now.
        """
        task = self._task(examples, loss, batching)
        before = called(task, averages=self.averages)
        for body in self.holes.values():
            if isinstance(body, Constant):
                body.settle(int(body.logits.argmax()))
            if isinstance(body, Permutation):
                body.settle()
        self.averages = False
        return Hardened(before, called(task))

    def explain(self, name: str | None = None) -> str:
        """What was learned: the formula, the table of values, the choice.

        Args:
            name: of a hole; all of them by default.

        Raises:
            LookupError: there is no such hole.
        """
        if name is None:
            return "\n".join(map(self.explain, self.holes))
        if name not in self.holes:
            raise LookupError(f"There is no hole {name!r}; there are {', '.join(map(repr, self.holes)) or 'none'}.")
        body, place = self.holes[name], places(self.function).get(name)
        inputs, written = body.inputs if isinstance(body, Curve) else 0, place.arguments if place else ()
        arguments = written if len(written) == inputs or not inputs else [f"x{j + 1}" for j in range(inputs)]
        return explained(name, body, arguments, self.ranges.get(name))

    def get_extra_state(self) -> dict[str, Any]:
        """Where the holes are valid, and whether the program averages."""
        return {"ranges": self.ranges, "averages": self.averages}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """What :meth:`get_extra_state` gave."""
        self.ranges, self.averages = dict(state["ranges"]), bool(state["averages"])

    def _task(self, examples: Sequence[Any], loss: Loss, batching: Batching) -> Task:
        like = next(self.holes.parameters(), torch.empty(0))
        return Task(self.function, self.holes, checked(examples, like.dtype, like.device), loss, batching)

    def _survey(self, task: Task, branches: Branches, max_paths: int, max_steps: int) -> None:
        """Look at the program before it is trained."""
        seen = prepare(task, branches, max_steps)
        if branches not in ("mix", "relax"):
            check_reached(task, seen, max_paths, max_steps)
        set_scales(self.holes, seen, self.ranges)

    def _told(self, task: Task, branches: Branches, max_paths: int, max_steps: int) -> dict[str, tuple[int, int]]:
        """What the examples tell of each hole, where there are paths to go through."""
        if branches not in ALL_PATHS:
            return {}
        told = confounded(task, max_paths, max_steps)
        for sentence in confusions(told):
            warnings.warn(sentence, ConfoundedWarning, stacklevel=3)
        return told

    def _within(self, task: Task, branches: Branches, max_paths: int, max_steps: int) -> tuple[Task, Branches]:
        """Enumerate only if there are few paths."""
        if branches in ALL_PATHS:
            try:
                with torch.no_grad():
                    paths(task.alone(), next(task.alone().singly()), max_paths, max_steps)
            except TooManyPathsError as error:
                if task.batching == "native":
                    raise
                warnings.warn(f"{error} Now paths are drawn.", FallbackWarning, stacklevel=3)
                return replace(task, batching="none"), "sample"
        return task, branches

    def _report(self, objective: Objective) -> Report:
        """The smoothness of the loss on the first example."""
        return smoothness(lambda: replace(objective, task=objective.task.alone())([0]), params=self.holes)

    def _warn_outside(self, name: str, arguments: tuple[Any, ...], value: Any) -> Any:
        if name in self.ranges and len(arguments) == self.ranges[name].shape[1]:
            outside(name, columns(arguments, cast(Curve, self.holes[name])), self.ranges[name])
        return value


def program(function: Callable[..., Any]) -> Program:
    """Make an ordinary function a program whose holes can be learned from examples of what the whole returns.

    Args:
        function: with calls of :func:`hole`, :func:`flag`, :func:`choose`, :func:`permute`, and any Python besides that
            does the same each time it runs.

    Returns:
        A module that is called as the function was.

    Raises:
        TypeError: this is no function.

    Example:
        >>> import torch
        >>> from torchstone.programs.holes import Poly, hole, program
        >>> @program
        ... def cost(diagonals, price):
        ...     total = 0.0
        ...     for d in diagonals:
        ...         total = total + hole("area", d) * price
        ...     return total
        >>> cost.holes["area"] = Poly(2)
        >>> examples = [(([1.0, 2.0], 3.0), 7.5), (([2.0, 1.5], 2.0), 6.25), (([0.5, 3.0], 4.0), 18.5)]
        >>> fit = cost.fit(examples, steps=20, restarts=1)
        >>> cost.explain("area")
        'area(d) = 0.5*d**2'
    """
    if not inspect.isfunction(function):
        raise TypeError(f"@program stands above a function, but here is {function!r}.")
    return Program(function)
