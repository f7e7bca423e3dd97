"""The version of a study's code: what its records depend on."""

import ast
import hashlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

from torchstone.lab.study import Study

NOT_RUN = frozenset(
    {"judge", "figures", "claim", "power", "compares"}
)  # a change of rule, pictures or words keeps the records
_Function = (ast.FunctionDef, ast.AsyncFunctionDef)
_Import = (ast.Import, ast.ImportFrom)


def code_version(study: Study) -> str:
    """Twelve hexadecimal digits that change when what the study runs changes.

    They are a hash of the syntax tree of the study's module and of the modules in the same package folder that it
    imports, directly or through one another. Left out are comments, docstrings and formatting, the members ``judge``,
    ``figures``, ``claim``, ``power`` and ``compares`` of its classes, and the functions, constants and imports of its
    module that only these use. So a new rule, picture or sentence keeps the records; anything that may change a trial
    does not. Changes of the libraries that the study calls do not count: their versions are in the record.

    Raises:
        ValueError: the study's source cannot be read, since it is not defined in a file.
    """
    module = type(study).__module__
    folder = getattr(sys.modules[module], "__package__", "") or ""
    sources: dict[str, str] = {}
    _collect(module, folder, sources, of_study=True)
    return _hash(sources)


def source_version(modules: Iterable[str]) -> str:
    """Twelve hexadecimal digits that change when the code of ``modules`` does, or what they import from their folders.

    Comments, docstrings and formatting do not count.

    Raises:
        ValueError: the source of a module cannot be read.
    """
    sources: dict[str, str] = {}
    for module in modules:
        _collect(module, getattr(sys.modules[module], "__package__", "") or "", sources, of_study=False)
    return _hash(sources)


def _hash(sources: Mapping[str, str]) -> str:
    text = "\n".join(f"{name}\n{sources[name]}" for name in sorted(sources))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _collect(module: str, folder: str, sources: dict[str, str], *, of_study: bool) -> None:
    """Add the normal form of ``module`` and of all that it imports from ``folder`` to ``sources``."""
    tree = ast.parse(_source(module))
    _strip_docstrings(tree)
    if of_study:
        _strip_what_is_not_run(tree)
    sources[module] = ast.unparse(tree)
    for imported in _imports(tree, folder):
        if imported not in sources:
            _collect(imported, folder, sources, of_study=False)


def _source(module: str) -> str:
    if module in sys.modules:
        path = getattr(sys.modules[module], "__file__", None)
    else:
        spec = find_spec(module)
        path = spec.origin if spec else None
    if path is None or not Path(path).is_file():
        raise ValueError(f"The source of the module '{module}' cannot be read: define the study in a file of its own.")
    return Path(path).read_text(encoding="utf-8")


def _strip_docstrings(tree: ast.Module) -> None:
    for node in ast.walk(tree):
        if (
            isinstance(node, (ast.Module, ast.ClassDef, *_Function))
            and ast.get_docstring(node, clean=False) is not None
        ):
            node.body = node.body[1:]
            if not node.body and not isinstance(node, ast.Module):
                node.body = [ast.Pass()]


def _strip_what_is_not_run(tree: ast.Module) -> None:
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            node.body = [member for member in node.body if not NOT_RUN & set(_bound(member))] or [ast.Pass()]
    tree.body = [single for node in tree.body for single in _single_imports(node)]
    mentioned = {node: {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)} for node in tree.body}
    while unused := [node for node in tree.body if _removable(node) and not _used(node, tree, mentioned)]:
        tree.body = [node for node in tree.body if node not in unused]


def _single_imports(node: ast.stmt) -> list[ast.stmt]:
    """One statement for each name that is imported, so that each can go by itself."""
    if isinstance(node, ast.Import):
        return [ast.Import([alias]) for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [ast.ImportFrom(node.module, [alias], node.level) for alias in node.names]
    return [node]


def _bound(node: ast.stmt) -> Iterator[str]:
    """The names that a statement gives a value."""
    if isinstance(node, (*_Function, ast.ClassDef)):
        yield node.name
    elif isinstance(node, _Import):
        yield from ((alias.asname or alias.name).partition(".")[0] for alias in node.names)
    elif isinstance(node, (ast.Assign, ast.AnnAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from (target.id for target in targets if isinstance(target, ast.Name))


def _removable(node: ast.stmt) -> bool:
    if isinstance(node, ast.Assign):
        return all(isinstance(target, ast.Name) for target in node.targets)
    if isinstance(node, _Function):
        return not node.decorator_list
    return isinstance(node, (*_Import, ast.AnnAssign)) and "*" not in _bound(node)


def _used(node: ast.stmt, tree: ast.Module, mentioned: Mapping[ast.stmt, set[str]]) -> bool:
    """Whether another statement of the module mentions a name that ``node`` binds."""
    names = set(_bound(node))
    return any(names & mentioned[other] for other in tree.body if other is not node)


def _imports(tree: ast.Module, folder: str) -> Iterator[str]:
    """The modules of the package ``folder`` that the tree imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if folder and alias.name.startswith(f"{folder}."))
        elif isinstance(node, ast.ImportFrom):
            yield from _imports_from(node, folder)


def _imports_from(node: ast.ImportFrom, folder: str) -> Iterator[str]:
    source = f"{folder}.{node.module or ''}".rstrip(".") if node.level == 1 else node.module or ""
    if folder and source.startswith(f"{folder}."):
        yield source
    elif folder and source == folder:
        for alias in node.names:
            submodule = f"{folder}.{alias.name}"
            yield submodule if find_spec(submodule) else folder
