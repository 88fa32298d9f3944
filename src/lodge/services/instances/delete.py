"""``instance.delete``: end it when asked to, then remove everything it owns."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import ClassVar

from lodge.model.instance import Power
from lodge.model.record import Spec
from lodge.model.verbs import Verb, check_verb
from lodge.services.instances.errors import InstanceProtectedError
from lodge.services.instances.power import note_before, put_back_noted
from lodge.services.instances.runtime import Runtime
from lodge.services.instances.unbroken import unbroken
from lodge.services.networks.service import Networks
from lodge.services.volumes.service import Volumes
from lodge.tasks.contract import OnCrash, StepContext, StepDefinition

__all__ = ["DeleteInstance", "DeleteParams"]


class DeleteParams(Spec, frozen=True, kw_only=True):
    """Which instance; ``is_forced`` pulls its plug first. Name, id and disks as they were asked."""

    name: str
    id: str
    disks: tuple[tuple[str, str], ...] = ()
    is_forced: bool = False


class DeleteInstance:
    """Carried on after a crash: a half-deleted instance helps nobody."""

    kind: ClassVar[str] = "instance.delete"
    params_type: ClassVar[type[DeleteParams]] = DeleteParams
    on_crash: ClassVar[OnCrash] = OnCrash.RESUME
    parallel: ClassVar[int] = 8

    def __init__(self, runtime: Runtime, volumes: Volumes, networks: Networks) -> None:
        self._runtime = runtime
        self._volumes = volumes
        self._networks = networks

    def target(self, params: DeleteParams, /) -> str:
        """The instance."""
        return f"instances/{params.name}"

    def locks(self, params: DeleteParams, /) -> AbstractSet[str]:
        """The name."""
        return {f"instance:{params.name}"}

    async def check(self, params: DeleteParams, /) -> None:
        """Refuse a protected instance, and a running one unless forced."""
        record = self._runtime.registry.expect(params.name, params.id)
        if record.spec.is_protected:
            raise InstanceProtectedError(
                f"instance {params.name!r} is protected",
                where=f"instances/{params.name}",
                hint=f"lift the protection with: lodge set {params.name} protected=no",
            )
        if not params.is_forced:
            status = await self._runtime.look(record.id)
            check_verb(Verb.DELETE, params.name, status.power)

    def plan(self, params: DeleteParams, /) -> Sequence[StepDefinition]:
        """List the steps. The record goes last: until then everything can be found through it."""

        async def end(context: StepContext) -> None:
            if self._runtime.registry.by_id(params.id) is not None:
                await note_before(self._runtime, params.id, context)
                await self._runtime.want(params.id, Power.STOPPED)
                await unbroken(self._runtime.end(params.id))

        async def wish_back(context: StepContext) -> None:
            await put_back_noted(self._runtime, params.id, context)

        async def disks(_context: StepContext) -> None:
            for pool, volume in params.disks:
                await self._volumes.remove(pool, volume, owner=params.id)

        async def folders(_context: StepContext) -> None:
            self._runtime.planner.folders.remove(params.id)

        async def addresses(_context: StepContext) -> None:
            await self._networks.release(params.name)

        async def record(_context: StepContext) -> None:
            await self._runtime.registry.remove(params.name, params.id)

        return (
            StepDefinition("stop", end, wish_back, is_point_of_no_return=True),
            StepDefinition("disks", disks),
            StepDefinition("folders", folders),
            StepDefinition("addresses", addresses),
            StepDefinition("record", record),
        )
