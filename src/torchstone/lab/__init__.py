"""The laboratory: claims, studies, trials, records, verdicts, reports. It knows no particular method."""

from torchstone.lab.claim import Claim, Paper
from torchstone.lab.study import Context, Figure, Outcome, Record, Study, Trial
from torchstone.lab.verdict import Check, Estimate, Status, Verdict

__all__ = [
    "Check",
    "Claim",
    "Context",
    "Estimate",
    "Figure",
    "Outcome",
    "Paper",
    "Record",
    "Status",
    "Study",
    "Trial",
    "Verdict",
]
