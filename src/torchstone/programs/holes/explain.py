"""What was learned, in words: a formula, a table of values, a choice, a threshold, an order."""

from collections.abc import Sequence
from textwrap import indent

import torch
from torch import Tensor, nn

from torchstone.programs.holes.bodies import Curve, Poly, Threshold
from torchstone.programs.holes.choices import Constant, Permutation


def explained(name: str, body: nn.Module, written: Sequence[str], ranges: Tensor | None) -> str:
    """One hole.

    Args:
        name: its name.
        body: what fills it.
        written: the arguments of its first call in the source, if that is known.
        ranges: (2, inputs), the least and the largest value of each argument in the examples, if that is known.
    """
    inputs = body.inputs if isinstance(body, Curve) else 0
    arguments = written if len(written) == inputs or not inputs else [f"x{j + 1}" for j in range(inputs)]
    call = f"{name}({', '.join(arguments)})"
    if isinstance(body, Constant):
        return f"{name} = {likely(body.names, body.logits)}"
    if isinstance(body, Permutation):
        return f"{name} = order {body.nearest().argmax(1).tolist()}"
    if isinstance(body, Threshold):
        return f"{call} is true where {linear(body, arguments)}"
    if isinstance(body, Poly):
        return f"{call} = {formula(body, arguments, ranges)}"
    if callable(inner := getattr(body, "explain", None)):
        return f"{call} is a program:\n{indent(inner(), '  ')}"
    if isinstance(body, Curve) and ranges is not None:
        return f"{call}:\n{table(body, arguments, ranges)}"
    return f"{call} = {type(body).__name__} with {sum(p.numel() for p in body.parameters())} parameters"


def likely(names: Sequence[str], logits: Tensor) -> str:
    """The likeliest of some things, with its probability."""
    p, index = logits.detach().softmax(-1).max(-1)
    return f"{names[int(index)]} (p = {float(p):.3g})"


def formula(body: Poly, arguments: Sequence[str], ranges: Tensor | None) -> str:
    """A polynomial, without the terms that change it by less than a thousandth of its largest term."""
    terms = body.terms()
    largest = body.get_buffer("spread") if ranges is None else ranges.abs().amax(0)
    weights = {e: abs(c) * float(torch.prod(largest ** torch.tensor(e).to(largest))) for e, c in terms.items()}
    least = 1e-3 * max(weights.values())
    parts = [term(c, e, arguments) for e, c in terms.items() if c != 0 and not weights[e] <= least]
    return " + ".join(parts).replace("+ -", "- ") or "0"


def term(coefficient: float, exponents: Sequence[int], arguments: Sequence[str]) -> str:
    """One product of powers.

    >>> term(0.5, (2,), ["d"]), term(-1.0, (1,), ["x"])
    ('0.5*d**2', '-x')
    """
    atoms = [x if x.isidentifier() else f"({x})" for x in arguments]
    factors = [x if k == 1 else f"{x}**{k}" for x, k in zip(atoms, exponents, strict=True) if k]
    number = f"{coefficient:.4g}"
    if factors and number in ("1", "-1"):
        return number.removesuffix("1") + "*".join(factors)
    return "*".join([number, *factors])


@torch.no_grad()
def linear(body: Threshold, arguments: Sequence[str]) -> str:
    """A threshold as an inequality in the arguments as they are."""
    weight = (body.weight / body.get_buffer("spread")).detach()
    bias = float(body.bias - (weight * body.get_buffer("center")).sum())
    if len(weight) == 1 and float(weight) != 0:
        return f"{arguments[0]} {'>' if float(weight) > 0 else '<'} {0.0 - bias / float(weight):.4g}"
    parts = [term(w, (1,), [x]) for w, x in zip(weight.tolist(), arguments, strict=True)]
    return f"{' + '.join(parts)} > {0.0 - bias:.4g}".replace("+ -", "- ")


@torch.no_grad()
def table(body: Curve, arguments: Sequence[str], ranges: Tensor, rows: int = 5) -> str:
    """Values along the diagonal of the range."""
    share = torch.linspace(0, 1, rows).to(ranges)[:, None]
    x = ranges[0] + share * (ranges[1] - ranges[0])
    lines = ["  ".join(f"{a:>9}" for a in [*arguments, "value"])]
    for values, y in zip(x.tolist(), body(*x.unbind(1)).tolist(), strict=True):
        lines.append("  ".join(f"{v:>9.4g}" for v in [*values, y]))
    return "\n".join(lines)
