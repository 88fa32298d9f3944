"""An instance's logs: ``serial.log`` (what the guest prints) and ``qemu.log`` (what QEMU says).

QEMU itself writes both, so they go on while no daemon runs. QEMU keeps them open for appending,
hence rotation copies and then empties the file: with O_APPEND the next write lands at the new
beginning (open(2)). Output printed in the moment between the last copy and the emptying is lost;
the loop below makes that moment as short as two system calls.
"""

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from lodge.base.units import MIB
from lodge.system.files import full_disk_told

__all__ = ["LOG_NAMES", "log_files", "log_path", "prepare_log", "rotate", "size_of", "tail"]

LOG_NAMES: Final = ("serial", "qemu")
LIMIT_BYTES: Final = 4 * MIB
KEPT_FILES: Final = 2
_CHUNK: Final = 256 * 1024
_SAFE: Final = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


def log_files(state_dir: Path) -> Mapping[str, Sequence[Path]]:
    """Name of log to the files that exist, oldest first."""
    return {name: _files(log_path(state_dir, name)) for name in LOG_NAMES}


def log_path(state_dir: Path, name: str) -> Path:
    """Where a log is written."""
    return state_dir / f"{name}.log"


def _files(newest: Path) -> list[Path]:
    older = [newest.with_name(f"{newest.name}.{age}") for age in range(KEPT_FILES, 0, -1)]
    return [path for path in (*older, newest) if not path.is_symlink() and path.is_file()]


def prepare_log(path: Path, *, uid: int) -> None:
    """Make sure that the log exists, belongs to ``uid`` and is read by nobody else.

    Made here and not by QEMU, so that QEMU needs no right to make files in the folder.
    """
    path.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | _SAFE, 0o600)
    try:
        os.fchown(handle, uid, -1)
        os.fchmod(handle, 0o600)
    finally:
        os.close(handle)


def size_of(path: Path) -> int:
    """Size in bytes; 0 when there is no such file."""
    try:
        return os.lstat(path).st_size
    except FileNotFoundError:
        return 0


def tail(path: Path, *, limit_bytes: int, since: int = 0) -> bytes:
    """Return the last bytes of a log, from offset ``since`` on; links are not followed."""
    try:
        handle = os.open(path, os.O_RDONLY | _SAFE)
    except OSError:
        return b""
    try:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode):
            return b""
        begin = since if since <= facts.st_size else 0  # it was rotated since
        return os.pread(handle, limit_bytes, max(begin, facts.st_size - limit_bytes, 0))
    finally:
        os.close(handle)


def rotate(path: Path, *, limit_bytes: int = LIMIT_BYTES) -> bool:
    """Move a log that has grown over the limit aside; return whether it did.

    Raises:
        DiskFullError: no room for the copy; the log stays as it is.
    """
    if size_of(path) <= limit_bytes:
        return False
    handle = os.open(path, os.O_RDWR | _SAFE)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return False
        _age(path)
        with full_disk_told(path):
            _copy_and_empty(handle, path.with_name(f"{path.name}.1"), 2 * limit_bytes)
    finally:
        os.close(handle)
    return True


def _age(path: Path) -> None:
    for age in range(KEPT_FILES - 1, 0, -1):
        younger = path.with_name(f"{path.name}.{age}")
        if younger.exists():
            younger.rename(path.with_name(f"{path.name}.{age + 1}"))


def _copy_and_empty(handle: int, target: Path, most_bytes: int) -> None:
    """Copy at most the last ``most_bytes``: a guest may have printed for days with no daemon."""
    target.unlink(missing_ok=True)
    copy = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _SAFE, 0o600)
    try:
        end = os.fstat(handle).st_size
        offset = begin = max(0, end - most_bytes)
        # The bound holds also for a guest that prints faster than this copies.
        while offset - begin <= 2 * most_bytes:
            chunk = os.pread(handle, _CHUNK, offset)
            if not chunk:
                break
            offset += os.write(copy, chunk)
        os.ftruncate(handle, 0)
    except OSError:
        target.unlink()
        raise
    finally:
        os.close(copy)
