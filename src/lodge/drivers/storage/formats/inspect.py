"""Look at a disk file from somebody else before any program opens it.

Recognising a format by its first bytes is right only here, for a file that a person hands over
and that is converted before any guest sees it. A volume's format always comes from its record:
whoever writes sector 0 of a raw disk could otherwise turn it into a qcow2 that points anywhere.
"""

from pathlib import Path

from lodge.base.units import format_size
from lodge.drivers.storage.formats import vdi, vhd, vhdx, vmdk
from lodge.drivers.storage.formats.errors import (
    DiskFileBackingError,
    DiskFileCorruptError,
    DiskFileDataFileError,
    DiskFileEncryptedError,
    DiskFileMismatchError,
    DiskFileNotSectorsError,
    DiskFileTooLargeError,
)
from lodge.drivers.storage.formats.facts import DiskFacts
from lodge.drivers.storage.formats.qcow2 import LARGEST_CLUSTER_BYTES, MAGIC, Features, parse_header
from lodge.drivers.storage.formats.qcow2_tables import check_tables
from lodge.drivers.storage.formats.source import DiskFile, open_disk_file
from lodge.model.image import ImageFormat

__all__ = ["detect_format", "inspect_untrusted"]

_HEAD_BYTES = 512
_SECTOR_BYTES = 512


def detect_format(path: Path) -> ImageFormat:
    """Recognise a format by its magic; anything unknown is raw.

    Raises:
        DiskFileEmptyError: no bytes in it, or no regular file.
    """
    with open_disk_file(path) as file:
        return _detect(file)


def inspect_untrusted(
    path: Path, claimed: ImageFormat | None, *, max_virtual_bytes: int
) -> DiskFacts:
    """Say what a disk file is, or refuse it; nothing it names is ever opened.

    ``claimed`` is what a person said; ``raw`` is always believed, because a raw disk may hold
    any first bytes; null: recognise it. Blocking: reads headers and tables, never the data.

    Raises:
        DiskFileError: the file stands on others, is encrypted, truncated, damaged, of another
            format than claimed, of a rare variant, or holds a disk above ``max_virtual_bytes``.
    """
    with open_disk_file(path) as file:
        found = _detect(file)
        if claimed not in (None, found, ImageFormat.RAW):
            raise DiskFileMismatchError(
                f"{file.name} looks like {found.value}, not {claimed.value}" if claimed else "",
                where=file.name,
                found=found.value,
            )
        image_format = claimed or found
        size = _virtual_bytes(file, image_format, max_virtual_bytes)
        if size > max_virtual_bytes:
            raise _too_large(file, size, max_virtual_bytes)
        return DiskFacts(image_format, size, file.size_bytes)


def _detect(file: DiskFile) -> ImageFormat:
    head = file.read(0, min(_HEAD_BYTES, file.size_bytes), "first sector")
    if head.startswith(MAGIC):
        return ImageFormat.QCOW2
    if head.startswith((vmdk.MAGIC, vmdk.MAGIC_OLD, vmdk.MAGIC_TEXT)):
        return ImageFormat.VMDK
    if head.startswith(vhdx.SIGNATURE):
        return ImageFormat.VHDX
    if head[vdi.SIGNATURE_OFFSET :].startswith(vdi.SIGNATURE):
        return ImageFormat.VDI
    if head.startswith(vhd.COOKIE) or _has_vhd_footer(file):
        return ImageFormat.VPC
    return ImageFormat.RAW


def _has_vhd_footer(file: DiskFile) -> bool:
    offset = file.size_bytes - vhd.FOOTER_BYTES
    return offset > 0 and file.read(offset, len(vhd.COOKIE), "footer") == vhd.COOKIE


def _virtual_bytes(file: DiskFile, image_format: ImageFormat, limit_bytes: int) -> int:
    match image_format:
        case ImageFormat.QCOW2:
            return _qcow2_bytes(file, limit_bytes)
        case ImageFormat.VMDK:
            return vmdk.virtual_bytes(file)
        case ImageFormat.VDI:
            return vdi.virtual_bytes(file)
        case ImageFormat.VPC:
            return vhd.virtual_bytes(file)
        case ImageFormat.VHDX:
            return vhdx.virtual_bytes(file)
        case ImageFormat.RAW:
            if file.size_bytes % _SECTOR_BYTES:
                raise DiskFileNotSectorsError(
                    f"{file.name} has {file.size_bytes} bytes, which is no whole number of sectors",
                    where=file.name,
                )
            return file.size_bytes


def _too_large(file: DiskFile, size: int, limit_bytes: int) -> DiskFileTooLargeError:
    return DiskFileTooLargeError(
        f"{file.name} holds a disk of {format_size(size)}, at most {format_size(limit_bytes)}"
        " are allowed",
        where=file.name,
        virtual_bytes=size,
        limit_bytes=limit_bytes,
    )


def _qcow2_bytes(file: DiskFile, limit_bytes: int) -> int:
    header = parse_header(
        file.read(0, min(file.size_bytes, LARGEST_CLUSTER_BYTES), "header"), file.name
    )
    if header.backing is not None or header.backing_format is not None:
        raise DiskFileBackingError(
            f"{file.name} stands on another file, {header.backing!r}", where=file.name
        )
    if header.data_file is not None:
        raise DiskFileDataFileError(
            f"{file.name} keeps its data in another file, {header.data_file!r}", where=file.name
        )
    if header.encryption:
        raise DiskFileEncryptedError(f"{file.name} is encrypted", where=file.name)
    if header.incompatible & Features.CORRUPT:
        raise DiskFileCorruptError(f"{file.name} is marked as corrupt", where=file.name)
    if header.virtual_bytes == 0:
        raise DiskFileCorruptError(f"{file.name} holds a disk of size 0", where=file.name)
    if header.virtual_bytes > limit_bytes:
        raise _too_large(file, header.virtual_bytes, limit_bytes)
    check_tables(file, header)
    return header.virtual_bytes
