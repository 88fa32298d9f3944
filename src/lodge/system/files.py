"""Files that are whole or absent: atomic writes, durable names, private folders."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lodge.system.errors import DiskFullError

__all__ = ["disk_room", "full_disk_told", "make_folder", "sync_folder", "write_whole"]

_FRESH = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def full_disk_told(where: Path) -> Iterator[None]:
    """Turn ENOSPC, EDQUOT and EFBIG of the block into ``DiskFullError`` naming the place."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise DiskFullError(f"no room left while writing {where}", where=str(where)) from error


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable (fsync of the directory, open(2))."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_whole(
    path: Path, data: bytes, *, mode: int = 0o600, owner: tuple[int, int] | None = None
) -> None:
    """Replace a file so that every reader, also after a crash, finds the old or the new content.

    ``owner`` is (uid, gid), -1 for "as it is". Owner and mode are set on the open file before its
    name appears, and the temporary name is never followed: a link that somebody put there would
    make root write, or give away, any file.

    Raises:
        DiskFullError: no room; the old content stays.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    with full_disk_told(path):
        temporary.unlink(missing_ok=True)  # left by a daemon that had the same pid and died
        handle = os.open(temporary, _FRESH, mode & 0o700)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(handle, view) :]
            if owner is not None:
                os.fchown(handle, *owner)
            os.fchmod(handle, mode)
            os.fsync(handle)
        except OSError:
            os.unlink(temporary)
            raise
        finally:
            os.close(handle)
        os.rename(temporary, path)
    sync_folder(path.parent)


def make_folder(path: Path, *, mode: int = 0o700, uid: int = 0, gid: int | None = None) -> None:
    """Make a folder (and its parents, 0755) with exactly this mode and owner; idempotent.

    ``gid`` null: the group has the user's number.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=mode, exist_ok=True)
    os.chmod(path, mode)
    os.chown(path, uid, uid if gid is None else gid)


def disk_room(path: Path) -> tuple[int, int]:
    """Return (total, free for everybody) bytes of the file system that holds ``path``."""
    facts = os.statvfs(path)
    return facts.f_blocks * facts.f_frsize, facts.f_bavail * facts.f_frsize
