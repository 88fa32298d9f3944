"""The volumes that exist: records and files, made and removed so that neither is left alone.

The record comes first and goes last: no file is ever without one. It is written under
comparisons with the records of its pool and image, so that neither can vanish meanwhile.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import structs

from lodge.base.names import check_name
from lodge.base.units import format_size
from lodge.base.world import World
from lodge.drivers.storage.contract import SECTOR_BYTES, FileAccess, StorageDriver, VolumeFiles
from lodge.drivers.storage.errors import (
    PoolFullError,
    VolumeNotFoundError,
    VolumeTamperedError,
    VolumeTooLargeError,
    VolumeTooSmallError,
)
from lodge.model.image import Image
from lodge.model.storage import PoolHealth, Volume, VolumeFormat
from lodge.services.pools.errors import PoolNotFoundError
from lodge.services.pools.health import guarded_bytes, health_of
from lodge.services.pools.registry import PoolRegistry
from lodge.services.volumes.errors import VolumeNameTakenError, VolumeSizeError
from lodge.services.volumes.images import ImageSource, image_stays
from lodge.store.contract import Put
from lodge.store.events import EventLog
from lodge.store.records import Records

__all__ = ["VolumeRegistry", "round_up"]

_WRITE_ATTEMPTS = 20


class VolumeRegistry:
    """Volumes by pool and name; what tasks compose their steps of. All writers are idempotent."""

    def __init__(
        self, pools: PoolRegistry, images: ImageSource, events: EventLog, world: World
    ) -> None:
        self.pools = pools
        self.images = images
        self._events = events
        self._world = world
        self._store = pools.store
        self._records = Records(pools.store, "volumes/", Volume)

    def all(self, pool: str | None = None) -> list[Volume]:
        """All volumes, or those of one pool, by pool and name."""
        return [v for _, v in self._records.items() if pool is None or v.pool == pool]

    def find(self, pool: str, name: str) -> Volume | None:
        """Return one record, or null."""
        return self._records.get(f"{pool}/{name}")

    def get(self, pool: str, name: str) -> Volume:
        """Return one record.

        Raises:
            PoolNotFoundError, VolumeNotFoundError.
        """
        self.pools.get(pool)
        volume = self.find(pool, name)
        if volume is None:
            raise VolumeNotFoundError(
                f"pool {pool!r} has no volume {name!r}", where=f"volumes/{pool}/{name}"
            )
        return volume

    async def check_room(
        self, pool: str, name: str, size_bytes: int, image: str | None = None
    ) -> None:
        """Refuse what could not be made; reads only.

        Raises:
            PoolNotFoundError, PoolOfflineError, PoolFullError, InvalidNameError,
            VolumeNameTakenError, VolumeSizeError, VolumeTooSmallError, VolumeTooLargeError.
        """
        check_name(name, what="volume")
        self.pools.get(pool)
        if self.find(pool, name) is not None:
            raise _taken(pool, name)
        if size_bytes <= 0:
            raise VolumeSizeError(f"{size_bytes} bytes are no size of a disk", where="size_bytes")
        if image is not None:
            _check_image_fits(self.images.get(image), size_bytes)
        await self.check_size(pool, size_bytes)

    async def check_size(self, pool: str, size_bytes: int) -> None:
        """Refuse a volume that its pool could never hold, and any while the pool is full.

        Raises:
            PoolNotFoundError, PoolOfflineError, PoolFullError, VolumeTooLargeError.
        """
        record = self.pools.get(pool)
        room = await (await self.pools.driver(pool)).room()
        if size_bytes > room.total_bytes:
            raise VolumeTooLargeError(
                f"{format_size(size_bytes)} are more than pool {pool!r} has in all"
                f" ({format_size(room.total_bytes)})",
                where="size_bytes",
                hint="ask for less, or choose a larger pool",
                size_bytes=size_bytes,
                total_bytes=room.total_bytes,
            )
        if health_of(room, record) is PoolHealth.FULL:
            guarded = guarded_bytes(record, room.total_bytes)
            raise PoolFullError(
                f"pool {pool!r} is full: {format_size(room.free_bytes)} are free,"
                f" {format_size(guarded)} of them kept back",
                where=f"pools/{pool}",
                free_bytes=room.free_bytes,
                guard_bytes=guarded,
            )

    async def make(
        self,
        pool: str,
        name: str,
        *,
        size_bytes: int,
        layout: VolumeFormat = VolumeFormat.QCOW2,
        image: str | None = None,
        owner: str | None = None,
    ) -> Volume:
        """Make a volume, or go on making it; ``owner`` is an instance's id.

        Raises:
            VolumeNameTakenError: somebody else's volume has the name; it is untouched.
            PoolNotFoundError, PoolOfflineError, PoolFullError, VolumeTooSmallError.
        """
        wanted = Volume(
            name=name,
            pool=pool,
            size_bytes=round_up(size_bytes),
            format=layout,
            created_at=self._world.now(),
            image=self.images.get(image).fingerprint if image else None,
            owner=owner,
        )
        driver = await self.pools.driver(pool)
        await driver.room()  # an offline pool is told before anything is reserved in it
        volume = await self._reserve(wanted)
        base = self.images.file(volume.image) if volume.image else None
        await driver.create_volume(
            name, size_bytes=volume.size_bytes, layout=volume.format, base=base
        )
        return volume

    async def _reserve(self, wanted: Volume) -> Volume:
        """Write the record, unless the very same one is there from an earlier attempt."""
        key = f"{wanted.pool}/{wanted.name}"
        for _ in range(_WRITE_ATTEMPTS):
            present = self.find(wanted.pool, wanted.name)
            if present is not None:
                if structs.replace(present, created_at=wanted.created_at) == wanted:
                    return present
                raise _taken(wanted.pool, wanted.name)
            pool = self.pools.records.entry(wanted.pool)
            if pool is None or pool[0].is_leaving:
                raise PoolNotFoundError(
                    f"there is no pool {wanted.pool!r}", where=f"pools/{wanted.pool}"
                )
            compares = [
                self._records.compare(key, 0),
                self.pools.records.compare(wanted.pool, pool[1]),
                *image_stays(self._store, wanted.image),
            ]
            if wanted.image is not None:
                self.images.get(wanted.image)
            written = await self._store.txn(
                compares, [self._records.put(key, wanted), self._event("volume.created", wanted)]
            )
            if written.succeeded:
                return wanted
        raise _taken(wanted.pool, wanted.name)

    async def remove(self, pool: str, name: str, *, owner: str | None) -> None:
        """Remove a volume of that owner; nothing happens when it is gone or somebody else's.

        Raises:
            PoolOfflineError, VolumeBusyError: it is still there.
        """
        volume = self.find(pool, name)
        if volume is None or volume.owner != owner:
            return
        await (await self.pools.driver(pool)).delete_volume(name)
        await self._store.txn(
            [], [self._records.delete(f"{pool}/{name}"), self._event("volume.deleted", volume)]
        )

    async def grow(self, pool: str, name: str, size_bytes: int) -> Volume:
        """Make a volume larger while nothing runs on it; its record follows its file.

        Raises:
            VolumeNotFoundError, VolumeCannotShrinkError, VolumeBusyError, PoolFullError.
        """
        volume = self.get(pool, name)
        await self.files(pool, name)
        driver = await self.pools.driver(pool)
        await driver.resize_volume(name, size_bytes=round_up(size_bytes))
        resized: Volume = structs.replace(volume, size_bytes=round_up(size_bytes))
        if resized != volume:
            data = {"size_bytes": resized.size_bytes, "before_bytes": volume.size_bytes}
            await self._store.txn(
                [],
                [
                    self._records.put(f"{pool}/{name}", resized),
                    self._event("volume.resized", resized, data),
                ],
            )
        return resized

    async def grant(self, pool: str, name: str, *, uid: int) -> None:
        """Give the volume's file to the user its guest's process runs as."""
        driver = await self.pools.driver(pool)
        if isinstance(driver, FileAccess):
            await driver.grant(name, uid=uid)

    async def files(self, pool: str, name: str) -> VolumeFiles:
        """Say where a volume's bytes are, by its record and not by its content.

        A guest whose process was taken over can write any header into its own volume. What the
        header names is compared with the record and never used.

        Raises:
            VolumeNotFoundError, PoolOfflineError.
            VolumeTamperedError: the header names another base than Lodge wrote.
        """
        volume = self.get(pool, name)
        driver: StorageDriver = await self.pools.driver(pool)
        found = await driver.volume_files(name)
        is_linked = volume.image is not None and volume.format is VolumeFormat.QCOW2
        chain = ((self.images.file(volume.image or ""), "qcow2"),) if is_linked else ()
        if found.format is not volume.format or not _is_same_chain(found.chain, chain):
            raise VolumeTamperedError(
                f"volume {name!r} of pool {pool!r} names another base than Lodge gave it",
                where=f"volumes/{pool}/{name}",
                found=[str(path) for path, _ in found.chain],
                expected=[str(path) for path, _ in chain],
            )
        return VolumeFiles(found.path, volume.format, chain)

    def _event(self, kind: str, volume: Volume, data: Mapping[str, Any] | None = None) -> Put:
        return self._events.put(kind, f"volumes/{volume.pool}/{volume.name}", data)


def round_up(size_bytes: int) -> int:
    """Return the next size that a disk can have."""
    return -(-size_bytes // SECTOR_BYTES) * SECTOR_BYTES


def _taken(pool: str, name: str) -> VolumeNameTakenError:
    return VolumeNameTakenError(
        f"pool {pool!r} has a volume {name!r} already", where=f"volumes/{pool}/{name}"
    )


def _check_image_fits(image: Image, size_bytes: int) -> None:
    if size_bytes < image.virtual_bytes:
        raise VolumeTooSmallError(
            f"{format_size(size_bytes)} are less than the image's"
            f" {format_size(image.virtual_bytes)}",
            where="size_bytes",
            hint=f"ask for at least {format_size(image.virtual_bytes)}",
            size_bytes=size_bytes,
            image_bytes=image.virtual_bytes,
        )


def _is_same_chain(
    found: tuple[tuple[Path, str], ...], expected: tuple[tuple[Path, str], ...]
) -> bool:
    """Compare by image folder and file: the state folder may have moved since."""
    return [path.parts[-2:] for path, _ in found] == [path.parts[-2:] for path, _ in expected]
