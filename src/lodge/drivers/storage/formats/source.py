"""Bounded reading of a file that nobody trusts."""

import os
import stat
import sys
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lodge.drivers.storage.formats.errors import (
    DiskFileCorruptError,
    DiskFileEmptyError,
    DiskFileTruncatedError,
)

__all__ = ["MAX_READ_BYTES", "DiskFile", "open_disk_file"]

MAX_READ_BYTES = 64 << 20
"""No table of any format is read when it claims to be larger: memory is not the file's to take."""


@dataclass(frozen=True, slots=True)
class DiskFile:
    """An open file, its size at opening, and the name to tell people."""

    handle: int
    size_bytes: int
    name: str

    def read(self, offset: int, length: int, what: str) -> bytes:
        """Read exactly ``length`` bytes.

        Raises:
            DiskFileTruncatedError: the file ends before.
            DiskFileCorruptError: the length is absurd.
        """
        if offset < 0 or not 0 <= length <= MAX_READ_BYTES:
            raise DiskFileCorruptError(
                f"{self.name}: {what} claims {length} bytes at offset {offset}", where=self.name
            )
        if offset + length > self.size_bytes:
            raise self.truncated(what, offset + length)
        data = os.pread(self.handle, length, offset)
        if len(data) != length:
            raise self.truncated(what, offset + length)
        return data

    def numbers(
        self, offset: int, count: int, what: str, *, width: int, is_big_endian: bool
    ) -> "array[int]":
        """Read a table of unsigned numbers of ``width`` bytes (4 or 8), compactly."""
        table = array("I" if width == 4 else "Q", self.read(offset, count * width, what))
        if is_big_endian == (sys.byteorder == "little"):
            table.byteswap()
        return table

    def truncated(self, what: str, needed_bytes: int) -> DiskFileTruncatedError:
        """Make the error that says which part lies beyond the end."""
        return DiskFileTruncatedError(
            f"{self.name} has {self.size_bytes} bytes, but its {what} reaches to {needed_bytes}",
            where=self.name,
            file_bytes=self.size_bytes,
            needed_bytes=needed_bytes,
        )


@contextmanager
def open_disk_file(path: Path) -> Iterator[DiskFile]:
    """Open a regular file for reading; links, devices and pipes are refused.

    Raises:
        DiskFileEmptyError: no bytes in it, or no regular file.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise DiskFileEmptyError(
            f"{path.name} cannot be opened as a file: {error.strerror}", where=path.name
        ) from error
    try:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode):
            raise DiskFileEmptyError(f"{path.name} is not a regular file", where=path.name)
        if facts.st_size == 0:
            raise DiskFileEmptyError(f"{path.name} is empty", where=path.name)
        yield DiskFile(handle, facts.st_size, path.name)
    finally:
        os.close(handle)
