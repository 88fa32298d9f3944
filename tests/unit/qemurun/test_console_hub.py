"""One console, several viewers."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from qemu_lab import until

from lodge.base.world import RealWorld
from lodge.drivers.instance.errors import DriverTimeoutError
from lodge.drivers.instance.qemu.console import RECENT_BYTES, VIEWER_BYTES, ConsoleHub


class Port:
    """The guest's end of the serial line."""

    def __init__(self) -> None:
        self.writers: list[asyncio.StreamWriter] = []
        self.typed = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                self.typed += data
        writer.close()

    async def print(self, data: bytes) -> None:
        self.writers[-1].write(data)
        await self.writers[-1].drain()


@asynccontextmanager
async def console(tmp_path: Path) -> AsyncIterator[tuple[Port, ConsoleHub, list[int]]]:
    port, sizes = Port(), list[int]()
    path = tmp_path / "console.sock"
    server = await asyncio.start_unix_server(port.serve, path)
    hub = ConsoleHub(path, os.getpid(), RealWorld(), on_output=sizes.append, recent=b"earlier;")
    await hub.open()
    await until(lambda: port.writers, what="the hub reads")
    try:
        yield port, hub, sizes
    finally:
        await hub.close()
        server.close()
        await until(lambda: all(w.is_closing() for w in port.writers))
        await server.wait_closed()


def test_every_viewer_begins_with_the_recent_output_and_sees_everything_after(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        async with console(tmp_path) as (port, hub, sizes):
            early = hub.view()
            await port.print(b"one;")
            await until(lambda: sum(sizes) == 4)
            late = hub.view()
            await port.print(b"two;")
            await until(lambda: sum(sizes) == 8)
            for viewer in (early, late):
                hub.leave(viewer)
                seen = b"".join([data async for data in viewer.output()])
                assert seen == b"earlier;one;two;"

    asyncio.run(scenario())


def test_a_slow_viewer_loses_output_and_is_told_while_others_lose_none(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with console(tmp_path) as (port, hub, sizes):
            slow, fast = hub.view(), hub.view()
            output = fast.output()
            seen = await anext(output)
            size = 0
            while size <= VIEWER_BYTES:
                await port.print(b"x" * 50_000)
                size += 50_000
                while len(seen) < size + 8:
                    seen += await anext(output)
            await port.print(b"END")
            await until(lambda: sum(sizes) == size + 3)
            hub.leave(slow)
            told = b"".join([data async for data in slow.output()])
            assert b"bytes were skipped" in told
            assert told.endswith(b"END")
            assert len(told) < VIEWER_BYTES + 100
            assert seen == b"earlier;" + b"x" * size

    asyncio.run(scenario())


def test_recent_output_is_bounded(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with console(tmp_path) as (port, hub, sizes):
            await port.print(b"y" * (5 * RECENT_BYTES))
            await until(lambda: sum(sizes) == 5 * RECENT_BYTES)
            viewer = hub.view()
            hub.leave(viewer)
            shown = sum([len(data) async for data in viewer.output()])
            assert RECENT_BYTES <= shown <= 2 * RECENT_BYTES

    asyncio.run(scenario())


def test_what_is_typed_reaches_the_guest(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with console(tmp_path) as (port, hub, _sizes):
            await hub.view().write(b"ls\n")
            await until(lambda: port.typed == b"ls\n")

    asyncio.run(scenario())


def test_a_broken_line_is_connected_again_and_viewers_stay(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with console(tmp_path) as (port, hub, sizes):
            viewer = hub.view()
            port.writers[0].transport.abort()
            await until(lambda: len(port.writers) == 2, what="a new connection")
            await port.print(b"again")
            await until(lambda: sum(sizes) == 5)
            hub.leave(viewer)
            assert b"".join([data async for data in viewer.output()]) == b"earlier;again"

    asyncio.run(scenario())


def test_closing_ends_all_sessions_and_typing_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with console(tmp_path) as (_port, hub, _sizes):
            viewer = hub.view()
            await hub.close()
            assert [data async for data in viewer.output()] == [b"earlier;"]
            assert [data async for data in hub.view().output()] == [b"earlier;"]
            with pytest.raises(DriverTimeoutError):
                await viewer.write(b"x")

    asyncio.run(scenario())
