"""Values that came about out of sight: hand-written derivatives, ``torch.func``. Autograd's own graph tells of them."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor
from torch.autograd.function import BackwardCFunction

from torchstone.smoothness.aliases import Aliases
from torchstone.smoothness.domain import CONSTANT, Cut, Shape, Value, gradients, union
from torchstone.smoothness.orders import Order
from torchstone.smoothness.places import site
from torchstone.smoothness.report import Kink, Site
from torchstone.smoothness.rules.flat import FLAT
from torchstone.smoothness.rules.rule import scaled
from torchstone.smoothness.transfer import ended, flat_reason


def from_graph(tensor: Tensor, values: Aliases) -> Value:
    """What autograd's graph says of a tensor that no torch function seen has made: which sources, but not how."""
    node, inside = tensor.grad_fn, values.earlier(tensor)
    seen = ancestors(node, values)
    if not seen and not (inside and custom(node)):
        return inside or CONSTANT
    here = site(node_name(node))
    hidden = [inside if custom(node) else replace(inside, live=frozenset())] if inside else []
    live, blocked = gradients([*seen, *hidden])
    values.trusted |= live - gradients(seen)[0]  # used by a hand-written function that may have a derivative for it
    order, lipschitz = trusted(node) if custom(node) else (Order.UNKNOWN, math.inf)
    order = min([order, *(parent.order for parent in seen)])
    own = (Kink(**vars(here), order=order),) if order < Order.SMOOTH else ()
    return Value(
        site=here,
        parents=(*seen, *hidden),
        live=live,
        blocked=blocked,
        order=order,
        shape=Shape(math.inf),
        lipschitz=scaled(lipschitz, math.hypot(*(parent.lipschitz for parent in seen))),
        kinks=union(parent.kinks for parent in seen) + own,
        conditions=union(parent.conditions for parent in seen),
    )


def derivative(tensor: Tensor, below: Value, here: Site, values: Aliases) -> Value:
    """What is known of a result of ``autograd.grad``, the derivative of ``below``: it is once less smooth."""
    seen = ancestors(tensor.grad_fn, values) if tensor.grad_fn is not None else []
    cut = Cut("cut", here, "autograd keeps no graph of this derivative", "give autograd.grad create_graph=True")
    hidden = ended(below, cut)
    live, blocked = gradients([*seen, hidden])
    order = below.order.derivative()
    own = (Kink(**vars(here), order=order),) if order < Order.SMOOTH else ()
    return Value(
        site=here,
        parents=(*seen, hidden),
        live=live,
        blocked=blocked,
        order=order,
        shape=below.shape.general(),
        lipschitz=math.inf,
        kinks=below.kinks + own,
        conditions=below.conditions,
    )


def confirmed(result: Value, outputs: Iterable[Tensor], leaves: Mapping[str, Tensor], trusted: set[str]) -> Value:
    """The result, without what autograd's graph does not lead to: not every argument of a function has a derivative."""
    outputs = list(outputs)
    reached = {id(tensor) for tensor in (*outputs, *leaves_below(outputs))}
    lost = {name for name in result.live - trusted if id(leaves[name]) not in reached}
    cut = Cut("cut", result.site, "autograd has no derivative of an operation on the way", "use a differentiable one")
    blocked = dict(result.blocked) | dict.fromkeys(sorted(lost), cut)
    return replace(result, live=result.live - lost, blocked=blocked) if lost else result


def leaves_below(outputs: Iterable[Tensor]) -> Iterator[Tensor]:
    """The tensors whose gradients autograd's graph of these collects, each once."""
    pending = [output.grad_fn for output in outputs if output.grad_fn is not None]
    seen = set(pending)
    while pending:
        node = pending.pop()
        if hasattr(node, "variable"):
            yield node.variable
        fresh = {parent for parent, _ in node.next_functions if parent is not None} - seen
        seen |= fresh
        pending += fresh


def ancestors(node: Any, values: Aliases) -> list[Value]:
    """The nearest known values upstream of a node of autograd's graph, blocked where a derivative of 0 lies between."""
    found: dict[tuple[Value, Cut | None], None] = {}
    pending: list[tuple[Any, Cut | None]] = [(node, None)]
    seen = set(pending)
    while pending:
        node, cut = pending.pop()
        cut = cut or flat(node)
        for parent, _ in node.next_functions:
            if parent is None or (parent, cut) in seen:
                continue
            seen.add((parent, cut))
            value = known(parent, values)
            if value is None:
                pending.append((parent, cut))
            else:
                found[value, cut] = None
    return [value if cut is None else ended(value, cut) for value, cut in found]


def known(node: Any, values: Aliases) -> Value | None:
    """The value that a node made, or that of the leaf that it accumulates gradients of."""
    if node in values.by_node:
        return values.by_node[node]
    return values.earlier(node.variable) if hasattr(node, "variable") else None


def flat(node: Any) -> Cut | None:
    """The end of the gradient, if the node is that of an operation with derivative 0."""
    name = node_name(node)
    if name not in FLAT:
        return None
    return Cut("zero", site(name), flat_reason(name), FLAT[name].hint)


def node_name(node: Any) -> str:
    """The operation that a node of autograd's graph differentiates: ``RoundBackward0`` is that of ``round``."""
    return (
        re.sub(r"Backward\d*$", "", str(type(node).__name__)).lower()
        if not custom(node)
        else function_of(node).__name__
    )


def custom(node: Any) -> bool:
    """Whether the derivative is hand-written."""
    return isinstance(node, BackwardCFunction)


def function_of(node: Any) -> type:
    """The autograd.Function of a node."""
    return type(node)._forward_cls  # type: ignore[no-any-return]


def trusted(node: Any) -> tuple[Order, float]:
    """What an autograd.Function says of itself, by class attributes ``smoothness`` and ``lipschitz``."""
    function = function_of(node)
    order = getattr(function, "smoothness", Order.UNKNOWN)
    order = getattr(order, "order", order)
    return order if isinstance(order, Order) else Order(order), float(getattr(function, "lipschitz", math.inf))
