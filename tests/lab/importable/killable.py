"""A study whose verdict hangs on every bit of its metrics and artifacts."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from toy_studies import Slow, claim

from torchstone.lab import Check, Estimate, Record, Verdict


class Killable(Slow):
    claim = claim("killable-toy")
    scales: ClassVar[Mapping[str, Any]] = {"paper": 64}

    def judge(self, records: Sequence[Record]) -> Verdict:
        value = sum(record.metrics["sum"] * record.artifacts["half"][0, 0].item() for record in records)
        return Verdict.of(
            Check.at_least("total", Estimate(value, value, value), 1, zone=0.1), sentence=f"The total is {value!r}."
        )
