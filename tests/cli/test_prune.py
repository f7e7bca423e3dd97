import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torchstone.lab.store import artifact_path

Command = Callable[..., Any]


def test_nothing_is_deleted_without_yes(torchstone: Command) -> None:
    torchstone("run", "toy-holds", "--jobs", "0")
    assert torchstone("prune").output == "There is nothing to delete.\n"
    orphan = artifact_path(Path("torchstone-runs"), "a" * 64)
    orphan.parent.mkdir(parents=True)
    orphan.write_bytes(bytes(1_500_000))
    os.utime(orphan, (0, 0))
    said = torchstone("prune").output
    assert (
        said == "Records of older code: 0. Tensors of no other record: 1 (1.5 MB). Nothing is deleted yet: add --yes.\n"
    )
    assert orphan.exists()
    answer = torchstone("prune", "--yes", "--json").json
    assert answer == {"records": 0, "files": 1, "bytes": 1_500_000, "deleted": True}
    assert not orphan.exists()
    assert torchstone("show", "toy-holds", "--records").output.count("\n") == 3


def test_records_of_older_code_go(torchstone: Command, toys: dict[str, Any], monkeypatch: Any) -> None:
    torchstone("run", "toy-holds", "--jobs", "0", "--scale", "smoke")
    torchstone("run", "toy-holds", "--jobs", "0")
    for module in ("catalogue", "runner"):
        monkeypatch.setattr(f"torchstone.lab.{module}.code_version", lambda study: "0123456789ab")
    assert torchstone("prune").output.startswith("Records of older code: 1. "), (
        "the present code has judged nothing yet"
    )
    torchstone("run", "toy-holds", "--jobs", "0")
    assert torchstone("prune", "--yes").output.startswith("Records of older code: 4. Tensors of no other record: 0 ")
    rows = torchstone("show", "toy-holds", "--records", "--json").json
    assert [row["code_version"] for row in rows] == ["0123456789ab"] * 3


def test_where_nothing_is_on_record(torchstone: Command) -> None:
    answer = torchstone("prune", "--out", "nowhere")
    assert (answer.code, Path("nowhere").exists()) == (2, False)
    assert "There are no records in --out nowhere" in answer.errors
