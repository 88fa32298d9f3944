"""Volumes from request to file and back; what other services' tasks build on."""

import asyncio
import os
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from storage_lab import GIB, MIB, StorageLab, storage
from task_lab import ACTOR

from lodge.base.errors import LodgeError
from lodge.base.names import InvalidNameError
from lodge.drivers.storage.errors import (
    PoolFullError,
    VolumeBusyError,
    VolumeCannotShrinkError,
    VolumeNotFoundError,
    VolumeTamperedError,
    VolumeTooLargeError,
    VolumeTooSmallError,
)
from lodge.drivers.storage.formats.qcow2_file import write_new
from lodge.model.instance import Instance, InstanceSpec, Power
from lodge.model.storage import VolumeCreate, VolumeFormat
from lodge.model.task import TaskState
from lodge.services.pools.errors import PoolNotFoundError
from lodge.services.volumes.errors import (
    VolumeInUseError,
    VolumeNameTakenError,
    VolumeOwnerRunsError,
    VolumeSizeError,
)
from lodge.store.records import Records

Work = Callable[[StorageLab], Awaitable[None]]


def within(folder: Path, work: Work, *, driver: str = "fake", **options: int) -> None:
    async def scenario() -> None:
        async with storage(folder, **options) as lab:  # type: ignore[arg-type]
            await lab.make_pool("default", driver)
            await work(lab)

    asyncio.run(scenario())


async def add_instance(lab: StorageLab, *, wanted: Power, runs: bool) -> Instance:
    instance = Instance(
        id="aa11",
        name="web",
        spec=InstanceSpec(),
        wanted=wanted,
        driver="fake",
        machine_version="x",
        uid=600_000,
        created_at=0.0,
        updated_at=0.0,
        handle={"pid": 1} if runs else None,
    )
    records = Records(lab.life.store, "instances/", Instance)
    await lab.life.store.txn([], [records.put(instance.name, instance)])
    return instance


@pytest.mark.parametrize("driver", ["fake", "dir"])
def test_a_volume_lives_from_create_to_delete(tmp_path: Path, driver: str) -> None:
    async def work(lab: StorageLab) -> None:
        volume = await lab.make_volume("web", 8 * GIB)
        assert (volume.size_bytes, volume.format, volume.owner) == (
            8 * GIB,
            VolumeFormat.QCOW2,
            None,
        )
        await lab.done(await lab.volumes.resize("default", "web", 9 * GIB, ACTOR))
        assert lab.volumes.get("default", "web").size_bytes == 9 * GIB
        assert (await lab.volumes.usage("default", "web")).virtual_bytes == 9 * GIB
        await lab.done(await lab.volumes.delete("default", "web", ACTOR))
        assert lab.volumes.list("default") == []
        assert await (await lab.registry.driver("default")).volumes() == []
        assert [kind for kind in lab.events() if kind.startswith("volume.")] == [
            "volume.created",
            "volume.resized",
            "volume.deleted",
        ]

    within(tmp_path, work, driver=driver)


@pytest.mark.parametrize("driver", ["fake", "dir"])
def test_a_volume_from_an_image_is_as_large_as_it_and_stands_on_it(
    tmp_path: Path, driver: str
) -> None:
    async def work(lab: StorageLab) -> None:
        image = await lab.add_image()
        volume = await lab.make_volume("web", None, image=image.fingerprint)
        assert (volume.size_bytes, volume.image) == (64 * MIB, image.fingerprint)
        files = await lab.volumes.files("default", "web")
        assert files.chain == ((lab.images.file(image.fingerprint), "qcow2"),)
        assert [v.name for v in lab.volumes.using_image(image.fingerprint)] == ["web"]

    within(tmp_path, work, driver=driver)


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (VolumeCreate(name="Web", size_bytes=GIB), InvalidNameError),
        (VolumeCreate(name="a/b", size_bytes=GIB), InvalidNameError),
        (VolumeCreate(name="web"), VolumeSizeError),
        (VolumeCreate(name="web", size_bytes=0), VolumeSizeError),
        (VolumeCreate(name="web", size_bytes=-GIB), VolumeSizeError),
        (VolumeCreate(name="web", size_bytes=GIB, pool="none"), PoolNotFoundError),
        (VolumeCreate(name="web", size_bytes=MIB, image="ab" * 32), VolumeTooSmallError),
        (VolumeCreate(name="web", size_bytes=101 * GIB), VolumeTooLargeError),
        (VolumeCreate(name="taken", size_bytes=GIB), VolumeNameTakenError),
    ],
)
def test_a_bad_request_is_refused_and_never_becomes_a_task(
    tmp_path: Path, request_: VolumeCreate, error: type[LodgeError]
) -> None:
    async def work(lab: StorageLab) -> None:
        await lab.add_image()
        await lab.make_volume("taken")
        before = len(lab.life.engine.list())
        with pytest.raises(error) as refused:
            await lab.volumes.create(request_, ACTOR)
        assert refused.value.where
        assert len(lab.life.engine.list()) == before

    within(tmp_path, work, capacity_bytes=100 * GIB)


def test_a_volume_larger_than_the_pool_is_refused_with_both_sizes(tmp_path: Path) -> None:
    async def work(lab: StorageLab) -> None:
        with pytest.raises(VolumeTooLargeError, match=r"200 GiB.*100 GiB"):
            await lab.volumes.create(VolumeCreate(name="big", size_bytes=200 * GIB), ACTOR)

    within(tmp_path, work, capacity_bytes=100 * GIB)


def test_more_may_be_promised_than_there_is_but_nothing_in_a_full_pool(tmp_path: Path) -> None:
    async def work(lab: StorageLab) -> None:
        for number in range(3):
            await lab.make_volume(f"web{number}", 90 * GIB)
        usage = await lab.pools.usage("default")
        assert usage.promised_bytes == 270 * GIB
        (await lab.fake()).fill(leaving_bytes=200 * MIB)
        with pytest.raises(PoolFullError, match="200 MiB are free, 256 MiB of them kept back"):
            await lab.volumes.create(VolumeCreate(name="db", size_bytes=GIB), ACTOR)

    within(tmp_path, work, capacity_bytes=100 * GIB)


def test_two_creates_of_one_name_at_once_make_one_volume(tmp_path: Path) -> None:
    async def work(lab: StorageLab) -> None:
        tasks = [
            await lab.volumes.create(VolumeCreate(name="web", size_bytes=size), ACTOR)
            for size in (GIB, 2 * GIB)
        ]
        ended = [await lab.ended(task) for task in tasks]
        assert [task.state for task in ended] == [TaskState.DONE, TaskState.FAILED]
        assert (ended[1].error or {})["code"] == "volume_name_taken"
        assert lab.volumes.get("default", "web").size_bytes == GIB
        assert (await lab.volumes.usage("default", "web")).virtual_bytes == GIB

    within(tmp_path, work, driver="dir")


def test_sizes_are_rounded_up_to_sectors(tmp_path: Path) -> None:
    async def work(lab: StorageLab) -> None:
        assert (await lab.make_volume("web", 1)).size_bytes == 512
        assert (await lab.make_volume("db", GIB + 1)).size_bytes == GIB + 512

    within(tmp_path, work, driver="dir")


def test_making_twice_for_one_owner_is_as_once(tmp_path: Path) -> None:
    async def work(lab: StorageLab) -> None:
        image = await lab.add_image()
        for _ in range(2):
            await lab.volumes.make(
                "default", "x-root", size_bytes=GIB, image=image.fingerprint, owner="aa11"
            )
            await lab.volumes.grant("default", "x-root", uid=os.getuid())
        assert [v.owner for v in lab.volumes.list()] == ["aa11"]

    within(tmp_path, work, driver="dir")


def test_a_name_of_another_owner_is_refused_and_its_undo_removes_nothing(tmp_path: Path) -> None:
    async def work(lab: StorageLab) -> None:
        await lab.volumes.make("default", "root", size_bytes=GIB, owner="aa11")
        for owner in ("bb22", None):
            with pytest.raises(VolumeNameTakenError):
                await lab.volumes.make("default", "root", size_bytes=GIB, owner=owner)
            await lab.volumes.remove("default", "root", owner=owner)
        assert [v.owner for v in lab.volumes.list()] == ["aa11"]
        for _ in range(2):
            await lab.volumes.remove("default", "root", owner="aa11")
        assert lab.volumes.list() == []

    within(tmp_path, work, driver="dir")


def test_a_failed_file_leaves_no_record(tmp_path: Path) -> None:
    async def work(lab: StorageLab) -> None:
        lab.faults.errors["create_volume"] = [PoolFullError("no room", where="pools/default")]
        request = VolumeCreate(name="web", size_bytes=GIB)
        ended = await lab.ended(await lab.volumes.create(request, ACTOR))
        assert ended.state is TaskState.FAILED
        assert (ended.error or {})["code"] == "pool_full"
        assert lab.volumes.list() == []
        await lab.make_volume("web")

    within(tmp_path, work)


def test_a_hanging_create_can_be_cancelled_and_leaves_nothing(tmp_path: Path) -> None:
    async def work(lab: StorageLab) -> None:
        lab.faults.hanging["create_volume"] = asyncio.Event()
        task = await lab.volumes.create(VolumeCreate(name="web", size_bytes=GIB), ACTOR)
        while not lab.volumes.list():
            await asyncio.sleep(0)
        await lab.life.engine.cancel(task.id, ACTOR)
        assert (await lab.ended(task)).state is TaskState.CANCELLED
        assert lab.volumes.list() == []

    within(tmp_path, work)


def test_an_owned_volume_is_not_deleted_alone(tmp_path: Path) -> None:
    async def work(lab: StorageLab) -> None:
        await add_instance(lab, wanted=Power.STOPPED, runs=False)
        await lab.volumes.make("default", "root", size_bytes=GIB, owner="aa11")
        with pytest.raises(VolumeInUseError, match="'web'"):
            await lab.volumes.delete("default", "root", ACTOR)

    within(tmp_path, work)


@pytest.mark.parametrize(
    ("wanted", "runs"),
    [
        (Power.RUNNING, True),
        (Power.RUNNING, False),
        (Power.STOPPED, True),
        (Power.PAUSED, True),
        (Power.SUSPENDED, False),
    ],
)
def test_a_disk_grows_only_while_its_instance_is_at_rest(
    tmp_path: Path, wanted: Power, runs: bool
) -> None:
    async def work(lab: StorageLab) -> None:
        await lab.volumes.make("default", "root", size_bytes=GIB, owner="aa11")
        await add_instance(lab, wanted=wanted, runs=runs)
        with pytest.raises(VolumeOwnerRunsError, match="'web'"):
            await lab.volumes.resize("default", "root", 2 * GIB, ACTOR)
        await add_instance(lab, wanted=Power.STOPPED, runs=False)
        task = await lab.done(await lab.volumes.resize("default", "root", 2 * GIB, ACTOR))
        assert set(task.locks) == {"instance:web", "volume:default/root"}

    within(tmp_path, work)


def test_a_disk_never_shrinks_and_never_outgrows_its_pool(tmp_path: Path) -> None:
    async def work(lab: StorageLab) -> None:
        await lab.make_volume("web", 2 * GIB)
        for size, error in (
            (GIB, VolumeCannotShrinkError),
            (101 * GIB, VolumeTooLargeError),
            (0, VolumeSizeError),
            (-1, VolumeSizeError),
        ):
            with pytest.raises(error):
                await lab.volumes.resize("default", "web", size, ACTOR)
        with pytest.raises(VolumeNotFoundError, match="'none'"):
            await lab.volumes.resize("default", "none", GIB, ACTOR)

    within(tmp_path, work, capacity_bytes=100 * GIB)


def test_a_volume_that_vanishes_with_its_image_is_not_made(tmp_path: Path) -> None:
    async def work(lab: StorageLab) -> None:
        image = await lab.add_image()
        await lab.life.store.txn([], [lab.images.records.delete(image.fingerprint)])
        with pytest.raises(LookupError):
            await lab.volumes.make("default", "web", size_bytes=GIB, image=image.fingerprint)
        assert lab.volumes.list() == []

    within(tmp_path, work)


def test_a_pool_that_is_being_deleted_takes_no_volume(tmp_path: Path) -> None:
    async def work(lab: StorageLab) -> None:
        lab.faults.hanging["delete_pool"] = asyncio.Event()
        task = await lab.pools.delete("default", ACTOR)
        while not lab.pools.get("default").is_leaving:
            await asyncio.sleep(0)
        with pytest.raises(PoolNotFoundError):
            await lab.volumes.make("default", "web", size_bytes=GIB)
        lab.faults.hanging["delete_pool"].set()
        await lab.done(task)
        assert lab.volumes.list() == []

    within(tmp_path, work)


def test_a_header_rewritten_by_a_taken_over_guest_is_told_and_not_followed(
    tmp_path: Path,
) -> None:
    async def work(lab: StorageLab) -> None:
        image = await lab.add_image()
        await lab.make_volume("web", GIB, image=image.fingerprint)
        await lab.make_volume("db", GIB)
        for name in ("web", "db"):
            path = (await lab.volumes.files("default", name)).path
            path.unlink()
            handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
            secret = Path("/etc/shadow")
            write_new(handle, size_bytes=GIB, backing=secret, backing_format="qcow2")
            os.close(handle)
            for asked in (
                lab.volumes.files("default", name),
                lab.volume_registry.grow("default", name, 2 * GIB),
                lab.volumes.usage("default", name),
            ):
                with pytest.raises(VolumeTamperedError, match="another base") as refused:
                    await asked
                assert refused.value.details["found"] == ["/etc/shadow"]

    within(tmp_path, work, driver="dir")


def test_the_state_folder_may_move(tmp_path: Path) -> None:
    """Headers keep the old path of the image; the record says which image it is."""

    async def work(lab: StorageLab) -> None:
        image = await lab.add_image()
        await lab.make_volume("web", GIB, image=image.fingerprint)
        lab.images.folder.rename(tmp_path / "moved")
        lab.images.folder = tmp_path / "moved"
        files = await lab.volumes.files("default", "web")
        assert files.chain == ((tmp_path / "moved" / image.fingerprint / "disk.qcow2", "qcow2"),)

    within(tmp_path, work, driver="dir")


def test_a_volume_forged_to_raw_or_qcow2_keeps_its_recorded_format(tmp_path: Path) -> None:
    async def work(lab: StorageLab) -> None:
        await lab.make_volume("web", 8 * MIB, format=VolumeFormat.RAW)
        path = (await lab.volumes.files("default", "web")).path
        with path.open("r+b") as disk:
            disk.write(
                b"QFI\xfb" + struct.pack(">IQI", 3, 200, 11).ljust(196, b"\0") + b"/etc/shadow"
            )
        files = await lab.volumes.files("default", "web")
        assert (files.format, files.chain) == (VolumeFormat.RAW, ())
        await lab.done(await lab.volumes.resize("default", "web", 16 * MIB, ACTOR))
        assert path.stat().st_size == 16 * MIB

    within(tmp_path, work, driver="dir")


def test_an_open_volume_is_not_pulled_away(tmp_path: Path) -> None:
    async def work(lab: StorageLab) -> None:
        await lab.make_volume("web")
        lab.faults.errors["delete_volume"] = [VolumeBusyError("open", where="x")]
        ended = await lab.ended(await lab.volumes.delete("default", "web", ACTOR))
        assert (ended.error or {})["code"] == "volume_busy"
        assert [v.name for v in lab.volumes.list()] == ["web"]

    within(tmp_path, work)


def test_volumes_of_an_unknown_pool_are_not_an_empty_list(tmp_path: Path) -> None:
    async def work(lab: StorageLab) -> None:
        with pytest.raises(PoolNotFoundError):
            lab.volumes.list("none")

    within(tmp_path, work)
