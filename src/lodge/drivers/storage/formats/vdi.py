"""VirtualBox disks.

Source: QEMU 7.2, block/vdi.c; VirtualBox, VDICore.h (header of version 1.1).
"""

import struct

from lodge.drivers.storage.formats.errors import (
    DiskFileBackingError,
    DiskFileCorruptError,
    DiskFileUnsupportedError,
)
from lodge.drivers.storage.formats.source import DiskFile

__all__ = ["SIGNATURE", "SIGNATURE_OFFSET", "virtual_bytes"]

SIGNATURE = b"\x7f\x10\xda\xbe"
SIGNATURE_OFFSET = 64

_VERSION = 0x0001_0001
_FIELDS = struct.Struct("<IIIII")
_PLACES = struct.Struct("<II")
_DISK = struct.Struct("<QIIII")
_PLACES_AT, _DISK_AT, _LINK_AT, _PARENT_AT = 340, 368, 424, 440
_DYNAMIC, _STATIC = 1, 2
_BLOCK_BYTES = 1 << 20
_MAX_BLOCKS = 1 << 24
_ZERO = 0xFFFF_FFFE
"""From here on: all zeros, and unallocated."""


def virtual_bytes(file: DiskFile) -> int:
    """Inspect the file and return the size of the disk inside.

    Raises:
        DiskFileError: it is not one whole, self-contained VDI.
    """
    head = file.read(0, 512, "header")
    _signature, version, _size, kind, _flags = _FIELDS.unpack_from(head, SIGNATURE_OFFSET)
    if version != _VERSION:
        raise DiskFileUnsupportedError(
            f"{file.name} is VDI of version {version >> 16}.{version & 0xFFFF}", where=file.name
        )
    is_child = any(head[at : at + 16] != bytes(16) for at in (_LINK_AT, _PARENT_AT))
    if is_child or kind not in (_DYNAMIC, _STATIC):
        raise DiskFileBackingError(
            f"{file.name} is a VDI that holds differences to another file", where=file.name
        )
    disk_bytes, block_bytes, extra, blocks, _used = _DISK.unpack_from(head, _DISK_AT)
    if block_bytes != _BLOCK_BYTES or extra or not 0 < blocks <= _MAX_BLOCKS:
        raise _corrupt(file, f"{blocks} blocks of {block_bytes} bytes and {extra} more")
    if disk_bytes == 0 or disk_bytes > blocks * _BLOCK_BYTES:
        raise _corrupt(file, f"{blocks} blocks cannot hold a disk of {disk_bytes} bytes")
    _check_map(file, head, blocks)
    return int(disk_bytes)


def _corrupt(file: DiskFile, what: str) -> DiskFileCorruptError:
    return DiskFileCorruptError(f"{file.name} is damaged: {what}", where=file.name)


def _check_map(file: DiskFile, head: bytes, blocks: int) -> None:
    map_offset, data_offset = _PLACES.unpack_from(head, _PLACES_AT)
    table = file.numbers(map_offset, blocks, "block map", width=4, is_big_endian=False)
    last = max((block for block in table if block < _ZERO), default=None)
    if last is not None and data_offset + last * _BLOCK_BYTES >= file.size_bytes:
        raise file.truncated("data", data_offset + (last + 1) * _BLOCK_BYTES)
