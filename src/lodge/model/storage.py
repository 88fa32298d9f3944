"""Storage pools and volumes."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from lodge.model.record import Record, Spec

__all__ = [
    "Pool",
    "PoolCreate",
    "PoolHealth",
    "PoolUsage",
    "Volume",
    "VolumeCreate",
    "VolumeFormat",
    "VolumeUsage",
]


class VolumeFormat(StrEnum):
    """How a volume's bytes are laid out in its file."""

    QCOW2 = "qcow2"
    RAW = "raw"


class PoolHealth(StrEnum):
    """How much room a pool has left, in words."""

    OK = "ok"
    LOW = "low"
    FULL = "full"
    OFFLINE = "offline"


class PoolCreate(Spec, frozen=True, kw_only=True):
    """A request for a pool; ``path`` is a folder on the host (made when missing).

    From ``warn_percent`` used it is low; with less than ``guard_bytes`` free (or a tenth of the
    pool, if that is less) it is full, and guests that write to it are held.
    """

    name: str
    driver: str = "dir"
    path: str | None = None
    description: Annotated[str, Meta(max_length=1024)] = ""
    warn_percent: Annotated[int, Meta(ge=1, le=100)] = 85
    guard_bytes: Annotated[int, Meta(ge=0)] = 1 << 28


class Pool(Record, frozen=True, kw_only=True):
    """Where volumes live. When less than ``guard_bytes`` are free, writing guests are paused.

    ``id`` also stands in the pool's folder, so that no other folder is taken for it.
    ``is_leaving``: it is being deleted and takes no new volumes.
    """

    name: str
    driver: str
    path: str
    created_at: float
    id: str = ""
    is_leaving: bool = False
    description: str = ""
    warn_percent: int = 85
    guard_bytes: int = 1 << 28


class PoolUsage(Record, frozen=True, kw_only=True):
    """Room of a pool, in bytes, as its file system tells; ``promised`` sums the virtual sizes."""

    total_bytes: int
    free_bytes: int
    allocated_bytes: int
    promised_bytes: int
    health: PoolHealth = PoolHealth.OK


class VolumeCreate(Spec, frozen=True, kw_only=True):
    """A request for an empty volume, or for a linked clone of an image."""

    name: str
    pool: str = "default"
    size_bytes: Annotated[int, Meta(ge=1)] | None = None
    format: VolumeFormat = VolumeFormat.QCOW2
    image: str | None = None


class Volume(Record, frozen=True, kw_only=True):
    """A data object in a pool. ``format`` is what Lodge wrote, never probed from guest data."""

    name: str
    pool: str
    size_bytes: int
    format: VolumeFormat
    created_at: float
    image: str | None = None
    owner: str | None = None


class VolumeUsage(Record, frozen=True, kw_only=True):
    """Truth about a volume's space in bytes.

    ``virtual`` is what the guest sees, ``allocated`` what its own file uses, ``shared`` what it
    reads from the image below without owning it.
    """

    virtual_bytes: int
    allocated_bytes: int
    shared_bytes: int
