"""What a study declares beforehand is said before its trials run."""

from collections.abc import Callable
from typing import Any

import pytest


def test_declared_power_is_told_first(
    torchstone: Callable[..., Any], toys: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(toys["toy-holds"]), "power", lambda self, scale: {"one half": 0.25 * scale})
    answer = torchstone("run", "toy-holds", "--jobs", "0")
    first, second = answer.errors.splitlines()[:2]
    assert first == "Declared beforehand: were the effect there, 'one half' would confirm it with probability 0.75."
    assert second == "[1/3] half, seed 0: started"
    assert "Declared" not in answer.output


def test_nothing_is_said_where_nothing_is_declared(torchstone: Callable[..., Any]) -> None:
    assert "Declared" not in torchstone("run", "toy-holds", "--jobs", "0").errors
