"""``pool.create``: from a folder's name to a pool that takes volumes."""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from pathlib import Path
from typing import ClassVar

from lodge.model.record import Spec
from lodge.model.storage import Pool
from lodge.services.pools.errors import PoolExistsError
from lodge.services.pools.paths import check_ground, check_pool_path
from lodge.services.pools.registry import PoolRegistry
from lodge.store.events import EventLog
from lodge.tasks.contract import OnCrash, StepContext, StepDefinition

__all__ = ["CreatePool", "CreatePoolParams"]


class CreatePoolParams(Spec, frozen=True, kw_only=True):
    """What was decided before the task was journaled. ``is_own_place``: below Lodge's pools."""

    id: str
    name: str
    driver: str
    path: str
    is_own_place: bool
    description: str = ""
    warn_percent: int = 85
    guard_bytes: int = 1 << 28


class CreatePool:
    """Make and mark the folder, then the record."""

    kind: ClassVar[str] = "pool.create"
    params_type: ClassVar[type[CreatePoolParams]] = CreatePoolParams
    on_crash: ClassVar[OnCrash] = OnCrash.RESUME
    parallel: ClassVar[int] = 2

    def __init__(self, registry: PoolRegistry, events: EventLog, reserved: Iterable[Path]) -> None:
        self._registry = registry
        self._events = events
        self._reserved = tuple(reserved)

    def target(self, params: CreatePoolParams, /) -> str:
        """The pool."""
        return f"pools/{params.name}"

    def locks(self, params: CreatePoolParams, /) -> AbstractSet[str]:
        """The name, and the map of who lies where: two new pools must not overlap."""
        return {f"pool:{params.name}", "pools:paths"}

    async def check(self, params: CreatePoolParams, /) -> None:
        """Refuse a name or place that is taken, an unknown driver, a bad path; reads only."""
        if self._registry.records.get(params.name) is not None:
            raise PoolExistsError(
                f"pool {params.name!r} exists already", where=f"pools/{params.name}"
            )
        taken = {pool.name: Path(pool.path) for pool in self._registry.all()}
        reserved = () if params.is_own_place else self._reserved
        check_ground(check_pool_path(params.path, reserved=reserved, taken=taken))
        self._registry.new_driver(_record(params, 0.0))

    def plan(self, params: CreatePoolParams, /) -> Sequence[StepDefinition]:
        """List the steps; each may run again."""
        return (
            StepDefinition(
                "folder", partial(self._make, params), partial(self._remove_folder, params)
            ),
            StepDefinition(
                "record", partial(self._add, params), partial(self._remove_record, params)
            ),
        )

    async def _make(self, params: CreatePoolParams, _context: StepContext) -> None:
        await self._registry.new_driver(_record(params, 0.0)).create_pool()

    async def _remove_folder(self, params: CreatePoolParams, _context: StepContext) -> None:
        await self._registry.new_driver(_record(params, 0.0)).delete_pool()

    async def _add(self, params: CreatePoolParams, context: StepContext) -> None:
        records = self._registry.records
        present = records.get(params.name)
        if present is None or present.id != params.id:
            pool = _record(params, context.world.now())
            is_written = await self._registry.write(
                [records.compare(params.name, 0)],
                [
                    records.put(params.name, pool),
                    self._events.put(
                        "pool.created",
                        f"pools/{params.name}",
                        {"path": params.path},
                        context.actor.trace,
                    ),
                ],
            )
            if not is_written:
                raise PoolExistsError(f"pool {params.name!r} exists already", where="name")
        context.result(name=params.name, path=params.path)

    async def _remove_record(self, params: CreatePoolParams, _context: StepContext) -> None:
        found = self._registry.records.entry(params.name)
        if found is not None and found[0].id == params.id:
            self._registry.forget(params.id)
            await self._registry.write([], [self._registry.records.delete(params.name)])


def _record(params: CreatePoolParams, now: float) -> Pool:
    return Pool(
        name=params.name,
        id=params.id,
        driver=params.driver,
        path=params.path,
        created_at=now,
        description=params.description,
        warn_percent=params.warn_percent,
        guard_bytes=params.guard_bytes,
    )
