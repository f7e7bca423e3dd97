from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from torchstone.cli import records

Command = Callable[..., Any]


def test_each_record_is_one_line_that_starts_with_its_id(torchstone: Command) -> None:
    torchstone("run", "toy-holds", "--jobs", "0")
    torchstone("run", "toy-holds", "--jobs", "0", "--scale", "smoke", "--seed", "2")
    rows = [line.split("\t") for line in torchstone("show", "toy-holds", "--records").output.splitlines()]
    assert [row[1:4] for row in rows] == [
        ["laptop", "half", "0"],
        ["laptop", "half", "1"],
        ["laptop", "half", "2"],
        ["smoke", "half", "2000"],
    ]
    assert len({row[0] for row in rows}) == 4
    assert {(row[5], len(row[0]), len(row[4])) for row in rows} == {("cpu", 16, 12)}
    assert torchstone("show", "toy-holds", "--records", "--scale", "laptop").output.count("\n") == 3


def test_records_as_json(torchstone: Command) -> None:
    torchstone("run", "toy-holds", "--jobs", "0")
    answer = torchstone("show", "toy-holds", "--records", "--json").json
    assert [record["metrics"] for record in answer] == [{"half": 0.5}] * 3
    assert all(record["environment"]["torch"] for record in answer)


def test_without_records_it_says_how_to_get_some(torchstone: Command) -> None:
    answer = torchstone("show", "toy-holds", "--records", "--scale", "paper")
    assert answer.code == 2
    assert "There are no records of 'toy-holds' at scale paper in torchstone-runs." in answer.errors
    assert "torchstone run toy-holds --scale paper" in answer.errors
    assert not Path("torchstone-runs").exists()


def test_the_table_of_a_terminal_has_every_id(torchstone: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    torchstone("run", "toy-holds", "--jobs", "0")
    ids = [line.split("\t")[0] for line in torchstone("show", "toy-holds", "--records").output.splitlines()]
    paper = StringIO()
    monkeypatch.setattr(records, "screen", lambda: Console(file=paper, width=120, force_terminal=True))
    torchstone("show", "toy-holds", "--records")
    assert all(record in paper.getvalue() for record in ids)
    assert "torchstone reproduce RECORD" in paper.getvalue()
