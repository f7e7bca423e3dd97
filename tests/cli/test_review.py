import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]


@pytest.fixture(autouse=True)
def toys_reviewed(toys: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchstone.lab.review.discover", lambda: dict(toys))


def test_a_site_with_every_claim_is_written(torchstone: Command) -> None:
    torchstone("run", "toy-holds", "--jobs", "0")
    answer = torchstone("review")
    assert answer.code == 0
    assert answer.output.splitlines() == ["3 claims: 2 not run yet, 1 confirmed.", "Review: site/index.html"]
    index = Path("site", "index.html").read_text(encoding="utf-8")
    assert "One half is [bold]more[/bold] than a third." in index
    assert Path("site", "claims", "toy-fails.html").is_file()


def test_the_review_as_json(torchstone: Command) -> None:
    torchstone("run", "toy-holds", "--jobs", "0", "--out", "elsewhere", "--seed", "2")
    answer = torchstone("review", "--runs", "elsewhere", "--out", "pages", "--json").json
    assert answer["index"] == "pages/index.html"
    holds = {claim["name"]: claim for claim in answer["claims"]}["toy-holds"]
    assert (holds["answer"], holds["family"], holds["outdated"]) == ("confirmed", "toy_claims", False)
    assert (holds["verdict"]["scale"], holds["verdict"]["seed"]) == ("laptop", 2)


def test_what_cannot_be_written_or_read_is_bad_usage(torchstone: Command) -> None:
    Path("mine").mkdir()
    Path("mine", "index.html").write_text("my home")
    assert "--out" in torchstone("review", "--out", "mine").errors
    Path("file").touch()
    assert torchstone("review", "--out", "file").code == 2
    Path("torchstone-runs").mkdir()
    Path("torchstone-runs", "store.sqlite").write_text("no database, and long enough to be seen as none" * 99)
    answer = torchstone("review", "--out", "fresh")
    assert (answer.code, Path("fresh", "index.html").exists()) == (2, False)
    assert answer.errors.startswith("torchstone: --runs: torchstone-runs/store.sqlite is damaged")
    assert "--out" not in answer.errors


def test_a_store_that_cannot_be_used_is_that_of_runs(torchstone: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    torchstone("run", "toy-holds", "--jobs", "0")
    monkeypatch.setattr("torchstone.lab.store.schema.VERSION", 1)
    assert torchstone("review").errors.startswith("torchstone: --runs: torchstone-runs/store.sqlite was written by a")

    def locked(*arguments: object) -> None:
        raise sqlite3.OperationalError("database is locked")

    monkeypatch.setattr("torchstone.lab.review.Store", locked)
    assert "The records in --runs torchstone-runs cannot be used: database is locked." in torchstone("review").errors
