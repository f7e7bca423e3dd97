"""The store: one row for each finished trial, its tensors in a file beside, and the history of verdicts."""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from torchstone.files import DamagedFileError, read_tensors
from torchstone.lab.encoding import decode_metrics, decode_verdict, digest, encode_metrics, encode_verdict, to_json
from torchstone.lab.environment import now
from torchstone.lab.study import Record, Trial
from torchstone.lab.verdict import Verdict

if TYPE_CHECKING:
    from torch import Tensor

SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE IF NOT EXISTS trials (
    study TEXT NOT NULL, scale TEXT NOT NULL, arm TEXT NOT NULL, config_hash TEXT NOT NULL, seed INTEGER NOT NULL,
    code_version TEXT NOT NULL, device TEXT NOT NULL,
    config TEXT NOT NULL, metrics TEXT NOT NULL, artifacts TEXT, seconds REAL NOT NULL,
    environment TEXT NOT NULL, finished TEXT NOT NULL,
    UNIQUE (study, scale, arm, config_hash, seed, code_version, device)
);
CREATE TABLE IF NOT EXISTS verdicts (
    study TEXT NOT NULL, scale TEXT NOT NULL, seed INTEGER NOT NULL, code_version TEXT NOT NULL,
    verdict TEXT NOT NULL, judged TEXT NOT NULL
);
"""


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
        with self._connection() as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > SCHEMA_VERSION:
                raise NewerStoreError(
                    f"{self.file} was written by a newer torchstone (its schema is {version}, this one knows "
                    f"{SCHEMA_VERSION}). Upgrade torchstone, or choose another folder with --out."
                )
            if version < SCHEMA_VERSION:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")

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
        row = (*astuple(key), to_json(trial.config), encode_metrics(metrics), artifacts, seconds)
        with self._connection() as connection:
            cursor = connection.execute(
                f"INSERT OR IGNORE INTO trials VALUES ({', '.join('?' * 13)})",
                (*row, to_json(dict(environment)), now()),
            )
            return cursor.rowcount == 1

    def records(self, study: str, scale: str) -> dict[Key, Record]:
        """Every record of a study at a scale, the oldest first; tensors are read when they are asked for."""
        with self._connection() as connection:
            rows = connection.execute(
                "SELECT study, scale, arm, config_hash, seed, code_version, device, "
                "config, metrics, artifacts, seconds FROM trials WHERE study = ? AND scale = ? ORDER BY rowid",
                (study, scale),
            ).fetchall()
        found = {}
        for *key, config, metrics, sha256, seconds in rows:
            tensors = Artifacts(artifact_path(self.folder, sha256), sha256) if sha256 else {}
            trial = Trial(key[2], key[4], json.loads(config))
            found[Key(*key)] = Record(trial, decode_metrics(metrics), tensors, seconds)
        return found

    def studies(self) -> list[tuple[str, str]]:
        """Each study on record with each of its scales, in alphabetical order."""
        with self._connection() as connection:
            return connection.execute("SELECT DISTINCT study, scale FROM trials ORDER BY study, scale").fetchall()

    def origins(self, study: str, scale: str) -> dict[Key, Origin]:
        """Where each record of a study at a scale comes from, the oldest first."""
        with self._connection() as connection:
            rows = connection.execute(
                "SELECT study, scale, arm, config_hash, seed, code_version, device, environment, finished "
                "FROM trials WHERE study = ? AND scale = ? ORDER BY rowid",
                (study, scale),
            ).fetchall()
        return {Key(*key): Origin(json.loads(environment), finished) for *key, environment, finished in rows}

    def forget_incomplete(self, study: str, scale: str) -> None:
        """Remove the records of a study at a scale whose file of tensors is gone, so that their trials run again."""
        with self._connection() as connection:
            rows = connection.execute(
                "SELECT DISTINCT artifacts FROM trials WHERE study = ? AND scale = ? AND artifacts IS NOT NULL",
                (study, scale),
            ).fetchall()
            gone = [(study, scale, sha256) for (sha256,) in rows if not artifact_path(self.folder, sha256).exists()]
            connection.executemany("DELETE FROM trials WHERE study = ? AND scale = ? AND artifacts = ?", gone)

    def add_verdict(self, study: str, scale: str, seed: int, code_version: str, verdict: Verdict) -> None:
        """Add to the history what ``study`` said at ``scale`` with the block of seeds ``seed``."""
        with self._connection() as connection:
            row = (study, scale, seed, code_version, encode_verdict(verdict), now())
            connection.execute("INSERT INTO verdicts VALUES (?, ?, ?, ?, ?, ?)", row)

    def last_verdict(self, study: str, scale: str | None = None) -> LastVerdict | None:
        """The latest verdict of ``study`` (at ``scale``, if given); ``None`` when there is none."""
        with self._connection() as connection:
            row = connection.execute(
                "SELECT scale, seed, verdict, judged FROM verdicts WHERE study = ? AND (? IS NULL OR scale = ?) "
                "ORDER BY rowid DESC LIMIT 1",
                (study, scale, scale),
            ).fetchone()
        return row and LastVerdict(row[0], row[1], decode_verdict(row[2]), row[3])

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """A connection of its own for each use, committed at the end; nothing stays open between uses."""
        try:
            with closing(sqlite3.connect(self.file, timeout=60)) as connection, connection:
                yield connection
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            raise DamagedFileError(
                f"{self.file} is damaged ({error}). Move it away or choose another folder with --out; "
                "what was recorded in it has to be run again."
            ) from error
