"""Images for tests: built once by the product's own builders, then put into any state folder.

Built files are kept below LODGE_TEST_CACHE, by recipe and by the source of the builders, so that
a changed builder builds again. ``stock`` enters them through the same task that ``lodge image
build`` runs, in a simulated host's state folder, before its daemon starts: such a host reaches no
package mirror.
"""

import asyncio
import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import msgspec

from lodge.base.world import RealWorld
from lodge.daemon.folders import make_folders
from lodge.daemon.settings import DaemonSettings
from lodge.drivers.builder.contract import BuildProgress, BuiltImage
from lodge.drivers.builder.registry import load_builder
from lodge.model.host import Capability
from lodge.model.image import ImageBuild
from lodge.model.task import Actor, TaskState
from lodge.services.images.service import ImageParts, Images
from lodge.store.audit import AuditLog
from lodge.store.events import EventLog
from lodge.store.sqlite.store import SqliteStore
from lodge.tasks.engine import Engine

_BUILDERS = Path(sys.modules["lodge.drivers.builder.contract"].__file__ or "").parent
_FACTS = "built.json"


def cache() -> Path:
    named = os.environ.get("LODGE_TEST_CACHE")
    folder = Path(named) if named else Path(tempfile.gettempdir()) / f"lodge-test-{os.getuid()}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _key(recipe: str) -> str:
    digest = hashlib.sha256(recipe.encode())
    for path in sorted(_BUILDERS.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".md":
            digest.update(path.read_bytes())
    return f"{recipe}-{digest.hexdigest()[:16]}"


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def built(recipe: str) -> tuple[Path, BuiltImage]:
    """The folder of a built image and what is known of it; built now if it never was."""
    folder = cache() / _key(recipe)
    with _alone(cache() / f"{recipe}.lock"):
        if not (folder / _FACTS).exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o755)
            before = os.umask(0o077)  # as the daemon has it
            try:
                builder = load_builder(recipe, RealWorld())
                result = asyncio.run(builder.build(recipe, folder, lambda *_: None))
            finally:
                os.umask(before)
            kept = {path for path in _files(result).values() if path is not None}
            for path in folder.iterdir():
                if path not in kept:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            (folder / _FACTS).write_bytes(msgspec.json.encode(result, enc_hook=str))
    facts = (folder / _FACTS).read_bytes()
    return folder, msgspec.json.decode(facts, type=BuiltImage, dec_hook=lambda _, text: Path(text))


def _files(image: BuiltImage) -> dict[str, Path | None]:
    return {name: getattr(image, name) for name in ("disk", "kernel", "initrd", "vmlinux")}


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
        for name, path in _files(image).items():
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
