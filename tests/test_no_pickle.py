"""No pickle anywhere: whoever can write a pickle can run code where it is read."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"
MODULES = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "pickletools"}
CALLS = {"torch.load", "torch.save", "torch.hub.load", "pandas.read_pickle", "pd.read_pickle"}
NUMPY = {"np.load", "numpy.load", "np.save", "numpy.save"}  # take pickles unless told otherwise, or did


def pickles(tree: ast.AST) -> Iterator[str]:
    """What in a program reads or writes pickles."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.partition(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{name.name}" for name in node.names]
            yield from (name for name in names if name.partition(".")[0] in MODULES or name in CALLS | NUMPY)
        elif isinstance(node, ast.Attribute) and ast.unparse(node) in CALLS | NUMPY:
            yield ast.unparse(node)
        elif isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            yield "allow_pickle"


@pytest.mark.parametrize(
    ("program", "found"),
    [
        ("import json, pickle as p", ["pickle"]),
        ("from joblib import load", ["joblib.load"]),
        ("from torch import load", ["torch.load"]),
        ("read = torch.load", ["torch.load"]),
        ("np.load(path, allow_pickle=True)", ["np.load", "allow_pickle"]),
        ("'a pickle'; safetensors.torch.load(content); json.load(file)", []),
    ],
)
def test_the_search_finds_what_it_looks_for(program: str, found: list[str]) -> None:
    assert sorted(pickles(ast.parse(program))) == sorted(found)


def test_the_library_has_none() -> None:
    programs = list(SOURCE.rglob("*.py"))
    found = {path.name: names for path in programs if (names := [*pickles(ast.parse(path.read_text()))])}
    assert len(programs) > 50
    assert found == {}
