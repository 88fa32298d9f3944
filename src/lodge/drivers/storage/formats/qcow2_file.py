"""Write and grow the qcow2 files that Lodge makes itself: no process, microseconds.

Layout of a new file: header, refcount table, one refcount block, L1 table; a cluster of 128 KiB
each, nearly all of it a hole. The L1 table's first cluster maps 16 TiB, so that growing a disk
up to there changes two numbers in the header and moves nothing.
"""

import os
import struct
from pathlib import Path

from lodge.base.units import TIB
from lodge.drivers.storage.formats.qcow2 import (
    CLONE_CLUSTER_BITS,
    LARGEST_CLUSTER_BYTES,
    Qcow2Header,
    l1_entries_for,
    parse_header,
    render_header,
)

__all__ = ["MAX_QCOW2_BYTES", "can_grow_in_place", "grow_in_place", "read_header", "write_new"]

MAX_QCOW2_BYTES = 1024 * TIB
"""64 clusters of L1 table; far beyond any file system's largest file."""

_CLUSTER = 1 << CLONE_CLUSTER_BITS
_SIZE_FIELD, _L1_ENTRIES_FIELD = 24, 36
_BITMAPS_PRESENT = 1


def write_new(handle: int, *, size_bytes: int, backing: Path | None, backing_format: str) -> None:
    """Fill an empty file with an empty disk, or with a linked clone of ``backing``.

    The caller makes the file durable. ``size_bytes`` is a multiple of 512.
    """
    entries = l1_entries_for(size_bytes, cluster_bits=CLONE_CLUSTER_BITS, has_extended_l2=True)
    used = 3 + -(-entries * 8 // _CLUSTER)
    header = render_header(
        virtual_bytes=size_bytes,
        l1_entries=entries,
        backing=None if backing is None else str(backing),
        backing_format=backing_format,
    )
    os.pwrite(handle, header, 0)
    os.pwrite(handle, struct.pack(">Q", 2 * _CLUSTER), _CLUSTER)
    os.pwrite(handle, struct.pack(f">{used}H", *[1] * used), 2 * _CLUSTER)
    os.ftruncate(handle, used * _CLUSTER)


def read_header(handle: int, name: str) -> Qcow2Header:
    """Read the header of an open file, strictly.

    Raises:
        DiskFileError: not a sound qcow2 header.
    """
    first = os.pread(handle, 4096, 0)
    head_bits = int.from_bytes(first[20:24], "big") if len(first) >= 24 else 0
    if head_bits > 12:
        first = os.pread(handle, min(1 << min(head_bits, 21), LARGEST_CLUSTER_BYTES), 0)
    return parse_header(first, name)


def can_grow_in_place(header: Qcow2Header, size_bytes: int) -> bool:
    """Whether the L1 table has room in its last cluster and nothing else depends on the size.

    Internal snapshots and bitmaps record the size too: those are left to ``qemu-img``.
    """
    wanted = l1_entries_for(
        size_bytes, cluster_bits=header.cluster_bits, has_extended_l2=header.has_extended_l2
    )
    reserved = -(-header.l1_entries * 8 // header.cluster_bytes) * header.cluster_bytes // 8
    is_plain = header.snapshot_count == 0 and not header.autoclear & _BITMAPS_PRESENT
    return is_plain and 0 < wanted <= reserved


def grow_in_place(handle: int, header: Qcow2Header, size_bytes: int) -> None:
    """Make the disk larger by two header fields; a crash leaves the old size or the new one.

    The new L1 entries are cleared and made durable first: the end of the table's last cluster
    was never promised to be zero. Both fields lie in one sector, so they change together.
    """
    wanted = l1_entries_for(
        size_bytes, cluster_bits=header.cluster_bits, has_extended_l2=header.has_extended_l2
    )
    more, end = wanted - header.l1_entries, header.l1_offset + 8 * header.l1_entries
    if more > 0 and any(os.pread(handle, 8 * more, end)):  # a hole is zero and stays one
        os.pwrite(handle, bytes(8 * more), end)
        os.fsync(handle)
    first = bytearray(os.pread(handle, 512, 0))
    struct.pack_into(">Q", first, _SIZE_FIELD, size_bytes)
    struct.pack_into(">I", first, _L1_ENTRIES_FIELD, max(wanted, header.l1_entries))
    os.pwrite(handle, first, 0)
    os.fsync(handle)
