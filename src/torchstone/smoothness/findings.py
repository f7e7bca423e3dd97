"""The report of a run: which sources are live, and what to know or to mend."""

from collections.abc import Iterable, Iterator
from typing import Any

from torchstone.smoothness.domain import Cut, Value
from torchstone.smoothness.orders import Order
from torchstone.smoothness.report import Finding, Report, Site
from torchstone.smoothness.sources import Sources
from torchstone.smoothness.tracer import Tracer


def report_of(result: Value, lipschitz: float, tracer: Tracer, sources: Sources, requirement: Any) -> Report:
    """What is known of the result, and the findings, errors first."""
    blocked = {
        name: finding
        for first, names in sources.aliases.items()
        if first not in result.live
        for name, finding in ((name, missing(first, name, result, tracer)) for name in names)
    }
    live = tuple(name for first, names in sources.aliases.items() if first in result.live for name in names)
    kinks = tuple(kink for kink in result.kinks if kink.order < Order.SMOOTH)
    known = Report(
        order=result.order,
        shape_class=repr(result.shape),
        lipschitz=lipschitz,
        live=live,
        blocked=blocked,
        frozen=tuple(sources.frozen),
        kinks=kinks,
        side_conditions=result.conditions,
        decisions=tuple(decision for decision, _ in tracer.decisions),
    )
    findings = [*blocked.values(), *unmet(known, requirement), *warnings(known, tracer), *frozen(sources)]
    return Report(**vars(known) | {"findings": tuple(findings)})


def missing(source: str, name: str, result: Value, tracer: Tracer) -> Finding:
    """Why no gradient reaches a source, which is called ``name``."""
    what = f"'{name}'" if name.startswith("inputs[") else f"parameter '{name}'"
    if source in result.blocked:
        return ended_at(result.blocked[source], what, name, result.path(source))
    for decision, value in tracer.decisions:
        if source in value.blocked:
            return ended_at(value.blocked[source], what, name, value.path(source))
        if source in value.live:
            reason = f"it leaves torch as a number by '{decision.op}'"
            cut = Cut("cut", value.site, reason, "stay with tensors, or leave it out of the optimizer")
            return ended_at(cut, what, name, value.path(source))
    branch = " on the branch that Python took" * any(isinstance(d.value, bool) for d, _ in tracer.decisions)
    return Finding(
        code="UNUSED",
        severity="error",
        message=f"the result does not depend on {what}{branch}",
        parameter=name,
        hint="use it, freeze it with requires_grad_(False), or leave it out of the optimizer",
    )


def ended_at(cut: Cut, what: str, name: str, path: tuple[str, ...]) -> Finding:
    """The finding about a gradient that ends."""
    code = "GRAD-ZERO" if cut.kind == "zero" else "GRAD-CUT"
    message = f"{what} gets no gradient: {cut.reason}"
    return Finding(
        **vars(cut.site),
        code=code,
        severity="error",
        message=message,
        parameter=name,
        path=(*path, "result"),
        hint=cut.hint,
    )


def unmet(report: Report, requirement: Any) -> Iterator[Finding]:
    """The finding that what was required does not hold."""
    if requirement is None:
        return
    message, blame = "", Site()
    if hasattr(requirement, "bound"):
        if not report.lipschitz <= requirement.bound:
            message = (
                f"a Lipschitz bound of {requirement.bound:.4g} is required, but the one known is {report.lipschitz:.4g}"
            )
    elif getattr(requirement, "__name__", "") == "PiecewiseLinear":
        if report.shape_class not in ("constant", "affine", "piecewise constant", "piecewise linear"):
            message = f"a piecewise linear function is required, but this one is {report.shape_class}"
    else:
        order = order_of(requirement)
        if report.order < order:
            message = f"{order!r} is required, but this is {report.order!r}"
            blame = min(reversed(report.kinks), key=lambda kink: kink.order, default=blame)
    if message:
        place = {key: vars(blame)[key] for key in ("op", "file", "line", "source")}
        because = f": {blame}" if blame.op else ""
        yield Finding(
            **place, code="ORDER", severity="error", message=message + because, hint=SMOOTHER.get(blame.op, "")
        )


SMOOTHER = {
    "relu": "softplus, gelu or silu instead",
    "leaky_relu": "softplus, gelu or silu instead",
    "abs": "sqrt(x**2 + eps) instead",
    "max_pool2d": "avg_pool2d instead",
    "max": "logsumexp instead",
    "amax": "logsumexp instead",
    "l1_loss": "huber_loss or mse_loss instead",
    "where": "declare its order by smooth(p, value), if the pieces meet",
}


def order_of(requirement: Any) -> Order:
    """Of an order, its number, or a class that has one."""
    if isinstance(requirement, int | float):
        return Order(requirement)
    order = getattr(requirement, "order", requirement)
    if not isinstance(order, Order):
        raise TypeError(
            f"require must be an order such as C1, Lipschitz(L) or PiecewiseLinear, but it is {requirement!r}."
        )
    return order


def warnings(report: Report, tracer: Tracer) -> Iterator[Finding]:
    """What may go wrong."""
    for condition in report.side_conditions:
        if not condition.holds:
            yield violated(condition, tracer)
    for decision in {(d.file, d.line): d for d in report.decisions if isinstance(d.value, bool)}.values():
        message = f"Python decides on a value that depends on the parameters ({decision.value} on this sample)"
        yield warning("PY-BRANCH", decision, message, "the report holds for that branch only; torch.where sees both")
    for op, site in tracer.custom.items():
        yield warning("CUSTOM", site, f"the derivative of '{op}' is hand-written, and trusted", "")
    unknown = [kink for kink in report.kinks if kink.order == Order.UNKNOWN and kink.op not in tracer.custom]
    for kink in {kink.op: kink for kink in unknown}.values():
        message = f"nothing is known of '{kink.op}', so nothing is proved of what comes after it"
        yield warning("UNKNOWN", kink, message, f"tell: torchstone.smoothness.register('{kink.op}', order=...)")


def violated(condition: Any, tracer: Tracer) -> Finding:
    """A side condition does not hold on the sample."""
    message = f"'{condition.op}' {condition.text}: on this sample that does not hold"
    where = tracer.trapped.get(condition)
    if where is None:
        return warning(
            "DOMAIN", condition, f"{message}, so gradients are infinite or NaN", "add an eps, or clamp before it"
        )
    return warning(
        "NAN-BRANCH",
        condition,
        f"{message}; {where} drops the value, but its gradient is 0 times infinity, which is NaN",
        "make the argument safe before the operation: f(torch.where(ok, x, 1.0))",
    )


def warning(code: str, site: Site, message: str, hint: str) -> Finding:
    """A finding at a place."""
    place = {key: vars(site)[key] for key in ("op", "file", "line", "source")}
    return Finding(**place, code=code, severity="warning", message=message, hint=hint)


def frozen(sources: Sources) -> Iterable[Finding]:
    """Parameters that are not to be trained, in one finding."""
    if sources.frozen:
        names = ", ".join(f"'{name}'" for name in sources.frozen[:3])
        more = f" and {len(sources.frozen) - 3} more" * (len(sources.frozen) > 3)
        yield Finding(code="FROZEN", severity="info", message=f"frozen (requires_grad=False): {names}{more}")
