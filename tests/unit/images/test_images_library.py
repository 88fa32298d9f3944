"""Names, aliases, users, removal, uploads of images."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from image_house import ROOT, ImageHouse, image_house

from lodge.base.errors import LodgeError
from lodge.drivers.builder.fake.render import empty_qcow2
from lodge.model.image import ImageBuild, ImageFormat
from lodge.model.instance import Instance, InstanceSpec, Power
from lodge.model.storage import Volume, VolumeFormat
from lodge.model.task import TaskState
from lodge.store.records import Records

pytestmark = pytest.mark.root


def in_house(state: Path, scenario: Callable[[ImageHouse], Awaitable[None]]) -> None:
    async def run() -> None:
        async with image_house(state) as house:
            await scenario(house)

    asyncio.run(run())


async def build(house: ImageHouse, recipe: str = "tiny", alias: str | None = None) -> str:
    house.builder.faults.differs = True
    request = ImageBuild(recipe=recipe, alias=alias, is_forced=True)
    task = await house.done(await house.images.build(request, ROOT))
    assert task.result is not None, task.error
    return str(task.result["image"])


def refusal(caught: pytest.ExceptionInfo[LodgeError]) -> tuple[str, str]:
    return caught.value.code, caught.value.message


def test_an_image_is_found_by_alias_fingerprint_and_its_beginning(tmp_path: Path) -> None:
    async def scenario(house: ImageHouse) -> None:
        fingerprint = await build(house)
        for reference in ("tiny", fingerprint, fingerprint[:8], fingerprint[:30]):
            assert house.images.get(reference).fingerprint == fingerprint
        for wrong in ("tinny", fingerprint[:7], fingerprint[:20].upper(), "", "0" * 64):
            with pytest.raises(LodgeError) as refused:
                house.images.get(wrong)
            assert refused.value.code == "image_not_found"
        with pytest.raises(LodgeError) as near:
            house.images.get("tinny")
        assert near.value.hint == "did you mean tiny?"

    in_house(tmp_path, scenario)


def test_aliases_are_set_moved_and_taken_away(tmp_path: Path) -> None:
    async def scenario(house: ImageHouse) -> None:
        old, new = await build(house, alias="web"), await build(house, alias="next")
        changed = await house.images.set_aliases(new, ["web", "next", "web"], ROOT)
        assert changed.aliases == ("web", "next")
        assert house.images.get(old).aliases == ()
        assert (await house.images.set_aliases("web", [], ROOT)).aliases == ()
        with pytest.raises(LodgeError) as refused:
            await house.images.set_aliases(new, ["Not A Name"], ROOT)
        assert refused.value.code == "invalid_name"

    in_house(tmp_path, scenario)


def test_an_image_in_use_is_not_removed_and_its_users_are_named(tmp_path: Path) -> None:
    async def scenario(house: ImageHouse) -> None:
        fingerprint = await build(house)
        instances = Records(house.store, "instances/", Instance)
        volumes = Records(house.store, "volumes/", Volume)
        instance = Instance(
            id="i1",
            name="web1",
            spec=InstanceSpec(image=fingerprint),
            wanted=Power.STOPPED,
            driver="fake",
            machine_version="",
            uid=1,
            created_at=0.0,
            updated_at=0.0,
        )
        volume = Volume(
            name="data",
            pool="default",
            size_bytes=1,
            format=VolumeFormat.QCOW2,
            created_at=0.0,
            image=fingerprint,
        )
        writes = [instances.put("web1", instance), volumes.put("default/data", volume)]
        await house.store.txn((), writes)
        with pytest.raises(LodgeError) as refused:
            await house.images.remove("tiny", ROOT)
        assert refused.value.code == "image_in_use"
        users = ["instances/web1", "pools/default/volumes/data"]
        assert refused.value.details["users"] == users == list(house.images.users("tiny"))
        await house.store.txn((), [instances.delete("web1"), volumes.delete("default/data")])
        task = await house.done(await house.images.remove("tiny", ROOT))
        assert task.state is TaskState.DONE
        assert not house.images.folder(fingerprint).exists()
        assert house.images.list() == []
        assert house.leftovers() == []

    in_house(tmp_path, scenario)


def test_two_removals_at_once_remove_once(tmp_path: Path) -> None:
    async def scenario(house: ImageHouse) -> None:
        await build(house)
        begun = await asyncio.gather(
            *(house.images.remove("tiny", ROOT) for _ in range(3)), return_exceptions=True
        )
        ended = [await house.done(task) for task in begun if not isinstance(task, BaseException)]
        assert TaskState.DONE in {task.state for task in ended}
        assert house.images.list() == []

    in_house(tmp_path, scenario)


def test_an_image_removed_can_be_added_again(tmp_path: Path) -> None:
    async def scenario(house: ImageHouse) -> None:
        first = await build(house)
        await house.done(await house.images.remove(first, ROOT))
        house.builder.builds = 0
        assert await build(house) == first
        assert house.images.file("tiny").exists()

    in_house(tmp_path, scenario)


async def blocks(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 50_000):
        yield data[start : start + 50_000]


async def broken(data: bytes) -> AsyncIterator[bytes]:
    yield data[:1000]
    raise ConnectionResetError


def test_an_upload_becomes_an_image(tmp_path: Path) -> None:
    async def scenario(house: ImageHouse) -> None:
        data = blocks(empty_qcow2(16 << 20))
        task = await house.images.receive(
            data, alias="mine", format=ImageFormat.QCOW2, description="d", actor=ROOT
        )
        ended = await house.done(task)
        assert (ended.kind, ended.state) == ("image.import", TaskState.DONE), ended.error
        assert house.images.get("mine").source == "upload"
        assert house.leftovers() == []

    in_house(tmp_path, scenario)


def test_an_upload_that_breaks_off_or_has_a_bad_alias_leaves_nothing(tmp_path: Path) -> None:
    async def scenario(house: ImageHouse) -> None:
        disk = empty_qcow2(16 << 20)
        with pytest.raises(ConnectionResetError):
            await house.images.receive(
                broken(disk), alias=None, format=None, description="", actor=ROOT
            )
        with pytest.raises(LodgeError) as refused:
            await house.images.receive(
                blocks(disk), alias="NO!", format=None, description="", actor=ROOT
            )
        assert refused.value.code == "invalid_name"
        assert house.leftovers() == []

    in_house(tmp_path, scenario)


def test_a_format_that_is_not_the_files_own_is_refused(tmp_path: Path) -> None:
    async def scenario(house: ImageHouse) -> None:
        data = blocks(empty_qcow2(16 << 20))
        task = await house.images.receive(
            data, alias=None, format=ImageFormat.VDI, description="", actor=ROOT
        )
        ended = await house.done(task)
        assert ended.error is not None
        assert ended.error["code"] == "disk_file_format_mismatch"
        assert house.leftovers() == []

    in_house(tmp_path, scenario)


def test_events_tell_what_happened_to_an_image(tmp_path: Path) -> None:
    async def scenario(house: ImageHouse) -> None:
        fingerprint = await build(house)
        await house.images.set_aliases(fingerprint, ["other"], ROOT)
        await house.done(await house.images.remove("other", ROOT))
        kinds = [event.kind for event in house.events.since(0) if event.kind.startswith("image.")]
        assert kinds == ["image.added", "image.changed", "image.removed"]

    in_house(tmp_path, scenario)


def test_leftovers_of_dead_uploads_and_tasks_are_swept_at_the_start(tmp_path: Path) -> None:
    for name in (".work/deadbeef", ".uploads/0123"):
        folder = tmp_path / "images" / name
        folder.mkdir(parents=True)
        (folder / "data").write_bytes(b"left")
    unknown = tmp_path / "images" / ("a" * 64)
    unknown.mkdir()

    async def scenario(house: ImageHouse) -> None:
        assert house.leftovers() == []
        assert unknown.exists(), "an image may have lost its record, not its value"

    in_house(tmp_path, scenario)
