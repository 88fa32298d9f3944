"""Unix sockets: one that only root may use, who is at the other end, and those of guests."""

import asyncio
import errno
import os
import pwd
import socket
import stat
import struct
from dataclasses import dataclass
from pathlib import Path

from lodge.system.errors import UntrustedFileError

__all__ = ["Peer", "connect_untrusted", "listen_private", "peer_of", "user_name"]

_CREDENTIALS = struct.Struct("3i")
_BACKLOG = 128


@dataclass(frozen=True, slots=True)
class Peer:
    """The process that connected, as the kernel saw it at that moment (unix(7), SO_PEERCRED)."""

    pid: int
    uid: int
    gid: int


def listen_private(path: Path) -> socket.socket:
    """Listen on a unix socket that only its owner may connect to; replaces a dead one.

    The mode is set on the descriptor before the name exists (unix(7): bind takes the socket's own
    mode into account), so there is no moment in which others could connect.

    Raises:
        OSError: the folder is missing, somebody listens there, or the name is no socket's.
    """
    if path.is_socket():
        if _is_alive(path):
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        os.fchmod(listener.fileno(), 0o600)
        listener.bind(str(path))
        os.chmod(path, 0o600)
        listener.listen(_BACKLOG)
        listener.setblocking(False)  # noqa: FBT003 -- the standard library's signature
    except OSError:
        listener.close()
        raise
    return listener


def _is_alive(path: Path) -> bool:
    """Whether somebody listens: the kernel refuses connections to a name left by a dead process."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except TimeoutError:
            return True
        except OSError:
            return False
    return True


def peer_of(connection: socket.socket) -> Peer:
    """Ask the kernel who is at the other end of a unix socket."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return Peer(*_CREDENTIALS.unpack(raw))


def user_name(uid: int) -> str:
    """Return a user's name, or the number when the user has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _user_of(folder: os.stat_result) -> int:
    return folder.st_gid if folder.st_uid == os.geteuid() else folder.st_uid


async def connect_untrusted(
    path: Path, *, limit_bytes: int = 1 << 16
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to a socket in a folder that a guest's process may write to, or could at its start.

    Such a process could put a symbolic link to the daemon's own socket in its place. So the name
    is opened without following links, must be a socket of the folder's user (its owner, or in the
    daemon's own folder the one whose number its group has), and the connection goes to the very
    inode that was looked at (proc(5), /proc/self/fd).

    Raises:
        UntrustedFileError: it is no socket, or somebody else's.
        OSError: nobody listens.
    """
    handle = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        facts, folder = os.fstat(handle), os.stat(path.parent)
        if not stat.S_ISSOCK(facts.st_mode) or facts.st_uid != _user_of(folder):
            raise UntrustedFileError(
                f"{path} is not the socket it should be", where=str(path), owner=facts.st_uid
            )
        return await asyncio.open_unix_connection(f"/proc/self/fd/{handle}", limit=limit_bytes)
    finally:
        os.close(handle)
