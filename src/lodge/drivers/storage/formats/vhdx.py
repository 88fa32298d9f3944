"""Hyper-V's newer disks (VHDX).

Source: Microsoft, [MS-VHDX] 2.2 to 2.6; QEMU 7.2, block/vhdx.c.
"""

import struct
from uuid import UUID

from lodge.drivers.storage.formats.errors import (
    DiskFileBackingError,
    DiskFileCorruptError,
    DiskFileUnsupportedError,
)
from lodge.drivers.storage.formats.source import DiskFile

__all__ = ["SIGNATURE", "virtual_bytes"]

SIGNATURE = b"vhdxfile"

_HEADERS_AT, _REGIONS_AT = (0x1_0000, 0x2_0000), (0x3_0000, 0x4_0000)
_HEADER = struct.Struct("<4sIQ16s16s16sHHIQ")
_TABLE = struct.Struct("<4sIII")
_REGION = struct.Struct("<16sQII")
_METADATA = struct.Struct("<8sHH")
_ITEM = struct.Struct("<16sIIII")
_MAP_REGION = UUID("2dc27766-f623-4200-9d64-115e9bfd4a08").bytes_le
_METADATA_REGION = UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e").bytes_le
_FILE_PARAMETERS = UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b").bytes_le
_DISK_SIZE = UUID("2fa54224-cd1b-4876-b211-5dbed83bf4b8").bytes_le
_SECTOR_SIZE = UUID("8141bf1d-a96f-4709-ba47-f233a8faab5f").bytes_le
_PARENT = UUID("a8d35f2d-b30b-454d-abf7-d3d84834ab0c").bytes_le
_HAS_PARENT = 2
_LARGEST_BYTES = 64 << 40
_MIB = 1 << 20
_STATES_WITH_DATA = (6, 7)


def virtual_bytes(file: DiskFile) -> int:
    """Inspect the file and return the size of the disk inside.

    Raises:
        DiskFileError: it is not one whole, self-contained VHDX without a pending log.
    """
    _check_log(file)
    regions = _regions(file)
    items = _metadata(file, *regions[_METADATA_REGION])
    block, flags = struct.unpack_from("<II", _item(file, items, _FILE_PARAMETERS, 8))
    if flags & _HAS_PARENT or _PARENT in items:
        raise DiskFileBackingError(
            f"{file.name} is a VHDX that holds differences to another file", where=file.name
        )
    size = int.from_bytes(_item(file, items, _DISK_SIZE, 8), "little")
    sector = int.from_bytes(_item(file, items, _SECTOR_SIZE, 4), "little")
    is_power = _MIB <= block <= 256 * _MIB and not block & (block - 1)
    if not is_power or sector not in (512, 4096) or not 0 < size <= _LARGEST_BYTES:
        raise _corrupt(file, f"{size} bytes in blocks of {block} and sectors of {sector}")
    _check_map(file, regions[_MAP_REGION], size=size, block=block, sector=sector)
    return size


def _corrupt(file: DiskFile, what: str) -> DiskFileCorruptError:
    return DiskFileCorruptError(f"{file.name} is damaged: {what}", where=file.name)


def _check_log(file: DiskFile) -> None:
    """Refuse a file that was not closed: its newest state is in a log that must be replayed."""
    newest: tuple[int, bytes] | None = None
    for offset in _HEADERS_AT:
        fields = _HEADER.unpack(file.read(offset, _HEADER.size, "header"))
        if fields[0] == b"head" and (newest is None or fields[2] > newest[0]):
            newest = (fields[2], fields[5])
    if newest is None:
        raise _corrupt(file, "it has no header")
    if newest[1] != bytes(16):
        raise DiskFileUnsupportedError(
            f"{file.name} was not closed: its log holds changes that are not applied yet",
            where=file.name,
            hint="open and close it once with the hypervisor it comes from",
        )


def _regions(file: DiskFile) -> dict[bytes, tuple[int, int]]:
    """Find both regions that every file has; return (offset, length) of each."""
    offset = _REGIONS_AT[0]
    signature, _checksum, count, _unused = _TABLE.unpack(file.read(offset, 16, "region table"))
    if signature != b"regi" or count > 2047:
        raise _corrupt(file, "its region table is unreadable")
    found: dict[bytes, tuple[int, int]] = {}
    data = file.read(offset + 16, count * _REGION.size, "region table")
    for kind, start, length, _required in _REGION.iter_unpack(data):
        found[kind] = (start, length)
    for needed in (_MAP_REGION, _METADATA_REGION):
        if needed not in found:
            raise _corrupt(file, "its region table is incomplete")
    return found


def _metadata(file: DiskFile, start: int, length: int) -> dict[bytes, tuple[int, int]]:
    signature, _reserved, count = _METADATA.unpack(file.read(start, _METADATA.size, "metadata"))
    if signature != b"metadata" or count > 2047:
        raise _corrupt(file, "its metadata table is unreadable")
    data = file.read(start + 32, count * _ITEM.size, "metadata")
    items: dict[bytes, tuple[int, int]] = {}
    for kind, offset, size, _flags, _more in _ITEM.iter_unpack(data):
        if offset + size > length:
            raise _corrupt(file, "its metadata reaches out of its region")
        items[kind] = (start + offset, size)
    return items


def _item(file: DiskFile, items: dict[bytes, tuple[int, int]], kind: bytes, length: int) -> bytes:
    if kind not in items:
        raise _corrupt(file, "its metadata is incomplete")
    return file.read(items[kind][0], length, "metadata")


def _check_map(
    file: DiskFile, region: tuple[int, int], *, size: int, block: int, sector: int
) -> None:
    """Every block that holds data must begin inside the file."""
    ratio = (sector << 23) // block
    blocks = -(-size // block)
    entries = blocks + (blocks - 1) // ratio
    if entries * 8 > region[1]:
        raise _corrupt(file, f"its block map has no room for {entries} entries")
    for entry in file.numbers(region[0], entries, "block map", width=8, is_big_endian=False):
        offset = (entry >> 20) * _MIB
        if entry & 7 in _STATES_WITH_DATA and offset >= file.size_bytes:
            raise file.truncated("data", offset + block)
