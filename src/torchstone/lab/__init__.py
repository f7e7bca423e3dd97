"""The laboratory: claims, studies, trials, records, verdicts, reports. It knows no particular method.

To read what is on record needs no torch; what runs trials is loaded when it is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from torchstone.lab.audit import Fault, Finding, audit
from torchstone.lab.claim import Claim, Paper
from torchstone.lab.discover import StudyWarning, UnknownStudyError, discover, find
from torchstone.lab.divergence import Diverged
from torchstone.lab.report import render_report, write_report
from torchstone.lab.review import write_review
from torchstone.lab.run import Event, Run
from torchstone.lab.splits import Sealed, SealedError, Splits
from torchstone.lab.statistics import jackknife, mean_interval, paired_difference
from torchstone.lab.store import NewerStoreError, Store
from torchstone.lab.study import Context, Figure, Outcome, Record, Study, Trial, Unavailable
from torchstone.lab.verdict import Check, Estimate, Status, Verdict
from torchstone.lab.version import code_version

if TYPE_CHECKING:
    from torchstone.lab.engine import Engine, EngineError
    from torchstone.lab.ray_engine import RayEngine
    from torchstone.lab.runner import RunInterrupted, TrialsFailedError, run_study

__all__ = [
    "Check",
    "Claim",
    "Context",
    "Diverged",
    "Engine",
    "EngineError",
    "Estimate",
    "Event",
    "Fault",
    "Figure",
    "Finding",
    "NewerStoreError",
    "Outcome",
    "Paper",
    "RayEngine",
    "Record",
    "Run",
    "RunInterrupted",
    "Sealed",
    "SealedError",
    "Splits",
    "Status",
    "Store",
    "Study",
    "StudyWarning",
    "Trial",
    "TrialsFailedError",
    "Unavailable",
    "UnknownStudyError",
    "Verdict",
    "audit",
    "code_version",
    "discover",
    "find",
    "jackknife",
    "mean_interval",
    "paired_difference",
    "render_report",
    "run_study",
    "write_report",
    "write_review",
]

_LOADED_LATE = {"Engine": "engine", "EngineError": "engine", "RayEngine": "ray_engine"}

if not TYPE_CHECKING:  # a type checker sees the imports above

    def __getattr__(name: str) -> Any:
        if name in __all__:
            return getattr(import_module(f"torchstone.lab.{_LOADED_LATE.get(name, 'runner')}"), name)
        raise AttributeError(f"module 'torchstone.lab' has no attribute '{name}'.")
