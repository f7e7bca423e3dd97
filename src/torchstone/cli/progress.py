"""What a user sees while trials run: bars on a terminal, a line now and then anywhere else."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from torchstone.lab.run import Event

QUIET_SECONDS = 10.0  # a line of progress per trial is not printed more often than this


@contextmanager
def watch(title: str, console: "Console") -> Iterator[Callable[["Event"], None]]:
    """Yield a listener for the events of a run; the display is gone when the block ends."""
    if not console.is_terminal:
        yield Lines(lambda line: console.print(line, markup=False, highlight=False, soft_wrap=True))
        return
    with bars(console) as progress:
        yield Bars(title, progress)


def bars(console: "Console") -> "Progress":
    """The columns of the live display: what, how much, a note, how long."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=28),
        TextColumn("{task.fields[note]}", style="dim", markup=False),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        refresh_per_second=4,
    )


class Bars:
    """One bar for the study and one for each trial that is running."""

    def __init__(self, title: str, progress: "Progress") -> None:
        self._progress = progress
        self._study = progress.add_task(title, total=None, note="")
        self._running: dict[int, TaskID] = {}
        self._fractions: dict[int, float] = {}
        self._done = 0

    def __call__(self, event: "Event") -> None:
        """Show ``event``."""
        if event.kind in ("started", "progress"):
            self._advance(event)
        else:
            self._end(event)
        value = self._done + sum(self._fractions.values())
        note = f"{self._done} of {event.total} trials"
        self._progress.update(self._study, total=event.total, completed=value, note=note)

    def _advance(self, event: "Event") -> None:
        if event.index not in self._running:
            self._running[event.index] = self._progress.add_task(f"  {label(event)}", total=1.0, note="")
        self._fractions[event.index] = event.fraction
        self._progress.update(self._running[event.index], completed=event.fraction, note=event.note)

    def _end(self, event: "Event") -> None:
        if event.index in self._running:
            self._progress.remove_task(self._running.pop(event.index))
        self._fractions.pop(event.index, None)
        if event.kind in ("failed", "skipped"):
            style = "red" if event.kind == "failed" else "yellow"
            self._progress.console.print(f"{label(event)}: {_words(event)}", style=style, markup=False)
            return
        self._done += 1
        if event.note:
            self._progress.console.print(f"{label(event)}: {_words(event)}", style="yellow", markup=False)


class Lines:
    """A line for the start and the end of each trial, and for its progress every ten seconds at most."""

    def __init__(self, show: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._show = show
        self._clock = clock
        self._last: dict[int, float] = {}

    def __call__(self, event: "Event") -> None:
        """Print ``event``, unless it is progress that comes too soon after the last line of its trial."""
        now = self._clock()
        if event.kind == "progress" and now - self._last.get(event.index, -QUIET_SECONDS) < QUIET_SECONDS:
            return
        self._last[event.index] = now
        self._show(f"[{event.index + 1}/{event.total}] {label(event)}: {_words(event)}")


def label(event: "Event") -> str:
    """A trial as a user knows it: its arm and its seed."""
    return f"{event.trial.arm}, seed {event.trial.seed}"


def _words(event: "Event") -> str:
    if event.kind == "reused":
        return f"already on record, diverged: {event.note}" if event.note else "already on record"
    if event.kind == "finished" and event.note:
        return f"diverged: {event.note}"
    if event.kind == "progress":
        return f"{event.fraction:.0%} {event.note}".rstrip()
    if event.kind == "skipped":
        return f"left out: {event.note}"
    return f"{event.kind}: {last_line(event.note)}" if event.note else event.kind


def last_line(traceback: str) -> str:
    """What went wrong, without where."""
    return traceback.strip().rpartition("\n")[2]
