"""``volume.create``, ``volume.resize`` and ``volume.delete``."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from typing import ClassVar

from lodge.drivers.storage.errors import VolumeCannotShrinkError
from lodge.model.instance import Instance
from lodge.model.record import Spec
from lodge.model.storage import VolumeFormat
from lodge.services.volumes.errors import VolumeInUseError, VolumeOwnerRunsError
from lodge.services.volumes.owners import VolumeOwners
from lodge.services.volumes.registry import VolumeRegistry
from lodge.tasks.contract import OnCrash, StepContext, StepDefinition

__all__ = [
    "CreateVolume",
    "CreateVolumeParams",
    "DeleteVolume",
    "ResizeVolume",
    "ResizeVolumeParams",
    "VolumeParams",
]


class VolumeParams(Spec, frozen=True, kw_only=True):
    """Which volume."""

    pool: str
    name: str


class CreateVolumeParams(Spec, frozen=True, kw_only=True):
    """What was decided before the task was journaled. ``image`` is a fingerprint."""

    pool: str
    name: str
    size_bytes: int
    format: VolumeFormat
    image: str | None = None


class ResizeVolumeParams(Spec, frozen=True, kw_only=True):
    """Which volume, and how large it shall be."""

    pool: str
    name: str
    size_bytes: int


def _target(params: VolumeParams | CreateVolumeParams | ResizeVolumeParams) -> str:
    return f"volumes/{params.pool}/{params.name}"


def _lock(params: VolumeParams | CreateVolumeParams | ResizeVolumeParams) -> str:
    return f"volume:{params.pool}/{params.name}"


class CreateVolume:
    """Reserve the name, make the file."""

    kind: ClassVar[str] = "volume.create"
    params_type: ClassVar[type[CreateVolumeParams]] = CreateVolumeParams
    on_crash: ClassVar[OnCrash] = OnCrash.RESUME
    parallel: ClassVar[int] = 8

    def __init__(self, registry: VolumeRegistry) -> None:
        self._registry = registry

    def target(self, params: CreateVolumeParams, /) -> str:
        """The volume."""
        return _target(params)

    def locks(self, params: CreateVolumeParams, /) -> AbstractSet[str]:
        """The volume; its pool and image are guarded by the record's own transaction."""
        return {_lock(params)}

    async def check(self, params: CreateVolumeParams, /) -> None:
        """Refuse a name that is taken and a size that does not fit; reads only."""
        await self._registry.check_room(params.pool, params.name, params.size_bytes, params.image)

    def plan(self, params: CreateVolumeParams, /) -> Sequence[StepDefinition]:
        """List the steps."""
        return (StepDefinition("make", partial(self._make, params), partial(self._undo, params)),)

    async def _make(self, params: CreateVolumeParams, context: StepContext) -> None:
        volume = await self._registry.make(
            params.pool,
            params.name,
            size_bytes=params.size_bytes,
            layout=params.format,
            image=params.image,
        )
        context.result(pool=volume.pool, name=volume.name, size_bytes=volume.size_bytes)

    async def _undo(self, params: CreateVolumeParams, _context: StepContext) -> None:
        await self._registry.remove(params.pool, params.name, owner=None)


class ResizeVolume:
    """Grow a volume while nothing runs on it; carried on, because a disk never shrinks back."""

    kind: ClassVar[str] = "volume.resize"
    params_type: ClassVar[type[ResizeVolumeParams]] = ResizeVolumeParams
    on_crash: ClassVar[OnCrash] = OnCrash.RESUME
    parallel: ClassVar[int] = 4

    def __init__(self, registry: VolumeRegistry, owners: VolumeOwners) -> None:
        self._registry = registry
        self._owners = owners

    def target(self, params: ResizeVolumeParams, /) -> str:
        """The volume."""
        return _target(params)

    def locks(self, params: ResizeVolumeParams, /) -> AbstractSet[str]:
        """The volume and its owner, which must not start meanwhile."""
        owner = self._owner(params)
        return {_lock(params)} | ({f"instance:{owner.name}"} if owner else set())

    def _owner(self, params: ResizeVolumeParams) -> Instance | None:
        volume = self._registry.find(params.pool, params.name)
        return self._owners.find(volume.owner) if volume else None

    async def check(self, params: ResizeVolumeParams, /) -> None:
        """Refuse a smaller size, one that does not fit, and an owner that is not at rest."""
        volume = self._registry.get(params.pool, params.name)
        if params.size_bytes < volume.size_bytes:
            raise VolumeCannotShrinkError(
                f"volume {params.name!r} has {volume.size_bytes} bytes,"
                f" {params.size_bytes} would be less",
                where="size_bytes",
                size_bytes=volume.size_bytes,
                wanted_bytes=params.size_bytes,
            )
        owner = self._owner(params)
        if owner is not None and not self._owners.is_at_rest(owner):
            raise VolumeOwnerRunsError(
                f"instance {owner.name!r}, which owns volume {params.name!r}, is not stopped",
                where=f"instances/{owner.name}",
            )
        await self._registry.check_size(params.pool, params.size_bytes)

    def plan(self, params: ResizeVolumeParams, /) -> Sequence[StepDefinition]:
        """List the steps."""
        return (StepDefinition("grow", partial(self._grow, params)),)

    async def _grow(self, params: ResizeVolumeParams, context: StepContext) -> None:
        volume = await self._registry.grow(params.pool, params.name, params.size_bytes)
        context.result(size_bytes=volume.size_bytes)


class DeleteVolume:
    """Remove a volume that no instance owns."""

    kind: ClassVar[str] = "volume.delete"
    params_type: ClassVar[type[VolumeParams]] = VolumeParams
    on_crash: ClassVar[OnCrash] = OnCrash.RESUME
    parallel: ClassVar[int] = 4

    def __init__(self, registry: VolumeRegistry, owners: VolumeOwners) -> None:
        self._registry = registry
        self._owners = owners

    def target(self, params: VolumeParams, /) -> str:
        """The volume."""
        return _target(params)

    def locks(self, params: VolumeParams, /) -> AbstractSet[str]:
        """The volume."""
        return {_lock(params)}

    async def check(self, params: VolumeParams, /) -> None:
        """Refuse an owned volume; reads only."""
        volume = self._registry.get(params.pool, params.name)
        if volume.owner is not None:
            owner = self._owners.find(volume.owner)
            raise VolumeInUseError(
                f"volume {params.name!r} belongs to instance"
                f" {owner.name if owner else volume.owner!r}",
                where=_target(params),
            )

    def plan(self, params: VolumeParams, /) -> Sequence[StepDefinition]:
        """List the steps."""
        return (StepDefinition("remove", partial(self._remove, params)),)

    async def _remove(self, params: VolumeParams, _context: StepContext) -> None:
        await self._registry.remove(params.pool, params.name, owner=None)
