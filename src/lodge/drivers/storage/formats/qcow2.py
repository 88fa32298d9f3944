"""Headers of qcow2 files: a strict reader and a writer; pure.

Source: QEMU, docs/interop/qcow2.txt (7.2); limits of block/qcow2.h: clusters of 512 B to 2 MiB,
L1 table at most 32 MiB, refcount table at most 8 MiB, at most 65,536 internal snapshots.
"""

import struct
from dataclasses import dataclass

from lodge.drivers.storage.formats.errors import (
    DiskFileCorruptError,
    DiskFileMismatchError,
    DiskFileUnsupportedError,
)

__all__ = [
    "CLONE_CLUSTER_BITS",
    "LARGEST_CLUSTER_BYTES",
    "MAGIC",
    "Features",
    "Qcow2Header",
    "l1_entries_for",
    "parse_header",
    "render_header",
]

MAGIC = b"QFI\xfb"
CLONE_CLUSTER_BITS = 17
"""128 KiB clusters with 32 sub-clusters of 4 KiB: a first write of 4 KiB copies 4 KiB, not 64."""

LARGEST_CLUSTER_BYTES = 2 << 20

_V2 = struct.Struct(">4sIQIIQIIQQIIQ")
_V3_MORE = struct.Struct(">QQQII")
_EXTENSION = struct.Struct(">II")
_SHORTEST_V3 = _V2.size + _V3_MORE.size
_WRITTEN_HEADER_BYTES = 112

_END, _BACKING_FORMAT, _DATA_FILE = 0x00000000, 0xE2792ACA, 0x44415441
_MAX_L1_ENTRIES = (32 << 20) // 8
_MAX_REFCOUNT_TABLE_BYTES = 8 << 20
_MAX_SNAPSHOTS = 65_536
_MAX_BACKING_NAME_BYTES = 1023
_REFCOUNT_ORDER = 4


class Features:
    """Bits of ``incompatible_features``: who does not know one of them must not open the file."""

    DIRTY = 1 << 0
    CORRUPT = 1 << 1
    DATA_FILE = 1 << 2
    COMPRESSION = 1 << 3
    EXTENDED_L2 = 1 << 4
    KNOWN = DIRTY | CORRUPT | DATA_FILE | COMPRESSION | EXTENDED_L2


@dataclass(frozen=True, slots=True, kw_only=True)
class Qcow2Header:
    """What the first cluster of a qcow2 file says; offsets and sizes in bytes."""

    version: int
    cluster_bits: int
    virtual_bytes: int
    encryption: int
    l1_entries: int
    l1_offset: int
    refcount_offset: int
    refcount_clusters: int
    refcount_order: int
    snapshot_count: int
    snapshots_offset: int
    incompatible: int
    autoclear: int
    backing: str | None
    backing_format: str | None
    data_file: str | None

    @property
    def cluster_bytes(self) -> int:
        """Size of one cluster."""
        return 1 << self.cluster_bits

    @property
    def has_extended_l2(self) -> bool:
        """Whether clusters are divided into 32 sub-clusters."""
        return bool(self.incompatible & Features.EXTENDED_L2)

    @property
    def l2_entry_bytes(self) -> int:
        """Size of one entry of an L2 table."""
        return 16 if self.has_extended_l2 else 8


def l1_entries_for(virtual_bytes: int, *, cluster_bits: int, has_extended_l2: bool) -> int:
    """Count the L1 entries that a disk of this size needs."""
    covered = (1 << cluster_bits) * ((1 << cluster_bits) // (16 if has_extended_l2 else 8))
    return max(1, -(-virtual_bytes // covered))


def parse_header(data: bytes, name: str) -> Qcow2Header:
    """Read a header from the first cluster of a file (or its first 2 MiB).

    Raises:
        DiskFileMismatchError: not a qcow2 file.
        DiskFileUnsupportedError: another version, or an unknown incompatible feature.
        DiskFileCorruptError: fields out of their range or contradicting each other.
    """
    if len(data) < _V2.size or not data.startswith(MAGIC):
        raise DiskFileMismatchError(f"{name} is not a qcow2 file", where=name)
    fields = _V2.unpack_from(data)
    version, backing_offset, backing_length = fields[1:4]
    incompatible, autoclear, order, header_length = _version_fields(data, name, version)
    header = Qcow2Header(
        version=version,
        cluster_bits=fields[4],
        virtual_bytes=fields[5],
        encryption=fields[6],
        l1_entries=fields[7],
        l1_offset=fields[8],
        refcount_offset=fields[9],
        refcount_clusters=fields[10],
        refcount_order=order,
        snapshot_count=fields[11],
        snapshots_offset=fields[12],
        incompatible=incompatible,
        autoclear=autoclear,
        backing=None,
        backing_format=None,
        data_file=None,
    )
    _check_ranges(header, name)
    end = backing_offset if backing_offset else header.cluster_bytes
    if not header_length <= end <= header.cluster_bytes:
        raise _corrupt(name, f"its header of {header_length} bytes does not fit its first cluster")
    texts = _extensions(data[:end], header_length, name)
    backing = _backing_name(data[: header.cluster_bytes], backing_offset, backing_length, name)
    data_file = texts.get(_DATA_FILE, "") if incompatible & Features.DATA_FILE else None
    return _with_texts(header, backing, texts.get(_BACKING_FORMAT), data_file)


def _with_texts(
    header: Qcow2Header, backing: str | None, backing_format: str | None, data_file: str | None
) -> Qcow2Header:
    fields = {name: getattr(header, name) for name in Qcow2Header.__slots__}
    fields |= {"backing": backing, "backing_format": backing_format, "data_file": data_file}
    return Qcow2Header(**fields)


def _corrupt(name: str, what: str) -> DiskFileCorruptError:
    return DiskFileCorruptError(f"{name} is damaged: {what}", where=name)


def _version_fields(data: bytes, name: str, version: int) -> tuple[int, int, int, int]:
    """Return incompatible features, autoclear features, refcount order and header length."""
    if version == 2:
        return 0, 0, _REFCOUNT_ORDER, _V2.size
    if version != 3:
        raise DiskFileUnsupportedError(
            f"{name} is qcow2 of version {version}; 2 and 3 can be read", where=name
        )
    if len(data) < _SHORTEST_V3:
        raise _corrupt(name, "its header is incomplete")
    incompatible, _compatible, autoclear, order, length = _V3_MORE.unpack_from(data, _V2.size)
    unknown = incompatible & ~Features.KNOWN
    if unknown:
        raise DiskFileUnsupportedError(
            f"{name} needs unknown qcow2 features (bits {unknown:#x})", where=name
        )
    if length < _SHORTEST_V3 or length % 8:
        raise _corrupt(name, f"its header length is {length}")
    return incompatible, autoclear, order, length


def _check_ranges(header: Qcow2Header, name: str) -> None:
    lowest = 14 if header.has_extended_l2 else 9
    if not lowest <= header.cluster_bits <= 21:
        raise _corrupt(name, f"cluster_bits is {header.cluster_bits}, not {lowest} to 21")
    if header.refcount_order > 6:
        raise _corrupt(name, f"refcount_order is {header.refcount_order}, not 0 to 6")
    needed = l1_entries_for(
        header.virtual_bytes,
        cluster_bits=header.cluster_bits,
        has_extended_l2=header.has_extended_l2,
    )
    if header.virtual_bytes and not needed <= header.l1_entries <= _MAX_L1_ENTRIES:
        raise _corrupt(name, f"its L1 table has {header.l1_entries} entries, {needed} are needed")
    if header.l1_entries > _MAX_L1_ENTRIES:
        raise _corrupt(name, f"its L1 table has {header.l1_entries} entries")
    table_bytes = header.refcount_clusters << header.cluster_bits
    if not 0 < table_bytes <= _MAX_REFCOUNT_TABLE_BYTES:
        raise _corrupt(name, f"its refcount table has {table_bytes} bytes")
    if header.snapshot_count > _MAX_SNAPSHOTS:
        raise _corrupt(name, f"it claims {header.snapshot_count} snapshots")
    for what, offset in (
        ("L1 table", header.l1_offset),
        ("refcount table", header.refcount_offset),
        ("snapshot table", header.snapshots_offset if header.snapshot_count else 0),
    ):
        if offset % header.cluster_bytes:
            raise _corrupt(name, f"its {what} is at the unaligned offset {offset}")
    if header.refcount_offset == 0 or (header.l1_entries and header.l1_offset == 0):
        raise _corrupt(name, "a table lies on its header")


def _extensions(area: bytes, offset: int, name: str) -> dict[int, str]:
    """Read the text extensions; the rest is skipped but must be well formed."""
    texts: dict[int, str] = {}
    while offset + _EXTENSION.size <= len(area):
        kind, length = _EXTENSION.unpack_from(area, offset)
        if kind == _END:
            break
        start = offset + _EXTENSION.size
        if start + length > len(area):
            raise _corrupt(name, f"header extension {kind:#x} claims {length} bytes")
        if kind in (_BACKING_FORMAT, _DATA_FILE):
            texts[kind] = area[start : start + length].decode(errors="replace")
        offset = start + length + (-length % 8)
    return texts


def _backing_name(cluster: bytes, offset: int, length: int, name: str) -> str | None:
    if offset == 0:
        return None
    if not 0 < length <= _MAX_BACKING_NAME_BYTES or offset + length > len(cluster):
        raise _corrupt(name, f"its backing file name has {length} bytes at offset {offset}")
    return cluster[offset : offset + length].decode(errors="surrogateescape")


def render_header(
    *, virtual_bytes: int, l1_entries: int, backing: str | None, backing_format: str
) -> bytes:
    """Write the header of a new file with sub-clusters, laid out as ``layout.py`` does.

    Clusters: 0 header, 1 refcount table, 2 refcount block, 3 and on L1 table.

    Raises:
        ValueError: the backing file's name is longer than 1023 bytes.
    """
    cluster = 1 << CLONE_CLUSTER_BITS
    extensions = b""
    name = b"" if backing is None else backing.encode(errors="surrogateescape")
    if len(name) > _MAX_BACKING_NAME_BYTES:
        raise ValueError(f"backing file name of {len(name)} bytes, at most 1023 fit")
    if name:
        text = backing_format.encode()
        extensions = _EXTENSION.pack(_BACKING_FORMAT, len(text)) + text + bytes(-len(text) % 8)
    extensions += _EXTENSION.pack(_END, 0)
    name_offset = _WRITTEN_HEADER_BYTES + len(extensions) if name else 0
    head = _V2.pack(
        MAGIC,
        3,
        name_offset,
        len(name),
        CLONE_CLUSTER_BITS,
        virtual_bytes,
        0,
        l1_entries,
        3 * cluster,
        cluster,
        1,
        0,
        0,
    )
    more = _V3_MORE.pack(Features.EXTENDED_L2, 0, 0, _REFCOUNT_ORDER, _WRITTEN_HEADER_BYTES)
    padding = bytes(_WRITTEN_HEADER_BYTES - len(head) - len(more))
    return head + more + padding + extensions + name
