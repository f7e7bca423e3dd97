"""One trial of the claim about holes: a program trained with each weight decay, and what is measured of it."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from torchstone.lab import Context, Outcome, Trial
from torchstone.programs.holes import ExtrapolationWarning, Poly, Program, hole, program
from torchstone.studies.programs.known_programs import CHOICE, FORMULA, PROBLEMS, Inputs, Problem

ERROR, OUTSIDE, OF_HOLE = "error", "error outside", "error of the hole"
WARNED, OFF = "warns outside only", "error of a coefficient"
POINTS = 81

Examples = tuple[Inputs, Tensor]


def decays_of(trial: Trial) -> list[float]:
    """The weight decays that an arm may choose from; a formula or a choice in the hole has nothing to choose."""
    return [0.0] if trial.arm in (FORMULA, CHOICE) else list(trial.config["decays"])


def at(decay: float, what: str) -> str:
    """A metric or artifact at a weight decay.

    >>> at(0.001, "error")
    'error, decay 0.001'
    """
    return f"{what}, decay {decay:g}"


def outcome(trial: Trial, context: Context) -> Outcome:
    """Train with each weight decay; measure on 1,000 fresh inputs inside the range and 1,000 outside."""
    problem, decays = PROBLEMS[trial.config["problem"]], decays_of(trial)
    train, test, outside = (
        sample(problem, n, 3 * trial.seed + part, context.device, outside=part == 2)
        for part, n in enumerate((trial.config["examples"], 1000, 1000))
    )
    metrics: dict[str, float] = {}
    artifacts: dict[str, Tensor] = {}
    for done, decay in enumerate(decays, 1):
        learned = trained(problem, trial, train, decay)
        found = {ERROR: relative_error(learned, test), OUTSIDE: relative_error(learned, outside)}
        if problem.name in learned.holes:
            found |= {OF_HOLE: hole_error(problem, learned), OFF: coefficient_error(problem, learned)}
            found |= {WARNED: float(warns(learned, outside) and not warns(learned, train))}
            artifacts |= {at(decay, name): tensor for name, tensor in pictured(problem, learned).items()}
        metrics |= {at(decay, name): number for name, number in found.items()}
        context.progress(done / len(decays), f"decay {decay:g}")
    return Outcome(metrics, artifacts)


def sample(problem: Problem, n: int, seed: int, device: torch.device, *, outside: bool = False) -> Examples:
    """Inputs of n examples, and what the whole program returns."""
    inputs = tuple(x.to(device) for x in problem.draw(n, torch.Generator().manual_seed(seed), outside))
    return inputs, problem.truth(inputs)


def trained(problem: Problem, trial: Trial, examples: Examples, decay: float) -> Program:
    """The program of an arm, after its fit."""
    inputs, targets = examples
    learned = problem.filled(trial.arm, trial.seed).to(targets.device)
    pairs = list(zip(zip(*inputs, strict=True), targets, strict=True))
    options: dict[str, Any] = {"batching": "native", "seed": trial.seed}
    options |= {name: trial.config[name] for name in ("steps", "restarts", "batch")}
    learned.fit(pairs, loss=decayed(learned.holes, decay), **options)
    if trial.arm == CHOICE:
        learned.harden(pairs, batching="native")
    return learned


def decayed(bodies: nn.Module, decay: float) -> Callable[[Tensor, Tensor], Tensor]:
    """The squared error, plus the weight decay times the squared length of all weights."""

    def loss(output: Tensor, target: Tensor) -> Tensor:
        squares = torch.stack([parameter.square().sum() for parameter in bodies.parameters()])
        return (output - target) ** 2 + decay * squares.sum()

    return loss


@torch.no_grad()
def quietly(learned: Program, *inputs: Tensor) -> Tensor:
    """What a program returns, where it was trained and elsewhere."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExtrapolationWarning)
        output: Tensor = learned(*inputs)
    return output


def relative_error(learned: Program, examples: Examples) -> float:
    """The root mean squared error over the standard deviation of the targets."""
    inputs, targets = examples
    return float((quietly(learned, *inputs) - targets).square().mean().sqrt() / targets.std())


@torch.no_grad()
def warns(learned: Program, examples: Examples) -> bool:
    """Whether a program says that it is called outside of where it was trained."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        learned(*examples[0])
    return any(issubclass(each.category, ExtrapolationWarning) for each in caught)


def in_hole(problem: Problem, learned: Program, x: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """What the hole says, outside of its program."""
    alone = program(lambda x: hole(problem.name, x))
    alone.holes[problem.name] = learned.holes[problem.name]
    return quietly(alone, x)


def hole_error(problem: Problem, learned: Program) -> float:
    """The largest error of the hole inside the range that is trained on."""
    x = torch.linspace(*problem.inside, POINTS).to(next(learned.parameters()))
    return float((in_hole(problem, learned, x) - problem.law(x)).abs().max())


def coefficient_error(problem: Problem, learned: Program) -> float:
    """The largest error of a coefficient, 0 where there is no polynomial in the hole."""
    body = learned.holes[problem.name]
    terms = body.terms().values() if isinstance(body, Poly) else problem.coefficients
    return max(abs(found - true) for found, true in zip(terms, problem.coefficients, strict=True))


def shown(problem: Problem) -> Float[Tensor, " n"]:
    """The arguments at which a hole is drawn."""
    return torch.linspace(*problem.shown, POINTS)


def pictured(problem: Problem, learned: Program) -> Mapping[str, Tensor]:
    """The hole's curve, the range in which it was trained, and a polynomial's coefficients, where there are such."""
    drawn = {"curve": in_hole(problem, learned, shown(problem).to(next(learned.parameters())))}
    if problem.name in learned.ranges:
        drawn["range"] = learned.ranges[problem.name][:, 0]
    body = learned.holes[problem.name]
    return drawn | ({"terms": torch.tensor(list(body.terms().values()))} if isinstance(body, Poly) else {})
