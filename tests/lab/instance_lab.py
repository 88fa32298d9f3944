"""The whole product in one process: the real daemon over fake drivers, in a clock of its own.

A ``House`` is what outlives daemons: folders. A ``Life`` is one daemon over it. Every place where
something could happen is a point of a life (the engine's kill points, every write to the store,
every call of a driver); a test says what shall happen at which.
"""

import asyncio
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from task_lab import DeathError, MortalStore
from virtual_world import VirtualWorld

from lodge.daemon.compose import Parts
from lodge.daemon.daemon import Daemon
from lodge.daemon.folders import make_folders
from lodge.daemon.settings import DaemonSettings
from lodge.drivers.instance.fake.driver import FakeInstances
from lodge.drivers.storage.errors import PoolOfflineError
from lodge.drivers.storage.fake.driver import FakeStorage
from lodge.model.instance import Drift, Instance, drift
from lodge.model.requests import InstanceCreate, InstanceView
from lodge.model.task import Actor, Task, TaskState
from lodge.store.contract import TxnResult

ROOT = Actor(name="root", via="socket", trace="t1")

Point = tuple[str, int]
"""What is reached, and for the how-many-eth time."""

At = Callable[["Life", Point], None]
"""Called at every point; may raise, die or cancel."""


def nothing(_life: "Life", _point: Point) -> None:
    """Let it pass."""


class WatchedStore(MortalStore):
    """Tells its life before and after every write."""

    on_write: Callable[[str], None] = staticmethod(lambda _point: None)

    async def txn(self, compares: Any, then: Any, otherwise: Any = ()) -> TxnResult:
        self.on_write("store/before")
        answer = await super().txn(compares, then, otherwise)
        self.on_write("store/after")
        return answer


@dataclass
class Meetings:
    """The faults of a fake driver: every call of it is a point."""

    life: "Life"
    driver: str
    is_offline: bool = False
    deaf: set[str] = field(default_factory=set)

    async def meet(self, method: str) -> bool:
        self.life.reach(f"{self.driver}.{method}")
        await asyncio.sleep(0)
        return method not in self.deaf


@dataclass
class Life:
    """One daemon, from its start to its end or death."""

    house: "House"
    world: VirtualWorld
    store: WatchedStore
    daemon: Daemon
    at: At = nothing
    counts: Counter[str] = field(default_factory=Counter)
    points: list[Point] = field(default_factory=list)
    is_watching: bool = False
    died: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def parts(self) -> Parts:
        return self.daemon.parts

    @property
    def instances(self) -> Any:
        return self.parts.services.instances

    @property
    def tasks(self) -> list[Task]:
        return list(self.parts.engine.list())

    @property
    def driver(self) -> FakeInstances:
        driver = self.parts.instance_driver
        assert isinstance(driver, FakeInstances)
        return driver

    async def pool(self, name: str = "default") -> FakeStorage:
        driver = await self.parts.resources.pools.registry.driver(name)
        assert isinstance(driver, FakeStorage)
        return driver

    def reach(self, name: str) -> None:
        """Pass a point. The dead pass none."""
        if self.died.is_set():
            raise DeathError(name)
        if not self.is_watching:
            return
        self.counts[name] += 1
        point = (name, self.counts[name])
        self.points.append(point)
        self.at(self, point)
        if self.died.is_set():
            raise DeathError(name)

    def die(self) -> None:
        """Be gone, as by kill -9: nothing of this daemon has an effect from here on."""
        self.store.is_dead = True
        self.died.set()

    async def watch_drivers(self) -> None:
        """Make every call of a driver a point."""
        self.driver.faults = Meetings(self, "instance")  # type: ignore[assignment]
        self.parts.network_driver.faults = Meetings(self, "network")  # type: ignore[attr-defined]
        for pool in self.parts.resources.pools.list():
            with suppress(PoolOfflineError):  # a resumed task may be removing it
                (await self.pool(pool.name)).faults = Meetings(  # type: ignore[assignment]
                    self, f"storage-{pool.name}"
                )

    def record(self, name: str) -> Instance:
        return self.instances._registry.get(name)  # type: ignore[no-any-return]

    def view(self, name: str) -> InstanceView:
        return self.instances.get(name)  # type: ignore[no-any-return]

    def run_dir(self, name: str) -> Path:
        return self.house.run / "instances" / self.record(name).id

    async def done(self, task: Task | None) -> Task:
        """Wait for a task that must succeed."""
        assert task is not None
        ended = await self.ended(task)
        assert ended.state is TaskState.DONE, ended.error
        return ended

    async def ended(self, task: Task) -> Task:
        """Wait for a task, or for the death of the daemon."""
        await self._until(lambda: self.parts.engine.get(task.id).state.is_final)
        return self.parts.engine.get(task.id)

    async def quiet(self) -> None:
        """Wait until nothing is under way and reality is as wanted, at most for minutes."""
        end = self.world.monotonic() + 300
        await self._until(lambda: self._is_quiet() or self.world.monotonic() > end)

    async def let_pass(self, seconds: float) -> None:
        """Let the daemon's loops look around for so long."""
        end = self.world.monotonic() + seconds
        await self._until(lambda: self.world.monotonic() > end)

    def _is_quiet(self) -> bool:
        return all(task.state.is_final for task in self.tasks) and all(
            drift(record.wanted, self.instances._registry.status(record.id).power) is Drift.NONE
            for record in self.instances._registry.all()
        )

    async def _until(self, claim: Callable[[], bool]) -> None:
        """Let real and pretended time pass until a claim holds, or the daemon is dead."""
        for _ in range(20_000):
            if self.died.is_set() or claim():
                return
            await asyncio.sleep(0.0005)
            # Timers run only while no task is busy with something real.
            if not any(live.state is TaskState.RUNNING for live in self.tasks):
                await self.world.pass_time(0.5)
            else:
                await self.world.pass_time(0.01)
        raise TimeoutError(f"still busy: {[t for t in self.tasks if not t.state.is_final]}")

    async def launch(self, name: str, **wanted: Any) -> Task:
        """Create an instance and wait for it."""
        request = InstanceCreate(name=name, **{"image": "tiny", "memory_mib": 64, **wanted})
        return await self.done(await self.instances.create(request, ROOT))


@dataclass
class House:
    """What outlives daemons."""

    root: Path
    lives: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def state(self) -> Path:
        return self.root / "state"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def settings(self) -> DaemonSettings:
        return DaemonSettings(
            state_dir=self.state,
            run_dir=self.run,
            config_file=self.root / "lodge.toml",
            listen_address="",
            driver="fake",
            host_name="lab",
        )

    @asynccontextmanager
    async def life(self, at: At = nothing) -> AsyncIterator[Life]:
        """Start a daemon over the house; a later life has a later clock and other chances."""
        number = next(self.lives)
        world = VirtualWorld(now=1.8e9 + 7200 * number, seed=number)
        make_folders(self.settings)
        store = await WatchedStore.open(self.state, world, backups_kept=0)
        assert isinstance(store, WatchedStore)
        daemon = Daemon(self.settings, world, store)
        life = Life(self, world, store, daemon, at)
        store.on_write = life.reach
        daemon.parts.engine.kill_points = life.reach
        starting = asyncio.ensure_future(daemon.take_over())
        try:
            await life._until(starting.done)
            await starting
            await life.watch_drivers()
            daemon.watch()
            yield life
        finally:
            life.die()
            starting.cancel()
            await daemon.parts.engine.stop(grace_s=0)
            await daemon.close()

    def keep(self, name: str) -> None:
        """Keep a copy of everything; no daemon may be running."""
        shutil.rmtree(self.root.parent / name, ignore_errors=True)
        shutil.copytree(self.root, self.root.parent / name, symlinks=True)

    def bring_back(self, name: str) -> None:
        """Be as the copy was. The folder's name stays, because records hold paths."""
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.copytree(self.root.parent / name, self.root, symlinks=True)
