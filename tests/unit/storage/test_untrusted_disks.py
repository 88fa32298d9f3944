"""Disk files from strangers: each trick has its own refusal."""

import os
import struct
from pathlib import Path

import pytest

from lodge.base.units import GIB, KIB, MIB, TIB
from lodge.drivers.storage.formats.errors import (
    DiskFileBackingError,
    DiskFileCorruptError,
    DiskFileDataFileError,
    DiskFileEmptyError,
    DiskFileEncryptedError,
    DiskFileError,
    DiskFileMismatchError,
    DiskFileNotSectorsError,
    DiskFilePartsError,
    DiskFileTooLargeError,
    DiskFileTruncatedError,
    DiskFileUnsupportedError,
)
from lodge.drivers.storage.formats.inspect import detect_format, inspect_untrusted
from lodge.drivers.storage.formats.qcow2_file import write_new
from lodge.model.image import ImageFormat

CLUSTER = 128 * KIB


def new_qcow2(path: Path, size_bytes: int = GIB, backing: Path | None = None) -> Path:
    handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_TRUNC, 0o600)
    write_new(handle, size_bytes=size_bytes, backing=backing, backing_format="qcow2")
    os.close(handle)
    return path


def patched(path: Path, *patches: tuple[int, bytes]) -> Path:
    with path.open("r+b") as file:
        for offset, data in patches:
            file.seek(offset)
            file.write(data)
    return path


def inspect(path: Path, claimed: ImageFormat | None = None, limit: int = TIB) -> int:
    return inspect_untrusted(path, claimed, max_virtual_bytes=limit).virtual_bytes


def test_a_sound_qcow2_passes(tmp_path: Path) -> None:
    facts = inspect_untrusted(new_qcow2(tmp_path / "a"), None, max_virtual_bytes=TIB)
    assert (facts.format, facts.virtual_bytes) == (ImageFormat.QCOW2, GIB)


@pytest.mark.parametrize("target", ["/etc/shadow", "../../secret", "nbd://10.0.0.1/x", "json:{}"])
def test_a_backing_file_is_refused_whatever_it_is(tmp_path: Path, target: str) -> None:
    path = new_qcow2(tmp_path / "a", backing=Path(target))
    with pytest.raises(DiskFileBackingError):
        inspect(path)


def test_a_data_file_is_refused_with_and_without_a_name(tmp_path: Path) -> None:
    feature = (72, struct.pack(">Q", 16 | 4))
    extension = struct.pack(">II", 0x44415441, 16) + b"/etc/shadow\0\0\0\0\0" + bytes(8)
    for patches in ([feature], [feature, (112, extension)]):
        path = patched(new_qcow2(tmp_path / "a"), *patches)
        with pytest.raises(DiskFileDataFileError):
            inspect(path)


def test_an_encrypted_one_is_refused(tmp_path: Path) -> None:
    for method in (1, 2):
        with pytest.raises(DiskFileEncryptedError):
            inspect(patched(new_qcow2(tmp_path / "a"), (32, struct.pack(">I", method))))


def test_a_huge_disk_is_refused_with_both_sizes(tmp_path: Path) -> None:
    path = new_qcow2(tmp_path / "a", 2 * TIB)
    with pytest.raises(DiskFileTooLargeError, match=r"2 TiB.*1 TiB") as refused:
        inspect(path, limit=TIB)
    assert refused.value.details == {"virtual_bytes": 2 * TIB, "limit_bytes": TIB}


def test_one_marked_corrupt_or_of_size_zero_is_refused(tmp_path: Path) -> None:
    for patch in ((72, struct.pack(">Q", 16 | 2)), (24, bytes(8))):
        with pytest.raises(DiskFileCorruptError):
            inspect(patched(new_qcow2(tmp_path / "a"), patch))


@pytest.mark.parametrize(
    ("patches", "error", "says"),
    [
        ([(3 * CLUSTER, struct.pack(">Q", 99 * CLUSTER))], DiskFileTruncatedError, "L2 table"),
        ([(3 * CLUSTER, struct.pack(">Q", 4 * CLUSTER + 512))], DiskFileCorruptError, "unaligned"),
        (
            [
                (3 * CLUSTER, struct.pack(">Q", 4 * CLUSTER)),
                (4 * CLUSTER, struct.pack(">QQ", (1 << 63) | (77 * CLUSTER), 1)),
                (5 * CLUSTER - 1, b"\0"),
            ],
            DiskFileTruncatedError,
            "data",
        ),
        (
            [
                (3 * CLUSTER, struct.pack(">Q", 4 * CLUSTER)),
                (4 * CLUSTER, struct.pack(">QQ", (1 << 63) | 1024, 1)),
                (5 * CLUSTER - 1, b"\0"),
            ],
            DiskFileCorruptError,
            "unaligned",
        ),
        ([(CLUSTER, struct.pack(">Q", 99 * CLUSTER))], DiskFileTruncatedError, "refcount block"),
    ],
)
def test_tables_that_point_nowhere_are_refused(
    tmp_path: Path, patches: list[tuple[int, bytes]], error: type[DiskFileError], says: str
) -> None:
    with pytest.raises(error, match=says):
        inspect(patched(new_qcow2(tmp_path / "a"), *patches))


def test_two_parts_of_a_disk_must_not_share_a_table(tmp_path: Path) -> None:
    path = new_qcow2(tmp_path / "a", 3 * GIB)
    shared = struct.pack(">Q", 4 * CLUSTER)
    with pytest.raises(DiskFileCorruptError, match="share the L2 table"):
        inspect(patched(path, (3 * CLUSTER, shared + shared), (5 * CLUSTER - 1, b"\0")))


def test_a_disk_in_clusters_far_too_small_for_it_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb"
    head = struct.pack(
        ">4sIQIIQIIQQIIQ", b"QFI\xfb", 2, 0, 0, 9, 100 * GIB, 0, 3276800, 512, 512, 1, 0, 0
    )
    path.write_bytes(head.ljust(512, b"\0") + bytes(512))
    with pytest.raises(DiskFileCorruptError, match="clusters of 512"):
        inspect(path)


@pytest.mark.parametrize("kept", [1, 4, 71, 100, 4096, CLUSTER, 3 * CLUSTER])
def test_a_cut_qcow2_is_refused(tmp_path: Path, kept: int) -> None:
    path = new_qcow2(tmp_path / "a")
    os.truncate(path, kept)
    with pytest.raises(DiskFileError):
        inspect(path, ImageFormat.QCOW2)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "link").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe")
    for name in ("empty", "link", "pipe", "missing", "."):
        with pytest.raises(DiskFileEmptyError):
            inspect(tmp_path / name)


def test_a_raw_disk_that_was_said_to_be_raw_stays_raw(tmp_path: Path) -> None:
    """Its first bytes are a guest's: a forged header must not make anything of it."""
    path = new_qcow2(tmp_path / "a", backing=Path("/etc/shadow"))
    os.truncate(path, 10 * MIB)
    facts = inspect_untrusted(path, ImageFormat.RAW, max_virtual_bytes=TIB)
    assert (facts.format, facts.virtual_bytes) == (ImageFormat.RAW, 10 * MIB)


def test_anything_unknown_is_raw(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 1024)
    assert detect_format(tmp_path / "a") is ImageFormat.RAW
    assert inspect(tmp_path / "a") == 1024


@pytest.mark.parametrize("size", [7, 511, 1000])
@pytest.mark.parametrize("claimed", [None, ImageFormat.RAW])
def test_what_is_not_made_of_whole_sectors_is_no_raw_disk(
    tmp_path: Path, size: int, claimed: ImageFormat | None
) -> None:
    (tmp_path / "a").write_bytes(b"x" * size)
    with pytest.raises(DiskFileNotSectorsError, match=f"{size} bytes"):
        inspect_untrusted(tmp_path / "a", claimed, max_virtual_bytes=TIB)


def test_a_wrong_claim_names_what_was_found(tmp_path: Path) -> None:
    with pytest.raises(DiskFileMismatchError, match="looks like qcow2, not vmdk"):
        inspect(new_qcow2(tmp_path / "a"), ImageFormat.VMDK)
    (tmp_path / "raw").write_bytes(bytes(4096))
    with pytest.raises(DiskFileMismatchError, match="looks like raw, not qcow2"):
        inspect(tmp_path / "raw", ImageFormat.QCOW2)


def vmdk(path: Path, text: str, *, capacity: int = 2048, directory: int = 64) -> Path:
    head = struct.pack(
        "<4sIIQQQQIQQQB", b"KDMV", 1, 3, capacity, 128, 1, 20, 512, 0, directory, 0, 0
    )
    body = head.ljust(512, b"\0") + text.encode().ljust(20 * 512, b"\0")
    path.write_bytes(body.ljust(128 * 512, b"\0"))
    return path


SPARSE = '# Disk DescriptorFile\nparentCID=ffffffff\nRW 2048 SPARSE "a.vmdk"\n'


def test_a_vmdk_of_one_sparse_file_passes(tmp_path: Path) -> None:
    assert inspect(vmdk(tmp_path / "a", SPARSE)) == MIB


@pytest.mark.parametrize(
    ("text", "options", "error"),
    [
        (SPARSE + 'parentFileNameHint="/etc/shadow"\n', {}, DiskFileBackingError),
        (SPARSE.replace("ffffffff", "0badcafe"), {}, DiskFileBackingError),
        (SPARSE.replace("SPARSE", "FLAT").replace("a.vmdk", "/etc/shadow"), {}, DiskFilePartsError),
        (SPARSE + 'RW 2048 SPARSE "b.vmdk"\n', {}, DiskFilePartsError),
        (SPARSE, {"capacity": 0}, DiskFilePartsError),
        (SPARSE, {"directory": 5000}, DiskFileTruncatedError),
        (SPARSE, {"capacity": 1 << 60}, DiskFileCorruptError),
    ],
)
def test_a_vmdk_that_reaches_out_is_refused(
    tmp_path: Path, text: str, options: dict[str, int], error: type[DiskFileError]
) -> None:
    with pytest.raises(error):
        inspect(vmdk(tmp_path / "a", text, **options))


def test_a_vmdk_description_of_other_files_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text('# Disk DescriptorFile\ncreateType="monolithicFlat"\nRW 1 FLAT "/dev/sda" 0\n')
    with pytest.raises(DiskFilePartsError):
        inspect(path)
    path.write_bytes(b"COWD" + bytes(600))
    with pytest.raises(DiskFileUnsupportedError):
        inspect(path)


def vdi(path: Path, *patches: tuple[int, bytes]) -> Path:
    head = bytearray(2048 + MIB)
    struct.pack_into("<IIIII", head, 64, 0xBEDA107F, 0x10001, 400, 1, 0)
    struct.pack_into("<II", head, 340, 512, 1024)
    struct.pack_into("<QIIII", head, 368, MIB, MIB, 0, 1, 1)
    path.write_bytes(head)
    return patched(path, *patches)


def test_a_vdi_passes_unless_it_stands_on_another_or_lies(tmp_path: Path) -> None:
    path = tmp_path / "a"
    assert inspect(vdi(path)) == MIB
    for patch, error in (
        ((76, struct.pack("<I", 4)), DiskFileBackingError),
        ((440, b"parent-uuid-1234"), DiskFileBackingError),
        ((68, struct.pack("<I", 0x20000)), DiskFileUnsupportedError),
        ((368, struct.pack("<Q", 2 * MIB)), DiskFileCorruptError),
        ((384, struct.pack("<I", 2**31)), DiskFileCorruptError),
        ((512, struct.pack("<I", 9)), DiskFileTruncatedError),
        ((340, struct.pack("<I", 2**31)), DiskFileTruncatedError),
    ):
        with pytest.raises(error):
            inspect(vdi(path, patch))
