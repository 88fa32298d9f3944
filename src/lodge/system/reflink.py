"""Copies that share their blocks: clone a file, tell how much of one is shared.

Sources: ioctl_ficlone(2); Linux, Documentation/filesystems/fiemap.rst.
"""

import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from typing import Final

__all__ = ["clone_file", "copy_sparse", "shared_file_bytes"]

_FICLONE: Final = 0x40049409
_FIEMAP: Final = 0xC020660B
_NO_REFLINK: Final = (
    errno.EOPNOTSUPP,
    errno.EXDEV,
    errno.EINVAL,
    errno.ENOTTY,
    errno.ENOSYS,
    errno.EPERM,
)
_MAP = struct.Struct("=QQIIII")
_EXTENT = struct.Struct("=QQQQQIIII")
_EXTENTS_AT_ONCE: Final = 128
_LAST, _SHARED = 0x1, 0x2000
_COPY_BYTES: Final = 8 << 20


def clone_file(source: int, target: int) -> bool:
    """Make an empty open file share all blocks of another; false when the file system cannot."""
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError as error:
        if error.errno in _NO_REFLINK:
            return False
        raise
    return True


def copy_sparse(source: int, target: int) -> None:
    """Copy an open file into an empty one; holes stay holes, the kernel moves the bytes."""
    size = os.fstat(source).st_size
    os.ftruncate(target, size)
    for start, end in _data_ranges(source, size):
        offset = start
        while offset < end:
            part = min(end - offset, _COPY_BYTES)
            moved = os.copy_file_range(source, target, part, offset, offset)
            if moved == 0:  # the source became shorter meanwhile
                return
            offset += moved


def _data_ranges(handle: int, size: int) -> Iterator[tuple[int, int]]:
    offset = 0
    while offset < size:
        try:
            start = os.lseek(handle, offset, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            raise
        offset = os.lseek(handle, start, os.SEEK_HOLE)
        yield start, offset


def shared_file_bytes(handle: int) -> int:
    """Count the bytes of a file whose blocks other files own too; 0 where nobody can tell."""
    shared, offset = 0, 0
    while True:
        found = _extents(handle, offset)
        for _logical, _physical, length, flags in found:
            shared += length if flags & _SHARED else 0
        if not found or found[-1][3] & _LAST:
            return shared
        offset = found[-1][0] + found[-1][2]


def _extents(handle: int, offset: int) -> list[tuple[int, int, int, int]]:
    """Return (offset, place on disk, length, flags) of the next extents."""
    request = bytearray(_MAP.size + _EXTENT.size * _EXTENTS_AT_ONCE)
    _MAP.pack_into(request, 0, offset, 2**64 - 1 - offset, 0, 0, _EXTENTS_AT_ONCE, 0)
    try:
        fcntl.ioctl(handle, _FIEMAP, request)
    except OSError as error:
        if error.errno in (*_NO_REFLINK, errno.EBADR):
            return []
        raise
    count = _MAP.unpack_from(request)[3]
    found = []
    for index in range(count):
        fields = _EXTENT.unpack_from(request, _MAP.size + index * _EXTENT.size)
        found.append((fields[0], fields[1], fields[2], fields[5]))
    return found
