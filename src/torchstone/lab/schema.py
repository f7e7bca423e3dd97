"""The tables of the store: how each version became the next, the checksum of a row, and which errors mean damage."""

import json
import sqlite3

from torchstone.files import sha256

KEY = "study, scale, arm, config_hash, seed, code_version, device"
TRIALS = f"{KEY}, config, metrics, artifacts, seconds, environment, finished"
VERDICTS = "study, scale, seed, code_version, verdict, judged"

MIGRATIONS = (
    # to version 1
    (
        f"""CREATE TABLE trials (
            study TEXT NOT NULL, scale TEXT NOT NULL, arm TEXT NOT NULL, config_hash TEXT NOT NULL,
            seed INTEGER NOT NULL, code_version TEXT NOT NULL, device TEXT NOT NULL,
            config TEXT NOT NULL, metrics TEXT NOT NULL, artifacts TEXT, seconds REAL NOT NULL,
            environment TEXT NOT NULL, finished TEXT NOT NULL,
            UNIQUE ({KEY})
        )""",
        """CREATE TABLE verdicts (
            study TEXT NOT NULL, scale TEXT NOT NULL, seed INTEGER NOT NULL, code_version TEXT NOT NULL,
            verdict TEXT NOT NULL, judged TEXT NOT NULL
        )""",
    ),
    # to version 2: every row has a checksum
    (
        "ALTER TABLE trials ADD COLUMN sha256 TEXT",
        f"UPDATE trials SET sha256 = row_sha256({TRIALS})",
        "ALTER TABLE verdicts ADD COLUMN sha256 TEXT",
        f"UPDATE verdicts SET sha256 = row_sha256({VERDICTS})",
    ),
)
VERSION = len(MIGRATIONS)

_DAMAGE = {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}


def row_sha256(*values: object) -> str:
    """The SHA-256 of the values of a row, its checksum left out; bytes count as what they are, not as text."""
    return sha256(json.dumps(values, default=repr).encode())


def prepare(connection: sqlite3.Connection) -> None:
    """Read bytes that are no UTF-8 as text all the same: the checksum of their row tells that they are damaged."""
    connection.text_factory = lambda content: str(content, "utf-8", "replace")
    connection.create_function("row_sha256", -1, row_sha256, deterministic=True)


def version_of(connection: sqlite3.Connection) -> int:
    """Which version the tables have; 0 for none."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the tables to the version of this torchstone, in one transaction; several processes may try at once."""
    connection.execute("BEGIN IMMEDIATE")
    for statements in MIGRATIONS[version_of(connection) :]:
        for statement in statements:
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.commit()


def faults(connection: sqlite3.Connection, table: str) -> str:
    """What SQLite finds wrong with a table and its index; nothing for a sound one."""
    found = [line for (line,) in connection.execute(f"PRAGMA integrity_check({table})")]
    return "" if found == ["ok"] else str(found[0])


def means_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether the file is to blame, rather than a full disk, a lock or a lack of permission."""
    if not isinstance(error, sqlite3.OperationalError):
        return True
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF in _DAMAGE
