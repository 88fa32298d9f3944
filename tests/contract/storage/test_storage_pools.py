"""The promises every storage driver keeps about a pool as a whole."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lodge.base.units import MIB
from lodge.drivers.storage.contract import PoolPlace, StorageDriver
from lodge.drivers.storage.errors import (
    PoolNotEmptyError,
    PoolOfflineError,
    PoolPathTakenError,
    PoolPathUnsuitableError,
)
from lodge.drivers.storage.registry import storage_driver
from lodge.model.storage import VolumeFormat

MakeDriver = Callable[[], StorageDriver]


def test_creating_a_pool_twice_is_as_once(make_driver: MakeDriver, place: PoolPlace) -> None:
    async def scenario() -> list[str]:
        await make_driver().create_pool()
        await make_driver().create_pool()
        pool = make_driver()
        await pool.open()
        return await pool.volumes()

    assert asyncio.run(scenario()) == []
    assert place.path.stat().st_mode & 0o777 == 0o711


def test_a_folder_with_other_files_is_refused_and_left_alone(
    make_driver: MakeDriver, place: PoolPlace
) -> None:
    place.path.mkdir(parents=True)
    (place.path / "thesis.txt").write_text("do not lose")
    with pytest.raises((PoolPathTakenError, PoolPathUnsuitableError)):
        asyncio.run(make_driver().create_pool())
    assert [p.name for p in place.path.iterdir()] == ["thesis.txt"]


def test_the_folder_of_another_pool_is_refused(
    make_driver: MakeDriver, place: PoolPlace, driver_name: str
) -> None:
    async def scenario() -> None:
        await make_driver().create_pool()
        with pytest.raises(PoolPathTakenError, match="'fast'"):
            await storage_driver(driver_name)(replace(place, name="other", id="ffff")).create_pool()

    asyncio.run(scenario())


def test_a_pool_whose_folder_is_not_there_is_offline_and_not_made_anew(
    make_driver: MakeDriver, place: PoolPlace
) -> None:
    with pytest.raises(PoolOfflineError):
        asyncio.run(make_driver().open())
    assert not place.path.exists()


def test_a_pool_over_which_nothing_is_mounted_is_offline(
    make_driver: MakeDriver, place: PoolPlace
) -> None:
    place.path.mkdir(parents=True)
    with pytest.raises(PoolOfflineError, match="not marked"):
        asyncio.run(make_driver().open())
    assert list(place.path.iterdir()) == []


def test_another_pool_in_our_folder_means_offline(
    make_driver: MakeDriver, place: PoolPlace, driver_name: str
) -> None:
    async def scenario() -> None:
        await storage_driver(driver_name)(replace(place, id="ffff")).create_pool()
        with pytest.raises(PoolOfflineError, match="another pool"):
            await make_driver().open()

    asyncio.run(scenario())


def test_deleting_a_pool_leaves_the_disk_as_it_was(
    make_driver: MakeDriver, place: PoolPlace, ground: Path
) -> None:
    before = sorted(ground.iterdir())

    async def scenario() -> None:
        await make_driver().create_pool()
        pool = make_driver()
        await pool.open()
        await pool.delete_pool()
        await pool.delete_pool()

    asyncio.run(scenario())
    assert sorted(ground.iterdir()) == before


def test_a_pool_with_volumes_is_not_deleted(make_driver: MakeDriver, place: PoolPlace) -> None:
    async def scenario() -> list[str]:
        pool = make_driver()
        await pool.create_pool()
        await pool.create_volume("web", size_bytes=MIB, layout=VolumeFormat.QCOW2)
        with pytest.raises(PoolNotEmptyError):
            await pool.delete_pool()
        await pool.open()
        return await pool.volumes()

    assert asyncio.run(scenario()) == ["web"]


def test_a_folder_that_was_there_before_stays_after_the_pool(
    make_driver: MakeDriver, place: PoolPlace, driver_name: str
) -> None:
    if driver_name == "btrfs":
        pytest.skip("takes only subvolumes: see test_storage_btrfs.py")
    place.path.mkdir(parents=True)

    async def scenario() -> None:
        pool = make_driver()
        await pool.create_pool()
        await pool.delete_pool()

    asyncio.run(scenario())
    assert list(place.path.iterdir()) == []


def test_usage_tells_room_and_allocation(make_driver: MakeDriver) -> None:
    async def scenario() -> None:
        pool = make_driver()
        await pool.create_pool()
        empty = await pool.usage()
        await pool.create_volume("web", size_bytes=64 * MIB, layout=VolumeFormat.QCOW2)
        usage, room = await pool.usage(), await pool.room()
        assert 0 < usage.free_bytes <= usage.total_bytes
        assert empty.allocated_bytes == 0
        assert 0 < usage.allocated_bytes < MIB
        assert room.total_bytes == usage.total_bytes

    asyncio.run(scenario())


def test_a_new_driver_object_finds_what_the_last_one_made(make_driver: MakeDriver) -> None:
    async def scenario() -> list[str]:
        first = make_driver()
        await first.create_pool()
        await first.create_volume("a", size_bytes=MIB, layout=VolumeFormat.RAW)
        await first.create_volume("b.c_d-e", size_bytes=MIB, layout=VolumeFormat.QCOW2)
        await first.delete_volume("a")
        second = make_driver()
        await second.open()
        return await second.volumes()

    assert asyncio.run(scenario()) == ["b.c_d-e"]
