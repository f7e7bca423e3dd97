"""The runner: nothing is lost, nothing runs twice, and the bits do not depend on who ran them."""

import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import pytest
import torch

from torchstone.lab import Context, Event, Outcome, Record, RunInterrupted, Store, Trial, TrialsFailedError, run_study
from torchstone.lab import pool as pool_module
from torchstone.lab import runner as runner_module
from torchstone.lab.store import artifact_path

HERE = Path(__file__).parent / "importable"


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(HERE)
    monkeypatch.setattr(runner_module, "available_cores", lambda: 2)
    import toy_studies

    return toy_studies


def kinds(events: list[Event]) -> list[tuple[str, int]]:
    return [(event.kind, event.index) for event in events if event.kind != "progress"]


def test_a_run_records_judges_and_is_not_run_again(
    toys: ModuleType, tmp_path: Path, bits: Callable[[list[Record]], list[object]]
) -> None:
    first: list[Event] = []
    second: list[Event] = []
    run = run_study(toys.Toy(), out=tmp_path, jobs=0, listen=first.append)
    assert kinds(first) == [(kind, index) for index in range(3) for kind in ("started", "finished")]
    assert [record.trial for record in run.records] == toys.Toy().trials(3)
    assert all(math.isnan(record.metrics["loss"]) for record in run.records)
    assert run.verdict is not None
    assert run.verdict.status == "confirmed"
    scale, _, verdict, when = Store(tmp_path).last_verdict("toy")
    assert (scale, verdict) == ("laptop", run.verdict)
    assert when.endswith("+00:00")

    again = run_study(toys.Toy(), out=tmp_path, jobs=0, listen=second.append)
    assert kinds(second) == [("reused", 0), ("reused", 1), ("reused", 2)]
    assert bits(again.records) == bits(run.records)
    assert list((tmp_path / "scratch").iterdir()) == []


def test_smoke_is_not_judged(toys: ModuleType, tmp_path: Path) -> None:
    run = run_study(toys.Toy(), "smoke", out=tmp_path, jobs=0)
    assert (run.verdict, len(run.records)) == (None, 2)
    assert Store(tmp_path).last_verdict("toy") is None


def test_a_block_of_seeds_moves_every_seed(toys: ModuleType, tmp_path: Path) -> None:
    run = run_study(toys.Toy(), out=tmp_path, jobs=0, seed=2)
    assert [record.trial.seed for record in run.records] == [2000, 2001, 2002]
    events: list[Event] = []
    run_study(toys.Toy(), out=tmp_path, jobs=0, seed=3, listen=events.append)
    assert "reused" not in dict(kinds(events))


def test_processes_give_the_bits_of_one_process(
    toys: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bits: Callable[[list[Record]], list[object]]
) -> None:
    monkeypatch.setattr(runner_module, "available_cores", lambda: 1)  # one thread each, however many jobs
    events: list[Event] = []
    here = run_study(toys.Toy(), out=tmp_path / "0", jobs=0)
    one = run_study(toys.Toy(), out=tmp_path / "1", jobs=1, listen=events.append)
    two = run_study(toys.Toy(), out=tmp_path / "2", jobs=2)
    assert bits(here.records) == bits(one.records) == bits(two.records)
    assert kinds(events) == [(kind, index) for index in range(3) for kind in ("started", "finished")]
    assert (two.environment["jobs"], two.environment["threads per job"]) == ("2", "1")


def test_jobs_share_the_cores(toys: ModuleType, tmp_path: Path) -> None:
    run = run_study(toys.Toy(), "smoke", out=tmp_path, jobs=1)
    assert [record.metrics["threads"] for record in run.records] == [2.0, 2.0]
    assert run.environment["threads per job"] == "2"


@pytest.mark.parametrize(
    ("cores", "trials", "jobs"), [(8, 5, 4), (8, 8, 8), (8, 100, 8), (8, 1, 1), (6, 5, 3), (7, 5, 1), (1, 3, 1)]
)
def test_no_core_is_idle_by_default(cores: int, trials: int, jobs: int) -> None:
    assert runner_module.default_jobs(cores, trials) == jobs


def test_the_default_is_what_a_run_takes(toys: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(runner_module, "default_jobs", lambda cores, trials: asked.append((cores, trials)) or 0)
    assert run_study(toys.Toy(), "smoke", out=tmp_path).environment["jobs"] == "0"
    assert asked == [(2, 2)]


@pytest.mark.parametrize("jobs", [0, 1])
def test_a_trial_that_raises_fails_alone(toys: ModuleType, tmp_path: Path, jobs: int) -> None:
    events: list[Event] = []
    with pytest.raises(
        TrialsFailedError, match=r"1 of 3 trials of 'failing-toy' failed; the other 2 need not be run again"
    ) as e:
        run_study(toys.Failing(), out=tmp_path, jobs=jobs, listen=events.append)
    assert "the toy broke" in str(e.value)
    assert "Traceback" in str(e.value)
    assert [event.note for event in events if event.kind == "failed"] == [note for _, note in e.value.failures]
    assert kinds(events)[-1] == ("finished", 2)

    (tmp_path / "mended").touch()
    events.clear()
    run = run_study(toys.Failing(), out=tmp_path, jobs=0, listen=events.append)
    assert kinds(events) == [("reused", 0), ("reused", 2), ("started", 1), ("finished", 1)]
    assert len(run.records) == 3


@pytest.mark.parametrize("jobs", [0, 1])
def test_a_trial_that_lacks_its_data_is_left_out(toys: ModuleType, tmp_path: Path, jobs: int) -> None:
    events: list[Event] = []
    run = run_study(toys.Lacking(), out=tmp_path, jobs=jobs, listen=events.append)
    assert [record.trial.seed for record in run.records] == [0, 2]
    assert [(event.index, event.note) for event in events if event.kind == "skipped"] == [
        (1, "The toy box is not here: buy one.")
    ]


def test_when_all_trials_lack_their_data_the_run_fails(toys: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(
        TrialsFailedError, match=r"1 of 1 trials of 'lacking-toy' failed\.\n\n.*\nThe toy box is not here"
    ):
        run_study(toys.Lacking(), "paper", out=tmp_path, jobs=0)


def test_a_trial_whose_worker_dies_gets_another_chance(toys: ModuleType, tmp_path: Path) -> None:
    events: list[Event] = []
    with pytest.raises(TrialsFailedError, match="died twice; the second was killed by SIGKILL\nlast words"):
        run_study(toys.Suicidal(), out=tmp_path, jobs=2, listen=events.append)
    assert sorted(kinds(events)) == [
        ("failed", 2), ("finished", 0), ("finished", 1), ("started", 0), ("started", 1), ("started", 1), ("started", 2),
        ("started", 2),
    ]  # fmt: skip
    assert len(Store(tmp_path).records("suicidal-toy", "laptop")) == 2


def test_a_dead_worker_is_missed_though_its_child_holds_the_line(
    toys: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "SECONDS_OF_LAST_WORDS", 0.1)
    children = []

    def listen(event: Event) -> None:
        for note in tmp_path.glob("scratch/*/killed"):
            children.append(int(note.read_text()))

    widow = threading.Thread(target=lambda: run_study(toys.Widowed(), out=tmp_path, jobs=1, listen=listen), daemon=True)
    widow.start()
    widow.join(20)
    on_record = Store(tmp_path).records("widowed-toy", "laptop")
    for child in [*children, *(int(note.read_text()) for note in tmp_path.glob("scratch/*/killed"))]:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    assert len(on_record) == 3
    assert children


def test_ctrl_c_ends_the_workers_and_keeps_what_is_done(toys: ModuleType, tmp_path: Path) -> None:
    workers = set[int]()

    def listen(event: Event) -> None:
        if event.note.startswith("by process"):
            workers.add(int(event.note.split()[-1]))
            if len(workers) == 2 and Store(tmp_path).records("endless-toy", "laptop"):
                threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGINT)).start()
                workers.add(0)

    with pytest.raises(RunInterrupted, match="1 of 3 trials are on record"):
        run_study(toys.Endless(), out=tmp_path, jobs=2, listen=listen)
    assert not any(alive(worker) for worker in workers - {0})


def test_a_killed_driver_takes_its_workers_along(toys: ModuleType, tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; import sys, toy_studies; from torchstone.lab import run_study; run_study("
        "toy_studies.Endless(), out=Path(sys.argv[1]), jobs=1, listen=lambda event: print(event.note, flush=True))"
    )
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=environment
    ) as driver:
        line = next(line for line in driver.stdout if line.startswith("by process"))
        driver.kill()
    worker = int(line.split()[-1])
    deadline = time.monotonic() + 20
    while alive(worker) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(worker)


def alive(process: int) -> bool:
    status = Path(f"/proc/{process}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_two_drivers_at_once_do_no_harm(toys: ModuleType, tmp_path: Path) -> None:
    runs = []
    threads = [
        threading.Thread(target=lambda: runs.append(run_study(toys.Slow(), out=tmp_path, jobs=1))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alone = run_study(toys.Slow(), out=tmp_path / "alone", jobs=0)
    assert len(runs) == 2
    assert len(Store(tmp_path).records("slow-toy", "laptop")) == 3
    gram = alone.records[0].artifacts["x"]
    assert all(torch.equal(run.records[0].artifacts["x"], gram) for run in runs)


def test_orphans_of_killed_writers_are_swept(toys: ModuleType, tmp_path: Path) -> None:
    """In the store, among the reports, and where a driver of a cluster puts the tensors that a node has sent."""
    old, young = ([tmp_path / name / f".x.{age}.tmp" for name in ("", "reports", "artifacts/ab")] for age in "01")
    for path in [*old, *young]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for path in old:
        os.utime(path, (0, 0))
    run_study(toys.Toy(), "smoke", out=tmp_path, jobs=0)
    assert not any(path.exists() for path in old)
    assert all(path.exists() for path in young), "another run may be writing them"


def test_lost_tensors_are_made_again(
    toys: ModuleType, tmp_path: Path, bits: Callable[[list[Record]], list[object]]
) -> None:
    run = run_study(toys.Toy(), out=tmp_path, jobs=0)
    before = bits(run.records)
    artifact_path(tmp_path, run.records[1].artifacts.sha256).unlink()
    events: list[Event] = []
    again = run_study(toys.Toy(), out=tmp_path, jobs=0, listen=events.append)
    assert kinds(events) == [("reused", 0), ("reused", 2), ("started", 1), ("finished", 1)]
    assert bits(again.records) == before


def test_a_trial_on_the_cpu_wakes_no_gpu(toys: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: pytest.fail(f"asked {device} for its generator"))
    assert len(run_study(toys.Toy(), out=tmp_path, jobs=0).records) == 3


def test_global_generators_start_at_the_seed_of_the_trial(
    toys: ModuleType, tmp_path: Path, bits: Callable[[list[Record]], list[object]]
) -> None:
    run = run_study(toys.Careless(), out=tmp_path / "0", jobs=0)
    again = run_study(toys.Careless(), out=tmp_path / "1", jobs=0)
    assert bits(run.records) == bits(again.records)
    expected = torch.rand(1, generator=torch.Generator().manual_seed(2)).item()
    assert run.records[2].metrics["torch"] == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scale": "huge"}, "scale must be one of smoke, laptop, paper for 'toy', but it is 'huge'"),
        ({"seed": -1}, "seed must be the number of a block of seeds, 0 or more, but it is -1"),
        ({"jobs": -2}, "jobs must be how many trials run at once, 0 or more, but it is -2"),
        ({"device": "abacus"}, "device must be one that this machine has, such as 'cpu', but it is 'abacus'"),
        ({"device": "meta"}, "but it is 'meta'"),
    ],
)
def test_bad_arguments(toys: ModuleType, tmp_path: Path, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run_study(toys.Toy(), out=tmp_path, **{"jobs": 0} | arguments)


def test_a_class_is_no_study(toys: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"study must be an instance of a Study, such as Toy\(\), but it is <class"):
        run_study(toys.Toy, out=tmp_path, jobs=0)


def test_a_study_that_workers_cannot_import(toys: ModuleType, tmp_path: Path) -> None:
    class Local(toys.Toy):
        pass

    with pytest.raises(ValueError, match=r"Local cannot be imported by other processes: define it at the top"):
        run_study(Local(), out=tmp_path, jobs=1)
    assert len(run_study(Local(), out=tmp_path, jobs=0).records) == 3


@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        (None, "must give an Outcome, but it gave None"),
        (Outcome({"loss": torch.zeros(2)}), "metrics must be single numbers"),
        (Outcome({"loss": "low"}), "metrics must be single numbers"),
        (Outcome({}, {"x": [1.0]}), "artifacts must be tensors, but 'x' is of type list"),
    ],
)
def test_bad_outcomes(toys: ModuleType, tmp_path: Path, outcome: object, message: str) -> None:
    class Odd(toys.Toy):
        def run(self, trial: Trial, context: Context) -> Outcome:
            return outcome

    with pytest.raises(TrialsFailedError, match=message):
        run_study(Odd(), "smoke", out=tmp_path, jobs=0)


def test_environment_names_what_a_reader_asks_for(toys: ModuleType, tmp_path: Path) -> None:
    environment = run_study(toys.Toy(), "smoke", out=tmp_path, jobs=0).environment
    assert environment["torch"] == torch.__version__
    assert environment["jobs"] == "0"
    assert environment["threads per job"] == str(torch.get_num_threads())
    assert all(isinstance(value, str) and value for value in environment.values())
