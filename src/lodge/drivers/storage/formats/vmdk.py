"""VMware disks: single-file sparse ones only.

Source: VMware, Virtual Disk Format 5.0; QEMU 7.2, block/vmdk.c. QEMU opens whatever a descriptor
names, also from inside a sparse file (capacity 0) and from a parent hint at a fixed place.
"""

import re
import struct
from array import array

from lodge.drivers.storage.formats.errors import (
    DiskFileBackingError,
    DiskFileCorruptError,
    DiskFilePartsError,
    DiskFileUnsupportedError,
)
from lodge.drivers.storage.formats.source import DiskFile

__all__ = ["MAGIC", "MAGIC_OLD", "MAGIC_TEXT", "virtual_bytes"]

MAGIC = b"KDMV"
MAGIC_OLD = b"COWD"
MAGIC_TEXT = b"# Disk DescriptorFile"

_SECTOR = 512
_HEADER = struct.Struct("<4sIIQQQQIQQQ?")
_MARKER = struct.Struct("<QI")
_COMPRESSED = 1 << 16
_AT_END = 0xFFFF_FFFF_FFFF_FFFF
_PARENT_PLACE, _PARENT_AREA_BYTES = 0x200, 20 * _SECTOR
_MAX_GRAIN_SECTORS = 0x20_0000
_EXTENT = re.compile(rb"^\s*(?:RW|RDONLY|NOACCESS)\s+\d+\s+(\w+)\s+\"([^\"]*)\"", re.M)
_PARENT_ID = re.compile(rb"^\s*parentCID\s*=\s*([0-9a-fA-F]+)", re.M)


def virtual_bytes(file: DiskFile) -> int:
    """Inspect the file and return the size of the disk inside.

    Raises:
        DiskFileError: it is not one whole, self-contained sparse VMDK.
    """
    start = file.read(0, min(file.size_bytes, _SECTOR), "header")
    if not start.startswith(MAGIC):
        if start.startswith(MAGIC_OLD):
            raise DiskFileUnsupportedError(
                f"{file.name} is a VMDK of version 3 (ESX COW)", where=file.name
            )
        raise DiskFilePartsError(
            f"{file.name} is only the description of a VMDK whose data is in other files",
            where=file.name,
        )
    header = _HEADER.unpack(file.read(0, _HEADER.size, "header"))
    if header[3] == 0:
        raise DiskFilePartsError(
            f"{file.name} is a VMDK whose capacity is given by other files", where=file.name
        )
    _check_descriptor(file, offset=header[5] * _SECTOR, length=header[6] * _SECTOR)
    if header[9] == _AT_END:
        header = _footer(file)
    return _check_geometry(file, header)


def _check_descriptor(file: DiskFile, *, offset: int, length: int) -> None:
    area = min(_PARENT_AREA_BYTES, max(0, file.size_bytes - _PARENT_PLACE))
    text = file.read(_PARENT_PLACE, area, "description")
    if offset:
        text += b"\n" + file.read(offset, length, "description")
    if b"parentFileNameHint" in text or _has_parent(text):
        raise DiskFileBackingError(
            f"{file.name} is a VMDK that stands on another file", where=file.name
        )
    extents = {match.groups() for match in _EXTENT.finditer(text)}
    for kind, _name in extents:
        if kind != b"SPARSE":
            raise DiskFilePartsError(
                f"{file.name} is a VMDK with a part of kind {kind.decode()!r}", where=file.name
            )
    if len(extents) > 1:
        raise DiskFilePartsError(
            f"{file.name} is one of {len(extents)} files of a VMDK", where=file.name
        )


def _has_parent(text: bytes) -> bool:
    return any(int(match[1], 16) != 0xFFFF_FFFF for match in _PARENT_ID.finditer(text))


def _footer(file: DiskFile) -> tuple[int, ...]:
    """Stream-optimized files have their true header in the last but one sector."""
    offset = file.size_bytes - 2 * _SECTOR
    raw = file.read(offset, _HEADER.size, "footer") if offset > 0 else b""
    if not raw.startswith(MAGIC):
        raise file.truncated("footer", file.size_bytes + 2 * _SECTOR)
    return _HEADER.unpack(raw)


def _check_geometry(file: DiskFile, header: tuple[int, ...]) -> int:
    capacity, grain, table_entries, directory = header[3], header[4], header[7], header[9]
    is_power = grain and not grain & (grain - 1)
    if not is_power or grain > _MAX_GRAIN_SECTORS or not 0 < table_entries <= 512:
        raise DiskFileCorruptError(
            f"{file.name} is damaged: grains of {grain} sectors, {table_entries} in a table",
            where=file.name,
        )
    directory_entries = -(-capacity // (grain * table_entries))
    last = 0
    for table in _table(file, directory * _SECTOR, directory_entries, "grain directory"):
        if table:
            last = max(last, *_table(file, table * _SECTOR, table_entries, "grain table"))
    _check_last_grain(file, last * _SECTOR, is_compressed=bool(header[2] & _COMPRESSED))
    return int(capacity) * _SECTOR


def _check_last_grain(file: DiskFile, offset: int, *, is_compressed: bool) -> None:
    """A compressed grain tells its own length; of others, QEMU reads what is missing as zeros."""
    if is_compressed and offset:
        marker = file.read(offset, _MARKER.size, "data")
        file.read(offset + _MARKER.size, _MARKER.unpack(marker)[1], "data")
    elif offset >= file.size_bytes:
        raise file.truncated("data", offset + 1)


def _table(file: DiskFile, offset: int, count: int, what: str) -> "array[int]":
    return file.numbers(offset, count, what, width=4, is_big_endian=False)
