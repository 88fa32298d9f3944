"""The daemon dies at every point of every storage task; the next one finishes or undoes it."""

import asyncio
import os
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from storage_lab import GIB, MIB, StorageLab, storage
from task_lab import ACTOR

from lodge.model.storage import PoolCreate, VolumeCreate
from lodge.model.task import Task, TaskState

Submit = Callable[[StorageLab], Awaitable[Task]]
MOST_POINTS = 60

SUBMITS: dict[str, Submit] = {
    "volume.create": lambda lab: lab.volumes.create(
        VolumeCreate(name="web", size_bytes=2 * GIB, image="ab" * 32), ACTOR
    ),
    "volume.resize": lambda lab: lab.volumes.resize("default", "old", 3 * GIB, ACTOR),
    "volume.delete": lambda lab: lab.volumes.delete("default", "old", ACTOR),
    "pool.create": lambda lab: lab.pools.create(PoolCreate(name="new"), ACTOR),
    "pool.delete": lambda lab: lab.pools.delete("empty", ACTOR),
}

EXPECTED: dict[str, dict[str, dict[str, int]]] = {
    "volume.create": {"default": {"old": GIB, "web": 2 * GIB}, "empty": {}},
    "volume.resize": {"default": {"old": 3 * GIB}, "empty": {}},
    "volume.delete": {"default": {}, "empty": {}},
    "pool.create": {"default": {"old": GIB}, "empty": {}, "new": {}},
    "pool.delete": {"default": {"old": GIB}},
}


async def prepare(folder: Path) -> None:
    async with storage(folder) as lab:
        await lab.make_pool("default", "dir")
        await lab.make_pool("empty", "dir")
        await lab.add_image(size_bytes=64 * MIB)
        await lab.make_volume("old", GIB)


async def what_exists(lab: StorageLab) -> dict[str, dict[str, int]]:
    """Pools and volumes by the records, after comparing them with what is on disk."""
    root = lab.folder / "state" / "pools"
    assert sorted(os.listdir(root)) == [pool.name for pool in lab.pools.list()]
    found: dict[str, dict[str, int]] = {}
    for pool in lab.pools.list():
        assert not pool.is_leaving
        driver = await lab.registry.driver(pool.name)
        volumes = {volume.name: volume.size_bytes for volume in lab.volumes.list(pool.name)}
        on_disk = {
            name: (await driver.volume_usage(name)).virtual_bytes for name in await driver.volumes()
        }
        assert on_disk == volumes
        assert not [name for name in os.listdir(root / pool.name) if name.endswith(".new")]
        found[pool.name] = volumes
    assert lab.life.locks() == []
    return found


async def live_until_dead(folder: Path, kind: str, number: int) -> bool:
    """Submit, and die at that point; tells whether it came so far."""
    async with storage(folder, dies_at=lambda _point, count: count == number) as lab:
        try:
            task = await SUBMITS[kind](lab)
        except BaseException:
            if lab.life.died.is_set():
                return True
            raise
        await lab.life.ended_or_dead(task)
        return lab.life.died.is_set()


@pytest.mark.parametrize("kind", SUBMITS)
def test_a_death_at_any_point_leaves_records_and_files_in_step(kind: str) -> None:
    async def life_and_afterlife(number: int) -> bool:
        with tempfile.TemporaryDirectory(prefix="storage-deaths-") as text:
            folder = Path(text)
            await prepare(folder)
            died = await live_until_dead(folder, kind, number)
            async with storage(folder) as lab:
                await lab.life.engine.recover()
                ended = await lab.life.all_ended()
                found = await what_exists(lab)
                assert {task.state for task in ended} == {TaskState.DONE}
                assert found == EXPECTED[kind]
            return died

    async def walk() -> int:
        for number in range(1, MOST_POINTS):
            if not await life_and_afterlife(number):
                return number
        raise AssertionError("a task has no end of kill points")

    assert asyncio.run(walk()) > 5


@pytest.mark.parametrize("number", range(1, 8))
def test_a_death_while_a_failed_create_is_undone_leaves_nothing(number: int) -> None:
    async def scenario() -> None:
        with tempfile.TemporaryDirectory(prefix="storage-deaths-") as text:
            folder = Path(text)
            await prepare(folder)
            (folder / "disk").mkdir()
            (folder / "disk" / "thesis.txt").write_text("do not lose")
            async with storage(folder, dies_at=lambda _point, count: count == number) as lab:
                request = PoolCreate(name="new", path=str(folder / "disk"))
                try:
                    await lab.life.ended_or_dead(await lab.pools.create(request, ACTOR))
                except BaseException:
                    if not lab.life.died.is_set():
                        raise
            async with storage(folder) as lab:
                await lab.life.engine.recover()
                ended = await lab.life.all_ended()
                states = {task.state for task in ended if task.target == "pools/new"}
                assert states == {TaskState.FAILED}
                assert [pool.name for pool in lab.pools.list()] == ["default", "empty"]
            assert (folder / "disk" / "thesis.txt").read_text() == "do not lose"

    asyncio.run(scenario())
