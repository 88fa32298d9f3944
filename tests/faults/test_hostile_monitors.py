"""A QEMU that was taken over by its guest speaks to the daemon over its monitor."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from lodge.base.world import RealWorld
from lodge.drivers.instance.contract import Signal
from lodge.drivers.instance.errors import DriverTimeoutError
from lodge.drivers.instance.qemu.handle import QemuHandle
from lodge.drivers.instance.qemu.running import Running
from lodge.drivers.instance.qemu.screen import screenshot
from lodge.system.process import identify

_GREETING = {"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 0}, "package": ""},
                     "capabilities": []}}  # fmt: skip

Answer = Callable[[dict[str, Any], asyncio.StreamWriter], Any]


def line(value: Any) -> bytes:
    return json.dumps(value).encode() + b"\n"


def with_monitor(
    folder: Path,
    answer: Answer,
    scenario: Callable[[Running, list[Signal]], Awaitable[None]],
) -> None:
    """Run a scenario on a process whose monitor says what ``answer`` returns for each command."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(line(_GREETING))
        try:
            text = ""
            while data := await reader.read(65536):
                text = (text + data.decode()).lstrip()
                while text:
                    request, end = json.JSONDecoder().raw_decode(text)
                    text = text[end:].lstrip()
                    said = answer(request, writer)
                    writer.write(line({"return": said, "id": request.get("id")}))
                    await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def run() -> None:
        server = await asyncio.start_unix_server(speak, folder / "qmp.sock")
        own = identify(os.getpid())
        assert own is not None
        handle = QemuHandle(
            pid=own.pid,
            start_ticks=own.start_ticks,
            uid=os.geteuid(),
            started_at=0.0,
            run_dir=str(folder),
            state_dir=str(folder),
            accelerator="tcg",
            machine="pc-q35-7.2",
        )
        heard: list[Signal] = []

        def hear(_name: str, signal: Signal, _data: Mapping[str, Any]) -> None:
            heard.append(signal)

        async def tidy(_running: Running) -> None:
            return

        running = Running("one", handle, RealWorld(), tell=hear, tidy=tidy)
        await running.connect(timeout_s=10)
        try:
            await scenario(running, heard)
        finally:
            await running.close()
            server.close()

    asyncio.run(run())


def test_a_flood_of_events_reaches_nobody_else(tmp_path: Path) -> None:
    def answer(request: dict[str, Any], writer: asyncio.StreamWriter) -> Any:
        if request["execute"] == "query-status":
            event = {"event": "RESET", "data": {"guest": True}, "timestamp": {}}
            writer.write(line(event) * 3000)
            return {"status": "running"}
        return {}

    async def scenario(running: Running, heard: list[Signal]) -> None:
        assert await running.status(timeout_s=20) == "running"
        await asyncio.sleep(0)
        assert 1 <= len(heard) < 100
        assert set(heard) == {Signal.RESET}

    with_monitor(tmp_path, answer, scenario)


@pytest.mark.parametrize("said", [None, 7, "x", [], {}, {"fdset-id": "../../etc/shadow"}])
def test_a_picture_of_nothing_is_refused(tmp_path: Path, said: Any) -> None:
    async def scenario(running: Running, _heard: list[Signal]) -> None:
        with pytest.raises(DriverTimeoutError):
            await screenshot(running)

    with_monitor(tmp_path, lambda _request, _writer: said, scenario)


def test_a_picture_that_is_none_is_refused(tmp_path: Path) -> None:
    async def scenario(running: Running, _heard: list[Signal]) -> None:
        with pytest.raises(DriverTimeoutError, match="no picture"):
            await screenshot(running)

    with_monitor(tmp_path, lambda _request, _writer: {"fdset-id": 3}, scenario)


def test_an_answer_of_many_mebibytes_breaks_the_connection_off(tmp_path: Path) -> None:
    async def scenario(running: Running, _heard: list[Signal]) -> None:
        with pytest.raises(DriverTimeoutError):
            await running.status(timeout_s=20)

    def answer(request: dict[str, Any], _writer: asyncio.StreamWriter) -> Any:
        return [[]] * 1_000_000 if request["execute"] == "query-status" else {}

    with_monitor(tmp_path, answer, scenario)
