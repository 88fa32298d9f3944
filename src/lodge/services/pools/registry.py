"""The pools that exist: their records, and an open driver for each."""

import asyncio
import difflib
from collections.abc import Callable
from pathlib import Path

from lodge.drivers.storage.contract import PoolPlace, StorageDriver, StorageFactory
from lodge.model.storage import Pool, Volume
from lodge.services.pools.errors import PoolNotFoundError
from lodge.store.contract import Compare, Operation, Store
from lodge.store.records import Records

__all__ = ["PoolRegistry"]


class PoolRegistry:
    """Pools by name. ``factory`` finds what makes drivers of a name."""

    def __init__(self, store: Store, factory: Callable[[str], StorageFactory]) -> None:
        self.store = store
        self.records = Records(store, "pools/", Pool)
        self._volumes = Records(store, "volumes/", Volume)
        self._factory = factory
        self._drivers: dict[str, StorageDriver] = {}
        self._opening: dict[str, asyncio.Lock] = {}

    def all(self) -> list[Pool]:
        """All pools, by name."""
        return [pool for _, pool in self.records.items()]

    def get(self, name: str) -> Pool:
        """Return one pool.

        Raises:
            PoolNotFoundError: there is none of this name.
        """
        pool = self.records.get(name)
        if pool is None:
            raise PoolNotFoundError(
                f"there is no pool {name!r}",
                where=f"pools/{name}",
                near=difflib.get_close_matches(name, [p.name for p in self.all()], n=3),
            )
        return pool

    def volumes(self, name: str) -> list[Volume]:
        """List the volumes of a pool, by name."""
        return [volume for _, volume in self._volumes.items() if volume.pool == name]

    async def write(self, compares: list[Compare], operations: list[Operation]) -> bool:
        """Write in one transaction; false when a comparison did not hold."""
        return (await self.store.txn(compares, operations)).succeeded

    def new_driver(self, pool: Pool) -> StorageDriver:
        """Make a driver that is not open yet.

        Raises:
            StorageDriverUnknownError: there is no such driver.
        """
        return self._factory(pool.driver)(PoolPlace(pool.name, pool.id, Path(pool.path)))

    async def driver(self, name: str) -> StorageDriver:
        """Return the pool's driver, opened when it was not yet.

        Raises:
            PoolNotFoundError, PoolOfflineError, StorageDriverUnknownError.
        """
        pool = self.get(name)
        known = self._drivers.get(pool.id)
        if known is not None:
            return known
        # One lock per pool: a file system that hangs must not keep the others from opening.
        async with self._opening.setdefault(pool.id, asyncio.Lock()):
            known = self._drivers.get(pool.id)
            if known is None:
                known = self.new_driver(pool)
                await known.open()
                self._drivers[pool.id] = known
        return known

    def forget(self, pool_id: str) -> None:
        """Drop the driver of a pool that is gone."""
        self._drivers.pop(pool_id, None)
        self._opening.pop(pool_id, None)
