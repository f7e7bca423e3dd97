"""Running one trial, here or in a process of its own that takes tasks and gives messages as lines of JSON.

The process is a fresh Python. It ends by itself when its standard input closes, and so when its driver is killed.
"""

import json
import math
import os
import platform
import queue
import random
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from operator import attrgetter
from pathlib import Path

import numpy as np
import torch

from torchstone.files import write_tensors
from torchstone.lab.divergence import NoMetrics, reason_of
from torchstone.lab.encoding import encode_metrics
from torchstone.lab.environment import checked_device, describe_environment
from torchstone.lab.ranks import perform_in_ranks
from torchstone.lab.store import artifact_path
from torchstone.lab.study import Context, Outcome, Study, Unavailable
from torchstone.lab.task import Message, Task, Tell
from torchstone.lab.version import code_version

SECONDS_BETWEEN_PROGRESS = 0.2


def study_of(task: Task) -> Study:
    """The study that ``task`` names, imported.

    Raises:
        RuntimeError: its code is not the driver's.
    """
    return _imported(task.module, task.qualname, task.code_version)()


@cache
def _imported(module: str, qualname: str, expected: str) -> type[Study]:
    """The class of a study; its code is compared when it is imported, since a file may change later."""
    kind: type[Study] = attrgetter(qualname)(import_module(module))
    found = code_version(kind()) if expected else expected
    if found != expected:
        raise RuntimeError(
            f"The code of {module} has version {found} on {platform.node()}, but the run was started with {expected}. "
            "If the file was edited, start the run again; on a cluster, install the same code on every node."
        )
    return kind


def perform(task: Task, tell: Tell, get_study: Callable[[Task], Study] = study_of) -> None:
    """Run one trial, write its tensors to their file, and tell how it goes: messages ``progress``, then an end.

    The last message is ``finished`` with metrics, the SHA-256 of the tensors and seconds (a trial that diverged has
    finished, too: see :mod:`torchstone.lab.divergence`), ``skipped`` with what this machine lacks,
    ``failed`` with the traceback, or ``died`` when a process of a distributed trial was killed. Every
    trial starts with the global generators of torch, numpy and random at its own seed, and leaves them as they were: a
    study that draws from them can be repeated, too.
    """

    def run() -> Message:
        if task.away:
            checked_device(task.device)
        study = get_study(task)
        if study.processes > 1:
            message = perform_in_ranks(task, study.processes, tell)
        else:
            message = ending_of(lambda: run_trial(study, task, tell))
        return message | {"environment": _environment(task)} if task.away else message

    last = ending_of(run)
    tell(last | {"kind": "finished"} if last["kind"] == "diverged" else last)


def ending_of(run: Callable[[], Message]) -> Message:
    """What ``run`` returns, or in words what it raises."""
    started = time.perf_counter()
    try:
        return run()
    except Unavailable as lack:
        return {"kind": "skipped", "note": str(lack)}
    except FloatingPointError as error:
        metrics = encode_metrics(NoMetrics(reason_of(error)))
        return {"kind": "diverged", "metrics": metrics, "artifacts": None, "seconds": time.perf_counter() - started}
    except (Exception, SystemExit):
        return {"kind": "failed", "note": traceback.format_exc().rstrip()}


def run_trial(study: Study, task: Task, tell: Tell, rank: int = 0) -> Message:
    """Run a trial, or one rank of it; only that of rank 0 has an outcome."""
    context = Context(torch.device(task.device), Path(task.scratch), _limited(tell))
    started = time.perf_counter()
    with _seeded(task.seed, context.device):
        outcome = study.run(task.trial, context)
    seconds = time.perf_counter() - started
    if rank:
        return {"kind": "finished"}
    metrics = encode_metrics(_checked(outcome))
    return {"kind": "finished", "metrics": metrics, "artifacts": _keep_tensors(outcome, task), "seconds": seconds}


def _environment(task: Task) -> dict[str, str]:
    """What this machine computes with; how many trials run at once is the driver's to say."""
    environment = describe_environment(device=task.device, jobs=0, threads=torch.get_num_threads())
    return {name: value for name, value in environment.items() if name != "jobs"}


def _checked(outcome: object) -> Mapping[str, float]:
    """The metrics of ``outcome`` as Python floats."""
    if not isinstance(outcome, Outcome):
        raise TypeError(f"run() must give an Outcome, but it gave {outcome!r}.")
    for name, tensor in outcome.artifacts.items():
        if not isinstance(tensor, torch.Tensor):
            raise TypeError(f"artifacts must be tensors, but '{name}' is of type {type(tensor).__name__}.")
    try:
        return {name: float(value) for name, value in outcome.metrics.items()}
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(
            f"metrics must be single numbers, but run() gave {dict(outcome.metrics)!r}: {error}."
        ) from error


def _keep_tensors(outcome: Outcome, task: Task) -> str | None:
    """Write the artifacts, if any, to the file that their SHA-256 names."""
    if not outcome.artifacts:
        return None
    staged = Path(task.scratch) / "artifacts.safetensors"
    sha256 = write_tensors(staged, outcome.artifacts)
    target = artifact_path(Path(task.out), sha256)
    target.parent.mkdir(parents=True, exist_ok=True)
    staged.replace(target)
    return sha256


def _limited(tell: Tell) -> Callable[[float, str], None]:
    """Progress that is told at most five times a second."""
    last = -math.inf

    def progress(fraction: float, note: str) -> None:
        nonlocal last
        if time.monotonic() - last >= SECONDS_BETWEEN_PROGRESS:
            last = time.monotonic()
            tell({"kind": "progress", "fraction": min(max(0.0, float(fraction)), 1.0), "note": str(note)})

    return progress


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002
    with torch.random.fork_rng([device] if device.type == "cuda" else []):  # by default it wakes every GPU
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(numpy_state)  # noqa: NPY002
            random.setstate(python_state)


def main(threads: int) -> None:
    """The life of a worker process: one task after another, until standard input closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's business
    torch.set_num_threads(threads)
    messages = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a trial prints must not come between the messages
    tasks: queue.SimpleQueue[Message] = queue.SimpleQueue()
    threading.Thread(target=_read_tasks, args=(tasks,), daemon=True).start()

    def tell(message: Message) -> None:
        messages.write(json.dumps(message) + "\n")
        messages.flush()

    while True:
        perform(Task(**tasks.get()), tell)


def _read_tasks(tasks: "queue.SimpleQueue[Message]") -> None:
    for line in sys.stdin:
        tasks.put(json.loads(line))
    os._exit(0)
