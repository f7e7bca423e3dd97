"""Distributed trials: two real processes that reduce a tensor, and what becomes of them when one of them ends."""

import errno
import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest
import torch

from torchstone.lab import Event, Record, RunInterrupted, TrialsFailedError, run_study
from torchstone.lab import engine as engine_module
from torchstone.lab import ranks as ranks_module
from torchstone.lab import runner as runner_module
from torchstone.lab import worker as worker_module
from torchstone.lab.rank import first_killed
from torchstone.lab.task import Message

HERE = Path(__file__).parent / "importable"


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(HERE)
    monkeypatch.setattr(runner_module, "available_cores", lambda: 2)
    import toy_studies

    return toy_studies


def expected(seed: int) -> torch.Tensor:
    """What the ranks of a trial of ``Together`` add up to."""
    generators = [torch.Generator().manual_seed(100 * seed + rank) for rank in range(2)]
    total = torch.zeros(6, dtype=torch.float64)
    for _ in range(5):
        total += sum(torch.randn(6, generator=generator, dtype=torch.float64) for generator in generators)
    return total


def right(record: Record) -> bool:
    return (
        record.metrics["processes"] == 2
        and record.metrics["rank"] == 0
        and record.metrics["sum"] == record.artifacts["total"].sum().item()
        and torch.equal(record.artifacts["total"], expected(record.trial.seed))
    )


def test_ranks_reduce_and_rank_0_has_the_outcome(toys: ModuleType, tmp_path: Path) -> None:
    run = run_study(toys.Together(), "smoke", out=tmp_path, jobs=0)
    assert [right(record) for record in run.records] == [True]
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_killed_rank_ends_the_trial_which_gets_another_chance(toys: ModuleType, tmp_path: Path) -> None:
    events: list[Event] = []
    run = run_study(toys.Bereaved(), "smoke", out=tmp_path, jobs=1, listen=events.append)
    assert [event.kind for event in events if event.kind != "progress"] == ["started", "started", "finished"]
    assert next(event.note for event in events if event.kind == "progress") == "step 1/5"
    assert [right(record) for record in run.records] == [True]


def test_a_rank_that_raises_is_heard_over_those_that_miss_it(toys: ModuleType, tmp_path: Path) -> None:
    events: list[Event] = []
    with pytest.raises(TrialsFailedError, match=r"1 of 1 trials (.|\n)*ArithmeticError: rank 1 broke$"):
        run_study(toys.Dissenting(), "smoke", out=tmp_path, jobs=0, listen=events.append)
    assert [event.kind for event in events] == ["started", "failed"]


def test_ctrl_c_ends_every_rank(toys: ModuleType, tmp_path: Path) -> None:
    ranks: list[int] = []

    def listen(event: Event) -> None:
        if event.kind == "progress" and not ranks:
            ranks.extend(int(word) for word in event.note.split()[-2:])
            threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGINT)).start()

    with pytest.raises(RunInterrupted, match="0 of 1 trials are on record"):
        run_study(toys.EndlessTogether(), "smoke", out=tmp_path, jobs=1, listen=listen)
    assert len(ranks) == 2
    deadline = time.monotonic() + 5
    while any(map(alive, ranks)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(alive, ranks))


def test_ctrl_c_is_heard_though_a_rank_still_writes_into_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def interrupted(*arguments: object) -> Iterator[None]:
        monkeypatch.setattr(os, "rmdir", no_longer_empty)
        raise KeyboardInterrupt
        yield

    def no_longer_empty(folder: object, **more: object) -> None:
        raise OSError(errno.ENOTEMPTY, "Directory not empty", folder)

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(ranks_module, "_torchrun", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ranks_module.perform_in_ranks(None, 2, lambda message: None)


@pytest.mark.parametrize(("deaths", "ends"), [(1, "finished"), (2, "failed")])
def test_in_one_process_too_two_deaths_are_a_failure(
    toys: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deaths: int, ends: str
) -> None:
    told: list[Message] = [{"kind": "died", "note": "was rank 1"}] * deaths
    told.append({"kind": "finished", "metrics": "{}", "artifacts": None, "seconds": 1.0})
    monkeypatch.setattr(worker_module, "perform", lambda task, tell, get_study: tell(told.pop(0)))
    heard: list[Message] = []
    engine_module.ThisProcess().perform(toys.Together(), [3], lambda index: None, lambda index, m: heard.append(m))
    assert [message["kind"] for message in heard] == ["started", "started", ends]
    assert ends == "finished" or "died twice; the second was rank 1" in heard[-1]["note"]


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize(
    ("codes", "words"),
    [
        ({1: -9}, "was rank 1, killed by SIGKILL"),
        ({0: 1, 1: -9}, "was rank 1, killed by SIGKILL"),
        ({1: -15, 0: -15}, "was rank 1, killed by SIGTERM"),
        ({1: 1, 0: -15}, None),
        ({0: 1, 1: 1}, None),
    ],
)
def test_who_was_killed(codes: dict[int, int], words: str | None) -> None:
    assert first_killed(codes) == words


def test_ranks_share_the_cores(toys: ModuleType) -> None:
    assert runner_module.this_machine(toys.Together(), 3, None) == runner_module.LocalProcesses(jobs=1, threads=1)


def test_bad_numbers_of_processes(toys: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong in (0, 1.5):
        monkeypatch.setattr(toys.Together, "processes", wrong)
        with pytest.raises(ValueError, match=f"processes of 'together-toy' must be .*1 or more, but it is {wrong}"):
            run_study(toys.Together(), out=tmp_path, jobs=0)


def test_ranks_must_be_able_to_import_their_study(toys: ModuleType, tmp_path: Path) -> None:
    class Local(toys.Together):
        pass

    with pytest.raises(ValueError, match="Local cannot be imported by other processes"):
        run_study(Local(), out=tmp_path, jobs=0)
