"""``torchstone reproduce``: run one recorded trial again and say whether the bits agree."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from torchstone.cli.common import OUT, UsageError, find_study, mendable, print_json, screen

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from torchstone.lab.differences import Difference
    from torchstone.lab.recorded import Recorded
    from torchstone.lab.reproduce import Reproduction

AGREES, DIFFERS = 0, 1


@dataclass(frozen=True)
class Reproduce:
    """Run one recorded trial again, from its record alone; exit code 0 when every bit agrees, 1 when not."""

    record_id: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RECORD_ID")]
    """the record, or the first digits of its id; `torchstone show NAME --records` shows them"""
    out: Path = OUT
    """folder of the runs"""
    json: bool = False
    """print JSON instead of a table; progress goes to stderr in any case"""

    def run(self) -> int:
        """Run the trial and print what differs; returns the exit code."""
        from torchstone.lab.reproduce import NotReproducibleError

        record = self.find()
        try:
            reproduction = self.perform(record)
        except NotReproducibleError as error:
            raise UsageError(f"Record {record.id} cannot be reproduced. {error}") from None
        if self.json:
            print_json(reproduction_json(reproduction))
        else:
            print_reproduction(reproduction, screen())
        return AGREES if reproduction.agrees else DIFFERS

    def find(self) -> "Recorded":
        """The record that is asked for; looking for it makes no folder."""
        from torchstone.lab.recorded import UnknownRecordError, find_record
        from torchstone.lab.store import Store

        if not (self.out / "store.sqlite").is_file():
            raise UsageError(f"There are no records in --out {self.out}. Give the folder that a run wrote to.")
        try:
            with mendable(self.out):
                return find_record(Store(self.out), self.record_id)
        except UnknownRecordError as error:
            raise UsageError(str(error)) from None

    def perform(self, record: "Recorded") -> "Reproduction":
        """Run the trial again under a display of its progress."""
        from torchstone.cli.progress import watch
        from torchstone.lab.reproduce import reproduce
        from torchstone.lab.run import Event
        from torchstone.lab.task import Message

        with watch(record.key.study, screen(errors=True)) as listen:

            def tell(message: Message) -> None:
                fraction = 1.0 if message["kind"] == "finished" else message.get("fraction", 0.0)
                listen(Event(message["kind"], record.record.trial, 0, 1, fraction, message.get("note", "")))

            return reproduce(record, find_study(record.key.study), tell=tell)


def reproduction_json(reproduction: "Reproduction") -> dict[str, object]:
    """The answer as JSON values."""
    record = reproduction.recorded
    return {
        "record": record.id,
        **asdict(record.key),
        "threads": reproduction.threads,
        "recorded": record.origin.finished,
        "agrees": reproduction.agrees,
        "bits": [asdict(each) for each in reproduction.bits],
        "surroundings": [asdict(each) for each in reproduction.surroundings],
        "seconds": reproduction.seconds,
    }


def print_reproduction(reproduction: "Reproduction", console: "Console") -> None:
    """What was run, whether the bits agree, and what differs."""
    record, key = reproduction.recorded, reproduction.recorded.key
    threads = f"{reproduction.threads} thread{'s' if reproduction.threads > 1 else ''}"
    console.print(
        f"Record {record.id} of {record.origin.finished}: {key.study}, scale {key.scale}, {key.arm}, seed {key.seed}, "
        f"on {key.device} with {threads}.",
        markup=False,
        soft_wrap=True,
    )
    count = len(record.record.metrics)
    metrics = f"{count} metric{'' if count == 1 else 's'}"
    tensors = " and the SHA-256 of its tensors" if record.sha256 else ""
    if reproduction.agrees:
        console.print(f"✓ THE BITS AGREE  {metrics}{tensors}.", style="bold green", soft_wrap=True)
    else:
        console.print(differences_table(reproduction.bits))
        console.print("✗ THE BITS DIFFER", style="bold red")
    print_surroundings(reproduction, console)


def print_surroundings(reproduction: "Reproduction", console: "Console") -> None:
    """What else is not as it was, which may or may not be the reason."""
    if reproduction.surroundings:
        console.print("Since it was recorded, this has changed:")
        console.print(differences_table(reproduction.surroundings))
    elif not reproduction.agrees:
        console.print(
            "Versions, code, threads and processor are as they were: the trial depends on something that is not in "
            "its record (the time, a file, an order that is not fixed), or the code has changes without a commit.",
            soft_wrap=True,
        )


def differences_table(differences: "Sequence[Difference]") -> "Table":
    """What, as recorded, and as it is now."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("", "Recorded", "Now"):
        table.add_column(heading, overflow="fold")
    for each in differences:
        table.add_row(Text(each.what), Text(each.recorded), Text(each.now))
    return table
