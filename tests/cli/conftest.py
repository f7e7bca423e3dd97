"""The commands, over claims that take no time, in a folder of their own."""

import json
import random
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from torchstone.cli.main import main


class Answer(NamedTuple):
    """What a command left behind."""

    code: int
    output: str
    errors: str

    @property
    def json(self) -> Any:
        """The output as strict JSON."""
        return json.loads(self.output, parse_constant=pytest.fail)


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The toy claims by name, in the place of those of torchstone."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    toys = import_module("toy_claims")
    studies = {study.claim.name: study() for study in (toys.Fails, toys.Holds, toys.Interrupted)}
    monkeypatch.setenv("TORCHSTONE_CACHE", str(tmp_path_factory.mktemp("cache")))
    for module in ("discover", "catalogue"):
        monkeypatch.setattr(import_module(f"torchstone.lab.{module}"), "discover", lambda: dict(studies))
    monkeypatch.setattr(import_module("torchstone.lab.discover"), "HOME", "toy_claims")
    return studies


@pytest.fixture
def torchstone(
    toys: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., Answer]:
    """Run a command line in an empty folder: ``torchstone("run", "toy-holds")``."""
    monkeypatch.chdir(tmp_path)

    def command(*words: str) -> Answer:
        state = random.getstate()
        try:
            code = main(words)
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            random.setstate(state)  # tyro's cache draws from it
        return Answer(code, *capsys.readouterr())

    return command
