"""Adding images from the network: what comes, what is kept, what is refused."""

import asyncio
import hashlib
import os
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from image_house import ROOT, ImageHouse, image_house
from image_server import ImageServer, Page, image_server

from lodge.base.errors import LodgeError
from lodge.drivers.builder.fake.render import empty_qcow2
from lodge.model.image import ImageAdd, ImageBuild, ImageFormat, ImageOrigin
from lodge.model.task import Actor, Task, TaskState
from lodge.services.images.add import AddParams
from lodge.services.images.intake import About
from lodge.system.identity import GUEST_GID

pytestmark = pytest.mark.root

MIB = 1 << 20
DISK = empty_qcow2(16 * MIB)


def in_house(state: Path, scenario: Callable[[ImageHouse, ImageServer], Awaitable[None]]) -> None:
    async def run() -> None:
        async with image_server() as server, image_house(state) as house:
            await scenario(house, server)

    asyncio.run(run())


async def add(house: ImageHouse, source: str, **fields: object) -> Task:
    request = ImageAdd(source=source, **fields)  # type: ignore[arg-type]
    return await house.done(await house.images.add(request, ROOT))


def code(task: Task) -> str | None:
    return None if task.error is None else task.error["code"]


def test_a_downloaded_image_has_a_record_files_and_an_alias(tmp_path: Path) -> None:
    async def scenario(house: ImageHouse, server: ImageServer) -> None:
        server.pages["/disk.qcow2"] = Page(DISK)
        task = await add(house, server.url("/disk.qcow2"), alias="small", description="mine")
        assert task.state is TaskState.DONE, task.error
        image = house.images.get("small")
        file = house.images.file("small")
        assert image.fingerprint == hashlib.sha256(file.read_bytes()).hexdigest()
        assert (image.virtual_bytes, image.origin) == (16 * MIB, ImageOrigin.DOWNLOADED)
        assert (image.description, image.source) == ("mine", server.url("/disk.qcow2"))
        assert task.result == {
            "image": image.fingerprint,
            "aliases": ["small"],
            "existed_already": False,
        }
        facts, folder = file.stat(), file.parent.stat()
        assert (facts.st_uid, facts.st_gid, stat.S_IMODE(facts.st_mode)) == (0, GUEST_GID, 0o640)
        assert (folder.st_gid, stat.S_IMODE(folder.st_mode)) == (GUEST_GID, 0o710)
        assert house.leftovers() == house.parts() == []

    in_house(tmp_path, scenario)


def test_a_right_checksum_passes_and_a_wrong_one_refuses_and_keeps_nothing(tmp_path: Path) -> None:
    async def scenario(house: ImageHouse, server: ImageServer) -> None:
        server.pages["/d"] = Page(DISK)
        wrong = await add(house, server.url("/d"), sha256="0" * 64)
        assert code(wrong) == "image_checksum_mismatch"
        assert wrong.error is not None
        assert wrong.error["details"]["found"] == hashlib.sha256(DISK).hexdigest()
        assert house.images.list() == []
        assert house.leftovers() == house.parts() == []
        right = await add(house, server.url("/d"), sha256=hashlib.sha256(DISK).hexdigest())
        assert right.state is TaskState.DONE

    in_house(tmp_path, scenario)


def test_a_transfer_that_breaks_off_goes_on_where_it_stopped(tmp_path: Path) -> None:
    async def scenario(house: ImageHouse, server: ImageServer) -> None:
        page = server.pages["/d"] = Page(DISK, cuts=[100_000, 50_000])
        task = await add(house, server.url("/d"))
        assert task.state is TaskState.DONE, task.error
        assert [asked.range for asked in server.asked] == [
            None,
            "bytes=100000-",
            "bytes=150000-",
        ]
        assert server.asked[1].headers["if-range"] == page.etag
        assert server.sent_bytes == len(DISK)

    in_house(tmp_path, scenario)


def test_a_failed_download_is_kept_and_the_next_try_goes_on(tmp_path: Path) -> None:
    async def scenario(house: ImageHouse, server: ImageServer) -> None:
        server.pages["/d"] = Page(DISK, cuts=[200_000, 0, 0])
        failed = await add(house, server.url("/d"))
        assert code(failed) == "image_download_failed"
        assert failed.error is not None
        assert failed.error["retryable"] is True
        assert [path.stat().st_size for path in house.parts()] == [200_000]
        assert house.leftovers() == []
        again = await add(house, server.url("/d"))
        assert again.state is TaskState.DONE
        assert server.asked[-1].range == "bytes=200000-"
        assert house.parts() == []

    in_house(tmp_path, scenario)


def test_a_file_that_changed_meanwhile_is_fetched_anew(tmp_path: Path) -> None:
    async def scenario(house: ImageHouse, server: ImageServer) -> None:
        server.pages["/d"] = Page(b"x" * 300_000, cuts=[200_000, 0, 0])
        assert code(await add(house, server.url("/d"))) == "image_download_failed"
        server.pages["/d"] = Page(DISK, etag='"two"')
        task = await add(house, server.url("/d"), sha256=hashlib.sha256(DISK).hexdigest())
        assert task.state is TaskState.DONE, task.error

    in_house(tmp_path, scenario)


def test_a_server_that_ignores_if_range_cannot_mix_two_files(tmp_path: Path) -> None:
    async def scenario(house: ImageHouse, server: ImageServer) -> None:
        server.pages["/d"] = Page(b"x" * len(DISK), cuts=[200_000, 0, 0])
        assert code(await add(house, server.url("/d"))) == "image_download_failed"
        server.pages["/d"] = Page(DISK, etag='"two"', honours_if_range=False)
        task = await add(house, server.url("/d"))
        assert task.state is TaskState.DONE, task.error

    in_house(tmp_path, scenario)


def test_a_server_without_ranges_gives_the_whole_file_again(tmp_path: Path) -> None:
    async def scenario(house: ImageHouse, server: ImageServer) -> None:
        server.pages["/d"] = Page(DISK, has_ranges=False, cuts=[100_000])
        task = await add(house, server.url("/d"))
        assert task.state is TaskState.DONE, task.error
        assert server.sent_bytes == len(DISK) + 100_000

    in_house(tmp_path, scenario)


def test_parts_nobody_vouches_for_are_not_joined(tmp_path: Path) -> None:
    async def scenario(house: ImageHouse, server: ImageServer) -> None:
        server.pages["/d"] = Page(DISK, etag=None, cuts=[100_000, 0, 0])
        assert code(await add(house, server.url("/d"))) == "image_download_failed"
        assert (await add(house, server.url("/d"))).state is TaskState.DONE
        assert server.asked[-1].range is None

    in_house(tmp_path, scenario)


def test_a_server_that_hangs_is_given_up_and_told(tmp_path: Path) -> None:
    async def scenario(house: ImageHouse, server: ImageServer) -> None:
        server.pages["/d"] = Page(DISK, hangs_after=1000, etag=None)
        failed = await add(house, server.url("/d"))
        assert code(failed) == "image_download_failed"
        assert failed.error is not None
        assert "does not answer" in failed.error["message"]

    in_house(tmp_path, scenario)


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_file_that_is_not_given_is_refused_at_once(tmp_path: Path, status: int) -> None:
    async def scenario(house: ImageHouse, server: ImageServer) -> None:
        server.pages["/d"] = Page(DISK, status=status)
        failed = await add(house, server.url("/d"))
        assert code(failed) == "image_download_refused"
        assert failed.error is not None
        assert str(status) in failed.error["message"]
        assert len(server.asked) == 1

    in_house(tmp_path, scenario)


def test_a_busy_server_is_asked_again(tmp_path: Path) -> None:
    async def scenario(house: ImageHouse, server: ImageServer) -> None:
        server.pages["/d"] = Page(DISK, statuses=[503, 429])
        assert (await add(house, server.url("/d"))).state is TaskState.DONE

    in_house(tmp_path, scenario)


def test_a_circle_of_redirects_ends(tmp_path: Path) -> None:
    async def scenario(house: ImageHouse, server: ImageServer) -> None:
        server.pages["/a"] = Page(status=302, location="/b")
        server.pages["/b"] = Page(status=302, location="/a")
        assert code(await add(house, server.url("/a"))) == "image_download_refused"

    in_house(tmp_path, scenario)


def test_a_redirect_to_a_file_of_this_host_is_refused(tmp_path: Path) -> None:
    async def scenario(house: ImageHouse, server: ImageServer) -> None:
        server.pages["/a"] = Page(status=302, location="file:///etc/shadow")
        assert code(await add(house, server.url("/a"))) == "image_download_refused"

    in_house(tmp_path, scenario)


def test_a_redirect_to_the_file_is_followed(tmp_path: Path) -> None:
    async def scenario(house: ImageHouse, server: ImageServer) -> None:
        server.pages["/latest"] = Page(status=302, location="/d")
        server.pages["/d"] = Page(DISK)
        assert (await add(house, server.url("/latest"))).state is TaskState.DONE

    in_house(tmp_path, scenario)


def test_a_file_larger_than_the_free_room_is_refused_before_it_comes(tmp_path: Path) -> None:
    async def scenario(house: ImageHouse, server: ImageServer) -> None:
        server.pages["/d"] = Page(DISK, claims_bytes=200 << 30)
        assert code(await add(house, server.url("/d"))) == "disk_full"
        server.pages["/d"] = Page(DISK, claims_bytes=1 << 50)
        assert code(await add(house, server.url("/d"))) == "image_download_too_large"
        assert house.leftovers() == []

    in_house(tmp_path, scenario)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"<!DOCTYPE html><p>log in first", "image_not_a_disk"),
        (b"\xfd7zXZ\0" + b"x" * 5000, "image_not_a_disk"),
        (b"\x1f\x8b\x08" + b"x" * 5000, "image_not_a_disk"),
        (DISK[:150_000], "disk_file_truncated"),
        (b"QFI\xfb" + b"\xff" * 600, "disk_file_unsupported"),
        (DISK[:40] + (12345).to_bytes(8, "big") + DISK[48:], "disk_file_corrupt"),
        (b"", "disk_file_empty"),
        (empty_qcow2(16 * MIB << 24), "disk_file_too_large"),
    ],
    ids=["web page", "xz", "gzip", "truncated", "garbage", "wild table", "empty", "huge"],
)
def test_what_is_no_sound_disk_is_refused_by_its_own_error(
    tmp_path: Path, content: bytes, expected: str
) -> None:
    async def scenario(house: ImageHouse, server: ImageServer) -> None:
        server.pages["/d"] = Page(content)
        failed = await add(house, server.url("/d"))
        assert failed.error is not None
        found = (failed.error["code"], failed.error["message"])
        assert found[0] == expected, found
        assert house.images.list() == []
        assert house.leftovers() == []

    in_house(tmp_path, scenario)


def test_a_backing_file_on_this_host_is_never_opened(tmp_path: Path) -> None:
    name = b"/etc/shadow"
    forged = bytearray(DISK)
    forged[8:20] = (4096).to_bytes(8, "big") + len(name).to_bytes(4, "big")
    forged[4096 : 4096 + len(name)] = name

    async def scenario(house: ImageHouse, server: ImageServer) -> None:
        server.pages["/d"] = Page(bytes(forged))
        assert code(await add(house, server.url("/d"))) == "disk_file_has_backing_file"

    in_house(tmp_path, scenario)


def test_a_raw_disk_that_looks_like_qcow2_stays_raw_when_told_so(tmp_path: Path) -> None:
    raw = b"QFI\xfb" + b"\xff" * (MIB - 4)

    async def scenario(house: ImageHouse, server: ImageServer) -> None:
        server.pages["/d"] = Page(raw)
        task = await add(house, server.url("/d"), format=ImageFormat.RAW, alias="odd")
        assert task.state is TaskState.DONE, task.error
        assert house.images.get("odd").virtual_bytes == MIB

    in_house(tmp_path, scenario)


def test_the_same_content_twice_is_one_image_with_both_aliases(tmp_path: Path) -> None:
    async def scenario(house: ImageHouse, server: ImageServer) -> None:
        server.pages["/a"] = server.pages["/b"] = Page(DISK)
        await add(house, server.url("/a"), alias="first")
        second = await add(house, server.url("/b"), alias="second")
        assert second.result is not None
        assert second.result["existed_already"] is True
        assert [image.aliases for image in house.images.list()] == [("first", "second")]
        assert house.leftovers() == []

    in_house(tmp_path, scenario)


def test_an_alias_moves_to_the_newer_image(tmp_path: Path) -> None:
    async def scenario(house: ImageHouse, server: ImageServer) -> None:
        server.pages["/a"], server.pages["/b"] = Page(DISK), Page(empty_qcow2(8 * MIB))
        await add(house, server.url("/a"), alias="web")
        old = house.images.get("web").fingerprint
        await add(house, server.url("/b"), alias="web")
        assert house.images.get("web").virtual_bytes == 8 * MIB
        assert house.images.get(old[:10]).aliases == ()

    in_house(tmp_path, scenario)


def test_two_downloads_of_one_address_at_once_become_one_image(tmp_path: Path) -> None:
    async def scenario(house: ImageHouse, server: ImageServer) -> None:
        server.pages["/d"] = Page(DISK)
        tasks = await asyncio.gather(
            *(add(house, server.url("/d"), alias=f"a{number}") for number in range(4))
        )
        assert {task.state for task in tasks} == {TaskState.DONE}
        assert [set(image.aliases) for image in house.images.list()] == [{"a0", "a1", "a2", "a3"}]

    in_house(tmp_path, scenario)


@pytest.mark.parametrize(
    "source",
    ["", "nothing-by-this-name", "ftp://a.test/x", "http://", "file:///etc/passwd", "http://[::1"],
)
def test_a_source_that_names_nothing_is_refused(tmp_path: Path, source: str) -> None:
    async def scenario(house: ImageHouse, _server: ImageServer) -> None:
        with pytest.raises(LodgeError) as refused:
            await house.images.add(ImageAdd(source=source), ROOT)
        assert refused.value.code == "image_source_invalid"

    in_house(tmp_path, scenario)


def test_an_address_with_a_password_is_refused_without_repeating_it(tmp_path: Path) -> None:
    async def scenario(house: ImageHouse, _server: ImageServer) -> None:
        with pytest.raises(LodgeError) as refused:
            await house.images.add(ImageAdd(source="https://me:hush@a.test/x"), ROOT)
        assert refused.value.code == "image_source_invalid"
        assert "hush" not in refused.value.message

    in_house(tmp_path, scenario)


def test_files_of_the_host_are_only_for_its_root(tmp_path: Path) -> None:
    file = tmp_path / "d.qcow2"
    file.write_bytes(DISK)

    async def scenario(house: ImageHouse, _server: ImageServer) -> None:
        stranger = Actor(name="token", via="https", address="192.0.2.1")
        with pytest.raises(LodgeError) as refused:
            await house.images.add(ImageAdd(source=str(file)), stranger)
        assert refused.value.code == "image_path_denied"
        task = await add(house, str(file), alias="mine")
        assert task.state is TaskState.DONE, task.error
        assert house.images.get("mine").origin is ImageOrigin.IMPORTED
        assert file.read_bytes() == DISK
        assert os.stat(file).st_uid == 0

    in_house(tmp_path / "state", scenario)


def test_a_name_of_the_catalogue_that_is_a_recipe_is_built(tmp_path: Path) -> None:
    async def scenario(house: ImageHouse, _server: ImageServer) -> None:
        task = await add(house, "tiny")
        assert (task.kind, task.state) == ("image.build", TaskState.DONE)
        image = house.images.get("tiny")
        assert (image.has_kernel, image.has_cloud_init) == (True, False)
        names = sorted(path.name for path in house.images.folder(image.fingerprint).iterdir())
        assert names == ["disk.qcow2", "initrd", "vmlinux", "vmlinuz"]

    in_house(tmp_path, scenario)


def test_building_twice_builds_once_unless_forced(tmp_path: Path) -> None:
    async def scenario(house: ImageHouse, _server: ImageServer) -> None:
        house.builder.faults.differs = True
        for request in (
            ImageBuild(recipe="debian-12"),
            ImageBuild(recipe="debian-12", alias="web"),
            ImageBuild(recipe="debian-12", is_forced=True),
        ):
            task = await house.done(await house.images.build(request, ROOT))
            assert task.state is TaskState.DONE, task.error
        assert house.builder.builds == 2
        assert house.images.get("debian-12") != house.images.get("web")
        assert house.leftovers() == []

    in_house(tmp_path, scenario)


def test_a_build_without_its_tools_is_refused_with_what_to_install(tmp_path: Path) -> None:
    async def scenario(house: ImageHouse, _server: ImageServer) -> None:
        house.builder.faults.lacks_tool = True
        with pytest.raises(LodgeError) as refused:
            await house.images.build(ImageBuild(recipe="tiny"), ROOT)
        assert refused.value.code == "image_tools_missing"
        assert refused.value.hint == "apt-get install hammer"
        with pytest.raises(LodgeError) as unknown:
            await house.images.build(ImageBuild(recipe="tinny"), ROOT)
        assert unknown.value.code == "recipe_not_found"

    in_house(tmp_path, scenario)


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    async def scenario(house: ImageHouse, _server: ImageServer) -> None:
        house.builder.faults.fails_with = "the mirror is gone"
        task = await house.done(await house.images.build(ImageBuild(recipe="tiny"), ROOT))
        assert code(task) == "image_build_failed"
        assert house.leftovers() == []
        assert house.images.list() == []

    in_house(tmp_path, scenario)


def test_a_cancelled_build_leaves_nothing(tmp_path: Path) -> None:
    async def scenario(house: ImageHouse, _server: ImageServer) -> None:
        house.builder.faults.hangs = asyncio.Event()
        task = await house.images.build(ImageBuild(recipe="tiny"), ROOT)
        while house.builder.builds == 0:
            await asyncio.sleep(0.01)
        await house.tasks.cancel(task.id, ROOT)
        ended = await house.done(task)
        assert ended.state is TaskState.CANCELLED
        assert house.leftovers() == []

    in_house(tmp_path, scenario)


def test_only_bytes_known_to_be_on_the_disk_survive_a_power_cut(tmp_path: Path) -> None:
    async def scenario(house: ImageHouse, server: ImageServer) -> None:
        server.pages["/d"] = Page(DISK, cuts=[100_000, 0, 0])
        assert code(await add(house, server.url("/d"))) == "image_download_failed"
        (part,) = house.parts()
        with part.open("ab") as file:
            file.write(bytes(50_000))  # grew after the last time it was made safe
        assert (await add(house, server.url("/d"))).state is TaskState.DONE
        assert server.asked[-1].range == "bytes=100000-"

    in_house(tmp_path, scenario)


def test_a_part_whose_note_is_damaged_is_not_used(tmp_path: Path) -> None:
    async def scenario(house: ImageHouse, server: ImageServer) -> None:
        server.pages["/d"] = Page(DISK, cuts=[100_000, 0, 0])
        assert code(await add(house, server.url("/d"))) == "image_download_failed"
        house.parts()[0].with_name("part.json").write_bytes(b"{")
        assert (await add(house, server.url("/d"))).state is TaskState.DONE
        assert server.asked[-1].range is None

    in_house(tmp_path, scenario)


def test_a_checksum_of_a_published_list_is_read_before_the_file_is_fetched(tmp_path: Path) -> None:
    async def scenario(house: ImageHouse, server: ImageServer) -> None:
        about = About(source="x", origin=ImageOrigin.DOWNLOADED, alias="x")
        params = AddParams(
            about=about, url=server.url("/d"), checksum_url=server.url("/SHA256SUMS")
        )
        server.pages["/d"] = Page(DISK)
        server.pages["/SHA256SUMS"] = Page(b"0" * 64 + b"  a\n" + b"1" * 64 + b"  b\n")
        task = await house.done(await house.tasks.submit("image.add", params, ROOT))
        assert code(task) == "image_checksum_missing"
        assert [asked.path for asked in server.asked] == ["/SHA256SUMS"]
        listed = f"{hashlib.sha256(DISK).hexdigest()}  d\n{'1' * 64}  b\n"
        server.pages["/SHA256SUMS"] = Page(listed.encode())
        task = await house.done(await house.tasks.submit("image.add", params, ROOT))
        assert task.state is TaskState.DONE, task.error

    in_house(tmp_path, scenario)
