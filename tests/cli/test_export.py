import csv
import io
import json
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import need

Command = Callable[..., Any]


@pytest.fixture
def ran(torchstone: Command) -> Command:
    """A claim with a verdict and three records."""
    torchstone("run", "toy-holds", "--jobs", "0")
    return torchstone


def test_csv_goes_to_the_screen_unless_a_file_is_given(ran: Command) -> None:
    shown = ran("export", "toy-holds")
    assert (shown.code, shown.errors) == (0, "")
    rows = list(csv.DictReader(io.StringIO(shown.output)))
    assert [(row["scale"], row["seed"], row["metrics.half"]) for row in rows] == [
        ("laptop", str(seed), "0.5") for seed in range(3)
    ]
    assert ran("export", "toy-holds", "--file", "new/folder/records.csv").output == ""
    assert Path("new/folder/records.csv").read_text() == shown.output
    assert ran("export", "toy-holds", "--file", "records.txt").code == 0
    assert Path("records.txt").read_text() == shown.output


def test_json_has_claim_verdict_and_records(ran: Command) -> None:
    answer = ran("export", "toy-holds", "--format", "json").json
    assert answer["claim"]["sentence"] == "One half is [bold]more[/bold] than a third."
    assert (answer["verdict"]["scale"], answer["verdict"]["status"]) == ("laptop", "confirmed")
    assert answer["verdict"]["checks"] == ran("show", "toy-holds", "--json").json["verdict"]["checks"]
    assert [record["metrics"]["half"] for record in answer["records"]] == [0.5] * 3
    ran("export", "toy-holds", "--file", "all.json")
    assert json.loads(Path("all.json").read_text(), parse_constant=pytest.fail) == answer


def test_markdown_has_the_checks(ran: Command) -> None:
    shown = ran("export", "toy-holds", "--format", "md").output
    assert r"| \* | one half | 0.500 [0.450, 0.550] | ≥ 0.333 | 0.500 | ✓ confirmed |" in shown.splitlines()
    ran("export", "toy-holds", "--file", "checks.md")
    assert Path("checks.md").read_text() == shown


def test_the_scale_is_that_of_the_last_verdict_or_the_one_that_is_asked_for(ran: Command) -> None:
    ran("run", "toy-holds", "--jobs", "0", "--scale", "smoke")
    assert {row["scale"] for row in csv.DictReader(io.StringIO(ran("export", "toy-holds").output))} == {"laptop"}
    smoke = ran("export", "toy-holds", "--scale", "smoke", "--format", "json").json
    assert smoke["verdict"] is None
    assert [record["scale"] for record in smoke["records"]] == ["smoke"]


def test_what_cannot_be_exported_is_told_in_words(torchstone: Command) -> None:
    for words in ((), ("--format", "md"), ("--to", "tensorboard", "logs")):
        answer = torchstone("export", "toy-holds", *words)
        assert answer.code == 2
        assert "Run it first: torchstone run toy-holds" in answer.errors
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--file", "taken"), "--file taken is a folder"),
        (("--file", "taken/file/x.csv"), "--file taken/file cannot be made"),
        (("--to", "tensorboard", "taken/file/logs"), "--to tensorboard taken/file/logs cannot be made"),
        (("--to", "tensorboard", "logs", "--file", "x"), "leave out --file and --format, or --to"),
        (("--to", "tensorboard", "logs", "--format", "csv"), "leave out --file and --format, or --to"),
    ],
)
def test_where_nothing_can_be_written(ran: Command, words: tuple[str, ...], complaint: str) -> None:
    Path("taken").mkdir()
    Path("taken/file").touch()
    answer = ran("export", "toy-holds", *words)
    assert answer.code == 2
    assert complaint in answer.errors


def test_runs_for_tensorboard(ran: Command) -> None:
    need(find_spec("tensorboard") is not None, "tensorboard is missing: pip install 'torchstone[tensorboard]'.")
    answer = ran("export", "toy-holds", "--to", "tensorboard", "logs")
    assert answer.output == "3 of 3 records written to logs; the others were there.\n"
    assert len(list(Path("logs/toy-holds/laptop").iterdir())) == 3
    assert ran("export", "toy-holds", "--to", "tensorboard", "logs").output.startswith("0 of 3 records")


@pytest.mark.parametrize("program", ["tensorboard", "mlflow"])
def test_a_missing_extra_is_named(ran: Command, monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    monkeypatch.setitem(sys.modules, program, None)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY", raising=False)
    answer = ran("export", "toy-holds", "--to", program, "logs")
    assert answer.code == 2
    assert f"pip install 'torchstone[{program}]'" in answer.errors
