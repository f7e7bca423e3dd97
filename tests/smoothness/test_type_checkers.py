"""mypy and pyright see the chain of orders, in ``order_chain.py``."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("order_chain.py")
REFUSED = {n for n, line in enumerate(PROGRAM.read_text().splitlines(), 1) if line.endswith("# REFUSED")}


def mypy() -> set[int]:
    """The lines on which mypy reports an error."""
    return {json.loads(line)["line"] for line in said(["mypy", "--output=json", str(PROGRAM)]).splitlines()}


def pyright() -> set[int]:
    """The lines on which pyright (as packed by basedpyright, which needs no Node) reports an error."""
    output = said(["basedpyright", "--level=error", "--outputjson", f"--pythonpath={sys.executable}", str(PROGRAM)])
    return {found["range"]["start"]["line"] + 1 for found in json.loads(output)["generalDiagnostics"]}


def said(command: list[str]) -> str:
    """What a checker prints; in the root of the repository it finds the project's settings and its own cache."""
    root = PROGRAM.parents[2]
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=root, capture_output=True, text=True, check=False
    ).stdout


@pytest.mark.parametrize("checker", [mypy, pyright])
def test_exactly_the_marked_lines_are_refused(checker: Callable[[], set[int]]) -> None:
    assert checker() == REFUSED
