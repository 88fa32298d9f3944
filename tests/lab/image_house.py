"""The image service on a real store and a real task engine, with the fake builder."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from lodge.base.world import RealWorld, World
from lodge.drivers.builder.contract import ImageBuilder
from lodge.drivers.builder.fake.driver import FakeBuilder
from lodge.drivers.builder.registry import load_builder
from lodge.model.task import Actor, Task
from lodge.services.images.service import ImageParts, Images
from lodge.services.images.transfer import FetchLimits
from lodge.store.audit import AuditLog
from lodge.store.events import EventLog
from lodge.store.sqlite.store import SqliteStore
from lodge.tasks.engine import Engine

ROOT = Actor(name="root", via="socket")
QUICK = FetchLimits(idle_s=0.3, connect_s=2.0, attempts=3, pause_s=0.0)


@dataclass
class ImageHouse:
    """What a daemon would have put together."""

    images: Images
    tasks: Engine
    store: SqliteStore
    events: EventLog
    builder: FakeBuilder
    root: Path

    async def done(self, task: Task) -> Task:
        """Wait for the task's end."""
        return await self.tasks.wait(task.id, 60)

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
    state: Path, *, world: World | None = None, limits: FetchLimits = QUICK, dies: bool = False
) -> AsyncIterator[ImageHouse]:
    """Open the house on a state folder, carry on what was left, and close it at the end.

    ``dies``: the end is that of a daemon that was killed: nothing is waited for.
    """
    state.mkdir(parents=True, exist_ok=True)
    state.chmod(0o711)
    world = world or RealWorld()
    store = await SqliteStore.open(state, world, backups_kept=0)
    events = EventLog(store, world)
    engine = Engine(store, world, events, AuditLog(store, world))
    builder = FakeBuilder(world)

    def builders(recipe: str) -> ImageBuilder:
        load_builder(recipe, world)  # an unknown recipe is refused here as in the daemon
        return builder

    root = state / "images"
    images = Images(ImageParts(store, engine, events, world, root, builders, limits))
    images.open()
    await engine.recover()
    try:
        yield ImageHouse(images, engine, store, events, builder, root)
    finally:
        await engine.stop(0.0 if dies else 10.0)
        await store.close()
