"""The daemon dies at every point of every image task; the next life finishes it."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from image_house import ROOT, ImageHouse, image_house
from image_server import ImageServer, Page, image_server
from task_lab import DeathError

from lodge.drivers.builder.fake.render import empty_qcow2
from lodge.model.image import ImageAdd, ImageBuild
from lodge.model.task import Task, TaskState

pytestmark = pytest.mark.root

DISK = empty_qcow2(16 << 20)
Begin = Callable[[ImageHouse, ImageServer], Awaitable[Task]]


async def begin_add(house: ImageHouse, server: ImageServer) -> Task:
    request = ImageAdd(
        source=server.url("/d"), alias="web", sha256=hashlib.sha256(DISK).hexdigest()
    )
    return await house.images.add(request, ROOT)


async def begin_build(house: ImageHouse, _server: ImageServer) -> Task:
    return await house.images.build(ImageBuild(recipe="tiny", alias="web"), ROOT)


async def begin_import(house: ImageHouse, _server: ImageServer) -> Task:
    async def blocks():  # type: ignore[no-untyped-def]
        yield DISK[:1000]
        yield DISK[1000:]

    return await house.images.receive(
        blocks(), alias="web", format=None, description="", actor=ROOT
    )


BEGINNINGS = {"add": begin_add, "build": begin_build, "import": begin_import}


def points_of(state: Path, begin: Begin) -> list[str]:
    """Walk one task with no death and tell its points."""

    async def run() -> list[str]:
        async with image_server() as server, image_house(state) as house:
            server.pages["/d"] = Page(DISK)
            task = await house.done(await begin(house, server))
            assert task.state is TaskState.DONE, task.error
            return house.points

    return asyncio.run(run())


@pytest.mark.parametrize("name", BEGINNINGS)
def test_a_death_at_any_point_ends_in_a_whole_image_and_no_leftover(
    tmp_path: Path, name: str
) -> None:
    begin = BEGINNINGS[name]
    points = points_of(tmp_path / "whole", begin)
    assert len(points) > 10

    async def lives(point: str, state: Path) -> None:
        async with image_server() as server:
            server.pages["/d"] = Page(DISK, cuts=[100_000])
            is_submitted = True
            async with image_house(state, dies_at=lambda here: here == point) as house:
                try:
                    await house.done_or_dead(await begin(house, server))
                except DeathError:
                    is_submitted = point.endswith("/submitted")
                assert house.died.is_set()
            async with image_house(state) as house:
                for task in house.tasks.list():
                    ended = await house.done(task)
                    assert ended.state is TaskState.DONE, (point, ended.error)
                assert len(house.images.list()) == is_submitted, point
                assert house.leftovers() == house.parts() == [], point
                if is_submitted:
                    assert house.images.file("web").stat().st_size > 0
                    assert house.images.get("web").aliases == ("web",)

    for number, point in enumerate(dict.fromkeys(points)):
        asyncio.run(lives(point, tmp_path / str(number)))


def test_a_death_while_removing_leaves_neither_record_nor_files(tmp_path: Path) -> None:
    async def lives(point: str, state: Path) -> bool:
        async with image_server() as server, image_house(state) as house:
            await house.done(await begin_build(house, server))
        async with image_house(state, dies_at=lambda here: here == point) as house:
            fingerprint = house.images.get("web").fingerprint
            await house.done_or_dead(await house.images.remove("web", ROOT))
            died = house.died.is_set()
        async with image_house(state) as house:
            for task in house.tasks.list():
                await house.done(task)
            assert house.images.list() == []
            assert not house.images.folder(fingerprint).exists()
            assert house.leftovers() == []
        return died

    steps = [f"image.remove/leave/{moment}" for moment in ("before", "after", "journaled")]
    steps += [f"image.remove/tidy/{moment}" for moment in ("before", "after", "journaled")]
    for number, point in enumerate(steps):
        assert asyncio.run(lives(point, tmp_path / str(number))), point
