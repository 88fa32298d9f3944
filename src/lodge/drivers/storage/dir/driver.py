"""A pool in a folder of any file system."""

from typing import ClassVar

from lodge.drivers.storage.files.pool import FilePool

__all__ = ["DirStorage"]


class DirStorage(FilePool):
    """Volumes as files in a plain folder; reflink where the file system has it."""

    name: ClassVar[str] = "dir"
