"""What the check found: a report with the verdicts, and findings that name the line of the program they are about."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from torchstone.smoothness.orders import Order

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")


class NotDifferentiableError(ValueError):
    """A program cannot be trained as it stands, or is less smooth than required: see its ``report``."""

    def __init__(self, message: str, report: "Report") -> None:
        super().__init__(message)
        self.report = report


@dataclass(frozen=True, kw_only=True)
class Site:
    """A place in the user's program: ``op``, called in ``file`` at ``line``, which reads ``source``."""

    op: str = ""
    file: str = ""
    line: int = 0
    source: str = ""

    @property
    def place(self) -> str:
        """``model.py:57``; empty where it is not known."""
        return f"{self.file.replace(chr(92), '/').rsplit('/', 1)[-1]}:{self.line}" if self.file else ""

    def __str__(self) -> str:
        return " ".join(filter(None, [f"'{self.op}'", self.place and f"at {self.place}"]))


@dataclass(frozen=True, kw_only=True)
class Kink(Site):
    """An operation that makes the result less smooth than analytic: the result is ``order`` there."""

    order: Order


@dataclass(frozen=True, kw_only=True)
class Condition(Site):
    """What must hold for the order to be that reported; ``holds`` says whether it did on the sample supplied."""

    text: str
    holds: bool


@dataclass(frozen=True, kw_only=True)
class Decision(Site):
    """A number or truth value that left torch: Python went on with ``value``, and the report holds for that one."""

    value: bool | int | float | None = None


@dataclass(frozen=True, kw_only=True)
class Finding(Site):
    """One thing to know or to mend.

    Args:
        code: GRAD-CUT, GRAD-ZERO, UNUSED, ORDER (errors); PY-BRANCH, DOMAIN, NAN-BRANCH, CUSTOM, UNKNOWN (warnings);
            FROZEN (info).
        severity: ``"error"``, ``"warning"`` or ``"info"``.
        message: what is the matter, one sentence.
        parameter: the name of the parameter or input concerned, if one is.
        path: from the parameter through the operations, with their lines, to the end.
        hint: how to mend it.
    """

    code: str
    severity: Severity
    message: str
    parameter: str | None = None
    path: tuple[str, ...] = ()
    hint: str = ""

    def __str__(self) -> str:
        from torchstone.smoothness.rendering import paragraph

        return paragraph(self)


@dataclass(frozen=True, kw_only=True)
class Report:
    """What is known of a program before it is trained; ``print`` it.

    Everything is relative to the sources (the parameters, unless ``wrt`` says otherwise), on the branch that Python
    took, and where the side conditions hold.

    Args:
        order: how often the result can be differentiated.
        shape_class: ``"constant"``, ``"affine"``, ``"piecewise linear"``, ``"polynomial of degree 3"``, ... or
            ``"general"``.
        lipschitz: an upper bound of the Lipschitz constant (Euclidean norms); infinite if none is known.
        live: names of the sources that a gradient can reach.
        blocked: those that the result depends on, or that were used, but that no gradient reaches, with the reason.
        frozen: names of parameters with ``requires_grad=False``.
        kinks: what lowered the order.
        side_conditions: what must hold besides.
        decisions: values on which Python decided.
        findings: what to know or to mend, errors first.
    """

    order: Order
    shape_class: str
    lipschitz: float
    live: tuple[str, ...] = ()
    blocked: Mapping[str, Finding] = field(default_factory=dict)
    frozen: tuple[str, ...] = ()
    kinks: tuple[Kink, ...] = ()
    side_conditions: tuple[Condition, ...] = ()
    decisions: tuple[Decision, ...] = ()
    findings: tuple[Finding, ...] = ()

    def count(self, severity: Severity) -> int:
        """How many findings are of a severity."""
        return sum(finding.severity == severity for finding in self.findings)

    def raise_if(self, severity: Severity = "error") -> "Report":
        """This report, for chaining, if nothing in it is as bad as ``severity``.

        Raises:
            NotDifferentiableError: something is; the message shows those findings.
            ValueError: there is no such severity.
        """
        if severity not in SEVERITIES:
            raise ValueError(f"severity must be one of {', '.join(SEVERITIES)}, but it is {severity!r}.")
        bad = [f for f in self.findings if SEVERITIES.index(f.severity) <= SEVERITIES.index(severity)]
        if bad:
            from torchstone.smoothness.rendering import blocks

            raise NotDifferentiableError("\n\n".join(blocks(bad)), self)
        return self

    def __str__(self) -> str:
        from torchstone.smoothness.rendering import render

        return render(self)


def bound(value: float) -> str:
    """A Lipschitz bound in words."""
    return "no finite bound known" if math.isinf(value) else f"at most {value:.4g}"
