"""Pools from request to folder and back."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from storage_lab import GIB, StorageLab, storage
from task_lab import ACTOR

from lodge.base.errors import LodgeError
from lodge.base.names import InvalidNameError
from lodge.drivers.storage.errors import PoolOfflineError, StorageDriverUnknownError
from lodge.model.storage import PoolCreate, PoolHealth
from lodge.model.task import TaskState
from lodge.services.pools.errors import (
    InvalidPoolPathError,
    PoolExistsError,
    PoolInUseError,
    PoolNotFoundError,
)
from lodge.services.pools.guard import GuardedGuests, SpaceGuard

Work = Callable[[StorageLab], Awaitable[None]]


def within(folder: Path, work: Work, **options: int) -> None:
    async def scenario() -> None:
        async with storage(folder, **options) as lab:  # type: ignore[arg-type]
            await work(lab)

    asyncio.run(scenario())


@pytest.mark.parametrize("driver", ["fake", "dir"])
def test_a_pool_is_made_used_and_removed(tmp_path: Path, driver: str) -> None:
    async def work(lab: StorageLab) -> None:
        pool = await lab.make_pool("fast", driver)
        assert pool.path == str(tmp_path / "state" / "pools" / "fast")
        assert lab.pools.list() == [pool]
        usage = await lab.pools.usage("fast")
        assert usage.promised_bytes == 0
        assert usage.total_bytes > 0
        await lab.done(await lab.pools.delete("fast", ACTOR))
        assert lab.pools.list() == []
        assert not Path(pool.path).exists()
        assert [kind for kind in lab.events() if kind.startswith("pool.")] == [
            "pool.created",
            "pool.deleted",
        ]

    within(tmp_path, work)


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (PoolCreate(name="Fast"), InvalidNameError),
        (PoolCreate(name="../x"), InvalidNameError),
        (PoolCreate(name="new", driver="floppy"), StorageDriverUnknownError),
        (PoolCreate(name="new", driver="fake", path="relative"), InvalidPoolPathError),
        (PoolCreate(name="new", driver="fake", path="/etc/new"), InvalidPoolPathError),
        (PoolCreate(name="default", driver="fake"), PoolExistsError),
    ],
)
def test_a_bad_request_is_refused_and_never_becomes_a_task(
    tmp_path: Path, request_: PoolCreate, error: type[LodgeError]
) -> None:
    async def work(lab: StorageLab) -> None:
        await lab.make_pool()
        tasks = len(lab.life.engine.list())
        with pytest.raises(error):
            await lab.pools.create(request_, ACTOR)
        assert len(lab.life.engine.list()) == tasks

    within(tmp_path, work)


def test_two_creates_of_one_name_at_once_make_one_pool(tmp_path: Path) -> None:
    async def work(lab: StorageLab) -> None:
        request = PoolCreate(name="fast", driver="dir")
        tasks = [await lab.pools.create(request, ACTOR) for _ in range(2)]
        ended = [await lab.ended(task) for task in tasks]
        assert [task.state for task in ended] == [TaskState.DONE, TaskState.FAILED]
        assert (ended[1].error or {})["code"] == "pool_exists"
        assert Path(lab.pools.get("fast").path, ".lodge-pool").exists()

    within(tmp_path, work)


def test_two_pools_in_one_folder_at_once_make_one_pool(tmp_path: Path) -> None:
    async def work(lab: StorageLab) -> None:
        path = str(tmp_path / "disk")
        tasks = [
            await lab.pools.create(PoolCreate(name=name, driver="dir", path=path), ACTOR)
            for name in ("one", "two")
        ]
        ended = [await lab.ended(task) for task in tasks]
        assert [task.state for task in ended] == [TaskState.DONE, TaskState.FAILED]
        assert [pool.name for pool in lab.pools.list()] == ["one"]
        await lab.done(await lab.pools.delete("one", ACTOR))
        assert not Path(path).exists()

    within(tmp_path, work)


def test_a_folder_with_foreign_files_survives_the_attempt(tmp_path: Path) -> None:
    async def work(lab: StorageLab) -> None:
        (tmp_path / "disk").mkdir()
        (tmp_path / "disk" / "thesis.txt").write_text("do not lose")
        request = PoolCreate(name="fast", driver="dir", path=str(tmp_path / "disk"))
        ended = await lab.ended(await lab.pools.create(request, ACTOR))
        assert (ended.error or {})["code"] == "pool_path_taken"
        assert [path.name for path in (tmp_path / "disk").iterdir()] == ["thesis.txt"]
        assert lab.pools.list() == []

    within(tmp_path, work)


def test_a_pool_that_a_profile_names_is_not_deleted(tmp_path: Path) -> None:
    async def work(lab: StorageLab) -> None:
        await lab.done(await lab.pools.create(PoolCreate(name="shop", driver="fake"), ACTOR))
        with pytest.raises(PoolInUseError, match="profiles/shop"):
            await lab.pools.delete("shop", ACTOR)

    within(tmp_path, work)


def test_a_pool_with_volumes_is_not_deleted_and_names_them(tmp_path: Path) -> None:
    async def work(lab: StorageLab) -> None:
        await lab.make_pool()
        await lab.make_volume("web")
        with pytest.raises(PoolInUseError, match="web"):
            await lab.pools.delete("default", ACTOR)
        assert (await lab.pools.usage("default")).promised_bytes == GIB

    within(tmp_path, work)


def test_an_unknown_pool_names_near_ones(tmp_path: Path) -> None:
    async def work(lab: StorageLab) -> None:
        await lab.make_pool()
        with pytest.raises(PoolNotFoundError) as refused:
            lab.pools.get("defualt")
        assert refused.value.details["near"] == ["default"]

    within(tmp_path, work)


def test_an_offline_pool_says_so_and_takes_nothing(tmp_path: Path) -> None:
    async def work(lab: StorageLab) -> None:
        await lab.make_pool()
        await lab.make_volume("web")
        lab.faults.is_offline = True
        usage = await lab.pools.usage("default")
        assert (usage.health, usage.promised_bytes) == (PoolHealth.OFFLINE, GIB)
        with pytest.raises(PoolOfflineError):
            await lab.volumes.make("default", "db", size_bytes=GIB)
        with pytest.raises(PoolOfflineError):
            await lab.volumes.remove("default", "web", owner=None)
        assert [volume.name for volume in lab.volumes.list()] == ["web"]

    within(tmp_path, work)


def test_an_empty_pool_whose_disk_is_gone_can_be_forgotten(tmp_path: Path) -> None:
    async def work(lab: StorageLab) -> None:
        await lab.make_pool()
        lab.faults.is_offline = True
        ended = await lab.done(await lab.pools.delete("default", ACTOR))
        assert (ended.result or {})["left_behind"].endswith("/pools/default")
        assert lab.pools.list() == []

    within(tmp_path, work)


def test_a_full_pool_holds_guests_and_lets_them_go(tmp_path: Path) -> None:
    async def work(lab: StorageLab) -> None:
        await lab.make_pool()
        did: list[str] = []

        async def hold(pool: str) -> None:
            did.append(f"hold {pool}")

        async def release(pool: str) -> None:
            did.append(f"release {pool}")

        guard = SpaceGuard(lab.registry, lab.life.events, lab.world, GuardedGuests(hold, release))
        fake = await lab.fake()
        assert await guard.look() == 2.0
        assert did == ["release default"]  # whoever held guests before may be dead
        did.clear()

        fake.fill(leaving_bytes=GIB // 8)
        await guard.look()
        await guard.look()
        assert did == ["hold default", "hold default"]
        assert lab.events()[-1] == "pool.full"
        did.clear()

        fake.fill(leaving_bytes=GIB)
        await guard.look()
        await guard.look()
        assert did == ["release default"]
        assert lab.events()[-1] == "pool.recovered"

        lab.faults.is_offline = True
        await guard.look()
        assert lab.events()[-1] == "pool.offline"

    within(tmp_path, work, capacity_bytes=100 * GIB)


def test_the_guard_survives_a_callback_that_fails_and_tries_again(tmp_path: Path) -> None:
    async def work(lab: StorageLab) -> None:
        await lab.make_pool()
        calls: list[str] = []

        async def hold(pool: str) -> None:
            calls.append(pool)
            if len(calls) == 1:
                raise RuntimeError("the guest does not answer")

        async def release(_pool: str) -> None:
            calls.clear()

        guard = SpaceGuard(lab.registry, lab.life.events, lab.world, GuardedGuests(hold, release))
        (await lab.fake()).fill(leaving_bytes=0)
        await guard.look()
        assert "pool.full" not in lab.events()
        await guard.look()
        assert calls == ["default", "default"]
        assert "pool.full" in lab.events()

    within(tmp_path, work, capacity_bytes=100 * GIB)


def test_the_guard_looks_every_two_seconds(tmp_path: Path) -> None:
    async def work(lab: StorageLab) -> None:
        await lab.make_pool()
        held: list[float] = []

        async def hold(_pool: str) -> None:
            held.append(lab.world.monotonic())

        async def release(_pool: str) -> None:
            pass

        guard = SpaceGuard(lab.registry, lab.life.events, lab.world, GuardedGuests(hold, release))
        running = asyncio.create_task(guard.run())
        await lab.world.pass_time(10)
        (await lab.fake()).fill(leaving_bytes=0)
        began = lab.world.monotonic()
        await lab.world.pass_time(6)
        running.cancel()
        assert held
        assert held[0] - began <= 2.0

    within(tmp_path, work, capacity_bytes=100 * GIB)
