"""What a storage driver must do, and what it may additionally do."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

from lodge.model.storage import PoolUsage, VolumeFormat, VolumeUsage

__all__ = ["FileAccess", "StorageDriver", "StorageTraits", "VolumeFiles"]


@dataclass(frozen=True, slots=True)
class StorageTraits:
    """Facts the platform plans with; probed once when the pool is opened."""

    is_shared: bool  # every host sees the same data
    has_reflink: bool  # a copy of a file costs nothing
    is_thin: bool


@dataclass(frozen=True, slots=True)
class VolumeFiles:
    """Where a volume's bytes are: its own file and the image files below, nearest first."""

    path: Path
    format: VolumeFormat
    chain: tuple[tuple[Path, str], ...] = ()


class StorageDriver(Protocol):
    """Keep volumes in one pool (one object per pool). Sizes are bytes. Every method is idempotent.

    A linked clone stands on ``base``, a read-only qcow2 image file given by absolute path.
    Errors: ``PoolFullError``, ``PoolOfflineError``, ``VolumeNotFoundError``,
    ``VolumeTooSmallError``.
    """

    name: ClassVar[str]

    @property
    def traits(self) -> StorageTraits:
        """Facts about this pool."""
        ...

    async def open(self) -> None:
        """Prepare the pool's folder, probe its abilities."""
        ...

    async def create_volume(
        self, volume: str, /, *, size_bytes: int, layout: VolumeFormat, base: Path | None = None
    ) -> None:
        """Make an empty volume, or a linked clone of ``base``; an equal one that exists is kept."""
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
        """Names of all volumes found in the pool."""
        ...

    async def usage(self) -> PoolUsage:
        """Room of the pool (``promised_bytes`` and ``health`` are filled in by the service)."""
        ...

    async def delete_pool(self) -> None:
        """Remove what ``open`` made; refused while volumes are left."""
        ...


@runtime_checkable
class FileAccess(Protocol):
    """Optional: volumes are plain files whose owner can be changed for the guest's process."""

    async def grant(self, volume: str, /, *, uid: int) -> None:
        """Give the volume's own file to that user, and to nobody else."""
        ...
