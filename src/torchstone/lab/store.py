"""The store: one row for each finished trial, its tensors in a file beside, and the history of verdicts.

It sees damage in whatever it reads, but not a flipped bit that SQLite never reads, such as one on a free page, which
changes no answer. Nor can it see that all of it was replaced by a sound older copy of itself: what was recorded since
then is missing as if it had never been run.
"""

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import astuple, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from torchstone.files import DamagedFileError, atomic_path, read_tensors
from torchstone.lab import schema
from torchstone.lab.encoding import decode_metrics, decode_verdict, digest, encode_metrics, encode_verdict, to_json
from torchstone.lab.environment import now
from torchstone.lab.study import Record, Trial
from torchstone.lab.verdict import Verdict

if TYPE_CHECKING:
    from torch import Tensor

Stamp = tuple[tuple[int, int], ...]


class NewerStoreError(RuntimeError):
    """The store was written by a newer torchstone."""


@dataclass(frozen=True)
class Key:
    """What makes a finished trial the one that is asked for."""

    study: str
    scale: str
    arm: str
    config_hash: str
    seed: int
    code_version: str
    device: str

    @classmethod
    def of(cls, study: str, scale: str, trial: Trial, code_version: str, device: str) -> "Key":
        """The key of ``trial`` of the study named ``study``."""
        return cls(study, scale, trial.arm, digest(trial.config), trial.seed, code_version, device)

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits of the whole key."""
        return digest(astuple(self))


class LastVerdict(NamedTuple):
    """The latest answer of a study: at which scale and block of seeds, what, and when (ISO 8601, UTC)."""

    scale: str
    seed: int
    verdict: Verdict
    when: str


class Origin(NamedTuple):
    """What a record was computed with (versions, threads, processor, by name), and when it was finished (ISO, UTC)."""

    environment: Mapping[str, str]
    finished: str


class Artifacts(Mapping[str, "Tensor"]):
    """The tensors of a record, read when first asked for and checked against their SHA-256."""

    def __init__(self, path: Path, sha256: str) -> None:
        self.path, self.sha256 = path, sha256

    @cached_property
    def _tensors(self) -> "dict[str, Tensor]":
        if not self.path.exists():
            raise DamagedFileError(f"{self.path} is missing: the tensors of a trial are gone. Run again to make them.")
        return read_tensors(self.path, self.sha256)

    def __getitem__(self, name: str) -> "Tensor":
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise NotADirectoryError(
            f"folder must be a folder for records, but {folder} is a file or lies below one. Give another folder."
        ) from error


def artifact_path(folder: Path, sha256: str) -> Path:
    """Where the store below ``folder`` has the file of tensors with this SHA-256."""
    return folder / "artifacts" / sha256[:2] / f"{sha256}.safetensors"


class Store:
    """The records below ``folder``: ``store.sqlite`` and ``artifacts/``. Made when missing.

    Several processes may use one store at once: a trial that two of them finish is recorded once, as the first left it.

    Args:
        folder: where the records lie.

    Raises:
        NewerStoreError: a newer torchstone wrote it.
        DamagedFileError: ``store.sqlite`` is no SQLite file, or a damaged one.
        NotADirectoryError: ``folder`` is a file, or lies below one.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     store = Store(Path(folder))
        ...     trial = Trial("ours", seed=0)
        ...     key = Key.of("my-claim", "laptop", trial, "0123456789ab", "cpu")
        ...     added = store.add(key, trial, {"accuracy": 0.5}, None, seconds=1.0, environment={})
        ...     store.records("my-claim", "laptop")[key].metrics
        {'accuracy': 0.5}
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        _make(self.folder)
        self.file = self.folder / "store.sqlite"
        self._sound: dict[str, Stamp] = {}
        _create(self.file)
        with self._connection() as connection:
            version = schema.version_of(connection)
            if version > schema.VERSION:
                raise NewerStoreError(
                    f"{self.file} was written by a newer torchstone (its schema is {version}, this one knows "
                    f"{schema.VERSION}). Upgrade torchstone, or choose another folder."
                )
            if version < 1:
                raise self._damaged("it has not the tables of a store")
            if version < schema.VERSION:
                self._verify(connection, "trials")
                self._verify(connection, "verdicts")
                schema.migrate(connection)

    def add(
        self,
        key: Key,
        trial: Trial,
        metrics: Mapping[str, float],
        artifacts: str | None,
        *,
        seconds: float,
        environment: Mapping[str, str],
    ) -> bool:
        """Record a finished trial and commit; ``False``, and no change, when it was on record.

        Args:
            key: what was run.
            trial: the trial itself.
            metrics: its numbers; NaN and infinities are kept.
            artifacts: the SHA-256 of its file of tensors, already at :func:`artifact_path`; ``None`` for no tensors.
            seconds: wall-clock seconds it took.
            environment: what it was computed with.
        """
        found = (to_json(trial.config), encode_metrics(metrics), artifacts, float(seconds))
        row = (*astuple(key), *found, to_json(dict(environment)), now())
        with self._connection() as connection:
            return _insert(connection, f"OR IGNORE INTO trials ({schema.TRIALS}, sha256)", row) == 1

    def records(self, study: str, scale: str) -> dict[Key, Record]:
        """Every record of a study at a scale, the oldest first; tensors are read when they are asked for."""
        found = {}
        for *key, config, metrics, sha256, seconds, _, _ in self._rows(study, scale):
            tensors = Artifacts(artifact_path(self.folder, sha256), sha256) if sha256 else {}
            trial, name = Trial(key[2], key[4], json.loads(config)), Key(*key)
            found[name] = Record(trial, decode_metrics(metrics), tensors, seconds, name.digest)
        return found

    def studies(self) -> list[tuple[str, str]]:
        """Each study on record with each of its scales, in alphabetical order."""
        with self._connection() as connection:
            self._verify(connection, "trials")
            return connection.execute("SELECT DISTINCT study, scale FROM trials ORDER BY study, scale").fetchall()

    def origins(self, study: str, scale: str) -> dict[Key, Origin]:
        """Where each record of a study at a scale comes from, the oldest first."""
        rows = self._rows(study, scale)
        return {Key(*key): Origin(json.loads(environment), when) for *key, _, _, _, _, environment, when in rows}

    def forget_incomplete(self, study: str, scale: str) -> None:
        """Remove the records of a study at a scale whose file of tensors is gone, so that their trials run again."""
        with self._connection() as connection:
            rows = connection.execute(
                "SELECT DISTINCT artifacts FROM trials WHERE study = ? AND scale = ? AND artifacts IS NOT NULL",
                (study, scale),
            ).fetchall()
            gone = [(study, scale, sha256) for (sha256,) in rows if not artifact_path(self.folder, sha256).exists()]
            connection.executemany("DELETE FROM trials WHERE study = ? AND scale = ? AND artifacts = ?", gone)

    def forget(self, keys: Iterable[Key]) -> None:
        """Remove the records with these keys; their tensors stay."""
        where = " AND ".join(f"{column} = ?" for column in schema.KEY.split(", "))
        with self._connection() as connection:
            connection.executemany(f"DELETE FROM trials WHERE {where}", map(astuple, keys))

    def add_verdict(self, study: str, scale: str, seed: int, code_version: str, verdict: Verdict) -> None:
        """Add to the history what ``study`` said at ``scale`` with the block of seeds ``seed``."""
        with self._connection() as connection:
            row = (study, scale, seed, code_version, encode_verdict(verdict), now())
            _insert(connection, f"INTO verdicts ({schema.VERDICTS}, sha256)", row)

    def last_verdict(self, study: str, scale: str | None = None) -> LastVerdict | None:
        """The latest verdict of ``study`` (at ``scale``, if given); ``None`` when there is none."""
        with self._connection() as connection:
            self._verify(connection, "verdicts")
            row = connection.execute(
                f"SELECT {schema.VERDICTS}, sha256 FROM verdicts WHERE study = ? AND (? IS NULL OR scale = ?) "
                "ORDER BY rowid DESC LIMIT 1",
                (study, scale, scale),
            ).fetchone()
        if row is None:
            return None
        _, scale, seed, _, verdict, judged = self._unsealed(row)
        return LastVerdict(scale, seed, decode_verdict(verdict), judged)

    def judged(self, study: str) -> set[tuple[str, int, str]]:
        """Scale, block of seeds and code version of each verdict of ``study``."""
        with self._connection() as connection:
            self._verify(connection, "verdicts")
            columns = f"SELECT {schema.VERDICTS}, sha256 FROM verdicts WHERE study = ?"
            rows = [self._unsealed(row) for row in connection.execute(columns, (study,))]
        return {(scale, seed, code_version) for _, scale, seed, code_version, _, _ in rows}

    def _rows(self, study: str, scale: str) -> list[tuple[Any, ...]]:
        """The columns ``schema.TRIALS`` of each record of a study at a scale, checked, the oldest first."""
        with self._connection() as connection:
            self._verify(connection, "trials")
            rows = connection.execute(
                f"SELECT {schema.TRIALS}, sha256 FROM trials WHERE study = ? AND scale = ? ORDER BY rowid",
                (study, scale),
            ).fetchall()
        return [self._unsealed(row) for row in rows]

    def _unsealed(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        """A row without its checksum, which must be right."""
        *values, sha256 = row
        if schema.row_sha256(*values) != sha256:
            raise self._damaged(f"what is on record for '{values[0]}' at {values[1]} is not what was written")
        return tuple(values)

    def _verify(self, connection: sqlite3.Connection, table: str) -> None:
        """Refuse a table from which damage may have taken rows; asked once for each state of the files."""
        stamp = _stamp(self.file)
        if self._sound.get(table) != stamp:
            if fault := schema.faults(connection, table):
                raise self._damaged(fault)
            self._sound[table] = stamp

    def _damaged(self, reason: object) -> DamagedFileError:
        return DamagedFileError(
            f"{self.file} is damaged ({reason}). Move it away or choose another folder; "
            "what was recorded in it has to be run again."
        )

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """A connection of its own for each use, committed at the end; nothing stays open between uses."""
        place = f"{self.file.absolute().as_uri()}?mode=rw"  # a store that has gone away is not made anew
        try:
            with closing(sqlite3.connect(place, timeout=60, uri=True)) as connection, connection:
                schema.prepare(connection)
                yield connection
        except sqlite3.DatabaseError as error:
            if not schema.means_damage(error):
                raise
            raise self._damaged(error) from error


def _create(file: Path) -> None:
    """Make an empty store, whole or not at all, unless there is a file."""
    if file.exists():
        return
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)  # until it is closed
        if not file.exists():
            with atomic_path(file) as temporary, closing(sqlite3.connect(temporary)) as connection:
                connection.execute("PRAGMA journal_mode = OFF")  # nobody else knows the file yet
                schema.prepare(connection)
                schema.migrate(connection)
                connection.execute("PRAGMA journal_mode = WAL")  # stays; a change under others' eyes fails as "locked"
    finally:
        os.close(folder)


def _insert(connection: sqlite3.Connection, into: str, row: tuple[Any, ...]) -> int:
    """Add a row with its checksum; returns how many rows that makes."""
    places = ", ".join("?" * (len(row) + 1))
    return connection.execute(f"INSERT {into} VALUES ({places})", (*row, schema.row_sha256(*row))).rowcount


def _stamp(file: Path) -> Stamp:
    """When the store and its log were last written, in nanoseconds, and how long they are."""
    states = []
    for path in (file, file.with_name(f"{file.name}-wal")):
        with suppress(FileNotFoundError):  # without connections there is no log
            states.append(path.stat())
    return tuple((state.st_mtime_ns, state.st_size) for state in states)
