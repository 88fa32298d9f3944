"""Where a pool may lie."""

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from lodge.services.pools.errors import InvalidPoolPathError

__all__ = ["check_ground", "check_pool_path"]

_SYSTEM = tuple(
    Path(name)
    for name in (
        *("/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc"),
        *("/run", "/sbin", "/sys", "/usr"),
    )
)
"""Nothing below these is a place for data."""

_SHARED = frozenset(
    Path("/", *parts.split())
    for parts in (
        *("", "home", "media", "mnt", "opt", "root", "srv", "tmp", "var", "var backups"),
        *("var cache", "var lib", "var log", "var spool", "var tmp"),
    )
)
"""Folders that belong to many; a folder of its own below them is fine."""

_MAX_PATH_BYTES = 900
"""The path of a volume in it must fit the 1023 bytes that a qcow2 header has for it."""


def check_pool_path(text: str, *, reserved: Iterable[Path], taken: Mapping[str, Path]) -> Path:
    """Let a path pass that is written out in full and in nobody's way; pure.

    ``reserved`` are Lodge's own folders, ``taken`` those of other pools by name.

    Raises:
        InvalidPoolPathError: relative, not in plain form, in a system folder, or overlapping.
    """
    path = Path(text)
    if not path.is_absolute():
        raise _refused(f"{text!r} is not an absolute path", "begin with /, such as /srv/lodge")
    if str(path) != (text.rstrip("/") or "/") or ".." in path.parts or not text.isprintable():
        raise _refused(f"{text!r} is not written plainly", "leave out '..', '.', '//' and controls")
    if len(os.fsencode(path)) > _MAX_PATH_BYTES:
        raise _refused(f"a path of {len(os.fsencode(path))} bytes is too long", "shorten it")
    if path in _SHARED or any(path.is_relative_to(system) for system in _SYSTEM):
        raise _refused(f"{text!r} belongs to the system", "choose a folder below /srv or /var/lib")
    for folder in reserved:
        if _overlap(path, folder):
            raise _refused(f"{text!r} overlaps Lodge's own folder {folder}", "choose another place")
    for name, folder in taken.items():
        if path == folder:
            raise _refused(f"{text!r} is already the folder of pool {name!r}", "choose another")
        if _overlap(path, folder):
            raise _refused(f"{text!r} overlaps pool {name!r} at {folder}", "choose another place")
    return path


def check_ground(path: Path) -> None:
    """Look at what is there: no links, and nobody but root can move a folder on the way.

    Raises:
        InvalidPoolPathError: a link, a file, or a folder that others may change.
    """
    trusted = {0, os.geteuid()}
    for part in (*reversed(path.parents), path):
        try:
            facts = part.lstat()
        except FileNotFoundError:
            return
        except OSError as error:
            raise _refused(f"{part} cannot be looked at: {error.strerror}", "mend it") from error
        if stat.S_ISLNK(facts.st_mode):
            raise _refused(
                f"{part} is a symbolic link", f"name its target: {os.path.realpath(path)}"
            )
        if not stat.S_ISDIR(facts.st_mode):
            raise _refused(f"{part} is not a folder", "name a folder")
        is_open = facts.st_mode & 0o022 and not facts.st_mode & stat.S_ISVTX
        if facts.st_uid not in trusted or is_open:
            raise _refused(
                f"{part} can be changed by others than root",
                f"give it to root alone: chown root {part}; chmod go-w {part}",
            )


def _overlap(one: Path, other: Path) -> bool:
    return one.is_relative_to(other) or other.is_relative_to(one)


def _refused(why: str, hint: str) -> InvalidPoolPathError:
    return InvalidPoolPathError(why, where="path", hint=hint)
