"""A networks service over a real store and a real task engine, with the fake driver."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from virtual_world import VirtualWorld

from lodge.drivers.network.fake.driver import FakeNetworks
from lodge.model.network import Network, NetworkCreate
from lodge.model.task import Actor, Task
from lodge.services.networks.service import Networks
from lodge.store.audit import AuditLog
from lodge.store.contract import Store
from lodge.store.events import EventLog
from lodge.store.sqlite.store import SqliteStore
from lodge.tasks.engine import Engine

ACTOR = Actor(name="root", via="socket")


@dataclass
class Lab:
    store: Store
    tasks: Engine
    driver: FakeNetworks
    world: VirtualWorld
    networks: Networks
    events: EventLog

    async def create(self, name: str = "default", **wanted: Any) -> Network:
        task = await self.networks.create(NetworkCreate(name=name, **wanted), ACTOR)
        done = await self.tasks.wait(task.id)
        assert done.error is None, done.error
        return self.networks.get(name)

    async def delete(self, name: str = "default") -> Task:
        return await self.tasks.wait((await self.networks.delete(name, ACTOR)).id)

    def written(self) -> list[str]:
        """What networks and addresses leave in the store."""
        return [
            entry.key
            for prefix in ("networks/", "leases/", "addresses/", "macs/")
            for entry in self.store.list(prefix)[0]
        ]


@asynccontextmanager
async def lab(
    folder: Path, *, driver: FakeNetworks | None = None, users: Sequence[str] = ()
) -> AsyncIterator[Lab]:
    world = VirtualWorld()
    store = await SqliteStore.open(folder, world, backups_kept=0)
    events = EventLog(store, world)
    tasks = Engine(store, world, events, AuditLog(store, world))
    driver = driver or FakeNetworks(host_prefixes=["192.0.2.0/24"])
    networks = Networks(store, tasks, driver, world, other_users=lambda _name: users, events=events)
    await tasks.recover()
    try:
        yield Lab(store, tasks, driver, world, networks, events)
    finally:
        await tasks.stop()
        await store.close()
