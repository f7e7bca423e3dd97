"""What a diverged trial leaves to look at: the states and the batch that ``fit`` saves when a loss is not finite.

It lies beside the records, in a folder named after the study, its code and the record, for the last few such trials of
a study, until its code changes. On a cluster it stays behind on the node.
"""

import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from torchstone.lab.divergence import NoMetrics
from torchstone.lab.scratch import folder_name
from torchstone.lab.store import Key

SAVED = "non-finite"  # the folder of `torchstone.training.fit`
KEPT = 5  # trials of a study


def evidence_folder(out: Path) -> Path:
    """Where the evidence of all trials lies."""
    return out / "evidence"


def keep_evidence(out: Path, key: Key, metrics: Mapping[str, float], scratch: Path) -> None:
    """Move what a trial that raised has saved in its scratch folder, if anything, to where it stays.

    The latest one, when several fits of the trial saved some. A record matters more: what cannot be moved is left.
    """
    found = scratch.rglob(SAVED) if isinstance(metrics, NoMetrics) else ()
    saved = sorted(found, key=lambda folder: folder.stat().st_mtime_ns)
    if not saved:
        return
    target = evidence_folder(out) / folder_name(key)
    with suppress(OSError):
        target.parent.mkdir(exist_ok=True)
        saved[-1].replace(target)
        target.touch()
    of_study = sorted(target.parent.glob(f"{key.study}.*"), key=lambda folder: folder.stat().st_mtime_ns)
    for folder in of_study[:-KEPT]:
        shutil.rmtree(folder, ignore_errors=True)
