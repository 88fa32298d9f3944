"""Hyper-V's older disks (VHD, called ``vpc`` by QEMU).

Source: Microsoft, Virtual Hard Disk Image Format Specification 1.0; QEMU 7.2, block/vpc.c.
"""

import struct

from lodge.drivers.storage.formats.errors import (
    DiskFileBackingError,
    DiskFileCorruptError,
    DiskFileUnsupportedError,
)
from lodge.drivers.storage.formats.source import DiskFile

__all__ = ["COOKIE", "FOOTER_BYTES", "virtual_bytes"]

COOKIE = b"conectix"
FOOTER_BYTES = 512

_FOOTER = struct.Struct(">8sIIQI4sI4sQQHBBII")
_DYNAMIC = struct.Struct(">8sQQIII")
_FIXED, _GROWING, _DIFFERENCING = 2, 3, 4
_CHECKSUM_AT = 64
_UNALLOCATED = 0xFFFF_FFFF
_LARGEST_BYTES = 2040 << 30


def virtual_bytes(file: DiskFile) -> int:
    """Inspect the file and return the size of the disk inside.

    Raises:
        DiskFileError: it is not one whole, self-contained VHD.
    """
    offset = file.size_bytes - FOOTER_BYTES
    footer = file.read(offset, FOOTER_BYTES, "footer") if offset >= 0 else b""
    if not footer.startswith(COOKIE):
        raise file.truncated("footer", file.size_bytes + FOOTER_BYTES)
    stored = int.from_bytes(footer[_CHECKSUM_AT : _CHECKSUM_AT + 4], "big")
    if stored != _checksum(footer):
        raise _corrupt(file, "its footer's checksum is wrong")
    fields = _FOOTER.unpack_from(footer)
    table_offset, kind = fields[3], fields[13]
    # QEMU takes the larger of both for files made by others than itself, and so must the limit.
    cylinders, heads, sectors = fields[10:13]
    size: int = max(fields[9], cylinders * heads * sectors * 512)
    if not 0 < size <= _LARGEST_BYTES:
        raise _corrupt(file, f"it claims a disk of {size} bytes")
    if kind == _DIFFERENCING:
        raise DiskFileBackingError(
            f"{file.name} is a VHD that holds differences to another file", where=file.name
        )
    if kind == _GROWING:
        _check_growing(file, table_offset, size)
    elif kind != _FIXED:
        raise DiskFileUnsupportedError(f"{file.name} is VHD of kind {kind}", where=file.name)
    elif fields[9] > offset:
        raise file.truncated("data", int(fields[9]) + FOOTER_BYTES)
    return size


def _checksum(footer: bytes) -> int:
    kept = footer[:_CHECKSUM_AT] + bytes(4) + footer[_CHECKSUM_AT + 4 :]
    return ~sum(kept) & 0xFFFF_FFFF


def _corrupt(file: DiskFile, what: str) -> DiskFileCorruptError:
    return DiskFileCorruptError(f"{file.name} is damaged: {what}", where=file.name)


def _check_growing(file: DiskFile, offset: int, size: int) -> None:
    head = file.read(offset, 1024, "dynamic header")
    cookie, _next, table, _version, entries, block = _DYNAMIC.unpack_from(head)
    if cookie != b"cxsparse":
        raise _corrupt(file, "it has no dynamic header")
    is_power = block >= 512 and not block & (block - 1)
    if not is_power or entries * block < size - block or entries > (1 << 24):
        raise _corrupt(file, f"{entries} blocks of {block} bytes cannot hold {size} bytes")
    for start in file.numbers(table, entries, "block table", width=4, is_big_endian=True):
        if start != _UNALLOCATED and start * 512 >= file.size_bytes:
            raise file.truncated("data", start * 512 + block)
