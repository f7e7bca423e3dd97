"""Records as plain values and as CSV, a verdict as Markdown."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from torchstone.lab.claim import Claim
from torchstone.lab.encoding import to_json
from torchstone.lab.recorded import Recorded
from torchstone.lab.store import LastVerdict
from torchstone.lab.wording import measured, paper_number, primary_first, status_words

GROUPS = ("config", "metrics", "environment")


def record_values(recorded: Recorded) -> dict[str, Any]:
    """A record as values that JSON knows, except for NaN and infinities; ``tensors`` is the SHA-256 of their file."""
    key, record, origin = recorded
    return {
        "record": recorded.id,
        "study": key.study,
        "scale": key.scale,
        "arm": key.arm,
        "seed": key.seed,
        "device": key.device,
        "code_version": key.code_version,
        "seconds": record.seconds,
        "finished": origin.finished,
        "tensors": recorded.sha256,
        "diverged": record.diverged,
        "config": dict(record.trial.config),
        "metrics": dict(record.metrics),
        "environment": dict(origin.environment),
    }


def to_csv(records: Sequence[Recorded]) -> str:
    """One row a record; a column for each entry of its configuration, its environment, and each of its metrics.

    Numbers are written so that they come back bit for bit, NaN and infinities as ``nan``, ``inf`` and ``-inf``; what a
    record lacks is an empty cell; lists and mappings in a configuration are JSON.

    Args:
        records: what to write, from :func:`torchstone.lab.recorded.recorded`.

    Example:
        >>> from torchstone.lab import Record, Trial
        >>> from torchstone.lab.store import Key, Origin
        >>> trial = Trial("coin", 3, {"throws": 10})
        >>> key = Key.of("fair", "laptop", trial, "0123456789ab", "cpu")
        >>> coin = Recorded(key, Record(trial, {"heads": 0.4}, {}, 1.5), Origin({}, "2026-01-31T12:00:00+00:00"))
        >>> print(to_csv([coin]), end="")
        record,study,scale,arm,seed,device,code_version,seconds,finished,tensors,diverged,config.throws,metrics.heads
        23beabd4015910a0,fair,laptop,coin,3,cpu,0123456789ab,1.5,2026-01-31T12:00:00+00:00,,,10,0.4
    """
    rows = [_row(recorded) for recorded in records]
    columns = dict.fromkeys(column for row in rows for column in row)
    order = sorted(columns, key=_group)
    text = io.StringIO()
    writer = csv.DictWriter(text, order, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _row(recorded: Recorded) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name, value in record_values(recorded).items():
        if isinstance(value, Mapping):
            row |= {f"{name}.{key}": _cell(each) for key, each in value.items()}
        else:
            row[name] = value
    return row


def _cell(value: Any) -> Any:
    return to_json(value) if isinstance(value, Mapping | list | tuple) else value


def _group(column: str) -> int:
    """The record's own columns first, then its configuration, its metrics, its environment; each in their order."""
    group, dot, _ = column.partition(".")
    return GROUPS.index(group) + 1 if dot else 0


def to_markdown(claim: Claim, last: LastVerdict) -> str:
    """The claim, its source, the verdict, and the table of its checks, as Markdown.

    Args:
        claim: what is claimed.
        last: what it last said, from :meth:`torchstone.lab.store.Store.last_verdict`.
    """
    verdict = last.verdict
    lines = [
        f"# {claim.name}: {status_words(verdict.status)}",
        f"> {claim.sentence}",
        claim.paper.cite,
        f"**{status_words(verdict.status)}.** {verdict.sentence}",
        f"Scale {last.scale}, block of seeds {last.seed}, judged {last.when}.",
    ]
    table = [("", "Check", "Measured [95 % interval]", "Threshold", "Paper", "Result"), ("-",) * 6]
    for check in primary_first(verdict.checks):
        numbers = (measured(check.estimate), check.rule or "–", paper_number(check))
        table.append(("*" if check.primary else "", check.name, *numbers, status_words(check.status)))
    lines += ["\n".join(f"| {' | '.join(map(_escaped, row))} |" for row in table), r"\* decides the verdict."]
    if claim.differs:
        lines += ["Differs from the paper:", "\n".join(f"* {each}" for each in claim.differs)]
    return "\n\n".join(lines) + "\n"


def _escaped(cell: str) -> str:
    return r"\*" if cell == "*" else cell.replace("|", r"\|").replace("\n", " ")
