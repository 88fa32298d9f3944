"""Images for tests: built once by the product's own builders, then put into any state folder.

``stock`` enters built images through the same task that ``lodge image build`` runs, in a simulated
host's state folder, before its daemon starts: such a host reaches no package mirror.
"""

import asyncio
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from built_images import built, files_of

from lodge.base.world import RealWorld
from lodge.daemon.folders import make_folders
from lodge.daemon.settings import DaemonSettings
from lodge.drivers.builder.contract import BuildProgress, BuiltImage
from lodge.model.host import Capability
from lodge.model.image import ImageBuild
from lodge.model.task import Actor, TaskState
from lodge.services.images.service import ImageParts, Images
from lodge.store.audit import AuditLog
from lodge.store.events import EventLog
from lodge.store.sqlite.store import SqliteStore
from lodge.tasks.engine import Engine


class Prebuilt:
    """A named fake builder that hands out what the real one built before."""

    name: ClassVar[str] = "prebuilt"
    recipes: ClassVar[tuple[str, ...]] = ("tiny", "debian-12", "debian-13")

    def __init__(self, recipe: str) -> None:
        self._recipe = recipe

    async def check(self, _recipe: str, /) -> list[Capability]:
        return []

    async def build(self, recipe: str, work: Path, progress: BuildProgress, /) -> BuiltImage:
        _, image = built(recipe)
        copies = {}
        for name, path in files_of(image).items():
            if path is not None:
                copies[name] = Path(shutil.copy(path, work / path.name))
        progress(100, 100, "copied")
        return replace(image, **copies)


def stock(state_dir: Path, *recipes: str) -> None:
    """Enter built images into a state folder whose daemon does not run."""
    for recipe in recipes:
        built(recipe)
    with tempfile.TemporaryDirectory() as run_dir:
        asyncio.run(_stock(DaemonSettings(state_dir=state_dir, run_dir=Path(run_dir)), recipes))


async def _stock(settings: DaemonSettings, recipes: tuple[str, ...]) -> None:
    world = RealWorld()
    make_folders(settings)
    store = await SqliteStore.open(settings.state_dir, world, backups_kept=0)
    events = EventLog(store, world)
    engine = Engine(store, world, events, AuditLog(store, world))
    root = settings.state_dir / "images"
    images = Images(ImageParts(store, engine, events, world, root, Prebuilt))
    images.open()
    for recipe in recipes:
        task = await images.build(ImageBuild(recipe=recipe), Actor(name="test"))
        task = await engine.wait(task.id)
        assert task.state is TaskState.DONE, task.error
    await engine.stop()
    await store.close()
