"""From what is known of the operands of a call to what is known of its result."""

import math
from dataclasses import replace

import torch
from torch import Tensor

from torchstone.smoothness.call import Call, tensors
from torchstone.smoothness.domain import REAL, Cut, Interval, Value, gradients, union
from torchstone.smoothness.orders import Order
from torchstone.smoothness.places import in_hand_written_function
from torchstone.smoothness.report import Condition, Kink, Site
from torchstone.smoothness.rules.flat import FLAT, flat
from torchstone.smoothness.rules.rule import Rule

UNKNOWN = Rule(Order.UNKNOWN)
WHOLE_NUMBERS = flat("keep it in floating point, or use a score-function estimator")


def result_of(call: Call, rule: Rule, site: Site, bounds: bool = True) -> Value:
    """What is known of what a call returns, gradients apart from whether autograd records them."""
    parents = tuple(operand.value for operand in call.dependent)
    live, blocked = gradients(parents)
    ramp = rule.ramp(call)
    if ramp is not None:
        order, smooth_parts = Order(ramp.power - 1), [ramp.base]
    else:
        order = rule.order if isinstance(rule.order, Order) else rule.order(call)
        smooth_parts = list(parents)
    kinks = union(part.kinks for part in smooth_parts)
    if order < Order.SMOOTH:
        kinks += (Kink(**vars(site), order=order),)
    need = rule.need(call)
    conditions = union(part.conditions for part in parents)
    if need is not None:
        conditions += (Condition(**vars(site), text=need.text, holds=need.met),)
    order = min([order, *(part.order for part in smooth_parts)])
    bound = rule.lipschitz(call) if bounds and order >= Order(0) else math.inf
    value = Value(
        site=site,
        parents=parents,
        live=live,
        blocked=blocked,
        order=order,
        shape=rule.shape(call),
        lipschitz=math.inf if math.isnan(bound) else bound,
        range=real(rule.range(call)),
        kinks=kinks,
        conditions=conditions,
        ramp=ramp,
    )
    return ended(value, Cut("zero", site, flat_reason(site.op), rule.hint)) if rule.flat else value


def rule_for(call: Call, rule: Rule | None) -> Rule:
    """The rule, unless the result is made of whole numbers or truth values, which have no derivative."""
    if call.kwargs.get("rounding_mode") is not None:
        return FLAT["floor_divide"]
    if call.name == "scatter" and "reduce" in call.kwargs:
        return UNKNOWN
    results = list(tensors(call.result))
    if results and not any(differentiable(tensor) for tensor in results) and not (rule and rule.flat):
        return WHOLE_NUMBERS
    return rule or UNKNOWN


def ended(value: Value, cut: Cut) -> Value:
    """The same value with no gradient through it."""
    return replace(value, live=frozenset(), blocked=dict.fromkeys(sorted(value.live), cut) | dict(value.blocked))


def flat_reason(op: str) -> str:
    """Why nothing is learned through an operation."""
    return f"'{op}' has derivative 0 almost everywhere"


def differentiable(tensor: Tensor) -> bool:
    """Whether tensors of its kind can have gradients."""
    return tensor.is_floating_point() or tensor.is_complex()


def real(interval: Interval) -> Interval:
    """The interval, or the whole line where an end is not a number."""
    return REAL if any(map(math.isnan, interval)) else interval


def as_recorded(tensor: Tensor, value: Value) -> Value:
    """The value of one of the results: whole numbers have no derivative, nor has what autograd does not record."""
    if not differentiable(tensor) and value.live:
        zero = Cut(
            "zero", value.site, f"'{value.site.op}' returns whole numbers, which have no gradient", WHOLE_NUMBERS.hint
        )
        return ended(replace(value, order=min(value.order, Order.DISCONTINUOUS), lipschitz=math.inf), zero)
    if tensor.requires_grad or not value.live or (not torch.is_grad_enabled() and in_hand_written_function()):
        return value
    return ended(value, why_severed(value.site))


def declared(call: Call, site: Site) -> Value:
    """What ``smooth(p, value)`` declares, and the rest as it was."""
    x = call.operands[id(call.result)].value
    order = Order(call.given(0, "p"))
    kinks = (Kink(**vars(site), order=order),) if order < Order.SMOOTH else ()
    return replace(x, site=site, parents=(x,), order=order, kinks=kinks, ramp=None)


CUTS = {
    "detach": ("'detach' cuts the gradient off", "leave out detach() if it should learn from here"),
    "data": ("'.data' is a tensor without a history", "use the tensor itself"),
    "tensor": ("torch.tensor copies numbers without their history", "use torch.stack, or the tensor itself"),
    "new_tensor": ("new_tensor copies numbers without their history", "use torch.stack, or the tensor itself"),
    "as_tensor": ("numbers have lost their history", "use torch.stack, or the tensor itself"),
}


def why_severed(site: Site) -> Cut:
    """The reason, in words."""
    if site.op in CUTS:
        return Cut("cut", site, *CUTS[site.op])
    if not torch.is_grad_enabled():
        return Cut("cut", site, f"'{site.op}' runs where gradients are switched off", "leave torch.no_grad() before it")
    return Cut("cut", site, f"autograd records no derivative of '{site.op}'", "use a differentiable operation")
