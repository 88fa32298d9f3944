"""Read the end of logs that a guest's process writes, without trusting it."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from lodge.system.errors import UntrustedFileError

__all__ = ["read_tail"]


def read_tail(files: Sequence[Path], count: int) -> bytes:
    """Return the last ``count`` bytes of a log that was rotated over files, oldest first.

    The folder may belong to a guest's process: a symbolic link, a pipe or a device in place of a
    log is refused, because the daemon may read what that process may not. A file that was rotated
    away meanwhile is skipped. Blocking: call it from a thread.

    Raises:
        UntrustedFileError: a name is not a regular file.
    """
    parts: list[bytes] = []
    left = count
    for path in reversed(files):
        if left <= 0:
            break
        part = _end_of(path, left)
        parts.append(part)
        left -= len(part)
    return b"".join(reversed(parts))


def _end_of(path: Path, count: int) -> bytes:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise UntrustedFileError(
            f"{path} is not a log: {error.strerror}", where=str(path)
        ) from None
    with os.fdopen(handle, "rb") as file:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode):
            raise UntrustedFileError(f"{path} is not a regular file", where=str(path))
        file.seek(max(0, facts.st_size - count))
        return file.read(count)
