"""A monitor that answers, is late, lies, goes away and comes back."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fake_peers import GREETING, Monitor, fine, serving
from qemu_lab import until

from lodge.base.world import RealWorld
from lodge.drivers.instance.errors import DriverRefusedError, DriverTimeoutError, HandleLostError
from lodge.drivers.instance.qemu.session import QmpSession

Events = list[tuple[str, Mapping[str, Any]]]


@asynccontextmanager
async def connected(tmp_path: Path) -> AsyncIterator[tuple[Monitor, QmpSession, Events]]:
    events: Events = []
    monitor = Monitor(tmp_path / "qmp.sock")
    session = QmpSession(
        monitor.path,
        os.getpid(),
        RealWorld(),
        on_event=lambda name, data: events.append((name, data)),
    )
    async with serving(monitor):
        try:
            await session.open(timeout_s=10)
            yield monitor, session, events
        finally:
            await session.close()


def test_a_command_returns_its_value_and_a_refusal_its_words(tmp_path: Path) -> None:
    def answer(request: dict[str, Any]) -> bytes:
        if request["execute"] == "query-status":
            return (
                json.dumps({"return": {"status": "running"}, "id": request["id"]}).encode() + b"\n"
            )
        error = {"class": "GenericError", "desc": "no such luck"}
        return json.dumps({"error": error, "id": request["id"]}).encode() + b"\n"

    async def scenario() -> None:
        async with connected(tmp_path) as (monitor, session, _events):
            monitor.answer = answer
            assert await session.execute("query-status") == {"status": "running"}
            with pytest.raises(DriverRefusedError, match="no such luck") as refused:
                await session.execute("eject")
            assert refused.value.details["error_class"] == "GenericError"

    asyncio.run(scenario())


def test_events_are_heard_in_order_and_nonsense_among_them_is_ignored(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with connected(tmp_path) as (monitor, session, events):
            monitor.say(b'{"event": "STOP", "timestamp": {}}\n{"event": 7}\n')
            monitor.say(b'{"event": "RESET", "data": []}\n{"event": "RESUME", "data": {"a": 1}}\n')
            await until(lambda: len(events) == 2, what="events")
            assert events == [("STOP", {}), ("RESUME", {"a": 1})]
            assert await session.execute("query-status") == {}

    asyncio.run(scenario())


def test_a_silent_monitor_is_told_within_the_limit_and_gets_no_heap_of_orders(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        held: list[dict[str, Any]] = []

        def hold(request: dict[str, Any]) -> None:
            held.append(request)

        async with connected(tmp_path) as (monitor, session, _events):
            monitor.answer = hold
            for command in ("stop", "cont", "system_reset"):
                with pytest.raises(DriverTimeoutError, match=command):
                    await session.execute(command, timeout_s=0.05)
            assert monitor.asked == ["stop"]
            monitor.answer = fine
            monitor.say(fine(held[0]))
            assert await session.execute("query-status", timeout_s=5) == {}
            assert monitor.asked == ["stop", "query-status"]

    asyncio.run(scenario())


NONSENSE = {
    "no JSON": b"hello\n",
    "no object": b"[1, 2]\n",
    "not UTF-8": b"\xff\xfe{}\n",
    "nested too deep": b"[" * 100_000 + b"\n",
    "an error for nobody": b'{"error": {"class": "X", "desc": "y"}}\n',
    "a list as id": b'{"return": {}, "id": []}\n',
    "endless line": b"x" * (11 << 20) + b"\n",
}


@pytest.mark.parametrize("said", NONSENSE.values(), ids=NONSENSE)
def test_nonsense_breaks_the_connection_only_and_a_new_one_works(
    tmp_path: Path, said: bytes
) -> None:
    async def scenario() -> None:
        async with connected(tmp_path) as (monitor, session, _events):
            monitor.answer = lambda _request: said
            with pytest.raises(DriverTimeoutError):
                await session.execute("query-status", timeout_s=10)
            monitor.answer = fine
            await until(lambda: monitor.connections == 2 and session.is_connected)
            assert await session.execute("query-status") == {}

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "said", [b'{"id": "__qmp#00000"}\n', b'{"error": 5, "id": "__qmp#00000"}\n', b'{"return": 1}\n']
)
def test_a_reply_of_another_shape_is_no_answer(tmp_path: Path, said: bytes) -> None:
    async def scenario() -> None:
        async with connected(tmp_path) as (monitor, session, _events):
            monitor.answer = lambda _request: said
            with pytest.raises(DriverTimeoutError):
                await session.execute("query-status", timeout_s=0.2)

    asyncio.run(scenario())


def test_a_greeting_that_is_none_is_not_waited_for_longer_than_the_limit(tmp_path: Path) -> None:
    async def scenario() -> None:
        monitor = Monitor(tmp_path / "qmp.sock")
        monitor.greeting = b"220 mail.example.org\n"
        session = QmpSession(
            monitor.path, os.getpid(), RealWorld(), on_event=lambda _name, _data: None
        )
        async with serving(monitor):
            with pytest.raises(DriverTimeoutError, match="greeting"):
                await session.open(timeout_s=0.1)
            with pytest.raises(DriverTimeoutError, match="not connected"):
                await session.execute("query-status")
            monitor.greeting = GREETING
            await until(lambda: session.is_connected, what="it connects later")
            await session.close()

    asyncio.run(scenario())


def test_a_process_that_ended_is_not_waited_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        session = QmpSession(
            tmp_path / "qmp.sock", os.getpid(), RealWorld(), on_event=lambda _name, _data: None
        )
        with pytest.raises(HandleLostError):
            await session.open(timeout_s=60, gone=lambda: True)
        await session.close()

    asyncio.run(scenario())


def test_somebody_elses_monitor_is_never_spoken_to(tmp_path: Path) -> None:
    async def scenario() -> None:
        monitor = Monitor(tmp_path / "qmp.sock")
        session = QmpSession(monitor.path, 1, RealWorld(), on_event=lambda _name, _data: None)
        async with serving(monitor):
            with pytest.raises(DriverTimeoutError):
                await session.open(timeout_s=0.1)
            await session.close()
            assert monitor.asked == []

    asyncio.run(scenario())


def test_closing_does_not_wait_for_a_monitor_that_reads_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with connected(tmp_path) as (monitor, session, _events):
            monitor.answer = lambda _request: None
            asked = [
                asyncio.create_task(session.execute("query-status", timeout_s=60)) for _ in range(3)
            ]
            await until(lambda: len(monitor.asked) == 3)
            async with asyncio.timeout(5):
                await session.close()
                results = await asyncio.gather(*asked, return_exceptions=True)
            assert all(isinstance(each, DriverTimeoutError) for each in results)

    asyncio.run(scenario())
