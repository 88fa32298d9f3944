"""A full, missing or read-only file system under a pool: a clear error, and nothing left behind."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from private_mounts import mounted_image, mounted_tmpfs

from lodge.base.units import GIB, KIB, MIB
from lodge.drivers.storage.contract import PoolPlace
from lodge.drivers.storage.dir.driver import DirStorage
from lodge.drivers.storage.errors import PoolFullError, PoolOfflineError, VolumeTooLargeError
from lodge.model.storage import VolumeFormat
from lodge.system.errors import DiskFullError

pytestmark = pytest.mark.root


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    with mounted_tmpfs(tmp_path / "small", size_bytes=MIB) as folder:
        yield folder


@pytest.fixture
def pool(small: Path) -> DirStorage:
    driver = DirStorage(PoolPlace("fast", "abcd", small / "pool"))
    asyncio.run(driver.create_pool())
    return driver


def fill(folder: Path, *, leaving_bytes: int = 0) -> Path:
    """Take all room, then give a little back."""
    ballast = folder / "ballast"
    with ballast.open("ab", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4 * KIB))
        except OSError:
            os.truncate(ballast, ballast.stat().st_size // 4096 * 4096 - leaving_bytes)
    return ballast


def make(pool: DirStorage, name: str, layout: VolumeFormat = VolumeFormat.QCOW2) -> None:
    asyncio.run(pool.create_volume(name, size_bytes=GIB, layout=layout))


@pytest.mark.parametrize("leaving_bytes", [0, 4 * KIB, 8 * KIB])
def test_a_volume_that_finds_no_room_leaves_nothing_behind(
    pool: DirStorage, small: Path, leaving_bytes: int
) -> None:
    make(pool, "first")
    names = sorted(os.listdir(small / "pool"))
    ballast = fill(small, leaving_bytes=leaving_bytes)
    with pytest.raises(PoolFullError, match="'fast' has no room left to make volume 'web'"):
        make(pool, "web")
    assert sorted(os.listdir(small / "pool")) == names
    ballast.unlink()
    make(pool, "web")
    check = subprocess.run(["qemu-img", "check", small / "pool" / "web.qcow2"], check=False)
    assert check.returncode == 0


def test_a_full_copy_that_finds_no_room_leaves_nothing_behind(
    pool: DirStorage, small: Path, tmp_path: Path
) -> None:
    image = tmp_path / "image.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", image, "8M"], check=True)
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -P 3 0 4M", image], check=True)
    names = sorted(os.listdir(small / "pool"))
    with pytest.raises(PoolFullError, match="fast"):
        asyncio.run(
            pool.create_volume("web", size_bytes=8 * MIB, layout=VolumeFormat.RAW, base=image)
        )
    assert sorted(os.listdir(small / "pool")) == names


def test_a_copy_that_finds_no_room_leaves_its_source_alone(pool: DirStorage, small: Path) -> None:
    make(pool, "web", VolumeFormat.RAW)
    path = small / "pool" / "web.raw"
    with path.open("r+b") as disk:
        disk.write(bytes(b"x" * 600 * KIB))
    with pytest.raises(PoolFullError):
        asyncio.run(pool.copy_volume("web", "copy"))
    assert sorted(os.listdir(small / "pool")) == [".lodge-pool", "web.raw"]
    assert path.read_bytes()[: 600 * KIB] == b"x" * 600 * KIB


def test_growing_needs_no_room(pool: DirStorage, small: Path) -> None:
    make(pool, "web")
    fill(small)
    asyncio.run(pool.resize_volume("web", size_bytes=64 * GIB))
    assert asyncio.run(pool.volume_usage("web")).virtual_bytes == 64 * GIB


def test_deleting_works_on_a_full_disk(pool: DirStorage, small: Path) -> None:
    make(pool, "web")
    fill(small)
    asyncio.run(pool.delete_volume("web"))
    assert asyncio.run(pool.volumes()) == []


def test_a_pool_that_finds_no_room_leaves_no_folder(small: Path) -> None:
    fill(small)
    driver = DirStorage(PoolPlace("fast", "abcd", small / "pool"))
    with pytest.raises((PoolFullError, DiskFullError)):
        asyncio.run(driver.create_pool())
    asyncio.run(driver.delete_pool())
    assert sorted(os.listdir(small)) in (["ballast"], ["ballast", "pool"])


def test_a_full_pool_opens_and_knows_itself(pool: DirStorage, small: Path) -> None:
    make(pool, "web")
    fill(small)
    again = DirStorage(PoolPlace("fast", "abcd", small / "pool"))
    asyncio.run(again.open())
    assert asyncio.run(again.volumes()) == ["web"]
    assert asyncio.run(again.room()).free_bytes == 0


def test_what_a_killed_daemon_left_half_made_is_swept(pool: DirStorage, small: Path) -> None:
    make(pool, "web")
    (small / "pool" / ".db.qcow2.new").write_bytes(b"half")
    (small / "pool" / ".db.convert.new").write_bytes(b"half")
    again = DirStorage(PoolPlace("fast", "abcd", small / "pool"))
    asyncio.run(again.open())
    assert sorted(os.listdir(small / "pool")) == [".lodge-pool", "web.qcow2"]
    make(again, "db")


def test_a_pool_is_offline_while_its_file_system_is_away(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    place = PoolPlace("fast", "abcd", folder / "pool")
    driver = DirStorage(place)
    with mounted_tmpfs(folder, size_bytes=MIB):
        asyncio.run(driver.create_pool())
        make(driver, "web")
    for asked in (
        driver.volumes(),
        driver.usage(),
        driver.room(),
        driver.volume_files("web"),
        driver.delete_volume("web"),
        driver.open(),
        driver.create_volume("db", size_bytes=MIB, layout=VolumeFormat.RAW),
    ):
        with pytest.raises(PoolOfflineError, match="'fast'"):
            asyncio.run(asked)
    assert list(folder.iterdir()) == []


def test_a_read_only_file_system_is_told(pool: DirStorage, small: Path) -> None:
    make(pool, "web")
    subprocess.run(["mount", "-o", "remount,ro", small], check=True)
    with pytest.raises(PoolOfflineError, match="Read-only"):
        make(pool, "db")
    with pytest.raises(PoolOfflineError, match="Read-only"):
        asyncio.run(pool.delete_volume("web"))
    assert asyncio.run(pool.volumes()) == ["web"]


def test_a_disk_larger_than_any_file_is_told(tmp_path: Path) -> None:
    with mounted_image(tmp_path / "disk", "ext4", size_mib=8) as folder:
        driver = DirStorage(PoolPlace("fast", "abcd", folder / "pool"))
        asyncio.run(driver.create_pool())
        with pytest.raises(VolumeTooLargeError, match="'fast'"):
            asyncio.run(driver.create_volume("web", size_bytes=2**60, layout=VolumeFormat.RAW))
        assert asyncio.run(driver.volumes()) == []


def test_a_cancelled_copy_is_over_before_its_undo_begins(pool: DirStorage, small: Path) -> None:
    async def scenario() -> None:
        await pool.create_volume("web", size_bytes=GIB, layout=VolumeFormat.RAW)
        copying = asyncio.create_task(pool.copy_volume("web", "copy"))
        await asyncio.sleep(0)
        copying.cancel()
        with pytest.raises(asyncio.CancelledError):
            await copying
        before = await pool.volumes()
        await pool.delete_volume("copy")
        assert "web" in before
        assert await pool.volumes() == ["web"]

    asyncio.run(scenario())
    assert sorted(os.listdir(small / "pool")) == [".lodge-pool", "web.raw"]
