"""Tables of qcow2 files: everything they point at must exist inside the file."""

from array import array
from collections.abc import Iterator

from lodge.drivers.storage.formats.errors import DiskFileCorruptError
from lodge.drivers.storage.formats.qcow2 import Qcow2Header
from lodge.drivers.storage.formats.source import DiskFile

__all__ = ["check_tables"]

_OFFSET = 0x00FF_FFFF_FFFF_FE00
_COMPRESSED = 1 << 62
_REFCOUNT_OFFSET = 0xFFFF_FFFF_FFFF_FE00
_MAX_MAP_BYTES = 1 << 30
"""A map larger than this describes a disk of 8 TiB in clusters of 64 KiB; smaller clusters make
the same size a denial of service."""


def check_tables(file: DiskFile, header: Qcow2Header) -> None:
    """Follow L1, L2 and refcount tables; cost grows with the allocated part of the disk.

    As ``qemu-img check`` does, a last cluster that the file ends in the middle of is allowed:
    QEMU reads the rest as zeros.

    Raises:
        DiskFileTruncatedError: a table or cluster begins beyond the end of the file.
        DiskFileCorruptError: an unaligned, doubled or absurd entry.
    """
    _check_map_size(file, header)
    _check_refcounts(file, header)
    seen: set[int] = set()
    for entry in _table(file, header.l1_offset, header.l1_entries, "L1 table"):
        offset = entry & _OFFSET
        if offset == 0:
            continue
        if offset in seen:
            raise _corrupt(file, f"two parts of the disk share the L2 table at {offset}")
        seen.add(offset)
        _check_aligned(file, header, offset, "L2 table")
        _check_clusters(file, header, offset)


def _corrupt(file: DiskFile, what: str) -> DiskFileCorruptError:
    return DiskFileCorruptError(f"{file.name} is damaged: {what}", where=file.name)


def _table(file: DiskFile, offset: int, count: int, what: str) -> "array[int]":
    return file.numbers(offset, count, what, width=8, is_big_endian=True)


def _check_map_size(file: DiskFile, header: Qcow2Header) -> None:
    clusters = -(-header.virtual_bytes // header.cluster_bytes)
    if clusters * header.l2_entry_bytes > _MAX_MAP_BYTES:
        raise _corrupt(
            file, f"a disk of {header.virtual_bytes} bytes in clusters of {header.cluster_bytes}"
        )


def _check_aligned(file: DiskFile, header: Qcow2Header, offset: int, what: str) -> None:
    if offset % header.cluster_bytes:
        raise _corrupt(file, f"its {what} is at the unaligned offset {offset}")


def _check_refcounts(file: DiskFile, header: Qcow2Header) -> None:
    length = header.refcount_clusters * header.cluster_bytes
    # The table's last cluster need not be written whole: QEMU reads what is missing as zeros.
    length = min(length, max(8, file.size_bytes - header.refcount_offset))
    for entry in _table(file, header.refcount_offset, length // 8, "refcount table"):
        offset = entry & _REFCOUNT_OFFSET
        if offset:
            _check_aligned(file, header, offset, "refcount block")
            if offset >= file.size_bytes:
                raise file.truncated("refcount block", offset + header.cluster_bytes)


def _check_clusters(file: DiskFile, header: Qcow2Header, offset: int) -> None:
    table = _table(file, offset, header.cluster_bytes // 8, "L2 table")
    aligned = header.cluster_bytes - 1
    end = file.size_bytes
    for start, is_compressed in _starts(table[:: header.l2_entry_bytes // 8], header.cluster_bits):
        if start >= end:
            raise file.truncated("data", start + 1)
        if not is_compressed and start & aligned:
            raise _corrupt(file, f"its data is at the unaligned offset {start}")


def _starts(entries: "array[int]", cluster_bits: int) -> Iterator[tuple[int, bool]]:
    """Yield where each allocated cluster begins; a compressed one may begin anywhere."""
    compressed_offset = (1 << (62 - (cluster_bits - 8))) - 1
    for entry in entries:
        if entry & _COMPRESSED:
            yield entry & compressed_offset, True
        elif entry & _OFFSET:
            yield entry & _OFFSET, False
