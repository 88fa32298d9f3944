"""Volumes as everybody else sees them; other services' tasks compose ``make`` and ``remove``."""

from lodge.base.names import check_name
from lodge.drivers.storage.contract import VolumeFiles
from lodge.model.storage import Volume, VolumeCreate, VolumeFormat, VolumeUsage
from lodge.model.task import Actor, Task
from lodge.services.volumes.errors import VolumeSizeError
from lodge.services.volumes.owners import VolumeOwners
from lodge.services.volumes.registry import VolumeRegistry, round_up
from lodge.services.volumes.tasks import (
    CreateVolume,
    CreateVolumeParams,
    DeleteVolume,
    ResizeVolume,
    ResizeVolumeParams,
    VolumeParams,
)
from lodge.tasks.contract import Tasks

__all__ = ["Volumes"]


class Volumes:
    """Volumes by pool and name."""

    def __init__(self, registry: VolumeRegistry, tasks: Tasks) -> None:
        self._registry = registry
        self._tasks = tasks
        owners = VolumeOwners(registry.pools.store)
        tasks.register(CreateVolume(registry))
        tasks.register(ResizeVolume(registry, owners))
        tasks.register(DeleteVolume(registry, owners))

    def list(self, pool: str | None = None) -> list[Volume]:
        """All volumes, or those of one pool.

        Raises:
            PoolNotFoundError: there is no such pool.
        """
        if pool is not None:
            self._registry.pools.get(pool)
        return self._registry.all(pool)

    def get(self, pool: str, name: str) -> Volume:
        """Return one volume.

        Raises:
            PoolNotFoundError, VolumeNotFoundError.
        """
        return self._registry.get(pool, name)

    async def create(self, request: VolumeCreate, actor: Actor) -> Task:
        """Begin to make a volume; without a size it is as large as its image.

        Raises:
            VolumeSizeError, and what ``check_room`` raises.
        """
        check_name(request.name, what="volume")
        image = self._registry.images.get(request.image) if request.image else None
        size_bytes = request.size_bytes or (image.virtual_bytes if image else None)
        if size_bytes is None:
            raise VolumeSizeError(
                "a volume without an image needs a size",
                where="size_bytes",
                hint="say how large it shall be, or name an image",
            )
        params = CreateVolumeParams(
            pool=request.pool,
            name=request.name,
            size_bytes=round_up(size_bytes),
            format=request.format,
            image=image.fingerprint if image else None,
        )
        return await self._tasks.submit("volume.create", params, actor)

    async def resize(self, pool: str, name: str, size_bytes: int, actor: Actor) -> Task:
        """Begin to grow a volume.

        Raises:
            VolumeNotFoundError, VolumeCannotShrinkError, VolumeTooLargeError,
            VolumeOwnerRunsError, VolumeSizeError.
        """
        if size_bytes <= 0:
            raise VolumeSizeError(f"{size_bytes} bytes are no size of a disk", where="size_bytes")
        params = ResizeVolumeParams(pool=pool, name=name, size_bytes=round_up(size_bytes))
        return await self._tasks.submit("volume.resize", params, actor)

    async def delete(self, pool: str, name: str, actor: Actor) -> Task:
        """Begin to remove a volume that no instance owns.

        Raises:
            VolumeNotFoundError, VolumeInUseError.
        """
        return await self._tasks.submit("volume.delete", VolumeParams(pool=pool, name=name), actor)

    async def usage(self, pool: str, name: str) -> VolumeUsage:
        """Say what a volume takes on disk.

        Raises:
            VolumeNotFoundError, PoolOfflineError.
            VolumeTamperedError: its header names a file whose size nobody asked for.
        """
        await self._registry.files(pool, name)
        return await (await self._registry.pools.driver(pool)).volume_usage(name)

    def using_image(self, fingerprint: str) -> tuple[Volume, ...]:
        """Volumes that stand on or came from an image, which must therefore stay."""
        return tuple(v for v in self._registry.all() if v.image == fingerprint)

    # What the tasks of other services are composed of; idempotent.

    async def check_room(
        self, pool: str, name: str, size_bytes: int, image: str | None = None
    ) -> None:
        """Refuse a volume that could not be made; see ``VolumeRegistry``."""
        await self._registry.check_room(pool, name, size_bytes, image)

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
        """Make a volume for an owner, or go on making it; see ``VolumeRegistry``."""
        return await self._registry.make(
            pool, name, size_bytes=size_bytes, layout=layout, image=image, owner=owner
        )

    async def remove(self, pool: str, name: str, *, owner: str | None) -> None:
        """Remove a volume if it is that owner's; see ``VolumeRegistry``."""
        await self._registry.remove(pool, name, owner=owner)

    async def grant(self, pool: str, name: str, *, uid: int) -> None:
        """Give a volume's file to a guest's user."""
        await self._registry.grant(pool, name, uid=uid)

    async def files(self, pool: str, name: str) -> VolumeFiles:
        """Say where a volume's bytes are; see ``VolumeRegistry``."""
        return await self._registry.files(pool, name)
