"""Pools as everybody else sees them: list, get, create, delete, usage."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec import structs

from lodge.base.names import check_name
from lodge.base.world import World
from lodge.drivers.storage.contract import PoolRoom
from lodge.drivers.storage.errors import PoolOfflineError
from lodge.model.storage import Pool, PoolCreate, PoolHealth, PoolUsage
from lodge.model.task import Actor, Task
from lodge.services.pools.create import CreatePool, CreatePoolParams
from lodge.services.pools.delete import DeletePool, DeletePoolParams
from lodge.services.pools.health import health_of
from lodge.services.pools.registry import PoolRegistry
from lodge.store.events import EventLog
from lodge.tasks.contract import Tasks

__all__ = ["PoolFolders", "Pools"]

_ID_BYTES = 8


@dataclass(frozen=True, slots=True)
class PoolFolders:
    """Where pools lie that were given no path, and which folders no other pool may overlap."""

    root: Path
    reserved: Sequence[Path]


def _nobody(_name: str) -> Sequence[str]:
    return ()


class Pools:
    """Storage pools by name.

    ``other_users`` names, for a pool's name, what refers to it beside volumes, such as
    ``profiles/default``.
    """

    def __init__(
        self,
        registry: PoolRegistry,
        tasks: Tasks,
        events: EventLog,
        world: World,
        folders: PoolFolders,
        *,
        other_users: Callable[[str], Sequence[str]] = _nobody,
    ) -> None:
        self.registry = registry
        self._tasks = tasks
        self._world = world
        self._folders = folders
        tasks.register(CreatePool(registry, events, folders.reserved))
        tasks.register(DeletePool(registry, events, other_users))

    def list(self) -> list[Pool]:
        """All pools, by name."""
        return self.registry.all()

    def get(self, name: str) -> Pool:
        """Return one pool.

        Raises:
            PoolNotFoundError: there is none of this name.
        """
        return self.registry.get(name)

    async def create(self, request: PoolCreate, actor: Actor) -> Task:
        """Begin to make a pool; its folder is made when it is missing.

        Raises:
            InvalidNameError, PoolExistsError, InvalidPoolPathError, StorageDriverUnknownError.
        """
        name = check_name(request.name, what="pool")
        path = request.path if request.path is not None else str(self._folders.root / name)
        params = CreatePoolParams(
            id=self._world.random_bytes(_ID_BYTES).hex(),
            name=name,
            driver=request.driver,
            path=path.rstrip("/") or path,
            is_own_place=request.path is None or Path(path) == self._folders.root / name,
            description=request.description,
            warn_percent=request.warn_percent,
            guard_bytes=request.guard_bytes,
        )
        return await self._tasks.submit("pool.create", params, actor)

    async def delete(self, name: str, actor: Actor) -> Task:
        """Begin to remove an empty pool.

        Raises:
            PoolNotFoundError, PoolInUseError.
        """
        pool = self.get(name)
        params = DeletePoolParams(name=name, id=pool.id)
        return await self._tasks.submit("pool.delete", params, actor)

    async def usage(self, name: str) -> PoolUsage:
        """Say how full a pool is; an offline one tells only what it has promised.

        Raises:
            PoolNotFoundError: there is none of this name.
        """
        pool = self.get(name)
        promised = sum(volume.size_bytes for volume in self.registry.volumes(name))
        try:
            usage = await (await self.registry.driver(name)).usage()
        except PoolOfflineError:
            return PoolUsage(
                total_bytes=0,
                free_bytes=0,
                allocated_bytes=0,
                promised_bytes=promised,
                health=PoolHealth.OFFLINE,
            )
        room = PoolRoom(usage.total_bytes, usage.free_bytes)
        return structs.replace(usage, promised_bytes=promised, health=health_of(room, pool))
