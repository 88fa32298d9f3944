"""What a storage driver must do, and what it may additionally do."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

from lodge.model.storage import PoolUsage, VolumeFormat, VolumeUsage

__all__ = [
    "SECTOR_BYTES",
    "FileAccess",
    "PoolPlace",
    "PoolRoom",
    "StorageDriver",
    "StorageFactory",
    "StorageTraits",
    "VolumeCopies",
    "VolumeFiles",
]

SECTOR_BYTES = 512
"""Sizes of volumes are multiples of this."""


@dataclass(frozen=True, slots=True)
class PoolPlace:
    """Which pool a driver object is for. ``id`` tells this pool's folder from any other's."""

    name: str
    id: str
    path: Path


@dataclass(frozen=True, slots=True)
class PoolRoom:
    """Bytes of the place that a pool lies in, as its file system tells; cheap to ask."""

    total_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True)
class StorageTraits:
    """Facts the platform plans with; probed once when the pool is opened."""

    is_shared: bool  # every host sees the same data
    has_reflink: bool  # a copy of a file costs nothing
    is_thin: bool


@dataclass(frozen=True, slots=True)
class VolumeFiles:
    """Where a volume's bytes are: its own file and the image files below, nearest first.

    ``format`` is the one Lodge gave it, never one found in its content; ``chain`` is what the
    volume's header names, so a caller who knows better compares (see ``services/volumes``).
    """

    path: Path
    format: VolumeFormat
    chain: tuple[tuple[Path, str], ...] = ()


class StorageDriver(Protocol):
    """Keep volumes in one pool (one object per pool). Sizes are bytes, multiples of 512.

    Every method is idempotent and leaves nothing behind when it fails. Callers hold the pool's or
    the volume's lock. A linked clone stands on ``base``, a read-only, self-contained qcow2 file
    given by absolute path; the raw layout gets a full copy of it instead.

    Errors: ``PoolFullError``, ``PoolOfflineError``, ``VolumeNotFoundError``,
    ``VolumeExistsError``, ``VolumeTooSmallError``, ``VolumeTooLargeError``, ``VolumeBusyError``,
    ``VolumeBaseError``, ``VolumeTamperedError``.
    """

    name: ClassVar[str]

    @property
    def traits(self) -> StorageTraits:
        """Facts about this pool, once it is open."""
        ...

    async def create_pool(self) -> None:
        """Make the pool's folder and mark it as this pool's; refuse one with other content.

        Raises:
            PoolPathTakenError: other files or another pool are there.
            PoolPathUnsuitableError: the file system cannot do what the driver needs.
        """
        ...

    async def open(self) -> None:
        """Check that the folder is this pool's, remove unfinished files, probe abilities.

        Never makes the folder: where a mount is missing, an empty pool must not appear.
        """
        ...

    async def delete_pool(self) -> None:
        """Remove what ``create_pool`` made; refused while anything else is left."""
        ...

    async def create_volume(
        self, volume: str, /, *, size_bytes: int, layout: VolumeFormat, base: Path | None = None
    ) -> None:
        """Make an empty volume, or a clone of ``base``; an equal one that exists is kept."""
        ...

    async def resize_volume(self, volume: str, /, *, size_bytes: int) -> None:
        """Grow it (never shrink) while nothing runs on it."""
        ...

    async def delete_volume(self, volume: str, /) -> None:
        """Remove it; nothing happens when it is not there."""
        ...

    async def volume_files(self, volume: str, /) -> VolumeFiles:
        """Where its bytes are."""
        ...

    async def volume_usage(self, volume: str, /) -> VolumeUsage:
        """How much space it really uses."""
        ...

    async def volumes(self) -> list[str]:
        """Names of all volumes found in the pool, sorted."""
        ...

    async def usage(self) -> PoolUsage:
        """Room of the pool (``promised_bytes`` and ``health`` are filled in by the service)."""
        ...

    async def room(self) -> PoolRoom:
        """Only the room, for those who look every second."""
        ...


StorageFactory = Callable[[PoolPlace], StorageDriver]


@runtime_checkable
class FileAccess(Protocol):
    """Optional: volumes are plain files whose owner can be changed for the guest's process."""

    async def grant(self, volume: str, /, *, uid: int) -> None:
        """Give the volume's own file to that user, and to nobody else."""
        ...


@runtime_checkable
class VolumeCopies(Protocol):
    """Optional: make an independent copy of a volume inside its pool, sharing blocks if it can."""

    async def copy_volume(self, source: str, target: str, /) -> None:
        """Copy a volume that nothing runs on; an equal-sized ``target`` that exists is kept."""
        ...
