"""Sources of images that point the daemon at places it should not ask."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from image_house import ROOT, ImageHouse, image_house
from image_server import ImageServer, Page, image_server

from lodge.model.image import ImageAdd
from lodge.model.task import Task


def in_house(
    tmp_path: Path, scenario: Callable[[ImageHouse, ImageServer], Awaitable[None]]
) -> None:
    async def run() -> None:
        async with image_server() as server, image_house(tmp_path) as house:
            await scenario(house, server)

    asyncio.run(run())


async def add(house: ImageHouse, source: str) -> Task:
    return await house.done(await house.images.add(ImageAdd(source=source), ROOT))


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]", "[fd00:ec2::254]"]
)
def test_the_addresses_where_clouds_keep_a_hosts_credentials_are_never_asked(
    tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)

    async def scenario(house: ImageHouse, server: ImageServer) -> None:
        direct = await add(house, f"http://{address}/latest/meta-data/")
        assert direct.error is not None
        assert direct.error["code"] == "image_download_refused"
        server.pages["/d"] = Page(status=302, location=f"http://{address}/x")
        led = await add(house, server.url("/d"))
        assert led.error is not None
        assert led.error["code"] == "image_download_refused"

    in_house(tmp_path, scenario)
