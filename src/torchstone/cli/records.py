"""The records of one claim: their ids, by which `torchstone reproduce` finds them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchstone.cli.common import UsageError, mendable, print_json, screen

if TYPE_CHECKING:
    from torchstone.lab.recorded import Recorded

HEADINGS = ("Record", "Scale", "Arm", "Seed", "Code", "Device", "Time", "Finished")


def records_of(out: Path, name: str, scale: str | None) -> "list[Recorded]":
    """What is on record below ``out``; looking for it makes no folder.

    Raises:
        UsageError: nothing is; the message says how to change that.
    """
    from torchstone.lab.recorded import recorded
    from torchstone.lab.store import Store

    found = []
    if (out / "store.sqlite").is_file():
        with mendable(out):
            found = recorded(Store(out), name, scale)
    if not found:
        at_scale, option = (f" at scale {scale}", f" --scale {scale}") if scale else ("", "")
        raise UsageError(
            f"There are no records of '{name}'{at_scale} in {out}. Run it first: torchstone run {name}{option}"
        )
    return found


def print_records(records: "Sequence[Recorded]", *, json: bool) -> None:
    """One line a record: a table on a terminal, tabs between the columns anywhere else, or JSON."""
    rows = [_row(record) for record in records]
    console = screen()
    if json:
        print_json([_record_json(record) for record in records])
    elif console.is_terminal:
        _print_table(rows)
    else:
        for row in rows:
            print("\t".join(row))


def _row(record: "Recorded") -> tuple[str, ...]:
    from torchstone.lab.wording import duration

    key = record.key
    cost = duration(record.record.seconds)
    return record.id, key.scale, key.arm, str(key.seed), key.code_version, key.device, cost, record.origin.finished


def _record_json(record: "Recorded") -> dict[str, Any]:
    from torchstone.lab.exports import record_values

    return record_values(record)


def _print_table(rows: Sequence[tuple[str, ...]]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(*HEADINGS, box=box.SIMPLE_HEAD)
    for row in rows:
        table.add_row(*map(Text, row))
    console = screen()
    console.print(table)
    console.print("torchstone reproduce RECORD runs one of them again; its first digits are enough.", style="dim")
