"""Volumes as files: make, look at, grow. Blocking; the layout always comes from the caller."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lodge.drivers.storage.errors import (
    VolumeBaseError,
    VolumeCannotShrinkError,
    VolumeExistsError,
    VolumeTamperedError,
    VolumeTooSmallError,
)
from lodge.drivers.storage.formats.errors import DiskFileError
from lodge.drivers.storage.formats.qcow2 import Features, Qcow2Header
from lodge.drivers.storage.formats.qcow2_file import (
    can_grow_in_place,
    grow_in_place,
    read_header,
    write_new,
)
from lodge.model.storage import VolumeFormat
from lodge.system.files import sync_folder
from lodge.system.reflink import clone_file, copy_sparse

__all__ = [
    "Unfinished",
    "check_base",
    "check_same",
    "grow",
    "make_file",
    "opened",
    "own_header",
    "virtual_bytes",
    "write_copy",
    "write_empty",
]

Fill = Callable[[int], None]


class Unfinished:
    """The name a file has until it is whole."""

    @staticmethod
    def of(final: Path) -> Path:
        """Return the unfinished name beside the final one."""
        return final.with_name(f".{final.name}.new")


@contextmanager
def opened(path: Path, *, is_writable: bool = False) -> Iterator[int]:
    """Open a volume's file itself, never what a link points to."""
    mode = os.O_RDWR if is_writable else os.O_RDONLY
    handle = os.open(path, mode | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield handle
    finally:
        os.close(handle)


def make_file(final: Path, fill: Fill) -> None:
    """Make a file that is whole and durable under its name, or not there at all.

    Raises:
        FileExistsError: the name is taken; the file there is untouched.
    """
    unfinished = Unfinished.of(final)
    unfinished.unlink(missing_ok=True)
    handle = os.open(
        unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
    )
    try:
        fill(handle)
        os.fsync(handle)
        os.link(unfinished, final)  # unlike rename, never replaces
    finally:
        os.close(handle)
        unfinished.unlink(missing_ok=True)
    sync_folder(final.parent)


def check_base(base: Path, size_bytes: int) -> None:
    """Let a base pass that a clone of this size can stand on.

    Raises:
        VolumeBaseError: missing, not qcow2, or itself standing on something.
        VolumeTooSmallError: the base's disk is larger than the clone's.
    """
    try:
        with opened(base) as handle:
            header = read_header(handle, base.name)
    except (OSError, DiskFileError) as error:
        raise VolumeBaseError(f"{base} cannot be cloned: {error}", where="base") from error
    if header.backing is not None or header.incompatible & Features.DATA_FILE:
        raise VolumeBaseError(f"{base} cannot be cloned: it stands on another file", where="base")
    if header.virtual_bytes > size_bytes:
        raise VolumeTooSmallError(
            f"{size_bytes} bytes are less than the {header.virtual_bytes} bytes of the image",
            where="size_bytes",
            hint=f"ask for at least {header.virtual_bytes} bytes",
            size_bytes=size_bytes,
            base_bytes=header.virtual_bytes,
        )


def write_empty(layout: VolumeFormat, size_bytes: int, base: Path | None) -> Fill:
    """Return what fills a new file with an empty disk, or with a linked clone of ``base``."""

    def fill(handle: int) -> None:
        if layout is VolumeFormat.RAW:
            os.ftruncate(handle, size_bytes)
        else:
            write_new(handle, size_bytes=size_bytes, backing=base, backing_format="qcow2")

    return fill


def write_copy(source: int, *, has_reflink: bool, size_bytes: int | None = None) -> Fill:
    """Return what fills a new file with the bytes of an open one (and makes it that long)."""

    def fill(handle: int) -> None:
        if not (has_reflink and clone_file(source, handle)):
            copy_sparse(source, handle)
        if size_bytes is not None:
            os.ftruncate(handle, size_bytes)

    return fill


def own_header(handle: int, volume: str) -> Qcow2Header:
    """Read the header of a volume; its guest's process could write to it, so look twice.

    Raises:
        VolumeTamperedError: it is not what Lodge writes: damaged, or with an external data file.
    """
    try:
        header = read_header(handle, volume)
    except DiskFileError as error:
        raise VolumeTamperedError(
            f"the header of volume {volume!r} is unreadable: {error.message}", where=volume
        ) from error
    is_foreign = header.incompatible & Features.DATA_FILE or header.encryption
    is_probed = header.backing is not None and header.backing_format != "qcow2"
    if is_foreign or is_probed or (header.backing and not header.backing.startswith("/")):
        raise VolumeTamperedError(
            f"the header of volume {volume!r} names files that Lodge did not write into it",
            where=volume,
            backing=header.backing,
            data_file=header.data_file,
        )
    return header


def virtual_bytes(handle: int, layout: VolumeFormat, volume: str) -> int:
    """Size of the disk inside, by the layout Lodge gave the volume."""
    if layout is VolumeFormat.RAW:
        return os.fstat(handle).st_size
    return own_header(handle, volume).virtual_bytes


def check_same(
    handle: int, layout: VolumeFormat, volume: str, *, size_bytes: int, base: Path | None
) -> None:
    """Let an existing volume pass when it is what was asked for.

    Raises:
        VolumeExistsError: it has another size or base.
    """
    backing: str | None = None
    found = virtual_bytes(handle, layout, volume)
    if layout is VolumeFormat.QCOW2:
        backing = own_header(handle, volume).backing
    wanted = str(base) if base is not None and layout is VolumeFormat.QCOW2 else None
    if (found, backing) != (size_bytes, wanted):
        raise VolumeExistsError(
            f"volume {volume!r} exists already with {found} bytes on {backing or 'nothing'}",
            where="name",
            size_bytes=found,
        )


def grow(handle: int, layout: VolumeFormat, volume: str, size_bytes: int) -> bool:
    """Make the disk larger; false when only ``qemu-img`` can do it to this file.

    Raises:
        VolumeCannotShrinkError: it is larger already.
    """
    found = virtual_bytes(handle, layout, volume)
    if found > size_bytes:
        raise VolumeCannotShrinkError(
            f"volume {volume!r} has {found} bytes, {size_bytes} would be less",
            where="size_bytes",
            size_bytes=found,
            wanted_bytes=size_bytes,
        )
    if found == size_bytes:
        return True
    if layout is VolumeFormat.RAW:
        os.ftruncate(handle, size_bytes)
        os.fsync(handle)
        return True
    header = own_header(handle, volume)
    if not can_grow_in_place(header, size_bytes):
        return False
    grow_in_place(handle, header, size_bytes)
    return True
