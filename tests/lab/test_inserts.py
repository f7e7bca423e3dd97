"""Eight processes write five hundred records each into one store, and are killed as they do: each is there once."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from torchstone.lab import Store

HERE = Path(__file__).parent / "importable"
MEMORY = Path("/dev/shm")
KILLS = 20


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Path]:
    """A folder that needs no disk to sync, where the machine has one: 3,000 commits would take half a minute."""
    if not MEMORY.is_dir():
        yield tmp_path
        return
    with TemporaryDirectory(dir=MEMORY) as folder:
        yield Path(folder)


def test_8_processes_insert_500_each(quick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(HERE)
    import insert_runs

    command = [sys.executable, str(HERE / "insert_runs.py"), str(quick), "8", "500", str(KILLS), "0"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    added, killed = done.stdout.split()
    assert int(killed) == KILLS
    expected = sorted({seed for process in range(8) for seed in insert_runs.seeds(process, 500)})
    assert len(expected) == 3000  # every second record of a process is also one of its neighbour's
    records = Store(quick).records("claim", "laptop")
    assert sorted(key.seed for key in records) == expected
    assert all(record.metrics == {"seed": key.seed} for key, record in records.items())
    assert len(expected) - KILLS <= len(added) <= len(expected), "an insert claimed to be the first when it was not"
    with closing(sqlite3.connect(quick / "store.sqlite")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT count(*) FROM trials").fetchone() == (3000,)
    assert [path.name for path in quick.iterdir()] == ["store.sqlite"]
