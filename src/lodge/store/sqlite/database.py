"""The database file: open, check, migrate, load, write. Runs in the writer's thread only.

Sources: https://sqlite.org/wal.html (one writer, readers do not block it),
https://sqlite.org/pragma.html#pragma_synchronous (FULL: durable at each commit),
https://sqlite.org/rescode.html.
"""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from lodge.store.contract import Entry
from lodge.store.errors import (
    DatabaseDamagedError,
    DatabaseNewerError,
    StoreFailedError,
    StoreFullError,
)
from lodge.store.sqlite.backup import Backups

__all__ = ["Content", "Database", "WriteSet"]

_APPLICATION_ID = 0x4C6F6467
"""``Lodg``, in the file's header (https://sqlite.org/fileformat2.html#application_id)."""

_PUT = (
    "INSERT INTO entries (key, value, created, revision, lease) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (key) DO UPDATE SET value = excluded.value, created = excluded.created,"
    " revision = excluded.revision, lease = excluded.lease"
)
_DELETE = "DELETE FROM entries WHERE key = ?"
_PUT_LEASE = "INSERT OR REPLACE INTO leases (id, ttl_s) VALUES (?, ?)"
_DELETE_LEASE = "DELETE FROM leases WHERE id = ?"
_COUNT = "UPDATE counters SET value = ? WHERE name = ?"


@dataclass(frozen=True, slots=True)
class Content:
    """All that is stored."""

    entries: Sequence[Entry]
    attached: dict[str, int]
    leases: dict[int, float]
    revision: int
    last_lease: int


@dataclass(frozen=True, slots=True)
class WriteSet:
    """What one commit changes: rows ready for SQL."""

    put: Sequence[tuple[str, bytes, int, int, int | None]]
    deleted: Sequence[tuple[str]]
    leases: Sequence[tuple[int, float]]
    ended: Sequence[tuple[int]]
    revision: int
    last_lease: int


class Database:
    """One connection to one file."""

    def __init__(self, path: Path, backups: Backups) -> None:
        self.path = path
        self._backups = backups
        self._refuse_a_loss()
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            with self._told():
                self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def _refuse_a_loss(self) -> None:
        """Refuse to begin afresh where a database has been: backups would be its only trace."""
        is_there = self.path.exists() and self.path.stat().st_size > 0
        if not is_there and self._backups.newest() is not None:
            raise self._damaged(f"database {self.path} is missing or empty, but it has backups")

    def _prepare(self) -> None:
        self._check()
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._migrate()

    def _check(self) -> None:
        application = self._one("PRAGMA application_id")
        tables = self._one("SELECT count(*) FROM sqlite_schema")
        if application != _APPLICATION_ID and (application or tables):
            raise self._damaged(f"{self.path} is a database, but not one of Lodge")
        self._refuse_newer()
        verdict = self._one("PRAGMA quick_check(1)")
        if verdict != "ok":
            raise self._damaged(f"database {self.path} is damaged: {verdict}")

    def _refuse_newer(self) -> None:
        migrations = _migrations()
        version = self._one("PRAGMA user_version")
        if version > len(migrations):
            raise DatabaseNewerError(
                f"database {self.path} has format {version}; this Lodge knows up to"
                f" {len(migrations)}",
                where=str(self.path),
                format=version,
                known=len(migrations),
                backups=str(self._backups.folder),
            )

    def _migrate(self) -> None:
        migrations = _migrations()
        version = self._one("PRAGMA user_version")
        if 0 < version < len(migrations):
            self._backups.make(self.path)
        for number, script in enumerate(migrations[version:], start=version + 1):
            self._connection.executescript(
                f"BEGIN IMMEDIATE; {script}; PRAGMA application_id = {_APPLICATION_ID};"
                f" PRAGMA user_version = {number}; COMMIT;"
            )

    def load(self) -> Content:
        """Read everything."""
        with self._told():
            rows = self._connection.execute(
                "SELECT key, value, created, revision, lease FROM entries"
            ).fetchall()
            leases = self._connection.execute("SELECT id, ttl_s FROM leases").fetchall()
            counters = dict(self._connection.execute("SELECT name, value FROM counters"))
        return Content(
            entries=[Entry(key, value, created, at) for key, value, created, at, _ in rows],
            attached={row[0]: row[4] for row in rows if row[4] is not None},
            leases=dict(leases),
            revision=counters["revision"],
            last_lease=counters["lease"],
        )

    def write(self, work: WriteSet) -> None:
        """Make the changes durable in one commit, or none of them.

        Raises:
            StoreFullError: no room.
            StoreFailedError: the disk failed.
        """
        run = self._connection
        with self._told():
            try:
                run.execute("BEGIN IMMEDIATE")
                run.executemany(_DELETE, work.deleted)
                run.executemany(_PUT, work.put)
                run.executemany(_PUT_LEASE, work.leases)
                run.executemany(_DELETE_LEASE, work.ended)
                run.executemany(_COUNT, [(work.revision, "revision"), (work.last_lease, "lease")])
                run.execute("COMMIT")
            except sqlite3.Error:
                self._roll_back()
                if work.put or work.deleted:
                    self._confirm_undone(work.revision)
                raise

    def _roll_back(self) -> None:
        # SQLite itself rolls back on some of these errors (sqlite.org/lang_transaction.html).
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _confirm_undone(self, revision: int) -> None:
        """Be sure that memory and disk agree that nothing happened."""
        stored = self._one("SELECT value FROM counters WHERE name = 'revision'")
        if stored >= revision:
            raise self._damaged(f"database {self.path} took a write that it reported as failed")

    def close(self) -> None:
        """Fold the log into the file and release it."""
        self._connection.close()

    def _one(self, sql: str) -> Any:
        """Return the one value that a PRAGMA or a count answers."""
        return self._connection.execute(sql).fetchone()[0]

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Tell SQLite's errors in the words of the store."""
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            where = str(self.path)
            if code == sqlite3.SQLITE_FULL:
                raise StoreFullError(f"no room left to write {where}", where=where) from error
            if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                raise self._damaged(f"database {where} is damaged: {error}") from error
            raise StoreFailedError(f"database {where}: {error}", where=where) from error

    def _damaged(self, message: str) -> DatabaseDamagedError:
        newest = self._backups.newest()
        return DatabaseDamagedError(
            message,
            where=str(self.path),
            hint=(
                f"stop lodged, move {self.path} and its -wal and -shm files away, copy a backup"
                f" from {self._backups.folder} (the newest is {newest.name}) to its place"
                if newest is not None
                else f"there is no backup in {self._backups.folder}; move {self.path} away to begin"
                " with nothing"
            ),
            backups=str(self._backups.folder),
        )


def _migrations() -> Sequence[str]:
    folder = files("lodge.store.sqlite") / "migrations"
    scripts = sorted(
        (script for script in folder.iterdir() if script.name.endswith(".sql")),
        key=lambda script: script.name,
    )
    return [script.read_text(encoding="utf-8") for script in scripts]
