"""One daemon per state folder: an exclusive flock on a file that holds the daemon's pid."""

import fcntl
import os
from pathlib import Path

from lodge.store.errors import StateFolderInUseError

__all__ = ["FolderLock"]

_NAME = "lodge.lock"


class FolderLock:
    """Held until ``release`` or the death of the process (flock(2)); children do not inherit it.

    Raises:
        StateFolderInUseError: somebody holds it; the message names the pid.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / _NAME
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._handle, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._handle)
            raise StateFolderInUseError(
                f"state folder {folder} is in use by the daemon with pid {holder}",
                where=str(folder),
                pid=int(holder) if holder.isdigit() else None,
            ) from None
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Give it back; the file stays, because removing it would race with the next daemon."""
        os.close(self._handle)
