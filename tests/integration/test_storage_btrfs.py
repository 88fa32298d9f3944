"""What btrfs gives beyond a plain folder."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from private_mounts import mounted_image

from lodge.base.units import GIB, MIB
from lodge.drivers.storage.btrfs.driver import BtrfsStorage
from lodge.drivers.storage.contract import PoolPlace
from lodge.drivers.storage.dir.driver import DirStorage
from lodge.drivers.storage.errors import PoolPathUnsuitableError
from lodge.model.storage import VolumeFormat
from lodge.system.btrfs import create_subvolume, delete_subvolume, is_subvolume, snapshot_subvolume

pytestmark = pytest.mark.root


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with mounted_image(tmp_path / "disk", "btrfs", size_mib=160) as folder:
        yield folder


def test_a_pool_is_a_subvolume_of_its_own(disk: Path) -> None:
    driver = BtrfsStorage(PoolPlace("fast", "abcd", disk / "pool"))
    asyncio.run(driver.create_pool())
    assert is_subvolume(disk / "pool")
    assert driver.traits.has_reflink
    asyncio.run(driver.delete_pool())
    assert list(disk.iterdir()) == []


def test_an_empty_subvolume_that_was_there_is_taken_and_left(disk: Path) -> None:
    create_subvolume(disk / "pool")
    driver = BtrfsStorage(PoolPlace("fast", "abcd", disk / "pool"))
    asyncio.run(driver.create_pool())
    asyncio.run(driver.delete_pool())
    assert is_subvolume(disk / "pool")


def test_a_plain_folder_is_refused(disk: Path) -> None:
    (disk / "pool").mkdir()
    with pytest.raises(PoolPathUnsuitableError, match="plain folder"):
        asyncio.run(BtrfsStorage(PoolPlace("fast", "abcd", disk / "pool")).create_pool())
    assert list((disk / "pool").iterdir()) == []


def test_another_file_system_is_refused_and_nothing_is_made(tmp_path: Path) -> None:
    driver = BtrfsStorage(PoolPlace("fast", "abcd", tmp_path / "a" / "pool"))
    with pytest.raises(PoolPathUnsuitableError, match="not on btrfs"):
        asyncio.run(driver.create_pool())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", [DirStorage, BtrfsStorage])
def test_a_copy_shares_its_blocks_and_says_so(
    disk: Path, kind: type[DirStorage] | type[BtrfsStorage]
) -> None:
    driver = kind(PoolPlace("fast", "abcd", disk / "pool"))

    async def scenario() -> None:
        await driver.create_pool()
        await driver.create_volume("web", size_bytes=GIB, layout=VolumeFormat.RAW)
        with (disk / "pool" / "web.raw").open("r+b") as raw:
            raw.write(os.urandom(20 * MIB))
            os.fsync(raw.fileno())
        before = await driver.room()
        await driver.copy_volume("web", "copy")
        usage, room = await driver.volume_usage("copy"), await driver.room()
        assert usage.shared_bytes == 20 * MIB
        assert usage.allocated_bytes < MIB
        assert before.free_bytes - room.free_bytes < 5 * MIB

    asyncio.run(scenario())


def test_a_snapshot_of_a_subvolume_stays_as_it_was(disk: Path) -> None:
    create_subvolume(disk / "pool")
    (disk / "pool" / "disk").write_text("before")
    snapshot_subvolume(disk / "pool", disk / "kept", is_read_only=True)
    (disk / "pool" / "disk").write_text("after")
    assert (disk / "kept" / "disk").read_text() == "before"
    with pytest.raises(OSError, match="Read-only"):
        (disk / "kept" / "disk").write_text("never")
    delete_subvolume(disk / "kept")
    assert [path.name for path in disk.iterdir()] == ["pool"]
