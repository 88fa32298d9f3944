"""The folder of a pool: its mark, what may lie in it, what the file system can do."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from lodge.drivers.storage.contract import PoolPlace
from lodge.drivers.storage.errors import (
    PoolNotEmptyError,
    PoolOfflineError,
    PoolPathTakenError,
)
from lodge.system.files import sync_folder, write_whole
from lodge.system.reflink import clone_file

__all__ = [
    "FOLDER_MODE",
    "MARK",
    "PoolMark",
    "check_mark",
    "clear_folder",
    "has_reflink",
    "make_parents",
    "mark_folder",
    "read_mark",
    "refuse_foreign_content",
    "sweep",
]

MARK = ".lodge-pool"
UNFINISHED = ".new"
FOLDER_MODE = 0o711
"""Guests' processes reach the file they know by name; nobody but root lists the folder."""

_ALWAYS_THERE = frozenset({"lost+found"})
_PROBE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class PoolMark:
    """What the mark file says: whose folder this is, and which folders were made for it."""

    pool: str
    id: str
    made: tuple[str, ...]


def read_mark(folder: Path) -> PoolMark | None:
    """Return the mark of a folder, or null where there is no readable one."""
    try:
        fields = json.loads((folder / MARK).read_bytes())
        return PoolMark(str(fields["pool"]), str(fields["id"]), tuple(fields["made"]))
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return None


def check_mark(place: PoolPlace) -> PoolMark:
    """Return the mark when the folder is this pool's.

    Raises:
        PoolOfflineError: it is missing, unmarked, or another pool's.
    """
    mark = read_mark(place.path)
    if mark is not None and mark.id == place.id:
        return mark
    found = "is another pool's" if mark else "is not marked as a pool"
    if not place.path.is_dir():
        found = "is missing"
    raise PoolOfflineError(
        f"pool {place.name!r} is offline: its folder {place.path} {found}",
        where=f"pools/{place.name}",
        hint="mount its file system again, then the pool comes back by itself",
    )


def refuse_foreign_content(place: PoolPlace) -> None:
    """Let a missing, empty or already marked folder pass.

    Raises:
        PoolPathTakenError: other files or another pool are there.
    """
    mark = read_mark(place.path)
    if mark is not None and mark.id != place.id:
        raise PoolPathTakenError(
            f"{place.path} is already the folder of pool {mark.pool!r}", where="path"
        )
    if mark is not None or not place.path.exists():
        return
    if not place.path.is_dir():
        raise PoolPathTakenError(f"{place.path} is not a folder", where="path")
    strangers = _strangers(place.path, is_marked=False)
    if strangers:
        raise PoolPathTakenError(f"{place.path} is not empty: {_listed(strangers)}", where="path")


def make_parents(path: Path) -> list[str]:
    """Make the missing folders above ``path`` and return them, topmost first."""
    missing = []
    above = path.parent
    while not above.exists():
        missing.append(above)
        above = above.parent
    for folder in reversed(missing):
        folder.mkdir(mode=0o755)
        sync_folder(folder.parent)
    return [str(folder) for folder in reversed(missing)]


def mark_folder(place: PoolPlace, made: list[str]) -> None:
    """Write the mark; twice is the same as once."""
    os.chmod(place.path, FOLDER_MODE)
    if read_mark(place.path) is None:
        fields = {"pool": place.name, "id": place.id, "made": made}
        write_whole(place.path / MARK, json.dumps(fields).encode())


def clear_folder(place: PoolPlace) -> PoolMark | None:
    """Remove mark and unfinished files of this pool; null when the folder is not this pool's.

    Raises:
        PoolNotEmptyError: other files are left.
    """
    mark = read_mark(place.path)
    if mark is None or mark.id != place.id:
        return None
    strangers = _strangers(place.path, is_marked=True)
    if strangers:
        raise PoolNotEmptyError(
            f"the folder of pool {place.name!r} is not empty: {_listed(strangers)}",
            where=f"pools/{place.name}",
        )
    sweep(place.path)
    (place.path / MARK).unlink(missing_ok=True)
    return mark


def _strangers(folder: Path, *, is_marked: bool) -> list[str]:
    names = set(os.listdir(folder)) - _ALWAYS_THERE
    if is_marked:
        names = {name for name in names if name != MARK and not _is_unfinished(name)}
    return sorted(names)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(repr(name) for name in names[:3]) + more


def _is_unfinished(name: str) -> bool:
    return name.startswith(".") and name.endswith(UNFINISHED)


def sweep(folder: Path) -> None:
    """Remove files that a dead daemon left half made."""
    for name in os.listdir(folder):
        if _is_unfinished(name):
            os.unlink(folder / name)


def has_reflink(folder: Path) -> bool:
    """Whether copies cost nothing here: clones one block of one file into another to know."""
    names = [folder / f".probe-{part}{UNFINISHED}" for part in "ab"]
    handles: list[int] = []
    try:
        for name in names:
            handles.append(os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600))
        os.pwrite(handles[0], bytes(_PROBE_BYTES), 0)
        return clone_file(handles[0], handles[1])
    except OSError:
        return False  # a full or broken pool is told by those who need it, not by a probe
    finally:
        for handle in handles:
            os.close(handle)
        for name in names:
            name.unlink(missing_ok=True)
