"""The disk is full: a clear error, no leftover but the part that can be gone on with."""

import asyncio
import os
from pathlib import Path

import pytest
from image_house import ROOT, image_house
from image_server import Page, image_server
from private_mounts import mounted_tmpfs

from lodge.base.errors import LodgeError
from lodge.model.image import ImageAdd, ImageFormat
from lodge.model.task import TaskState

pytestmark = pytest.mark.root

MIB = 1 << 20
NOISE = os.urandom(20 * MIB)


def test_a_download_that_does_not_fit_is_kept_and_goes_on_when_there_is_room(
    tmp_path: Path,
) -> None:
    async def scenario(state: Path) -> None:
        ballast = state / "ballast"
        async with image_server() as server, image_house(state) as house:
            server.pages["/d"] = Page(NOISE, has_length=False)
            ballast.write_bytes(bytes(40 * MIB))
            request = ImageAdd(source=server.url("/d"), alias="big", format=ImageFormat.RAW)
            failed = await house.done(await house.images.add(request, ROOT))
            assert failed.error is not None
            assert failed.error["code"] == "disk_full"
            assert failed.error["retryable"] is True
            assert house.leftovers() == []
            kept = house.parts()[0].stat().st_size
            assert MIB < kept < len(NOISE)
            ballast.unlink()
            again = await house.done(await house.images.add(request, ROOT))
            assert again.state is TaskState.DONE, again.error
            assert server.asked[-1].range == f"bytes={kept}-"

    with mounted_tmpfs(tmp_path / "state", size_bytes=64 * MIB) as state:
        asyncio.run(scenario(state))


def test_a_conversion_that_does_not_fit_leaves_only_the_download(tmp_path: Path) -> None:
    async def scenario(state: Path) -> None:
        async with image_server() as server, image_house(state) as house:
            server.pages["/d"] = Page(NOISE)
            (state / "ballast").write_bytes(bytes(30 * MIB))
            request = ImageAdd(source=server.url("/d"), alias="big", format=ImageFormat.RAW)
            failed = await house.done(await house.images.add(request, ROOT))
            assert failed.error is not None
            assert failed.error["code"] == "disk_full", failed.error
            assert house.leftovers() == []
            assert house.images.list() == []
            assert [part.stat().st_size for part in house.parts()] == [len(NOISE)]
            (state / "ballast").unlink()
            again = await house.done(await house.images.add(request, ROOT))
            assert again.state is TaskState.DONE, again.error
            assert server.sent_bytes == len(NOISE)

    with mounted_tmpfs(tmp_path / "state", size_bytes=64 * MIB) as state:
        asyncio.run(scenario(state))


def test_an_upload_that_does_not_fit_leaves_nothing(tmp_path: Path) -> None:
    async def scenario(state: Path) -> None:
        async def blocks():  # type: ignore[no-untyped-def]
            for _ in range(100):
                yield NOISE[:MIB]

        async with image_house(state) as house:
            with pytest.raises(LodgeError) as refused:
                await house.images.receive(
                    blocks(), alias=None, format=ImageFormat.RAW, description="", actor=ROOT
                )
            assert refused.value.code == "disk_full"
            assert house.leftovers() == []

    with mounted_tmpfs(tmp_path / "state", size_bytes=64 * MIB) as state:
        asyncio.run(scenario(state))
