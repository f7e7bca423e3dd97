"""The store: floats come back bit for bit, damage is seen, a newer store is refused."""

import math
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import astuple
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from torchstone.files import DamagedFileError, write_tensors
from torchstone.lab import Check, Estimate, NewerStoreError, Store, Trial, Verdict, schema
from torchstone.lab.encoding import decode_metrics, decode_verdict, digest, encode_metrics, encode_verdict, to_json
from torchstone.lab.store import Artifacts, Key, artifact_path

TRIAL = Trial("ours", 3, {"width": 64, "layers": [1, 2], "name": None})
KEY = Key.of("claim", "laptop", TRIAL, "0123456789ab", "cpu")


def add(store: Store, key: Key = KEY, trial: Trial = TRIAL, loss: float = 0.1, artifacts: str | None = None) -> bool:
    return store.add(key, trial, {"loss": loss}, artifacts, seconds=1.5, environment={"torch": "2.13"})


def test_a_record_comes_back(tmp_path: Path) -> None:
    assert add(Store(tmp_path / "new" / "folder"))
    record = Store(tmp_path / "new" / "folder").records("claim", "laptop")[KEY]
    assert (record.trial, record.metrics, record.artifacts, record.seconds) == (TRIAL, {"loss": 0.1}, {}, 1.5)
    assert Store(tmp_path / "new" / "folder").records("claim", "paper") == {}


def test_the_first_record_of_a_trial_stays(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert add(store, loss=0.1)
    assert not add(store, loss=0.2)
    assert store.records("claim", "laptop")[KEY].metrics == {"loss": 0.1}


@pytest.mark.parametrize(
    "change",
    [{"seed": 4}, {"arm": "theirs"}, {"config_hash": "f" * 16}, {"code_version": "f" * 12}, {"device": "cuda"}],
)
def test_each_part_of_the_key_makes_another_record(tmp_path: Path, change: dict[str, object]) -> None:
    other = Key(**{**vars(KEY), **change})
    store = Store(tmp_path)
    assert add(store)
    assert add(store, other)
    assert set(store.records("claim", "laptop")) == {KEY, other}
    assert other.digest != KEY.digest


def test_many_writers_at_once(tmp_path: Path) -> None:
    def write(writer: int) -> int:
        return sum(add(Store(tmp_path), Key(**{**vars(KEY), "seed": seed}), loss=writer) for seed in range(5))

    with ThreadPoolExecutor(8) as writers:
        added = list(writers.map(write, range(8)))
    assert sum(added) == 5
    assert len(Store(tmp_path).records("claim", "laptop")) == 5


def test_a_flipped_bit_is_seen(tmp_path: Path) -> None:
    sha256 = write_tensors(tmp_path / "x", {"x": torch.arange(5.0)})
    artifacts = Artifacts(tmp_path / "x", sha256)
    assert (list(artifacts), len(artifacts), artifacts["x"].sum().item()) == (["x"], 1, 10.0)
    content = bytearray((tmp_path / "x").read_bytes())
    content[-1] ^= 1
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(DamagedFileError, match="is damaged: its SHA-256 is not the one recorded"):
        Artifacts(tmp_path / "x", sha256)["x"]


def test_artifacts_are_read_when_asked_for_and_missing_ones_say_so(tmp_path: Path) -> None:
    artifacts = Artifacts(tmp_path / "absent", "0" * 64)
    with pytest.raises(DamagedFileError, match=r"absent is missing: .* Run again to make them"):
        len(artifacts)


def test_records_without_their_tensors_are_forgotten(tmp_path: Path) -> None:
    store, whole = Store(tmp_path), Key(**{**vars(KEY), "seed": 4})
    artifact_path(tmp_path, "a" * 64).parent.mkdir(parents=True)
    artifact_path(tmp_path, "a" * 64).touch()
    add(store, artifacts="b" * 64)
    add(store, whole, artifacts="a" * 64)
    store.forget_incomplete("claim", "laptop")
    assert set(store.records("claim", "laptop")) == {whole}


def test_a_newer_store_is_refused(tmp_path: Path) -> None:
    Store(tmp_path)
    connection = sqlite3.connect(tmp_path / "store.sqlite")
    connection.execute("PRAGMA user_version = 7")
    connection.close()
    with pytest.raises(NewerStoreError, match=r"newer torchstone \(its schema is 7, this one knows 2\). Upgrade"):
        Store(tmp_path)


def test_a_file_that_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "store.sqlite").write_text("Dear diary, " * 100)
    with pytest.raises(DamagedFileError, match=r"store.sqlite is damaged .* Move it away"):
        Store(tmp_path)


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0"])
def test_a_store_that_lost_its_content_is_refused(tmp_path: Path, content: bytes) -> None:
    add(Store(tmp_path))
    (tmp_path / "store.sqlite").write_bytes(content)
    with pytest.raises(DamagedFileError, match=r"store.sqlite is damaged .* Move it away"):
        Store(tmp_path)


def execute(folder: Path, *statements: str) -> list[tuple[object, ...]]:
    """Past the store, straight into its file."""
    with closing(sqlite3.connect(folder / "store.sqlite")) as connection, connection:
        return [row for statement in statements for row in connection.execute(statement).fetchall()]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE trials SET metrics = replace(metrics, '0.1', '0.3') WHERE seed = 3",
        "UPDATE trials SET seconds = 1.25 WHERE seed = 3",
        "UPDATE trials SET artifacts = ''",
        "UPDATE trials SET metrics = CAST(metrics AS BLOB)",
        "UPDATE trials SET metrics = CAST(X'ff' AS TEXT)",
        "UPDATE trials SET sha256 = NULL",
        "UPDATE trials SET seed = 7 - seed WHERE seed = 3",
        "UPDATE trials SET (metrics, sha256) = (SELECT metrics, sha256 FROM trials WHERE seed = 4) WHERE seed = 3",
    ],
)
def test_a_record_that_was_changed_is_refused(tmp_path: Path, change: str) -> None:
    add(Store(tmp_path))
    add(Store(tmp_path), Key(**{**vars(KEY), "seed": 4}), loss=0.2)
    execute(tmp_path, "UPDATE trials SET seed = 5 WHERE seed = 4" if "7 - seed" in change else "SELECT 1", change)
    for ask in (Store(tmp_path).records, Store(tmp_path).origins):
        with pytest.raises(DamagedFileError, match=r"on record for 'claim' at laptop is not what was .* Move it away"):
            ask("claim", "laptop")


def test_a_verdict_that_was_changed_is_refused(tmp_path: Path) -> None:
    Store(tmp_path).add_verdict("claim", "laptop", 0, "0123456789ab", verdict(0.25))
    execute(tmp_path, "UPDATE verdicts SET verdict = replace(verdict, '0.25', '0.75')")
    with pytest.raises(DamagedFileError, match="on record for 'claim' at laptop is not what was written"):
        Store(tmp_path).last_verdict("claim")


def test_a_row_that_only_its_index_remembers_is_missed(tmp_path: Path) -> None:
    for seed in range(20):
        add(Store(tmp_path), Key(**{**vars(KEY), "seed": seed}))
    (page,) = execute(tmp_path, "SELECT rootpage FROM sqlite_master WHERE name = 'trials'")[0]
    (size,) = execute(tmp_path, "PRAGMA page_size")[0]
    with (tmp_path / "store.sqlite").open("r+b") as file:
        file.seek((int(page) - 1) * int(size))  # type: ignore[call-overload]
        header = file.read(5)
        assert header[0] in (5, 13), "an inner page or a leaf of a table"
        file.seek(-2, 1)
        cells = int.from_bytes(header[3:], "big")
        file.write((cells - 1).to_bytes(2, "big"))
    for ask in (lambda store: store.records("claim", "laptop"), lambda store: store.studies()):
        with pytest.raises(DamagedFileError, match=r"store\.sqlite is damaged"):
            ask(Store(tmp_path))


VERSION_1 = """
CREATE TABLE trials (
    study TEXT NOT NULL, scale TEXT NOT NULL, arm TEXT NOT NULL, config_hash TEXT NOT NULL, seed INTEGER NOT NULL,
    code_version TEXT NOT NULL, device TEXT NOT NULL,
    config TEXT NOT NULL, metrics TEXT NOT NULL, artifacts TEXT, seconds REAL NOT NULL,
    environment TEXT NOT NULL, finished TEXT NOT NULL,
    UNIQUE (study, scale, arm, config_hash, seed, code_version, device)
);
CREATE TABLE verdicts (
    study TEXT NOT NULL, scale TEXT NOT NULL, seed INTEGER NOT NULL, code_version TEXT NOT NULL,
    verdict TEXT NOT NULL, judged TEXT NOT NULL
);
PRAGMA journal_mode = WAL;
PRAGMA user_version = 1;
"""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A store as torchstone 0.1.0 left it, with three records and a verdict."""
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as connection, connection:
        connection.executescript(VERSION_1)
        for seed in (3, 4, 5):
            row = (*astuple(Key(**{**vars(KEY), "seed": seed})), to_json(TRIAL.config), '{"loss":"nan"}', None, 2)
            connection.execute(f"INSERT INTO trials VALUES ({', '.join('?' * 13)})", (*row, "{}", "2026-01-01"))
        row = ("claim", "laptop", 0, "0123456789ab", encode_verdict(verdict(0.5)), "2026-01-02")
        connection.execute("INSERT INTO verdicts VALUES (?, ?, ?, ?, ?, ?)", row)
    return tmp_path


def test_a_store_of_version_1_goes_on(old: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    store = Store(old)
    records = store.records("claim", "laptop")
    assert [key.seed for key in records] == [3, 4, 5]
    assert (records[KEY].trial, records[KEY].seconds) == (TRIAL, 2.0)
    assert math.isnan(records[KEY].metrics["loss"])
    assert store.last_verdict("claim") == ("laptop", 0, verdict(0.5), "2026-01-02")
    assert not add(store)
    assert add(store, Key(**{**vars(KEY), "seed": 6}))
    new = tmp_path_factory.mktemp("new")
    Store(new)
    tables = [f"PRAGMA {what}" for what in ("user_version", "table_info(trials)", "table_info(verdicts)")]
    assert execute(old, *tables, "PRAGMA index_list(trials)") == execute(new, *tables, "PRAGMA index_list(trials)")
    execute(old, "UPDATE trials SET seconds = 3 WHERE seed = 5")
    with pytest.raises(DamagedFileError):
        Store(old).records("claim", "laptop")


def test_a_store_is_made_as_it_stays(tmp_path: Path) -> None:
    """The mode of its journal could only be changed while nobody else has it open: the others fail as "locked"."""
    Store(tmp_path)
    assert execute(tmp_path, "PRAGMA journal_mode") == [("wal",)]
    assert [path.name for path in tmp_path.iterdir()] == ["store.sqlite"]


def test_many_may_migrate_at_once(old: Path) -> None:
    with ThreadPoolExecutor(8) as openers:
        stores = list(openers.map(lambda _: Store(old), range(8)))
    assert all(len(store.records("claim", "laptop")) == 3 for store in stores)


def test_a_migration_that_fails_leaves_version_1(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = schema.MIGRATIONS
    monkeypatch.setattr(schema, "MIGRATIONS", (first, (*second, "INSERT INTO nowhere VALUES (1)")))
    before = execute(old, "PRAGMA user_version", "SELECT * FROM sqlite_master", "SELECT * FROM trials")
    with pytest.raises(DamagedFileError, match="no such table: nowhere"):
        Store(old)
    assert execute(old, "PRAGMA user_version", "SELECT * FROM sqlite_master", "SELECT * FROM trials") == before
    monkeypatch.undo()
    assert len(Store(old).records("claim", "laptop")) == 3


def test_a_store_that_has_gone_away_is_not_made_anew(tmp_path: Path) -> None:
    store = Store(tmp_path)
    (tmp_path / "store.sqlite").unlink()
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        store.records("claim", "laptop")
    assert not (tmp_path / "store.sqlite").exists()


def verdict(value: float) -> Verdict:
    estimate = Estimate(value, -math.inf, math.inf)
    checks = (Check.at_least("a", estimate, 0.5, zone=0.1, reported=0.9), Check.report("b", Estimate(1, 0, 2)))
    return Verdict.of(*checks, sentence="It is ½.")


@pytest.mark.parametrize("below", [".", "deeper/still"])
def test_a_file_is_no_folder_for_records(tmp_path: Path, below: str) -> None:
    (tmp_path / "taken").touch()
    with pytest.raises(NotADirectoryError, match=r"folder must be a folder for records, but .*taken.* is a file or"):
        Store(tmp_path / "taken" / below)


def test_the_last_verdict(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.last_verdict("claim") is None
    store.add_verdict("claim", "paper", 0, "0123456789ab", verdict(0.25))
    store.add_verdict("claim", "laptop", 0, "0123456789ab", verdict(0.5))
    store.add_verdict("other", "laptop", 0, "0123456789ab", verdict(0.75))
    assert store.last_verdict("claim")[:3] == ("laptop", 0, verdict(0.5))
    assert store.last_verdict("claim", "paper")[:3] == ("paper", 0, verdict(0.25))
    assert store.last_verdict("claim", "smoke") is None


def test_a_verdict_of_nan_comes_back() -> None:
    back = decode_verdict(encode_verdict(verdict(math.nan)))
    assert math.isnan(back.checks[0].estimate.value)
    assert back.checks[0].estimate.high == math.inf
    assert back.status == "inconclusive"


@given(st.dictionaries(st.text(), st.floats()))
def test_metrics_come_back_bit_for_bit(metrics: dict[str, float]) -> None:
    back = decode_metrics(encode_metrics(metrics))
    assert {name: value.hex() for name, value in back.items()} == {name: value.hex() for name, value in metrics.items()}


def test_the_digest_sees_values_not_their_order() -> None:
    assert digest({"a": 1, "b": [1.5, None]}) == digest({"b": (1.5, None), "a": 1})
    assert digest({"a": 1}) != digest({"a": 2}) != digest({"b": 2})
    assert digest({"a": 1}) != digest({"a": 1.0}) != digest({"a": True})


@pytest.mark.parametrize("value", [{1: "one"}, {"a": [{2: 3}]}, {"a": math.nan}, {"a": torch.zeros(1)}])
def test_what_json_lacks_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        to_json(value)
