"""Which estimator is right: what is known of f before anything is drawn for training decides."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.distributions import Distribution

from torchstone.programs.expectation.enumeration import MOST, Enumerate, outcomes
from torchstone.programs.expectation.estimators import Estimator
from torchstone.programs.expectation.noise import depends_on_parameters
from torchstone.programs.expectation.pathwise import Pathwise
from torchstone.programs.expectation.sampling import Function, values_of
from torchstone.programs.expectation.score import Score
from torchstone.smoothness import Finding, Order, Report, check


class BiasedGradientError(ValueError):
    """The gradient asked for would be wrong, not only noisy: see the ``report`` on f."""

    def __init__(self, message: str, report: Report) -> None:
        super().__init__(message)
        self.report = report


def chosen(f: Function, p: Distribution) -> Estimator:
    """Pathwise where it is known to be right, else the sum over outcomes, else the score function."""
    if p.has_rsample and proved(seen_from_noise(f, p)):
        return Pathwise()
    return Enumerate() if outcomes(p) <= MOST else Score()


def refuse_bias(f: Function, p: Distribution, estimator: Estimator) -> None:
    """Look for jumps that the estimator cannot see.

    Raises:
        BiasedGradientError: there is one; the message shows its line.
    """
    if isinstance(estimator, Pathwise) and depends_on_parameters(p):
        seen = seen_from_noise(f, p)
        if flaw := jump(seen) or cut(seen):
            raise BiasedGradientError(
                "The pathwise gradient would be biased: it is the mean of f's derivative in ξ, which does not show all "
                f"of f's changes.\n\n{flaw}\n\n"
                "estimator='auto' takes the score function here, which needs no derivative in ξ.",
                seen,
            )
    if not isinstance(estimator, Enumerate):
        report = seen_from_parameters(f, p)
        if report is not None and (flaw := jump(report)):
            raise BiasedGradientError(
                "Every sampled gradient would be biased: f jumps at a place that its own parameters move.\n\n"
                f"{flaw}\n\nLet them move the distribution xi instead: with ξ' = ξ - θ, f may jump at ξ' = 0.",
                report,
            )


def seen_from_noise(f: Function, p: Distribution) -> Report:
    """How smooth f is in ξ."""
    return check(lambda xi: values_of(f, xi, p), p.sample(torch.Size((2,))), wrt="inputs", require=Order(0))


def seen_from_parameters(f: Function, p: Distribution) -> Report | None:
    """How smooth f is in the parameters that it uses besides ξ; ``None`` if there are none."""
    xi = p.sample(torch.Size((2,)))
    with torch.enable_grad():
        leaves = list(leaves_of(f(xi)))
    if not leaves:
        return None
    return check(lambda xi: values_of(f, xi, p), xi, params=leaves, require=Order(0))


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


def leaves_of(value: Tensor) -> Iterator[Tensor]:
    """The parameters in the graph of a tensor, each once."""
    seen, waiting = set(), [value.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            yield node.variable
        waiting.extend(following for following, _ in node.next_functions)
