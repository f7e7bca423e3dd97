"""The catalogue as the tables of the documentation: ``python -m torchstone.optim.table docs/optimizers.md``."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from torchstone.files import write_text
from torchstone.optim.catalogue import RULES, Rule, Semantics, Variant

BEGIN, END = "<!-- catalogue: begin -->", "<!-- catalogue: end -->"
LIBRARIES: tuple[str, ...] = get_args(Semantics)
UNTOLD = ("weight_decay", "maximize", "momentum_mode")


def tables() -> str:
    """Both tables, in Markdown: the rules in Reddi's scheme, and what differs from library to library."""
    scheme = markdown(
        ["name", "rule", "φₜ", "ψₜ", "αₜ", "Γₜ ⪰ 0", "paper"], [scheme_row(rule) for rule in RULES.values()]
    )
    semantics = markdown(["name", *LIBRARIES], [semantics_row(rule) for rule in RULES.values()])
    return f"{scheme}\n\n{semantics}"


def scheme_row(rule: Rule) -> list[str]:
    """A rule as a choice of three functions."""
    kept = "yes" if rule.converges else "no"
    return [f"`{rule.name}`", rule.title, rule.phi, rule.psi, rule.alpha, kept, rule.paper]


def semantics_row(rule: Rule) -> list[str]:
    """A rule as each library has it."""
    return [f"`{rule.name}`", *(variant_cell(rule.semantics.get(library)) for library in LIBRARIES)]


def variant_cell(variant: Variant | None) -> str:
    """What is special about a variant, and its defaults."""
    if variant is None:
        return "refused"
    told = {name: value for name, value in variant.defaults.items() if name not in UNTOLD and value is not False}
    defaults = ", ".join(f"{name} {number(value)}" for name, value in told.items())
    return f"{variant.note}<br>{defaults}" if variant.note else defaults


def number(value: Any) -> str:
    """A default as people write it."""
    return "/".join(map(number, value)) if isinstance(value, tuple) else str(value) if value is True else f"{value:g}"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; bars inside of cells are escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def renewed(document: str) -> str:
    """The document with the tables of today between its two markers.

    Raises:
        ValueError: a marker is missing.
    """
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"The document must have the lines {BEGIN} and {END}, between which the tables go.")
    return f"{before}{BEGIN}\n{tables()}\n{END}{after}"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    write_text(path, renewed(path.read_text(encoding="utf-8")))
