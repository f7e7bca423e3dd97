from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]


def test_show_repeats_what_the_run_said(torchstone: Command) -> None:
    run = torchstone("run", "toy-holds", "--jobs", "0")
    shown = torchstone("show", "toy-holds")
    assert shown.code == 0
    assert shown.output.endswith(run.output)
    assert "One half is [bold]more[/bold] than a third." in shown.output


def test_show_as_json_has_the_verdict_of_the_run(torchstone: Command) -> None:
    run = torchstone("run", "toy-holds", "--jobs", "0", "--json").json
    shown = torchstone("show", "toy-holds", "--json").json
    assert {key: shown[key] for key in ("claim", "scale", "verdict", "report")} == {
        key: run[key] for key in ("claim", "scale", "verdict", "report")
    }


def test_without_a_verdict_it_says_how_to_get_one(torchstone: Command) -> None:
    torchstone("run", "toy-holds", "--jobs", "0", "--scale", "smoke")
    answer = torchstone("show", "toy-holds")
    assert answer.code == 2
    assert "torchstone run toy-holds" in answer.errors
    torchstone("run", "toy-holds", "--jobs", "0")
    assert torchstone("show", "toy-holds", "--scale", "laptop").code == 0
    assert "at scale paper" in torchstone("show", "toy-holds", "--scale", "paper").errors


def test_the_report_of_the_last_run_is_shown(torchstone: Command) -> None:
    torchstone("run", "toy-holds", "--jobs", "0")
    torchstone("run", "toy-holds", "--jobs", "0", "--seed", "3")
    assert torchstone("show", "toy-holds").output.rstrip().endswith("toy-holds-laptop-seed3.html")
    torchstone("run", "toy-holds", "--jobs", "0")
    report = Path(torchstone("show", "toy-holds", "--json").json["report"])
    assert report.name == "toy-holds-laptop.html"
    report.unlink()
    assert torchstone("show", "toy-holds", "--json").json["report"] is None


def test_what_the_audit_found_is_told_by_run_and_show(
    torchstone: Command, toys: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(toys["toy-holds"]), "compares", ("half", "third"))
    finding = "a missing arm: 'third' is to be compared, but it has no trial here."
    assert f"The audit found {finding}" in torchstone("run", "toy-holds", "--jobs", "0").output
    assert f"The audit found {finding}" in torchstone("show", "toy-holds").output
    assert torchstone("show", "toy-holds", "--json").json["audit"] == [finding]
    assert torchstone("run", "toy-holds", "--jobs", "0", "--json").json["audit"] == [finding]
