from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

from rich.console import Console

from torchstone.cli.listing import claims_table, row_of

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
    rows = [row_of(study, tmp_path) for study in toys.values()]
    Console(file=paper, width=80, force_terminal=True, color_system=None).print(claims_table(rows))
    for row in rows:
        for word in (row.name, row.sentence, row.paper, row.answer):
            assert word in paper.getvalue()
