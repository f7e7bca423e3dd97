"""A program with holes: an ordinary Python function, some of whose parts are learned from what the whole returns."""

import functools
import inspect
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from torchstone.programs.holes.choices import Constant, Permutation
from torchstone.programs.holes.confounding import ConfoundedWarning, confounded, confusions
from torchstone.programs.holes.container import Bodies
from torchstone.programs.holes.deciders import as_called
from torchstone.programs.holes.examples import Loss, checked, squared
from torchstone.programs.holes.explain import explained
from torchstone.programs.holes.fallback import drawn_instead, excess
from torchstone.programs.holes.fitting import Fit, Hardened, alike, check_trainable, fitted
from torchstone.programs.holes.objective import AVERAGES, Branches, Objective
from torchstone.programs.holes.options import check_counts, check_rate, check_words
from torchstone.programs.holes.paths import TooManyPathsError
from torchstone.programs.holes.run import CURRENT, Run, running
from torchstone.programs.holes.search import Search, searched
from torchstone.programs.holes.source import places
from torchstone.programs.holes.survey import prepare, reaching
from torchstone.programs.holes.task import Batching, Task, loss_as_called
from torchstone.programs.holes.validity import set_ranges, set_scales, trained, warn_outside
from torchstone.smoothness import Report
from torchstone.smoothness import check as smoothness


class Program(nn.Module):
    """An ordinary function with holes; made by :func:`program`.

    ``holes`` holds the body of each hole by its name. Called, a program runs with its likeliest decisions; after a fit
    with ``branches="mix"`` or ``"relax"`` it averages, until it is hardened.
    """

    averages: Tensor

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function
        self.holes = Bodies()
        self.register_buffer("averages", torch.tensor(False))
        functools.update_wrapper(self, function)

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """What the function returns.

        Warns:
            ExtrapolationWarning: a hole is called outside the range in which it was trained.
        """
        outer = CURRENT.get()
        if outer is None:
            run = Run(self.function, self.holes, as_called(bool(self.averages)), warn_outside)
        else:
            run = outer.inside(self.function, self.holes)
        with running(run):
            return self.function(*inputs, **named)

    @property
    def ranges(self) -> dict[str, Tensor]:
        """The least and the largest argument of each curve in the last fit, (2, inputs)."""
        return {name: body.get_buffer("valid") for name, body in self.holes.every().items() if trained(body)}

    @torch.enable_grad()
    def fit(
        self,
        examples: Iterable[Any],
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
            examples: pairs ((argument, ...), what the program should return). Numbers, lists of numbers and arrays
                come to the function as tensors, floats and Python's numbers in the program's dtype.
            branches: what is done at decisions (``holes.objective`` has the equations): ``"enumerate"``: all paths,
                weighed by their probabilities; ``"likelihood"``: all paths, and how likely they make the target, a loss
                being the negative logarithm of a likelihood; ``"sample"``: drawn paths and the score function;
                ``"mix"``: averages of values, by ``select`` and ``choose``; ``"relax"``: such averages with noise. Both
                cool down.
            batching: ``"vmap"``: the function is written for one example, all run at once; ``"native"``: it takes
                stacked examples; ``"none"``: one after the other (always so with ``"sample"``).
            loss: of an output and a target, element by element.
            steps, lr: of Adam in each start, and its rate at first. Up to 100 iterations of L-BFGS follow.
            restarts: how many starts; one whose loss is no number stops there, and is on record. What is frozen is
                the same in all, and so is what has no ``reset_parameters``: the result names such holes.
            batch: examples in a step; all of them by default.
            samples: paths drawn for each example, at least 2.
            max_paths: with more paths, all paths become ``"sample"``, with a warning, unless batching is ``"native"``.
            max_steps: decisions in a path; longer paths are left out.
            check: whether to refuse a program in which a gradient is cut off.
            seed: of restarts, draws and noise.

        Returns:
            What came of every start.

        Raises:
            ValueError: examples or options are no good; an output is not of its target's shape; no example reaches a
                hole (``UnreachedError``); the program does something else when run again, or changes its arguments
                (``NotRepeatableError``); a parameter gets no gradient, or is in float16.
            TypeError: the program returns no number.
            RuntimeError: it looks at values, which ``batching="vmap"`` has not; or a ``while`` never ends, since
                its flag is decided once.

        Warns:
            ConfoundedWarning: the examples say nothing of one hole that others could not undo.
            FallbackWarning: there are too many paths to enumerate.
        """
        check_words(branches, batching)
        check_rate(lr)
        check_counts(steps=(steps, 0), restarts=(restarts, 1), samples=(samples, 2))
        check_counts(batch=(1 if batch is None else batch, 1), max_paths=(max_paths, 1), max_steps=(max_steps, 1))
        task = self._task(examples, loss, "none" if branches == "sample" else batching)
        seens = prepare(task, branches, max_steps)
        rows = reaching(task, seens, branches, max_paths, max_steps)
        check_trainable(self.holes)
        set_scales(self.holes, seens)
        many = None if branches in AVERAGES else excess(task, max_paths, max_steps)
        if many and branches != "sample":
            task, branches = drawn_instead(task, many)
        objective = Objective(task, branches, samples, max_paths, max_steps, torch.Generator().manual_seed(seed))
        if check:
            self._report(objective, rows, many).raise_if("error")
        told = {} if many else confounded(task, branches, max_paths, max_steps)
        for sentence in confusions(told):
            warnings.warn(sentence, ConfoundedWarning, stacklevel=3)  # the caller, above torch's decorator
        found = fitted(self.holes, objective, steps=steps, restarts=restarts, lr=lr, batch=batch, seed=seed)
        self.averages.fill_(branches in AVERAGES)
        set_ranges(task, seens, averages=branches in AVERAGES, max_steps=max_steps)
        return Fit(tuple(found), branches, objective.truncated(), told, alike(self.holes))

    def search(
        self,
        examples: Iterable[Any],
        *,
        loss: Loss = squared,
        batching: Batching = "vmap",
        most: int = 100_000,
        max_steps: int = 64,
    ) -> Search:
        """Try every combination of the constants, and keep the best: the thing to do where they are few.

        Args:
            examples, loss, batching, max_steps: as in :meth:`fit`.
            most: refuse more combinations than this.

        Returns:
            How many combinations there were, the best loss, and how many reach it.

        Raises:
            ValueError: there are more combinations, or something is left to learn besides constants.

        Paper: Gaunt et al. 2016, arXiv:1608.04428 (TerpreT): search dominates gradients on discrete programs.
        """
        check_words("enumerate", batching)
        check_counts(most=(most, 1), max_steps=(max_steps, 1))
        task = self._task(examples, loss, batching)
        prepare(task, "enumerate", max_steps)
        return searched(task, most, max_steps)

    def check(
        self,
        examples: Iterable[Any],
        *,
        branches: Branches = "enumerate",
        batching: Batching = "none",
        loss: Loss = squared,
        max_paths: int = 64,
        max_steps: int = 64,
    ) -> Report:
        """Which holes a gradient reaches, and which line is in the way, before anything is trained.

        Args:
            examples: as in :meth:`fit`; the first is looked at, and those that reach other holes.
            branches, batching, loss, max_paths, max_steps: as in :meth:`fit`.

        Returns:
            The report of :func:`torchstone.smoothness.check` on the loss; parameters are those of ``program.holes``.
        """
        check_words(branches, batching)
        check_counts(max_paths=(max_paths, 1), max_steps=(max_steps, 1))
        task = self._task(examples, loss, batching)
        rows = reaching(task, prepare(task, branches, max_steps), branches, max_paths, max_steps)
        objective = Objective(task, branches, 2, max_paths, max_steps, torch.Generator().manual_seed(0))
        return self._report(objective, rows, None if branches in AVERAGES else excess(task, max_paths, max_steps))

    def harden(self, examples: Iterable[Any], *, loss: Loss = squared, batching: Batching = "none") -> Hardened:
        """Make every decision certain: the likeliest choice, the sign of a flag, the nearest order.

        Args:
            examples, loss: on which to say what that costs, as in :meth:`fit`.
            batching: ``"none"`` or ``"native"``.

        Returns:
            The mean loss of the program as it was called before, and as it is called now.
        """
        check_words("enumerate", batching)
        task = self._task(examples, loss, batching)
        before = loss_as_called(task, averages=bool(self.averages))
        for body in self.holes.every().values():
            if isinstance(body, Constant | Permutation):
                body.settle()
        self.averages.fill_(False)
        return Hardened(before, loss_as_called(task))

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
        place = places(self.function).get(name)
        return explained(name, self.holes[name], place.arguments if place else (), self.ranges.get(name))

    def _task(self, examples: Iterable[Any], loss: Loss, batching: Batching) -> Task:
        like = self.holes.like()
        return Task(self.function, self.holes, checked(examples, like.dtype, like.device), loss, batching)

    def _report(self, objective: Objective, rows: Sequence[int], many: TooManyPathsError | None) -> Report:
        """The smoothness of the loss on some examples; where paths are drawn, on all of them unless they are many."""
        objective = replace(objective, task=objective.task.alone())
        if objective.branches == "sample" and not many:
            objective = replace(objective, branches="enumerate")
        return smoothness(lambda: objective(rows), params=self.holes)


def program(function: Callable[..., Any]) -> Program:
    """Make an ordinary function a program whose holes can be learned from examples of what the whole returns.

    Args:
        function: with calls of :func:`hole`, :func:`flag`, :func:`choose`, :func:`permute`, and any Python besides that
            does the same each time it runs.

    Returns:
        A module that is called as the function was.

    Raises:
        TypeError: this is no function.

    Paper: Bosnjak, Rocktaeschel, Naradowsky, Riedel 2017, arXiv:1605.06640 (sketches with slots to fill, in Forth).

    Differs from the paper: Python instead of Forth, and replay of paths beside averages of states.

    Example:
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
