"""Which estimator is right: what is known of f before anything is drawn for training decides."""

from dataclasses import replace

import torch
from torch.distributions import Distribution

from torchstone.programs.expectation.edges import parameters_move_the_edge
from torchstone.programs.expectation.enumeration import MOST, Enumerate, outcomes
from torchstone.programs.expectation.estimators import Estimator
from torchstone.programs.expectation.noise import depends_on_parameters
from torchstone.programs.expectation.pathwise import Pathwise, reparameterised
from torchstone.programs.expectation.relaxed import Gumbel, StraightThrough
from torchstone.programs.expectation.sampling import Function, values_of
from torchstone.programs.expectation.score import Score
from torchstone.programs.expectation.used import parameters_used
from torchstone.smoothness import Finding, Order, Report, check
from torchstone.smoothness.report import Site

FEW, MANY = torch.Size((3,)), torch.Size((256,))
"""How many samples f is tried on."""
OUT_OF_SIGHT = Finding(
    code="GRAD-CUT",
    severity="error",
    message="f changes with ξ, but out of sight, as under torch.vmap: nothing is known",
)


class BiasedGradientError(ValueError):
    """The gradient asked for would be wrong, not only noisy: see the ``report`` on f, if f is the reason."""

    def __init__(self, message: str, report: Report | None = None) -> None:
        super().__init__(message)
        self.report = report


def chosen(f: Function, p: Distribution) -> Estimator:
    """Pathwise where it is known to be right, else the sum over outcomes, else the score function."""
    if reparameterised(p) and proved(seen_from_noise(f, p)):
        return Pathwise()
    return Enumerate() if outcomes(p) <= MOST else Score()


def refuse_bias(f: Function, p: Distribution, estimator: Estimator) -> None:
    """Look for what the estimator cannot see.

    Raises:
        BiasedGradientError: there is something; the message shows its line.
    """
    if depends_on_parameters(p):
        if isinstance(estimator, Pathwise | Gumbel | StraightThrough):
            refuse_unseen_changes(f, p, estimator)
        if isinstance(estimator, Score):
            refuse_moving_edges(p)
    if not isinstance(estimator, Enumerate):
        refuse_moving_jumps(f, p)


def refuse_unseen_changes(f: Function, p: Distribution, estimator: Estimator) -> None:
    """The derivative in ξ must say all about f."""
    if not p.sample().is_floating_point():
        return  # there is no derivative, as the estimator will say
    seen = seen_from_noise(f, p)
    if flaw := jump(seen) or cut(seen) or decision(seen):
        kind, fault = ("pathwise", "biased") if isinstance(estimator, Pathwise) else ("relaxed", "void")
        verb = "may" if flaw.code == "PY-BRANCH" else "would"
        raise BiasedGradientError(
            f"The {kind} gradient {verb} be {fault}: it is the mean of f's derivative in ξ, which does not show all of "
            f"f's changes.\n\n{flaw}\n\nestimator='score' needs no derivative in ξ. If f is continuous all the same, "
            "with a derivative that arrives, say so: torchstone.smoothness.smooth(0, value) in f, or check=False.",
            seen,
        )


def refuse_moving_edges(p: Distribution) -> None:
    """The support must stay where it is."""
    if parameters_move_the_edge(p):
        raise BiasedGradientError(
            f"The score-function gradient would be biased: parameters move the edge of the support of xi, a "
            f"{type(p).__name__}, and log_prob does not show what comes in there. Take estimator='pathwise' with an f "
            "that is continuous, or noise without an edge, such as Normal; or check=False if the density is 0 there."
        )


def refuse_moving_jumps(f: Function, p: Distribution) -> None:
    """F must be continuous in its own parameters."""
    report = seen_from_parameters(f, p)
    if report is not None and (flaw := jump(report)):
        raise BiasedGradientError(
            "Every sampled gradient would be biased: f jumps at a place that its own parameters move.\n\n"
            f"{flaw}\n\nLet them move the distribution xi instead: with ξ' = ξ - θ, f may jump at ξ' = 0.",
            report,
        )


def seen_from_noise(f: Function, p: Distribution) -> Report:
    """How smooth f is in ξ."""
    report = check(lambda xi: values_of(f, xi, p), p.sample(FEW), wrt="inputs", require=Order(0))
    unused = any(finding.code == "UNUSED" for finding in report.blocked.values())
    return replace(report, blocked={"ξ": OUT_OF_SIGHT}) if unused and changes(f, p) else report


@torch.no_grad()
def changes(f: Function, p: Distribution) -> bool:
    """Whether f has different values for different samples."""
    values = values_of(f, p.sample(MANY), p)
    return bool((values != values[:1]).any())


def seen_from_parameters(f: Function, p: Distribution) -> Report | None:
    """How smooth f is in the parameters that it uses besides ξ; ``None`` if there are none."""
    xi = p.sample(FEW)
    used = parameters_used(lambda xi: values_of(f, xi, p), xi)
    return check(lambda xi: values_of(f, xi, p), xi, params=used, require=Order(0)) if used else None


def proved(report: Report) -> bool:
    """Whether the derivative in ξ is known to say all about f."""
    return report.order >= Order(0) and not report.decisions and cut(report) is None


def jump(report: Report) -> Finding | None:
    """Where f is known to be discontinuous."""
    if report.order != Order.DISCONTINUOUS:
        return None
    return next(finding for finding in report.findings if finding.code == "ORDER")


def cut(report: Report) -> Finding | None:
    """Where the derivative in ξ ends although f depends on ξ."""
    return next((finding for finding in report.blocked.values() if finding.code in ("GRAD-CUT", "GRAD-ZERO")), None)


def decision(report: Report) -> Finding | None:
    """Where Python may decide on ξ."""
    if not report.decisions:
        return None
    at = report.decisions[0]
    message = f"a number that depends on ξ leaves torch by {at}: f may jump where Python decides by it"
    where = Site(op=at.op, file=at.file, line=at.line, source=at.source)
    return Finding(**vars(where), code="PY-BRANCH", severity="error", message=message)
