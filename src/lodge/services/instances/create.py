"""``instance.create``: from a resolved spec to an instance that exists, and runs when wanted."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from typing import ClassVar

import msgspec

from lodge.model.instance import Instance, InstanceSpec, NicSpec, Power
from lodge.model.record import Spec
from lodge.model.storage import VolumeFormat
from lodge.services.instances.errors import InstanceExistsError
from lodge.services.instances.runtime import Runtime
from lodge.services.networks.service import Networks
from lodge.services.volumes.service import Volumes
from lodge.tasks.contract import OnCrash, StepContext, StepDefinition

__all__ = ["CreateInstance", "CreateParams"]


class CreateParams(Spec, frozen=True, kw_only=True):
    """What was decided before the task was journaled, so that every run of it does the same."""

    id: str
    name: str
    spec: InstanceSpec
    driver: str
    machine_version: str
    uid: int
    root_bytes: int
    image: str | None = None
    image_name: str = ""
    starts: bool = True
    warnings: tuple[str, ...] = ()


class CreateInstance:
    """Reserve the name, then the addresses, make the disk and the seed, start it."""

    kind: ClassVar[str] = "instance.create"
    params_type: ClassVar[type[CreateParams]] = CreateParams
    on_crash: ClassVar[OnCrash] = OnCrash.RESUME
    parallel: ClassVar[int] = 8

    def __init__(self, runtime: Runtime, volumes: Volumes, networks: Networks) -> None:
        self._runtime = runtime
        self._registry = runtime.registry
        self._volumes = volumes
        self._networks = networks

    def target(self, params: CreateParams, /) -> str:
        """The instance."""
        return f"instances/{params.name}"

    def locks(self, params: CreateParams, /) -> AbstractSet[str]:
        """The name; pools and networks are guarded by their own transactions."""
        return {f"instance:{params.name}"}

    async def check(self, params: CreateParams, /) -> None:
        """Refuse a name that is taken and a plan that cannot run here; reads only."""
        if self._registry.find(params.name) is not None:
            raise InstanceExistsError(
                f"instance {params.name!r} exists already", where=f"instances/{params.name}"
            )
        root = params.spec.disks[0]
        await self._volumes.check_room(root.pool, root.volume, params.root_bytes, params.image)
        for nic in params.spec.nics:
            self._networks.get(nic.network)
        record = self._record(params)
        await self._runtime.driver(record).check(self._runtime.planner.preview(record))

    def _record(self, params: CreateParams) -> Instance:
        now = self._runtime.world.now()
        return Instance(
            id=params.id,
            name=params.name,
            spec=params.spec,
            wanted=Power.STOPPED,
            driver=params.driver,
            machine_version=params.machine_version,
            uid=params.uid,
            created_at=now,
            updated_at=now,
            image_name=params.image_name,
        )

    def plan(self, params: CreateParams, /) -> Sequence[StepDefinition]:
        """List the steps; each may run again."""
        return (
            StepDefinition(
                "record", partial(self._add_record, params), partial(self._remove_record, params)
            ),
            StepDefinition(
                "addresses",
                partial(self._reserve_addresses, params),
                partial(self._release_addresses, params),
            ),
            StepDefinition(
                "disk", partial(self._make_disk, params), partial(self._remove_disk, params)
            ),
            StepDefinition(
                "seed", partial(self._write_seed, params), partial(self._remove_folders, params)
            ),
            StepDefinition("start", partial(self._start, params), partial(self._end, params)),
        )

    async def _add_record(self, params: CreateParams, _context: StepContext) -> None:
        await self._registry.add(self._record(params))
        await self._runtime.look(params.id)

    async def _reserve_addresses(self, params: CreateParams, _context: StepContext) -> None:
        reserved: list[NicSpec] = []
        for nic in params.spec.nics:
            lease = await self._networks.reserve(nic.network, params.name, nic.name, nic.mac or "")
            reserved.append(msgspec.structs.replace(nic, ipv4=lease.ipv4, ipv6=lease.ipv6))
        await self._registry.update(
            params.id,
            lambda record: msgspec.structs.replace(
                record, spec=msgspec.structs.replace(record.spec, nics=tuple(reserved))
            ),
        )

    async def _make_disk(self, params: CreateParams, _context: StepContext) -> None:
        root = params.spec.disks[0]
        await self._volumes.make(
            root.pool,
            root.volume,
            size_bytes=params.root_bytes,
            layout=VolumeFormat.QCOW2,
            image=params.image,
            owner=params.id,
        )
        await self._volumes.grant(root.pool, root.volume, uid=params.uid)

    async def _start(self, params: CreateParams, context: StepContext) -> None:
        if params.starts:
            await self._runtime.want(params.id, Power.RUNNING)
            await self._runtime.run(params.id)
        else:
            await self._runtime.look(params.id)
        context.result(name=params.name, id=params.id, warnings=list(params.warnings))

    async def _write_seed(self, params: CreateParams, _context: StepContext) -> None:
        self._runtime.planner.folders.make(params.id, params.uid)
        self._runtime.planner.write_seed(self._runtime.record(params.id))

    async def _end(self, params: CreateParams, _context: StepContext) -> None:
        if self._registry.by_id(params.id) is not None:
            await self._runtime.end(params.id)

    async def _remove_folders(self, params: CreateParams, _context: StepContext) -> None:
        self._runtime.planner.folders.remove(params.id)

    async def _remove_disk(self, params: CreateParams, _context: StepContext) -> None:
        for disk in params.spec.disks:
            await self._volumes.remove(disk.pool, disk.volume, owner=params.id)

    async def _release_addresses(self, params: CreateParams, _context: StepContext) -> None:
        await self._networks.release(params.name)

    async def _remove_record(self, params: CreateParams, _context: StepContext) -> None:
        await self._registry.remove(params.name, params.id)
