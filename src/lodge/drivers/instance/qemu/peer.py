"""Connect to a unix socket and make sure who listens there.

The sockets of an instance lie in a folder that its own process may write to. A process that was
taken over by its guest could put a link to another instance's socket there; the kernel's word for
who listens (SO_PEERCRED, unix(7)) cannot be forged.
"""

import socket
import struct
from pathlib import Path

__all__ = ["WrongPeerError", "connect_to"]

_UCRED = struct.Struct("=iII")


class WrongPeerError(OSError):
    """Another process than the expected one listens on a socket."""


def connect_to(path: Path, pid: int) -> socket.socket:
    """Return a non-blocking connected socket whose listener is the process ``pid``.

    A listener that does not accept (its queue is full) counts as not there: nothing here waits.

    Raises:
        OSError: nobody listens, or (``WrongPeerError``) somebody else does.
    """
    kind = socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    connection = socket.socket(socket.AF_UNIX, kind)
    try:
        connection.connect(str(path))
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
        peer, _uid, _gid = _UCRED.unpack(credentials)
        if peer != pid:
            raise WrongPeerError(f"{path} is served by process {peer}, not by {pid}")
    except OSError:
        connection.close()
        raise
    return connection
