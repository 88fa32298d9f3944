"""The promises every storage driver keeps about volumes; a new driver only adds its name."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from lodge.base.errors import LodgeError
from lodge.base.names import InvalidNameError
from lodge.base.units import GIB, MIB
from lodge.drivers.storage.contract import FileAccess, PoolPlace, StorageDriver, VolumeCopies
from lodge.drivers.storage.errors import (
    VolumeBaseError,
    VolumeCannotShrinkError,
    VolumeExistsError,
    VolumeNotFoundError,
    VolumeTooSmallError,
)
from lodge.drivers.storage.formats.qcow2_file import write_new
from lodge.model.storage import VolumeFormat

MakeDriver = Callable[[], StorageDriver]
Work = Callable[[StorageDriver], Awaitable[None]]
LAYOUTS = list(VolumeFormat)


@pytest.fixture
def within(make_driver: MakeDriver) -> Callable[[Work], None]:
    """Run work on an open pool."""

    def run(work: Work) -> None:
        async def scenario() -> None:
            pool = make_driver()
            await pool.create_pool()
            await pool.open()
            await work(pool)

        asyncio.run(scenario())

    return run


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A read-only image of 64 MiB."""
    path = tmp_path / "image.qcow2"
    handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    write_new(handle, size_bytes=64 * MIB, backing=None, backing_format="qcow2")
    os.close(handle)
    return path


Within = Callable[[Work], None]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_creating_a_volume_twice_takes_space_once(within: Within, layout: VolumeFormat) -> None:
    async def work(pool: StorageDriver) -> None:
        await pool.create_volume("web", size_bytes=GIB, layout=layout)
        once = await pool.usage()
        await pool.create_volume("web", size_bytes=GIB, layout=layout)
        assert await pool.volumes() == ["web"]
        assert (await pool.usage()).allocated_bytes == once.allocated_bytes

    within(work)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_new_volume_is_thin_and_tells_its_size(within: Within, layout: VolumeFormat) -> None:
    async def work(pool: StorageDriver) -> None:
        await pool.create_volume("web", size_bytes=8 * GIB, layout=layout)
        usage = await pool.volume_usage("web")
        assert usage.virtual_bytes == 8 * GIB
        assert usage.allocated_bytes < MIB
        assert usage.shared_bytes == 0
        files = await pool.volume_files("web")
        assert (files.format, files.chain) == (layout, ())
        assert files.path.suffix == f".{layout.value}"

    within(work)


def test_a_name_is_taken_by_a_volume_of_another_size_or_layout(within: Within) -> None:
    async def work(pool: StorageDriver) -> None:
        await pool.create_volume("web", size_bytes=GIB, layout=VolumeFormat.QCOW2)
        with pytest.raises(VolumeExistsError):
            await pool.create_volume("web", size_bytes=2 * GIB, layout=VolumeFormat.QCOW2)
        with pytest.raises(VolumeExistsError):
            await pool.create_volume("web", size_bytes=GIB, layout=VolumeFormat.RAW)
        assert (await pool.volume_usage("web")).virtual_bytes == GIB

    within(work)


def test_a_linked_clone_names_its_base_and_shares_its_bytes(within: Within, image: Path) -> None:
    async def work(pool: StorageDriver) -> None:
        await pool.create_volume("web", size_bytes=GIB, layout=VolumeFormat.QCOW2, base=image)
        await pool.create_volume("web", size_bytes=GIB, layout=VolumeFormat.QCOW2, base=image)
        files, usage = await pool.volume_files("web"), await pool.volume_usage("web")
        assert files.chain == ((image, "qcow2"),)
        assert usage.shared_bytes == image.stat().st_blocks * 512
        assert usage.virtual_bytes == GIB

    within(work)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_clone_smaller_than_its_base_is_refused_with_both_sizes(
    within: Within, image: Path, layout: VolumeFormat
) -> None:
    async def work(pool: StorageDriver) -> None:
        with pytest.raises(VolumeTooSmallError, match=f"{32 * MIB}.*{64 * MIB}"):
            await pool.create_volume("web", size_bytes=32 * MIB, layout=layout, base=image)
        assert await pool.volumes() == []

    within(work)


def test_a_raw_volume_from_an_image_stands_on_nothing(within: Within, image: Path) -> None:
    async def work(pool: StorageDriver) -> None:
        for _ in range(2):
            await pool.create_volume(
                "web", size_bytes=80 * MIB, layout=VolumeFormat.RAW, base=image
            )
        files, usage = await pool.volume_files("web"), await pool.volume_usage("web")
        assert files.chain == ()
        assert usage.virtual_bytes == 80 * MIB

    within(work)


def test_a_missing_base_is_told(within: Within, tmp_path: Path) -> None:
    async def work(pool: StorageDriver) -> None:
        with pytest.raises(VolumeBaseError, match="gone"):
            await pool.create_volume(
                "web", size_bytes=GIB, layout=VolumeFormat.QCOW2, base=tmp_path / "gone"
            )
        assert await pool.volumes() == []

    within(work)


@pytest.mark.parametrize("size_bytes", [0, -1, -GIB, 511, GIB + 1])
def test_a_size_that_no_disk_has_is_refused(within: Within, size_bytes: int) -> None:
    async def work(pool: StorageDriver) -> None:
        with pytest.raises(VolumeTooSmallError, match=str(size_bytes)):
            await pool.create_volume("web", size_bytes=size_bytes, layout=VolumeFormat.RAW)
        assert await pool.volumes() == []

    within(work)


@pytest.mark.parametrize("name", ["../web", "/etc", ".hidden", "a/b", "", "ä", "-", "x" * 80])
def test_a_name_that_leaves_the_pool_is_refused(within: Within, name: str) -> None:
    async def work(pool: StorageDriver) -> None:
        with pytest.raises(InvalidNameError):
            await pool.create_volume(name, size_bytes=GIB, layout=VolumeFormat.RAW)
        with pytest.raises(InvalidNameError):
            await pool.volume_files(name)

    within(work)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_volume_grows_and_never_shrinks(within: Within, layout: VolumeFormat) -> None:
    async def work(pool: StorageDriver) -> None:
        await pool.create_volume("web", size_bytes=GIB, layout=layout)
        await pool.resize_volume("web", size_bytes=3 * GIB)
        await pool.resize_volume("web", size_bytes=3 * GIB)
        with pytest.raises(VolumeCannotShrinkError, match=str(2 * GIB)):
            await pool.resize_volume("web", size_bytes=2 * GIB)
        assert (await pool.volume_usage("web")).virtual_bytes == 3 * GIB

    within(work)


def test_deleting_a_volume_twice_is_as_once(within: Within) -> None:
    async def work(pool: StorageDriver) -> None:
        await pool.create_volume("web", size_bytes=GIB, layout=VolumeFormat.QCOW2)
        await pool.delete_volume("web")
        await pool.delete_volume("web")
        assert await pool.volumes() == []
        assert (await pool.usage()).allocated_bytes == 0

    within(work)


def test_a_volume_that_is_not_there_is_named(within: Within) -> None:
    async def work(pool: StorageDriver) -> None:
        for asked in (
            pool.volume_files("web"),
            pool.volume_usage("web"),
            pool.resize_volume("web", size_bytes=GIB),
        ):
            with pytest.raises(VolumeNotFoundError, match="'web'"):
                await asked

    within(work)


def test_a_granted_volume_stays_what_it_is(within: Within, place: PoolPlace) -> None:
    async def work(pool: StorageDriver) -> None:
        assert isinstance(pool, FileAccess)
        await pool.create_volume("web", size_bytes=GIB, layout=VolumeFormat.QCOW2)
        await pool.grant("web", uid=os.getuid())
        await pool.grant("web", uid=os.getuid())
        assert (await pool.volume_usage("web")).virtual_bytes == GIB

    within(work)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_copy_is_independent_of_its_source(within: Within, layout: VolumeFormat) -> None:
    async def work(pool: StorageDriver) -> None:
        assert isinstance(pool, VolumeCopies)
        await pool.create_volume("web", size_bytes=GIB, layout=layout)
        await pool.copy_volume("web", "copy")
        await pool.copy_volume("web", "copy")
        await pool.delete_volume("web")
        assert await pool.volumes() == ["copy"]
        assert (await pool.volume_usage("copy")).virtual_bytes == GIB

    within(work)


def test_errors_name_where_and_what_to_do(within: Within) -> None:
    async def work(pool: StorageDriver) -> None:
        with pytest.raises(LodgeError) as refused:
            await pool.resize_volume("web", size_bytes=GIB)
        assert refused.value.where == "volumes/fast/web"

    within(work)
