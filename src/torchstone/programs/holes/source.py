"""Where a program's holes stand in its source, and what they are called with."""

import ast
import inspect
import textwrap
from collections.abc import Callable
from typing import Any, NamedTuple

KINDS = ("hole", "flag", "choose", "permute")


class Place(NamedTuple):
    """The first call of a hole: its line, the nearest condition around it, and its arguments as they are written."""

    line: int
    condition: str
    arguments: tuple[str, ...]

    @property
    def where(self) -> str:
        """In words."""
        return f"line {self.line}" + (f", below `{self.condition}`" if self.condition else "")


def places(function: Callable[..., Any]) -> dict[str, Place]:
    """Every hole that is called by a name in quotes; none where the source is not known.

    >>> from torchstone.programs.holes.program import Program
    >>> places(lambda: 0)
    {}
    """
    try:
        lines, first = inspect.getsourcelines(function)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, TypeError, SyntaxError):
        return {}
    found: dict[str, Place] = {}
    visit(tree, "", max(first, 1) - 1, found)
    return found


def visit(node: ast.AST, condition: str, offset: int, found: dict[str, Place]) -> None:
    """Collect the calls below a node."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KINDS and node.args:
        name, *arguments = node.args
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            place = Place(node.lineno + offset, condition, tuple(map(ast.unparse, arguments)))
            found.setdefault(name.value, place)
    for child in ast.iter_child_nodes(node):
        visit(child, above(node, child) or condition, offset, found)


def above(node: ast.AST, child: ast.AST) -> str:
    """The condition under which a part of a statement is run."""
    if not isinstance(node, ast.If | ast.While | ast.IfExp) or child is node.test:
        return ""
    otherwise = node.orelse if isinstance(node.orelse, list) else [node.orelse]
    keyword = "while" if isinstance(node, ast.While) else "if"
    return f"{'else of ' if child in otherwise else ''}{keyword} {ast.unparse(node.test)}"
