"""A distributed trial: several processes of one machine, started by torchrun, of which rank 0 tells how it goes.

The processes end by themselves when the standard input that they share closes, and so when their starter is killed.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, cast

from torchstone.lab.task import Message, Task, Tell

BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1])\n"
    "from torchstone.lab import rank; getattr(rank, sys.argv[2])(*sys.argv[3:])"
)
DEATH = "death"  # the file in which torchrun's process says that a rank was killed
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def perform_in_ranks(task: Task, processes: int, tell: Tell) -> Message:
    """Run a trial in ``processes`` ranks of as many threads as this process has; ``tell`` gets the progress of rank 0.

    Returns:
        The last message: that of rank 0 when all ranks finished; else that of the rank which first failed or was
        skipped; ``died`` when one was killed, whatever the others say of it.
    """
    with TemporaryDirectory(prefix="torchstone-", ignore_cleanup_errors=True) as folder:  # a rank may still write there
        with _torchrun(task, processes, folder) as launcher:
            for line in cast(IO[str], launcher.stdout):
                if line.endswith("\n"):  # else it was killed in mid-sentence
                    tell(json.loads(line))
            code = launcher.wait()
        return _ending(Path(folder), code)


def search_path(more: Sequence[str] = ()) -> list[str]:
    """Where this process looks for modules, and then ``more``."""
    return list(dict.fromkeys([*map(str, sys.path), *more]))


def thread_variables(threads: int) -> dict[str, str]:
    """The environment of a process that computes with ``threads`` threads."""
    return dict.fromkeys(_THREADS, str(threads))


def ending_file(folder: Path, rank: int) -> Path:
    """Where a rank leaves its last message."""
    return folder / f"rank-{rank}.json"


@contextmanager
def _torchrun(task: Task, processes: int, folder: str) -> Iterator[subprocess.Popen[str]]:
    """The process that starts the ranks and watches over them; it ends with the block, and they with it."""
    import torch

    threads = torch.get_num_threads()
    words = [json.dumps(search_path()), "launch", str(processes), folder, json.dumps(asdict(task)), str(threads)]
    launcher = subprocess.Popen(
        [sys.executable, "-c", BOOT, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | thread_variables(threads),
        text=True,
        encoding="utf-8",
        start_new_session=True,  # Ctrl-C is the driver's business
    )
    with launcher:
        try:
            yield launcher
        finally:
            launcher.kill()


def _ending(folder: Path, code: int) -> Message:
    """What came of the trial, from the last words of its ranks and the exit code of torchrun."""
    endings = {path: json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("rank-*.json")}
    finished = ending_file(folder, 0)
    if code == 0 and finished in endings:
        return cast(Message, endings[finished])
    death = folder / DEATH
    if death.exists():
        return {"kind": "died", "note": death.read_text(encoding="utf-8")}
    failures = [path for path, message in endings.items() if message["kind"] != "finished"]
    if not failures:
        return {"kind": "died", "note": f"was torchrun, which ended with exit code {code}"}
    return cast(Message, endings[min(failures, key=lambda path: path.stat().st_mtime_ns)])
