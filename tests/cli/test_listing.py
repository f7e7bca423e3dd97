import os
import subprocess
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from torchstone.cli.listing import claims_table, row_of
from torchstone.lab import Check, Estimate, Store, Verdict
from torchstone.lab.catalogue import catalogue

Command = Callable[..., Any]


def test_every_claim_is_one_line_where_there_is_no_terminal(torchstone: Command) -> None:
    torchstone("run", "toy-holds", "--jobs", "0")
    rows = [line.split("\t") for line in torchstone("list").output.splitlines()]
    assert [row[:3] for row in rows] == [
        ["toy-fails", "not run yet", "smoke, laptop"],
        ["toy-holds", "confirmed (laptop)", "smoke, laptop"],
        ["toy-interrupted", "not run yet", "smoke, laptop"],
    ]
    assert rows[1][3:] == ["Euclid (-300). Elements, I.1.", "One half is [bold]more[/bold] than a third."]


def test_the_list_as_json(torchstone: Command) -> None:
    torchstone("run", "toy-holds", "--jobs", "0", "--out", "elsewhere")
    fails, holds, _ = torchstone("list", "--json", "--out", "elsewhere").json
    assert fails["verdict"] is None
    assert (holds["verdict"]["status"], holds["verdict"]["scale"]) == ("confirmed", "laptop")
    assert holds["scales"] == ["smoke", "laptop"]


def test_listing_and_showing_leave_no_folder_behind(torchstone: Command) -> None:
    assert torchstone("list").code == 0
    assert torchstone("show", "toy-holds").code == 2
    assert list(Path.cwd().iterdir()) == []


def test_the_table_of_a_terminal_has_every_word(toys: dict[str, Any], tmp_path: Path) -> None:
    paper = StringIO()
    rows = [row_of(entry, tmp_path) for entry in catalogue()]
    assert [row.name for row in rows] == list(toys)
    Console(file=paper, width=80, force_terminal=True, color_system=None).print(claims_table(rows))
    for row in rows:
        for word in (row.name, row.sentence, row.paper, row.answer):
            assert word in paper.getvalue()


def test_a_list_that_was_made_before_leaves_torch_asleep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHSTONE_CACHE", str(tmp_path / "cache"))
    name = catalogue()[0].claim.name
    check = Check.at_least("it", Estimate(0.9, 0.8, 1.0), 0.5, zone=0.1)
    Store(tmp_path).add_verdict(name, "laptop", 0, "0123456789ab", Verdict.of(check, sentence="It does."))
    program = (
        "import sys; from torchstone.cli.main import main\n"
        f"main(['list', '--out', {str(tmp_path)!r}]); print('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", program]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ).stdout.splitlines()
    assert answer[0].startswith(f"{name}\tconfirmed (laptop)\t")
    assert answer[-1] == "False"
