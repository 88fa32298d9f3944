"""Pools and volumes over the real store and task engine; disks are fake or real."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from task_lab import ACTOR, Daemon, Pieces, daemon
from virtual_world import VirtualWorld

from lodge.drivers.storage.contract import PoolPlace, StorageDriver, StorageFactory
from lodge.drivers.storage.fake.driver import FakeStorage
from lodge.drivers.storage.fake.faults import Faults
from lodge.drivers.storage.formats.qcow2_file import write_new
from lodge.drivers.storage.registry import storage_driver
from lodge.model.image import Image, ImageOrigin
from lodge.model.storage import Pool, PoolCreate, Volume, VolumeCreate
from lodge.model.task import Task, TaskState
from lodge.services.pools.registry import PoolRegistry
from lodge.services.pools.service import PoolFolders, Pools
from lodge.services.volumes.registry import VolumeRegistry
from lodge.services.volumes.service import Volumes
from lodge.store.records import Records

MIB = 1 << 20
GIB = 1 << 30

_LIVES = count(1)
"""A later life has a later clock and other chances: ids made by two lives must differ."""


@dataclass
class FolderOfImages:
    """Images as records in the store and files in a folder."""

    records: Records[Image]
    folder: Path

    def get(self, reference: str, /) -> Image:
        found = self.records.get(reference)
        if found is None:
            raise LookupError(reference)
        return found

    def file(self, reference: str, /) -> Path:
        return self.folder / reference / "disk.qcow2"


@dataclass
class StorageLab:
    """One life of a daemon that keeps pools and volumes."""

    life: Daemon
    world: VirtualWorld
    folder: Path
    registry: PoolRegistry
    volume_registry: VolumeRegistry
    pools: Pools
    volumes: Volumes
    images: FolderOfImages
    faults: Faults
    made: list[StorageDriver] = field(default_factory=list)

    async def done(self, task: Task) -> Task:
        """Wait for a task that must succeed."""
        ended = await self.life.engine.wait(task.id)
        assert ended.state is TaskState.DONE, ended.error
        return ended

    async def ended(self, task: Task) -> Task:
        return await self.life.engine.wait(task.id)

    async def make_pool(self, name: str = "default", driver: str = "fake", **more: object) -> Pool:
        request = PoolCreate(name=name, driver=driver, **more)  # type: ignore[arg-type]
        await self.done(await self.pools.create(request, ACTOR))
        return self.pools.get(name)

    async def make_volume(self, name: str, size_bytes: int | None = GIB, **more: object) -> Volume:
        request = VolumeCreate(name=name, size_bytes=size_bytes, **more)  # type: ignore[arg-type]
        await self.done(await self.volumes.create(request, ACTOR))
        return self.volumes.get(request.pool, name)

    async def fake(self, pool: str = "default") -> FakeStorage:
        driver = await self.registry.driver(pool)
        assert isinstance(driver, FakeStorage)
        return driver

    async def add_image(self, fingerprint: str = "ab" * 32, size_bytes: int = 64 * MIB) -> Image:
        """Put an image into the store and an empty disk into its folder."""
        path = self.images.file(fingerprint)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o640)
            write_new(handle, size_bytes=size_bytes, backing=None, backing_format="qcow2")
            os.close(handle)
        image = Image(
            fingerprint=fingerprint,
            aliases=("debian-12",),
            description="",
            os="debian",
            architecture="x86_64",
            origin=ImageOrigin.BUILT,
            source="test",
            virtual_bytes=size_bytes,
            file_bytes=path.stat().st_size,
            created_at=0.0,
        )
        await self.life.store.txn([], [self.images.records.put(fingerprint, image)])
        return image

    def events(self) -> list[str]:
        return [event.kind for event in self.life.events.since(0)]


@asynccontextmanager
async def storage(
    folder: Path,
    *,
    dies_at: Callable[[str, int], bool] = lambda _point, _number: False,
    capacity_bytes: int = 1 << 40,
) -> AsyncIterator[StorageLab]:
    """Start a daemon's storage over a folder; at the end it just dies."""
    life_number = next(_LIVES)
    world, faults = VirtualWorld(now=1.8e9 + 3600 * life_number, seed=life_number), Faults()
    state = folder / "state"
    state.mkdir(exist_ok=True)
    async with daemon(state, Pieces(), world=world, dies_at=dies_at) as life:

        def fake(place: PoolPlace, /) -> StorageDriver:
            return FakeStorage(place, capacity_bytes=capacity_bytes, faults=faults)

        def factory(name: str) -> StorageFactory:
            return fake if name == "fake" else storage_driver(name)

        registry = PoolRegistry(life.store, factory)
        images = FolderOfImages(Records(life.store, "images/", Image), folder / "images")
        places = PoolFolders(state / "pools", (state, folder / "run"))
        pools = Pools(
            registry,
            life.engine,
            life.events,
            world,
            places,
            other_users=lambda name: ["profiles/shop"] if name == "shop" else [],
        )
        volume_registry = VolumeRegistry(registry, images, life.events, world)
        yield StorageLab(
            life=life,
            world=world,
            folder=folder,
            registry=registry,
            volume_registry=volume_registry,
            pools=pools,
            volumes=Volumes(volume_registry, life.engine),
            images=images,
            faults=faults,
        )
