"""The laboratory: claims, studies, trials, records, verdicts, reports. It knows no particular method."""

from torchstone.lab.claim import Claim, Paper
from torchstone.lab.discover import StudyWarning, UnknownStudyError, discover, find
from torchstone.lab.report import render_report, write_report
from torchstone.lab.run import Event, Run
from torchstone.lab.runner import RunInterrupted, TrialsFailedError, run_study
from torchstone.lab.statistics import jackknife, mean_interval, paired_difference
from torchstone.lab.store import NewerStoreError, Store
from torchstone.lab.study import Context, Figure, Outcome, Record, Study, Trial, Unavailable
from torchstone.lab.verdict import Check, Estimate, Status, Verdict
from torchstone.lab.version import code_version

__all__ = [
    "Check",
    "Claim",
    "Context",
    "Estimate",
    "Event",
    "Figure",
    "NewerStoreError",
    "Outcome",
    "Paper",
    "Record",
    "Run",
    "RunInterrupted",
    "Status",
    "Store",
    "Study",
    "StudyWarning",
    "Trial",
    "TrialsFailedError",
    "Unavailable",
    "UnknownStudyError",
    "Verdict",
    "code_version",
    "discover",
    "find",
    "jackknife",
    "mean_interval",
    "paired_difference",
    "render_report",
    "run_study",
    "write_report",
]
