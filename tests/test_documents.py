"""The examples of the documents run as they stand."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
import torch

from torchstone.lab import Status, run_study

ROOT = Path(__file__).parents[1]
IMPORTS = """
import torch
from torchstone.lab import Check, Claim, Outcome, Paper, Study, Trial, Verdict
from torchstone.lab.statistics import mean_interval
"""


def python_blocks(document: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / document).read_text(encoding="utf-8"), flags=re.DOTALL)


def module_of(source: str, path: Path) -> ModuleType:
    path.write_text(source, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_claim_in_contributing_runs_and_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = python_blocks("CONTRIBUTING.md")
    module = module_of(IMPORTS + block, tmp_path / "halves.py")
    monkeypatch.setitem(__import__("sys").modules, "halves", module)
    run = run_study(module.Halves(), "laptop", out=tmp_path / "runs", jobs=0)
    assert run.verdict is not None
    assert run.verdict.status is Status.CONFIRMED


@pytest.mark.parametrize(
    "document",
    [
        "README.md",
        "docs/similarity.md",
        "docs/trajectories.md",
        "docs/gradient-centralization.md",
        "docs/metric-learning.md",
        "docs/few-shot.md",
        "docs/self-supervised.md",
    ],
)
def test_the_examples_run(document: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with torch.random.fork_rng():  # an example may draw as a reader would
        for number, block in enumerate(python_blocks(document)):
            module_of(block, tmp_path / f"example{number}.py")


@pytest.mark.parametrize(
    "document", ["docs/spectral.md", "docs/memory.md", "docs/holes.md", "docs/smoothness.md", "docs/expectations.md"]
)
def test_the_examples_run_one_after_the_other(document: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each goes on with what those before it have defined."""
    monkeypatch.chdir(tmp_path)
    with torch.random.fork_rng():
        module_of("\n".join(python_blocks(document)), tmp_path / "examples.py")
