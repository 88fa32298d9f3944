"""``Instances``: what the API calls. Reads are answered from memory, changes become tasks."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from msgspec import structs

from lodge.base.names import check_instance_name
from lodge.base.world import World
from lodge.drivers.instance.contract import InstanceDriver
from lodge.model.image import Image
from lodge.model.instance import Instance, InstanceKind
from lodge.model.requests import (
    InstanceChange,
    InstanceCreate,
    InstanceView,
    Rename,
    ShutdownRequest,
)
from lodge.model.task import Actor, Task
from lodge.model.verbs import Verb
from lodge.services.instances.change import ChangeParams, RenameParams, apply_change
from lodge.services.instances.create import CreateParams
from lodge.services.instances.delete import DeleteParams
from lodge.services.instances.errors import InstanceKindUnsupportedError
from lodge.services.instances.graceful import GracefulParams
from lodge.services.instances.guest import GuestAccess
from lodge.services.instances.power import PowerParams
from lodge.services.instances.registry import InstanceRegistry
from lodge.services.instances.resolve import (
    HostSize,
    check_against_host,
    checked,
    resolve_spec,
    root_disk_bytes,
    unused_mac,
)
from lodge.services.instances.runtime import Runtime
from lodge.services.profiles.merge import merge_profiles
from lodge.services.profiles.service import Profiles
from lodge.services.seeds.check import check_cloud_init
from lodge.store.contract import Store
from lodge.system.identity import FIRST_GUEST_UID, LAST_GUEST_UID
from lodge.tasks.contract import Tasks

__all__ = ["InstanceParts", "Instances"]

_ID_BYTES = 6
_UIDS = LAST_GUEST_UID - FIRST_GUEST_UID + 1


@dataclass(frozen=True, slots=True)
class InstanceParts:
    """What the service is made of; put together by the daemon."""

    runtime: Runtime
    profiles: Profiles
    tasks: Tasks
    store: Store
    host: HostSize


class Instances(GuestAccess):
    """Instances by name."""

    def __init__(self, parts: InstanceParts) -> None:
        super().__init__(parts.runtime)
        self._runtime = parts.runtime
        self._registry: InstanceRegistry = parts.runtime.registry
        self._profiles = parts.profiles
        self._tasks = parts.tasks
        self._store = parts.store
        self._host = parts.host
        self._world: World = parts.runtime.world

    def list(self) -> list[InstanceView]:
        """All instances by name; an unchanged one is the same object as last time."""
        return self._registry.views(self._tasks.active)

    def get(self, name: str) -> InstanceView:
        """Return one instance.

        Raises:
            InstanceNotFoundError: there is none of this name.
        """
        return self._view(self._registry.get(name))

    def _view(self, record: Instance) -> InstanceView:
        return self._registry.view(record, self._tasks.active(f"instances/{record.name}"))

    async def create(
        self, request: InstanceCreate, actor: Actor, *, dry_run: bool = False
    ) -> Task | None:
        """Resolve the request, refuse what is plainly wrong, and start the task (unless dry).

        Raises:
            InvalidError, NotFoundError, ConflictError, LimitError: nothing was changed.
        """
        params = await self._resolve(request)
        if dry_run:
            await self._tasks.dry_run("instance.create", params, actor)
            return None
        return await self._tasks.submit("instance.create", params, actor)

    async def _resolve(self, request: InstanceCreate) -> CreateParams:
        name = check_instance_name(request.name)
        driver = self._driver_for(request.kind)
        resolved = merge_profiles(request, self._profiles.specs())
        image = self._image(request)
        warnings = check_cloud_init(resolved.cloud_init)
        instance_id = self._world.random_bytes(_ID_BYTES).hex()
        spec = resolve_spec(
            request,
            resolved,
            image,
            root_volume=f"{instance_id}-root",
            new_mac=self._new_mac,
        )
        spec = checked(spec)
        check_against_host(spec, self._host)
        return CreateParams(
            id=instance_id,
            name=name,
            spec=spec,
            driver=driver.name,
            machine_version=await driver.machine_version(spec),
            uid=await self._new_uid(),
            root_bytes=root_disk_bytes(resolved.disk_bytes, image),
            image=image.fingerprint if image else None,
            image_name=request.image or "",
            starts=request.starts,
            warnings=warnings,
        )

    def _image(self, request: InstanceCreate) -> Image | None:
        return self._runtime.planner.images.get(request.image) if request.image else None

    def _driver_for(self, kind: InstanceKind) -> InstanceDriver:
        for driver in self._runtime.planner.drivers.values():
            if kind in driver.traits.kinds:
                return driver
        raise InstanceKindUnsupportedError(
            f"no driver on this host runs instances of kind {kind.value!r}", where="kind"
        )

    def _new_mac(self) -> str:
        taken = {nic.mac for record in self._registry.all() for nic in record.spec.nics}
        return unused_mac(lambda: self._world.random_bytes(3), taken)

    async def _new_uid(self) -> int:
        """Take the next uid that no instance has; the counter grows, so none is reused soon."""
        taken = {record.uid for record in self._registry.all()}
        while True:
            uid = FIRST_GUEST_UID + await self._store.token("guest-uid") % _UIDS
            if uid not in taken:
                return uid

    async def change(
        self, name: str, change: InstanceChange, actor: Actor, *, revision: int | None = None
    ) -> Task:
        """Change fields of the spec.

        Raises:
            InstanceNotFoundError, ChangedMeanwhileError, NothingToChangeError, MemoryTooLargeError.
        """
        record = self._registry.get(name)
        self._registry.check_revision(name, revision)
        check_against_host(apply_change(record.spec, change), self._host)
        fields = {
            key: value
            for key, value in structs.asdict(change).items()
            if value is not msgspec.UNSET
        }
        params = ChangeParams(
            name=name, id=record.id, changes=msgspec.to_builtins(fields), revision=revision
        )
        return await self._tasks.submit("instance.change", params, actor)

    async def rename(
        self, name: str, request: Rename, actor: Actor, *, revision: int | None = None
    ) -> Task:
        """Give it another name; it may run meanwhile."""
        record = self._registry.get(name)
        new_name = check_instance_name(request.name)
        params = RenameParams(name=name, new_name=new_name, id=record.id, revision=revision)
        return await self._tasks.submit("instance.rename", params, actor)

    async def delete(self, name: str, actor: Actor, *, is_forced: bool = False) -> Task:
        """Remove it with everything it owns; a running one only when forced."""
        record = self._registry.get(name)
        disks = tuple((disk.pool, disk.volume) for disk in record.spec.disks)
        params = DeleteParams(name=name, id=record.id, disks=disks, is_forced=is_forced)
        return await self._tasks.submit("instance.delete", params, actor)

    async def start(self, name: str, actor: Actor) -> Task:
        """Run it; from its saved memory when it was suspended."""
        return await self._power(Verb.START, name, actor)

    async def stop(self, name: str, actor: Actor) -> Task:
        """Pull the plug; a suspended instance loses its saved memory."""
        return await self._power(Verb.STOP, name, actor)

    async def reset(self, name: str, actor: Actor) -> Task:
        """Press the reset button."""
        return await self._power(Verb.RESET, name, actor)

    async def pause(self, name: str, actor: Actor) -> Task:
        """Freeze its vCPUs."""
        return await self._power(Verb.PAUSE, name, actor)

    async def resume(self, name: str, actor: Actor) -> Task:
        """Let it run again, also after a suspend."""
        return await self._power(Verb.RESUME, name, actor)

    async def suspend(self, name: str, actor: Actor) -> Task:
        """Put its memory on disk and end it."""
        return await self._power(Verb.SUSPEND, name, actor)

    async def _power(self, verb: Verb, name: str, actor: Actor) -> Task:
        record = self._registry.get(name)
        params = PowerParams(name=name, id=record.id)
        return await self._tasks.submit(f"instance.{verb.value}", params, actor)

    async def shutdown(self, name: str, request: ShutdownRequest, actor: Actor) -> Task:
        """Ask the guest to end; see ``ShutdownRequest``."""
        return await self._graceful(Verb.SHUTDOWN, name, request, actor)

    async def restart(self, name: str, request: ShutdownRequest, actor: Actor) -> Task:
        """Shutdown, then start."""
        return await self._graceful(Verb.RESTART, name, request, actor)

    async def _graceful(
        self, verb: Verb, name: str, request: ShutdownRequest, actor: Actor
    ) -> Task:
        record = self._registry.get(name)
        params = GracefulParams(
            name=name, id=record.id, timeout_s=request.timeout_s, is_forced=request.is_forced
        )
        return await self._tasks.submit(f"instance.{verb.value}", params, actor)

    def using_image(self, fingerprint: str) -> Sequence[str]:
        """Names of instances made from an image, which must therefore stay."""
        return [r.name for r in self._registry.all() if r.spec.image == fingerprint]

    async def hold_for_space(self, pool: str) -> None:
        """Pause every instance that writes to a full pool."""
        await self._runtime.hold_pool(pool)

    async def release_space(self, pool: str) -> None:
        """Let instances go on that were held for lack of room in a pool."""
        await self._runtime.release_pool(pool)
