import os
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import need

from torchstone.cli.new import module_name
from torchstone.lab import Status, run_study

Command = Callable[..., Any]
ROOT = Path(__file__).parents[2]
RULES = ("--isolated", "--no-cache", "--select", "E,F,W,I,UP,B,C4,SIM,RUF,PT,NPY,PIE,RET,PTH,TID,ISC")


def test_the_study_runs_and_is_judged(torchstone: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answer = torchstone("new", "claim", "brand-new-claim")
    assert answer.code == 0
    assert "Written: brand_new_claim.py and test_brand_new_claim.py." in answer.output
    assert '[project.entry-points."torchstone.studies"]\n    brand-new-claim = "brand_new_claim"' in answer.output
    monkeypatch.syspath_prepend(tmp_path)
    study = import_module("brand_new_claim").BrandNewClaim()
    assert study.claim.name == "brand-new-claim"
    run = run_study(study, out=Path("runs"), jobs=0)
    assert run.verdict is not None
    assert run.verdict.status is Status.CONFIRMED
    assert set(study.scales) == {"smoke", "laptop", "paper"}


@pytest.mark.parametrize("package", ["", "mine/claims"])
def test_linter_formatter_types_and_its_own_test_have_no_complaint(torchstone: Command, package: str) -> None:
    need(find_spec("ruff") is not None and find_spec("mypy") is not None, "ruff or mypy is missing: torchstone[dev].")
    words = ("--folder", package, "--tests", "tests") if package else ()
    for folder in (Path("mine"), Path("mine/claims")) if package else ():
        folder.mkdir()
        (folder / "__init__.py").write_text('"""A package."""\n')
    assert torchstone("new", "claim", "brand-new-claim", *words).code == 0
    python("ruff", "check", *RULES, "--line-length", "88")
    python("ruff", "format", "--isolated", "--no-cache", "--check", "--line-length", "88")
    python("ruff", "format", "--isolated", "--no-cache", "--check", "--line-length", "120")
    if package:
        python("mypy", str(Path("mine").resolve()), str(Path("tests").resolve()), folder=ROOT)  # with our cache
        assert "3 passed" in python("pytest", "-q", "-p", "no:cacheprovider", "tests")


def python(program: str, *words: str, folder: Path = Path()) -> str:
    variables = os.environ | {"MYPYPATH": "src"}
    command = [sys.executable, "-m", program, *words]
    ended = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_the_name_of_the_module_is_that_of_its_package(tmp_path: Path) -> None:
    (tmp_path / "outer" / "inner").mkdir(parents=True)
    (tmp_path / "outer" / "inner" / "__init__.py").touch()
    assert module_name(tmp_path / "outer" / "study.py") == "study"
    assert module_name(tmp_path / "outer" / "inner" / "study.py") == "inner.study"
    (tmp_path / "outer" / "__init__.py").touch()
    assert module_name(tmp_path / "outer" / "inner" / "study.py") == "outer.inner.study"


def test_a_claim_of_torchstone_needs_no_entry_point(torchstone: Command) -> None:
    folder = Path("torchstone/studies")
    folder.mkdir(parents=True)
    for package in (folder.parent, folder):
        (package / "__init__.py").touch()
    answer = torchstone("new", "claim", "brand-new-claim", "--folder", str(folder), "--tests", "tests")
    assert "entry-points" not in answer.output
    imports = Path("tests/test_brand_new_claim.py").read_text()
    assert "run_study\nfrom torchstone.studies.brand_new_claim import BrandNewClaim\n" in imports


def test_nothing_is_written_over(torchstone: Command) -> None:
    for taken in ("brand_new_claim.py", "test_brand_new_claim.py"):
        Path(taken).write_text("mine")
        answer = torchstone("new", "claim", "brand-new-claim")
        assert answer.code == 2
        assert answer.errors == f"torchstone: {taken} exists and is not written over. Give another NAME or --folder.\n"
        assert [path.read_text() for path in Path.cwd().iterdir()] == ["mine"]
        Path(taken).unlink()


@pytest.mark.parametrize(
    "name", ["single", "Brand-New", "brand_new", "brand--new", "-brand", "brand-", "1-a", "../a-b"]
)
def test_a_name_is_lower_case_words_joined_by_hyphens(torchstone: Command, name: str) -> None:
    answer = torchstone("new", "claim", "--", name)
    assert answer.code == 2
    assert list(Path.cwd().iterdir()) == []


def test_a_name_that_is_taken(torchstone: Command) -> None:
    answer = torchstone("new", "claim", "toy-holds")
    assert answer.code == 2
    assert "There is a claim named 'toy-holds' already, in toy_claims." in answer.errors


def test_a_folder_that_cannot_be(torchstone: Command) -> None:
    Path("file").touch()
    answer = torchstone("new", "claim", "brand-new-claim", "--folder", "file/below")
    assert answer.code == 2
    assert answer.errors.startswith("torchstone: --folder file/below cannot be made")
