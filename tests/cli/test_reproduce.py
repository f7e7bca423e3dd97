from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]


@pytest.fixture
def moody(toys: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A claim whose trials also depend on a file, which no record tells."""
    study = import_module("toy_claims").Moody()
    toys[study.claim.name] = study
    monkeypatch.setattr(import_module("torchstone.lab.discover"), "discover", lambda: dict(toys))
    return toys


def first_record(torchstone: Command, name: str) -> str:
    return str(torchstone("show", name, "--records").output.split("\t")[0])


def test_the_bits_agree(torchstone: Command) -> None:
    torchstone("run", "toy-holds", "--jobs", "0")
    record = first_record(torchstone, "toy-holds")
    answer = torchstone("reproduce", record[:8])
    assert answer.code == 0
    assert f"Record {record} of " in answer.output
    assert "toy-holds, scale laptop, half, seed 0, on cpu with 1 thread." in answer.output
    assert answer.output.splitlines()[1] == "✓ THE BITS AGREE  1 metric."
    assert "[1/1] half, seed 0: finished" in answer.errors


def test_a_report_says_what_to_type(torchstone: Command) -> None:
    torchstone("run", "toy-holds", "--jobs", "0")
    page = Path(torchstone("show", "toy-holds", "--json").json["report"]).read_text()
    words = page.partition("<code>torchstone reproduce ")[2].partition("<")[0]
    assert words == first_record(torchstone, "toy-holds")
    assert torchstone("reproduce", words).code == 0
    rows = torchstone("show", "toy-holds", "--records").output.splitlines()
    assert all(f"record {row.split()[0]}<" in page for row in rows)


def test_bits_that_differ_are_shown_and_the_exit_code_is_1(moody: dict[str, Any], torchstone: Command) -> None:
    Path("mood").write_text("0.25")
    torchstone("run", "toy-moody", "--jobs", "0", "--scale", "smoke")
    Path("mood").write_text("0.75")
    record = first_record(torchstone, "toy-moody")
    answer = torchstone("reproduce", record)
    assert answer.code == 1
    assert "metric mood 0.25 0.75" in " ".join(answer.output.split())
    assert "tensor x float32 (2,) float32 (2,), up to 0.5 away" in " ".join(answer.output.split())
    assert "✗ THE BITS DIFFER" in answer.output
    assert "something that is not in its record" in " ".join(answer.output.split())

    told = torchstone("reproduce", record, "--json")
    assert told.code == 1
    assert (told.json["agrees"], told.json["record"], told.json["study"]) == (False, record, "toy-moody")
    assert told.json["bits"][0] == {"what": "metric mood", "recorded": "0.25", "now": "0.75"}
    assert told.json["surroundings"] == []

    Path("mood").unlink()
    failed = torchstone("reproduce", record)
    assert failed.code == 2
    assert f"Record {record} cannot be reproduced. The trial failed when it was started again." in failed.errors
    assert "FileNotFoundError" in failed.errors


def test_what_cannot_be_found_is_told_in_words(torchstone: Command) -> None:
    assert "There are no records in --out torchstone-runs" in torchstone("reproduce", "abcd1234").errors
    assert not Path("torchstone-runs").exists()
    torchstone("run", "toy-holds", "--jobs", "0")
    for record, complaint in (("nonsense", "A record's id has 4 to 16"), ("0000000000000000", "No record has an id")):
        answer = torchstone("reproduce", record)
        assert (answer.code, answer.output) == (2, "")
        assert answer.errors.startswith(f"torchstone: {complaint}")


def test_a_record_whose_claim_is_gone(torchstone: Command, toys: dict[str, Any]) -> None:
    torchstone("run", "toy-holds", "--jobs", "0", "--scale", "smoke")
    record = first_record(torchstone, "toy-holds")
    del toys["toy-holds"]
    answer = torchstone("reproduce", record)
    assert answer.code == 2
    assert "There is no claim named 'toy-holds'" in answer.errors
