"""The loss that is minimised, by what branches mean: all paths, drawn paths, or averages instead of branches."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from torchstone.programs.holes.averages import gumbel
from torchstone.programs.holes.deciders import Draw, Mean, TooLongError
from torchstone.programs.holes.examples import Example
from torchstone.programs.holes.paths import TooManyPathsError, paths
from torchstone.programs.holes.task import Task

Branches = Literal["enumerate", "likelihood", "sample", "mix", "relax"]
BRANCHES = get_args(Branches)
ALL_PATHS = ("enumerate", "likelihood")
AVERAGES = ("mix", "relax")


@dataclass(frozen=True)
class Objective:
    r"""The mean over examples of a loss, where a program decides at random.

    .. math:: \text{enumerate:}\ \frac{\sum_\pi P(\pi)\,\ell(\pi)}{\sum_\pi P(\pi)}, \qquad
              \text{likelihood:}\ -\log \sum_\pi P(\pi)\, e^{-\ell(\pi)}, \\
              \text{sample:}\ \nabla = \mathbb{E}_\pi\bigl[(\ell(\pi) - b)\, \nabla \log P(\pi) + \nabla \ell(\pi)\bigr]

    over the paths π of at most ``max_steps`` decisions, with the mean of an example's other draws as baseline b.
    ``"mix"`` and ``"relax"`` run the program once. For a decision with logits z and outcomes v it goes on with
    :math:`\sum_i \operatorname{softmax}((z + g) / \tau)_i\, v_i`: g is 0 in ``"mix"`` and Gumbel noise in ``"relax"``,
    and the ``temperature`` τ falls from 1 to 0.1 by a constant factor each step.

    Args:
        task: the program and its examples.
        branches: one of the five.
        samples: paths drawn for each example, at least 2.
        max_paths: enumerate at most so many.
        max_steps: longer paths are left out.
        generator: of draws and noise.

    Paper: Williams 1992 (score function); Kool, van Hoof, Welling 2019, "Buy 4 REINFORCE samples, get a baseline for
    free!" (baseline); Maddison, Mnih, Teh 2017, arXiv:1611.00712 (relax).
    """

    task: Task
    branches: Branches
    samples: int
    max_paths: int
    max_steps: int
    generator: torch.Generator

    def __call__(self, rows: Sequence[int], temperature: float = 1.0) -> Tensor:
        """The loss of some examples."""
        return torch.cat([self.of(group, temperature) for group in self.task.groups(rows)]).mean()

    def of(self, group: Example, temperature: float = 1.0) -> Tensor:
        """The losses of a group, (b,)."""
        if self.branches in ALL_PATHS:
            return self.enumerated(group)[0]
        if self.branches == "sample":
            return self.sampled(group)
        noise = gumbel(self.generator) if self.branches == "relax" else None
        return self.task.run(Mean(noise, temperature), group)[0]

    def enumerated(self, group: Example) -> tuple[Tensor, Tensor]:
        """The losses (b,) over all paths, and the probability (b,) of all paths together."""
        ran = paths(self.task, group, self.max_paths, self.max_steps)
        losses, log_p = (torch.stack(column) for column in zip(*ran, strict=True))
        log_total = log_p.logsumexp(0)
        if self.branches == "likelihood":
            return -(log_p - losses).logsumexp(0), log_total.exp()
        return ((log_p - log_total).exp() * losses).sum(0), log_total.exp()

    def sampled(self, group: Example) -> Tensor:
        """The mean loss of drawn paths, with the gradient of the expected loss."""
        draws = [self.drawn(group) for _ in range(self.samples)]
        losses, log_p = (torch.stack(column) for column in zip(*draws, strict=True))
        baseline = (losses.sum(0) - losses) / (self.samples - 1)
        score = (losses - baseline).detach() * log_p
        return (losses + score - score.detach()).mean(0)

    def drawn(self, group: Example) -> tuple[Tensor, Tensor]:
        """The loss and log-probability of a path that is not too long."""
        for _ in range(100):
            try:
                return self.task.run(Draw(self.generator, max_steps=self.max_steps), group)
            except TooLongError:
                continue
        raise TooManyPathsError(
            f"100 draws in a row had more than max_steps={self.max_steps} decisions: does the program ever leave its "
            "`while`? Raise max_steps, or bound the loop."
        )

    @torch.no_grad()
    def truncated(self) -> float:
        """The mean probability of paths that are too long; of drawn paths, the share that was."""
        if self.branches in AVERAGES:
            return 0.0
        groups = self.task.groups(range(len(self.task.examples)))
        if self.branches == "sample":
            draws = [self.too_long(group) for group in groups for _ in range(self.samples)]
            return sum(draws) / len(draws)
        left = 1.0 - float(torch.cat([self.enumerated(group)[1] for group in groups]).mean())
        return left if left > 1e-6 else 0.0

    def too_long(self, group: Example) -> bool:
        """Whether a drawn path is."""
        try:
            self.task.run(Draw(self.generator, max_steps=self.max_steps), group)
        except TooLongError:
            return True
        return False
