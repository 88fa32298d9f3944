"""``pool.delete``: an empty pool goes, with its folder if Lodge made it."""

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from typing import ClassVar

from msgspec import structs

from lodge.drivers.storage.errors import PoolOfflineError
from lodge.model.record import Spec
from lodge.model.storage import Pool
from lodge.services.pools.errors import PoolInUseError
from lodge.services.pools.registry import PoolRegistry
from lodge.store.events import EventLog
from lodge.tasks.contract import OnCrash, StepContext, StepDefinition

__all__ = ["DeletePool", "DeletePoolParams"]

_NAMED_VOLUMES = 5


class DeletePoolParams(Spec, frozen=True, kw_only=True):
    """Which pool; the id as it was when asked."""

    name: str
    id: str


class DeletePool:
    """First no new volumes, then look again whether there are any, then the folder and record."""

    kind: ClassVar[str] = "pool.delete"
    params_type: ClassVar[type[DeletePoolParams]] = DeletePoolParams
    on_crash: ClassVar[OnCrash] = OnCrash.RESUME
    parallel: ClassVar[int] = 2

    def __init__(
        self,
        registry: PoolRegistry,
        events: EventLog,
        other_users: Callable[[str], Sequence[str]],
    ) -> None:
        self._registry = registry
        self._events = events
        self._other_users = other_users

    def target(self, params: DeletePoolParams, /) -> str:
        """The pool."""
        return f"pools/{params.name}"

    def locks(self, params: DeletePoolParams, /) -> AbstractSet[str]:
        """The name, and the map of who lies where."""
        return {f"pool:{params.name}", "pools:paths"}

    async def check(self, params: DeletePoolParams, /) -> None:
        """Refuse a pool that has volumes; reads only."""
        self._registry.get(params.name)
        self._refuse_used(params.name)

    def plan(self, params: DeletePoolParams, /) -> Sequence[StepDefinition]:
        """List the steps; each may run again."""
        return (
            StepDefinition("close", partial(self._close, params), partial(self._reopen, params)),
            StepDefinition("folder", partial(self._folder, params), is_point_of_no_return=True),
            StepDefinition("record", partial(self._record, params)),
        )

    def _refuse_used(self, name: str) -> None:
        volumes = self._registry.volumes(name)
        if volumes:
            names = [volume.name for volume in volumes]
            raise PoolInUseError(
                f"pool {name!r} has {len(names)} volumes: {', '.join(names[:_NAMED_VOLUMES])}",
                where=f"pools/{name}",
                volumes=names,
            )
        users = self._other_users(name)
        if users:
            raise PoolInUseError(
                f"pool {name!r} is named by {', '.join(users)}",
                where=f"pools/{name}",
                hint="change or delete those first",
            )

    async def _close(self, params: DeletePoolParams, _context: StepContext) -> None:
        """Volumes are added under a comparison with this record: after it changed, none is."""
        await self._change(params, is_leaving=True)
        self._refuse_used(params.name)

    async def _reopen(self, params: DeletePoolParams, _context: StepContext) -> None:
        await self._change(params, is_leaving=False)

    async def _change(self, params: DeletePoolParams, *, is_leaving: bool) -> None:
        is_written = False
        while not is_written:
            found = self._registry.records.entry(params.name)
            if found is None or found[0].id != params.id or found[0].is_leaving is is_leaving:
                return
            pool: Pool = structs.replace(found[0], is_leaving=is_leaving)
            is_written = await self._registry.write(
                [self._registry.records.compare(params.name, found[1])],
                [self._registry.records.put(params.name, pool)],
            )

    async def _folder(self, params: DeletePoolParams, context: StepContext) -> None:
        """A pool whose disk is gone for good must be deletable too: then only the record goes."""
        pool = self._registry.records.get(params.name)
        if pool is None or pool.id != params.id:
            return
        try:
            await self._registry.new_driver(pool).delete_pool()
        except PoolOfflineError as error:
            context.result(left_behind=pool.path, reason=error.message)

    async def _record(self, params: DeletePoolParams, context: StepContext) -> None:
        pool = self._registry.records.get(params.name)
        if pool is None or pool.id != params.id:
            return
        self._registry.forget(params.id)
        await self._registry.write(
            [],
            [
                self._registry.records.delete(params.name),
                self._events.put("pool.deleted", f"pools/{params.name}", trace=context.actor.trace),
            ],
        )
