"""``torchstone export``: what one claim measured, for other programs."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from torchstone.cli.common import OUT, UsageError, check_writable, find_study, json_text, mendable
from torchstone.cli.listing import last_verdict
from torchstone.cli.records import records_of

if TYPE_CHECKING:
    from torchstone.lab import Claim
    from torchstone.lab.recorded import Recorded
    from torchstone.lab.store import LastVerdict

FORMATS = ("csv", "json", "md")
Target = tuple[Literal["tensorboard", "mlflow"], Path]


@dataclass(frozen=True)
class Export:
    """Write the records of one claim as CSV, as JSON, for TensorBoard or for MLflow, or its checks as Markdown."""

    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME")]
    """the claim; `torchstone list` shows all of them"""
    format: Literal["auto", "csv", "json", "md"] = "auto"
    """csv: a row a record; json: claim, verdict, records; md: the checks as a table; auto: as --file ends, else csv"""
    file: Path | None = None
    """where to write; the screen by default"""
    to: Annotated[Target | None, tyro.conf.arg(metavar="{tensorboard,mlflow} DIR")] = None
    """write a run a record for this program into DIR instead; what is there already stays"""
    scale: Literal["latest", "smoke", "laptop", "paper"] = "latest"
    """the scale of the records; latest: that of the last verdict"""
    out: Path = OUT
    """folder of the runs"""

    def run(self) -> int:
        """Write the export; returns the exit code."""
        claim = find_study(self.name).claim
        last = last_verdict(self.out, claim.name, None if self.scale == "latest" else self.scale)
        scale = self.scale if self.scale != "latest" else last.scale if last else None
        if self.to and (self.file or self.format != "auto"):
            raise UsageError("--to writes runs of its own into DIR: leave out --file and --format, or --to.")
        if self.to:
            return self.hand_over(records_of(self.out, claim.name, scale), *self.to)
        text = self.text(claim, last, scale)
        if self.file is None:
            print(text, end="")
        else:
            write(text, self.file)
        return 0

    def text(self, claim: "Claim", last: "LastVerdict | None", scale: str | None) -> str:
        """The export in the format that is asked for."""
        from torchstone.lab.exports import to_csv, to_markdown

        suffix = self.file.suffix.removeprefix(".") if self.file else ""
        form = self.format if self.format != "auto" else suffix if suffix in FORMATS else "csv"
        if form == "md":
            if last is None:
                raise UsageError(
                    f"There is no verdict on '{claim.name}' to write. Run it first: torchstone run {claim.name}"
                )
            return to_markdown(claim, last)
        records = records_of(self.out, claim.name, scale)
        return to_csv(records) if form == "csv" else json_text(as_json(claim, last, records)) + "\n"

    def hand_over(self, records: "Sequence[Recorded]", program: str, folder: Path) -> int:
        """Write ``records`` for TensorBoard or MLflow."""
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # an export into a folder tells nobody of it
        check_writable(folder, f"--to {program}")
        write_runs: Callable[[Sequence[Recorded], Path], int] = getattr(
            import_module("torchstone.lab.exports"), f"write_{program}"
        )
        try:
            with mendable(self.out):
                written = write_runs(records, folder)
        except ImportError as error:
            raise UsageError(
                f"--to {program} needs a package more: pip install 'torchstone[{program}]' ({error})."
            ) from None
        print(f"{written} of {len(records)} records written to {folder}; the others were there.")
        return 0


def as_json(claim: "Claim", last: "LastVerdict | None", records: "Sequence[Recorded]") -> dict[str, object]:
    """Claim, verdict and records as JSON values."""
    from dataclasses import asdict

    from torchstone.cli.tables import checks_json
    from torchstone.lab.exports import record_values

    verdict = last and {"scale": last.scale, "seed": last.seed, "when": last.when, **(checks_json(last.verdict) or {})}
    return {"claim": asdict(claim), "verdict": verdict, "records": [record_values(each) for each in records]}


def write(text: str, file: Path) -> None:
    """Write ``text`` to ``file``, whole or not at all."""
    from torchstone.files import write_text

    check_writable(file.parent, "--file")
    if file.is_dir():
        raise UsageError(f"--file {file} is a folder. Give the name of a file.")
    write_text(file, text)
