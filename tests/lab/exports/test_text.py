"""Records as CSV, a verdict as Markdown."""

import csv
import io
import math

from torchstone.lab import Check, Claim, Estimate, Paper, Verdict
from torchstone.lab.exports import record_values, to_csv, to_markdown
from torchstone.lab.recorded import Recorded
from torchstone.lab.store import LastVerdict

CLAIM = Claim(
    "some-claim", "Ours | theirs.", Paper("Euclid", -300, "Elements", where="I.1"), differs=["No sand.", "No sun."]
)


def test_the_values_of_a_record(records: list[Recorded]) -> None:
    ours, theirs = (record_values(each) for each in records)
    assert ours["config"]["width"] == [3, 4]
    assert ours["tensors"] == records[0].sha256
    assert theirs["tensors"] is None
    assert (ours["diverged"], theirs["diverged"]) == ("loss is nan, worst is inf", "")
    assert (theirs["study"], theirs["scale"], theirs["arm"], theirs["seed"]) == ("some-claim", "laptop", "theirs", 1001)
    assert (theirs["metrics"], theirs["config"]) == ({"loss": -2.5}, {})
    assert [ours["record"], theirs["record"]] == [each.id for each in records]


def test_csv_has_a_row_a_record_and_gives_every_bit_back(records: list[Recorded]) -> None:
    ours, theirs = csv.DictReader(io.StringIO(to_csv(records)))
    assert float(ours["metrics.recall@1"]) == 0.1 + 0.2
    assert math.isnan(float(ours["metrics.loss"]))
    assert float(ours["metrics.worst"]) == math.inf
    assert (ours["config.width"], ours["config.rate"], ours["config.norm"]) == ("[3,4]", "0.001", "layer, batch")
    assert ours["environment.threads per job"] == "2"
    assert (theirs["metrics.loss"], theirs["metrics.recall@1"], theirs["config.width"]) == ("-2.5", "", "")
    assert (theirs["arm"], theirs["seed"], theirs["tensors"]) == ("theirs", "1001", "")


def test_columns_stand_in_groups(records: list[Recorded]) -> None:
    header = to_csv(records[::-1]).splitlines()[0].split(",")
    groups = [name.partition(".")[0] if "." in name else "" for name in header]
    assert groups == [""] * 11 + ["config"] * 4 + ["metrics"] * 3 + ["environment"] * 2
    assert header[0] == "record"


def test_markdown_has_the_table_of_checks() -> None:
    verdict = Verdict.of(
        Check.report("a | b", Estimate(math.nan, -math.inf, math.inf)),
        Check.at_least("gain", Estimate(0.5, 0.45, 0.55), 1 / 3, zone=0.01, reported=0.25),
        sentence="It is.",
    )
    lines = to_markdown(CLAIM, LastVerdict("laptop", 2, verdict, "2026-01-31")).splitlines()
    assert lines[0] == "# some-claim: ✓ confirmed"
    assert "> Ours | theirs." in lines
    assert "Euclid (-300). Elements, I.1." in lines
    assert "**✓ confirmed.** It is." in lines
    assert "Scale laptop, block of seeds 2, judged 2026-01-31." in lines
    table = [line for line in lines if line.startswith("|")]
    assert table[1] == "| - | - | - | - | - | - |"
    assert table[2] == r"| \* | gain | 0.500 [0.450, 0.550] | ≥ 0.333 | 0.250 | ✓ confirmed |"
    assert table[3] == r"|  | a \| b | NaN [−∞, ∞] | – | – | reported only |"
    assert len(table) == 4
    assert lines[-2:] == ["* No sand.", "* No sun."]
