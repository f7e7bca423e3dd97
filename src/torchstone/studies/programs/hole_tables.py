"""The records of the claim about holes, by program, arm and number of examples; weight decays chosen on other seeds."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from torchstone.lab import Estimate, Record
from torchstone.lab.statistics import mean_interval
from torchstone.programs.holes import Poly, program
from torchstone.studies.programs.hole_trials import ERROR, OFF, WARNED, at, decays_of, shown
from torchstone.studies.programs.known_programs import BLACK, FORMULA, HOLE, PROBLEMS

RESOLUTION = 1e-8
"""Smaller errors count as this one: single precision tells no more."""


class Curves(NamedTuple):
    """What holes have learned.

    Args:
        x: (n,), the arguments.
        truth: (n,), the law.
        found: (seeds, n), what each hole says.
        range: (2,), where the first of them was trained.
        name: of the hole.
    """

    x: Float[Tensor, " n"]
    truth: Float[Tensor, " n"]
    found: Float[Tensor, "seeds n"]
    range: Float[Tensor, "2"]
    name: str


def of(records: Sequence[Record], problem: str, arm: str, n: int) -> list[Record]:
    """The records of an arm, by seed."""
    wanted = {"problem": problem, "examples": n}
    found = [r for r in records if r.trial.arm == arm and wanted.items() <= r.trial.config.items()]
    return sorted(found, key=lambda record: record.trial.seed)


def problems(records: Sequence[Record]) -> list[str]:
    """The programs, in the order of the first trials."""
    return list(dict.fromkeys(record.trial.config["problem"] for record in records))


def every(records: Sequence[Record], what: str) -> Float[Tensor, "seeds decays"]:
    """A metric of one arm's records, at each weight decay."""
    rows = [[record.metrics[at(decay, what)] for decay in decays_of(record.trial)] for record in records]
    return torch.tensor(rows, dtype=torch.float64)


def chosen(errors: Float[Tensor, "seeds decays"]) -> Int[Tensor, " seeds"]:
    """For each seed the weight decay that does best on the other seeds, by the mean logarithm of the error.

    >>> chosen(torch.tensor([[1.0, 9.0], [1.0, 2.0], [3.0, 2.0]])).tolist()
    [0, 0, 0]
    """
    logs = errors.log().nan_to_num(nan=torch.inf)
    others = ~torch.eye(len(logs), dtype=torch.bool)
    return torch.stack([logs[rest].mean(0).argmin() for rest in others])


def tuned(records: Sequence[Record], what: str = ERROR) -> Float[Tensor, " seeds"]:
    """A metric of one arm's records, with the chosen weight decays."""
    choice = chosen(every(records, ERROR))
    return every(records, what).gather(1, choice[:, None])[:, 0]


def advantage(
    records: Sequence[Record], problem: str, n: int, *, over: str = BLACK, what: str = ERROR, hindsight: bool = False
) -> Estimate:
    """The logarithm of another arm's error over the hole's, as a mean over seeds."""
    rivals = of(records, problem, over, n)
    theirs = every(rivals, what).amin(1) if hindsight else tuned(rivals, what)
    return mean_interval((theirs / tuned(of(records, problem, HOLE, n), what)).log10().tolist())


def log_error(records: Sequence[Record], what: str = ERROR) -> Estimate:
    """The mean over seeds of the logarithm of one arm's error."""
    return mean_interval(tuned(records, what).clamp_min(RESOLUTION).log10().tolist())


def coefficients_off(records: Sequence[Record], problem: str, n: int) -> Estimate:
    """The largest error of a coefficient, as a mean over seeds."""
    return mean_interval(tuned(of(records, problem, FORMULA, n), OFF).tolist())


def share_that_warns(records: Sequence[Record], problem: str) -> Estimate:
    """Of all networks in the hole of a program: those that warn outside of where they were trained, and only there."""
    holes = [r for r in records if r.trial.arm == HOLE and r.trial.config["problem"] == problem]
    return mean_interval(every(holes, WARNED).flatten().tolist())


def formula(record: Record) -> str:
    """What a program says of the polynomial that it has learned."""
    problem = PROBLEMS[record.trial.config["problem"]]
    learned = program(problem.right)
    body = learned.holes[problem.name] = Poly(3)
    body.coefficients.data = record.artifacts[at(0, "terms")]
    body.get_buffer("valid").copy_(record.artifacts[at(0, "range")][:, None])
    return learned.explain(problem.name)


def curves(records: Sequence[Record]) -> Curves:
    """What the networks of one arm have learned, with the chosen weight decays."""
    problem = PROBLEMS[records[0].trial.config["problem"]]
    choice = chosen(every(records, ERROR)).tolist()
    decays = [decays_of(record.trial)[place] for record, place in zip(records, choice, strict=True)]
    found = [record.artifacts[at(decay, "curve")] for record, decay in zip(records, decays, strict=True)]
    x, seen = shown(problem), records[0].artifacts[at(decays[0], "range")]
    return Curves(x, problem.law(x), torch.stack(found), seen, problem.name)
