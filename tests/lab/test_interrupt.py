"""Ctrl-C: all ends within five seconds, and whatever had finished is kept."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from torchstone.lab import Event, RunInterrupted, Store, run_study
from torchstone.lab import runner as runner_module

HERE = Path(__file__).parent / "importable"
SECONDS = 5
PROGRAM = (
    "import sys, toy_studies; from pathlib import Path; from torchstone.lab import run_study; run_study("
    "toy_studies.Endless(), out=Path(sys.argv[1]), jobs=2, listen=lambda event: print(event.kind, flush=True))"
)


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(HERE)
    monkeypatch.setattr(runner_module, "available_cores", lambda: 1)
    import toy_studies

    return toy_studies


def test_ctrl_c_at_a_terminal(tmp_path: Path) -> None:
    """The terminal sends the signal to the whole group of processes."""
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    ) as run:
        assert run.stdout is not None
        next(line for line in run.stdout if line == "finished\n")
        os.killpg(run.pid, signal.SIGINT)
        _, errors = run.communicate(timeout=SECONDS)  # the workers hold these pipes too
    assert "Stopped: 1 of 3 trials are on record." in errors
    with pytest.raises(ProcessLookupError):
        os.killpg(run.pid, 0)
    assert len(Store(tmp_path).records("endless-toy", "laptop")) == 1


def test_a_trial_that_finished_before_anybody_heard_of_it_is_kept(toys: ModuleType, tmp_path: Path) -> None:
    def listen(event: Event) -> None:
        if event.kind == "progress":
            while not list(tmp_path.glob("artifacts/*/*")):
                time.sleep(0.01)
            time.sleep(0.3)  # its last message is now on its way, if not here
            raise KeyboardInterrupt

    with pytest.raises(RunInterrupted, match="1 of 3 trials are on record"):
        run_study(toys.Toy(), out=tmp_path, jobs=1, listen=listen)


@pytest.mark.parametrize("jobs", [0, 1])
@pytest.mark.parametrize("when", ["before", "after"])
def test_ctrl_c_while_a_trial_is_being_recorded_loses_nothing(
    toys: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str, jobs: int
) -> None:
    add, calls = Store.add, []

    def interrupted(store: Store, *arguments: object, **more: object) -> bool:
        calls.append(when)
        if len(calls) == 1 and when == "before":
            raise KeyboardInterrupt
        added = add(store, *arguments, **more)  # type: ignore[arg-type]
        if len(calls) == 1:
            raise KeyboardInterrupt
        return added

    monkeypatch.setattr(Store, "add", interrupted)
    with pytest.raises(RunInterrupted, match="1 of 3 trials are on record"):
        run_study(toys.Toy(), out=tmp_path, jobs=jobs)
    assert not list((tmp_path / "scratch").glob("*"))
