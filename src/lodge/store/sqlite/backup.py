"""Copies of the database: whole files, made beside running writes, the newest few kept."""

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lodge.base.world import World
from lodge.store.errors import StoreFailedError, StoreFullError
from lodge.system.files import sync_folder

__all__ = ["Backups"]

_STAMP = "%Y%m%dT%H%M%SZ"
_PREFIX, _SUFFIX = "lodge-", ".db"


@dataclass(frozen=True, slots=True)
class Backups:
    """The folder of copies, named by their time in UTC; more than ``keep`` are removed."""

    folder: Path
    world: World
    keep: int

    def all(self) -> list[Path]:
        """All copies, oldest first."""
        return sorted(path for path in self.folder.glob(f"{_PREFIX}*{_SUFFIX}") if _made_at(path))

    def newest(self) -> Path | None:
        """Return the newest copy."""
        return max(self.all(), default=None)

    def age_s(self) -> float | None:
        """Seconds since the newest copy was made; null: there is none."""
        newest = self.newest()
        made_at = None if newest is None else _made_at(newest)
        return None if made_at is None else self.world.now() - made_at

    def make(self, database: Path) -> Path:
        """Copy the database, durably, then remove the oldest copies.

        Raises:
            StoreFullError: no room; earlier copies stay.
            StoreFailedError: the disk failed.
        """
        self.folder.mkdir(mode=0o700, exist_ok=True)
        for torn in self.folder.glob(f".{_PREFIX}*"):  # a daemon died while it copied
            torn.unlink(missing_ok=True)
        stamp = datetime.fromtimestamp(self.world.now(), UTC).strftime(_STAMP)
        path = self.folder / f"{_PREFIX}{stamp}{_SUFFIX}"
        _copy_whole(database, path)
        for old in self.all()[: -max(self.keep, 1)]:
            old.unlink(missing_ok=True)
        return path


def _copy_whole(source: Path, target: Path) -> None:
    """Write a whole, self-contained copy of a database that may be in use.

    One step over all pages reads one snapshot, so writers neither wait nor restart the copy
    (https://sqlite.org/backup.html).

    Raises:
        StoreFullError: no room; nothing is left behind.
        StoreFailedError: the disk failed; nothing is left behind.
    """
    partial = target.with_name(f".{target.name}.new")
    try:
        _copy(source, partial)
        os.rename(partial, target)
        sync_folder(target.parent)
    except (sqlite3.Error, OSError) as error:
        partial.unlink(missing_ok=True)
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL:
            raise StoreFullError(f"no room left for {target}", where=str(target)) from error
        raise StoreFailedError(f"cannot write {target}: {error}", where=str(target)) from error


def _copy(source: Path, partial: Path) -> None:
    os.close(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600))
    reader = sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)
    with closing(reader), closing(sqlite3.connect(partial)) as copy:
        reader.backup(copy)
        # The copy must not need -wal and -shm files beside it.
        copy.execute("PRAGMA journal_mode = DELETE")


def _made_at(path: Path) -> float | None:
    text = path.name.removeprefix(_PREFIX).removesuffix(_SUFFIX)
    try:
        return datetime.strptime(text, _STAMP).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None
