"""What is known of a disk file after it was inspected."""

from dataclasses import dataclass

from lodge.model.image import ImageFormat

__all__ = ["DiskFacts"]


@dataclass(frozen=True, slots=True)
class DiskFacts:
    """A disk file that is safe to read: its format, the disk's size, the file's size."""

    format: ImageFormat
    virtual_bytes: int
    file_bytes: int
