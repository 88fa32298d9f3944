"""Reading and writing qcow2 headers without a program."""

import os
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.base.units import GIB, MIB, TIB
from lodge.drivers.storage.formats.errors import (
    DiskFileCorruptError,
    DiskFileError,
    DiskFileMismatchError,
    DiskFileUnsupportedError,
)
from lodge.drivers.storage.formats.qcow2 import l1_entries_for, parse_header, render_header
from lodge.drivers.storage.formats.qcow2_file import (
    can_grow_in_place,
    grow_in_place,
    read_header,
    write_new,
)

V2 = ">4sIQIIQIIQQIIQ"


def header_of(**changes: int) -> bytes:
    """A sound header of version 3 (64 KiB clusters, 100 MiB), with some fields changed."""
    fields = {
        "version": 3,
        "backing_offset": 0,
        "backing_length": 0,
        "cluster_bits": 16,
        "size": 100 * MIB,
        "encryption": 0,
        "l1_entries": 1,
        "l1_offset": 3 << 16,
        "refcount_offset": 1 << 16,
        "refcount_clusters": 1,
        "snapshots": 0,
        "snapshots_offset": 0,
        "incompatible": 0,
        "compatible": 0,
        "autoclear": 0,
        "order": 4,
        "length": 104,
    } | changes
    values = list(fields.values())
    head = struct.pack(V2, b"QFI\xfb", *values[:12]) + struct.pack(">QQQII", *values[12:])
    return head.ljust(65536, b"\0")


def test_a_sound_header_is_read() -> None:
    header = parse_header(header_of(), "disk.qcow2")
    assert (header.virtual_bytes, header.cluster_bytes, header.backing) == (100 * MIB, 65536, None)


@pytest.mark.parametrize("backing", [None, "/images/ab/disk.qcow2", "/ünï/ä", "/" + "x" * 1022])
@pytest.mark.parametrize("size_bytes", [512, GIB, 16 * TIB, 100 * TIB])
def test_what_is_written_is_read_back(backing: str | None, size_bytes: int) -> None:
    entries = l1_entries_for(size_bytes, cluster_bits=17, has_extended_l2=True)
    data = render_header(
        virtual_bytes=size_bytes, l1_entries=entries, backing=backing, backing_format="qcow2"
    )
    header = parse_header(data.ljust(1 << 17, b"\0"), "new")
    assert header.virtual_bytes == size_bytes
    assert header.has_extended_l2
    assert header.backing == backing
    assert header.backing_format == ("qcow2" if backing else None)


def test_a_backing_name_that_no_header_holds_is_not_cut() -> None:
    with pytest.raises(ValueError, match="1024"):
        render_header(
            virtual_bytes=512, l1_entries=1, backing="/" + "x" * 1023, backing_format="qcow2"
        )


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"cluster_bits": 8}, "cluster_bits is 8"),
        ({"cluster_bits": 22}, "cluster_bits is 22"),
        ({"cluster_bits": 13, "incompatible": 16}, "cluster_bits is 13"),
        ({"order": 7}, "refcount_order is 7"),
        ({"l1_entries": 0}, "L1 table has 0 entries, 1 are needed"),
        ({"l1_entries": 2**32 - 1}, "L1 table has 4294967295 entries"),
        ({"size": 2**63}, "L1 table has 1 entries"),
        ({"refcount_clusters": 0}, "refcount table has 0 bytes"),
        ({"refcount_clusters": 2**31}, "refcount table has"),
        ({"snapshots": 70_000}, "70000 snapshots"),
        ({"l1_offset": 12345}, "L1 table is at the unaligned offset 12345"),
        ({"refcount_offset": 1000}, "refcount table is at the unaligned"),
        ({"l1_offset": 0}, "table lies on its header"),
        ({"refcount_offset": 0}, "table lies on its header"),
        ({"length": 72}, "header length is 72"),
        ({"length": 105}, "header length is 105"),
        ({"length": 1 << 20}, "does not fit"),
        ({"backing_offset": 200, "backing_length": 5000}, "backing file name has 5000"),
        ({"backing_offset": 65530, "backing_length": 100}, "backing file name has 100"),
        ({"backing_offset": 200, "backing_length": 0}, "backing file name has 0"),
        ({"backing_offset": 2**40, "backing_length": 10}, "does not fit"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_absurd_header_is_refused(changes: dict[str, int], says: str) -> None:
    with pytest.raises(DiskFileCorruptError, match=says) as refused:
        parse_header(header_of(**changes), "disk.qcow2")
    assert refused.value.where == "disk.qcow2"
    assert refused.value.hint


@pytest.mark.parametrize(("changes", "says"), [({"version": 4}, "4"), ({"incompatible": 32}, "20")])
def test_what_is_not_known_is_not_guessed(changes: dict[str, int], says: str) -> None:
    with pytest.raises(DiskFileUnsupportedError, match=says):
        parse_header(header_of(**changes), "disk.qcow2")


def test_an_extension_that_leaves_the_cluster_is_refused() -> None:
    data = bytearray(header_of())
    struct.pack_into(">II", data, 104, 0xE2792ACA, 2**31)
    with pytest.raises(DiskFileCorruptError, match="0xe2792aca"):
        parse_header(bytes(data), "disk.qcow2")


def test_other_bytes_are_no_qcow2() -> None:
    with pytest.raises(DiskFileMismatchError):
        parse_header(b"\x7fELF" + bytes(1000), "disk")


@given(st.binary(min_size=0, max_size=600), st.integers(0, 110))
def test_any_bytes_are_read_or_refused_but_never_break_the_reader(tail: bytes, at: int) -> None:
    data = header_of()[:at] + tail
    for candidate in (tail, b"QFI\xfb\0\0\0\3" + tail, data, data.ljust(65536, b"\0")):
        try:
            header = parse_header(candidate, "x")
        except DiskFileError:
            continue
        assert 9 <= header.cluster_bits <= 21


def test_growing_clears_what_lay_behind_the_table(tmp_path: Path) -> None:
    """The end of the L1 table's cluster was never promised to be zero."""
    handle = os.open(tmp_path / "disk", os.O_CREAT | os.O_RDWR, 0o600)
    write_new(handle, size_bytes=GIB, backing=None, backing_format="qcow2")
    header = read_header(handle, "disk")
    os.pwrite(handle, b"\xff" * 64, header.l1_offset + 8)
    assert can_grow_in_place(header, 5 * GIB)
    grow_in_place(handle, header, 5 * GIB)
    grown = read_header(handle, "disk")
    assert (grown.virtual_bytes, grown.l1_entries) == (5 * GIB, 5)
    assert os.pread(handle, 40, header.l1_offset) == bytes(40)
    assert not can_grow_in_place(header, 17 * TIB)
    os.close(handle)
