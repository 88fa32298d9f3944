"""Ask whether a QEMU has a disk image open.

QEMU marks an open image with open-file-description locks on single bytes: byte 100 + N while it
holds permission N, byte 200 + N while it refuses it to others (QEMU 7.2, block/file-posix.c and
include/block/block-common.h; fcntl(2)). They vanish with the process, so they cannot go stale.
"""

import errno
import fcntl
import struct

__all__ = ["is_image_open"]

_FLOCK = struct.Struct("@hhqqi4x")
_PERMISSIONS_AT, _PERMISSION_BYTES = 100, 164
_GET_LOCK = 36
"""F_OFD_GETLK, the same on every Linux; Python's fcntl has it only where it was built with it."""


def is_image_open(handle: int) -> bool:
    """Whether some process holds QEMU's image locks on this open file."""
    asked = _FLOCK.pack(fcntl.F_WRLCK, 0, _PERMISSIONS_AT, _PERMISSION_BYTES, 0)
    try:
        answer = fcntl.fcntl(handle, _GET_LOCK, asked)
    except OSError as error:
        if error.errno in (errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL):
            return False  # a file system without locks: this is the second net, not the first
        raise
    kind: int = _FLOCK.unpack(answer)[0]
    return kind != fcntl.F_UNLCK
