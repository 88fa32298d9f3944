"""The image service on a real store and a real task engine, with the fake builder."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from task_lab import DeathError, MortalStore

from lodge.base.world import RealWorld
from lodge.drivers.builder.contract import ImageBuilder
from lodge.drivers.builder.fake.driver import FakeBuilder
from lodge.drivers.builder.registry import load_builder
from lodge.model.task import Actor, Task
from lodge.services.images.service import ImageParts, Images
from lodge.services.images.transfer import FetchLimits
from lodge.store.audit import AuditLog
from lodge.store.events import EventLog
from lodge.tasks.engine import Engine

ROOT = Actor(name="root", via="socket")
QUICK = FetchLimits(idle_s=0.3, connect_s=2.0, attempts=3, pause_s=0.0, spare_bytes=8 << 20)


@dataclass
class ImageHouse:
    """What a daemon would have put together."""

    images: Images
    tasks: Engine
    store: MortalStore
    events: EventLog
    builder: FakeBuilder
    root: Path
    points: list[str] = field(default_factory=list)
    died: asyncio.Event = field(default_factory=asyncio.Event)

    async def done(self, task: Task) -> Task:
        """Wait for the task's end."""
        return await self.tasks.wait(task.id, 60)

    async def done_or_dead(self, task: Task) -> None:
        """Wait for the task's end, or that of the daemon."""
        waits = [
            asyncio.ensure_future(self.tasks.wait(task.id, 60)),
            asyncio.ensure_future(self.died.wait()),
        ]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)

    def leftovers(self) -> list[str]:
        """Everything below the folder of images that is no image, without parts of downloads."""
        return sorted(
            str(path.relative_to(self.root))
            for name in (".work", ".uploads")
            for path in (self.root / name).rglob("*")
        )

    def parts(self) -> list[Path]:
        """The kept parts of downloads."""
        return sorted((self.root / ".downloads").glob("*/data"))


@asynccontextmanager
async def image_house(
    state: Path,
    *,
    limits: FetchLimits = QUICK,
    dies_at: Callable[[str], bool] = lambda _point: False,
) -> AsyncIterator[ImageHouse]:
    """Open the house on a state folder, carry on what was left, and close it at the end.

    ``dies_at`` says at which of the engine's kill points this life of the daemon ends; it is the
    death of kill -9: the store takes nothing any more.
    """
    state.mkdir(parents=True, exist_ok=True)
    world = RealWorld()
    store = await MortalStore.open(state, world, backups_kept=0)
    assert isinstance(store, MortalStore)
    events = EventLog(store, world)
    engine = Engine(store, world, events, AuditLog(store, world))
    builder = FakeBuilder(world)

    def builders(recipe: str) -> ImageBuilder:
        load_builder(recipe, world)  # an unknown recipe is refused here as in the daemon
        return builder

    root = state / "images"
    images = Images(ImageParts(store, engine, events, world, root, builders, limits))
    house = ImageHouse(images, engine, store, events, builder, root)

    def point(name: str) -> None:
        if not house.died.is_set():
            house.points.append(name)
            if dies_at(name):
                store.is_dead = True
                house.died.set()
        if house.died.is_set():
            raise DeathError(name)

    engine.kill_points = point
    images.open()
    await engine.recover()
    try:
        yield house
    finally:
        await engine.stop(0.0 if house.died.is_set() else 10.0)
        await store.close()
