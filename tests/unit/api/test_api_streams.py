"""Events as they happen, and WebSockets into guests."""

import asyncio
import base64
import contextlib
import json
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from api_lab import Lab, running_api, view

from lodge.api.execstream import CONTROL, STDERR, STDIN, STDOUT
from lodge.api.server import ApiSettings

STREAM = {"Accept": "text/event-stream"}


def impatient(settings: ApiSettings) -> ApiSettings:
    return replace(settings, heartbeat_s=0.02, stall_s=0.3)


@asynccontextmanager
async def lab_with_web1() -> AsyncIterator[Lab]:
    async with running_api(change=impatient) as lab:
        lab.instances.add(view("web1", 1))
        yield lab


async def read_frames(lab: Lab, count: int, path: str, **headers: str) -> list[dict[str, str]]:
    """Read so many frames of an event stream, heartbeats left out."""
    frames: list[dict[str, str]] = []
    async with lab.session.get(f"http://lodge{path}", headers={**STREAM, **headers}) as answer:
        assert answer.headers["Content-Type"] == "text/event-stream"
        frame: dict[str, str] = {}
        async for line in answer.content:
            text = line.decode().rstrip("\n")
            if text:
                name, _, value = text.partition(": ")
                frame[name] = value
            elif "data" in frame:
                frames.append(frame)
                frame = {}
            if len(frames) == count:
                break
    return frames


def test_a_stream_brings_what_happens_and_can_be_resumed_from_an_id() -> None:
    async def scenario() -> None:
        async with lab_with_web1() as lab:
            reading = asyncio.create_task(read_frames(lab, 3, "/v1/events?since=0"))
            for number in range(3):
                await lab.events.publish("instance.started", f"instances/web{number}")
            frames = await reading
            assert [frame["id"] for frame in frames] == ["1", "2", "3"]
            assert json.loads(frames[2]["data"])["target"] == "instances/web2"
            (resumed,) = await read_frames(lab, 1, "/v1/events", **{"Last-Event-ID": "2"})
            assert resumed["id"] == "3"
            (filtered,) = await read_frames(lab, 1, "/v1/events?since=0&filter=target~web1")
            assert filtered["id"] == "2"

    asyncio.run(scenario())


def test_a_stream_says_that_it_is_still_there_when_nothing_happens() -> None:
    async def scenario() -> None:
        async with (
            lab_with_web1() as lab,
            lab.session.get("http://lodge/v1/events", headers=STREAM) as answer,
        ):
            seen = b""
            while seen.count(b": still here") < 2:
                seen += await answer.content.readline()

    asyncio.run(scenario())


def test_a_reader_from_another_history_is_told_to_read_everything_again() -> None:
    async def scenario() -> None:
        async with lab_with_web1() as lab:
            await lab.events.publish("instance.started", "instances/web1")
            (frame,) = await read_frames(lab, 1, "/v1/events?since=99")
            assert frame["event"] == "compacted"
            _, page = await lab.ask("GET", "/v1/events?since=99")
            assert page["is_compacted"] is True
            _, page = await lab.ask("GET", "/v1/events?since=1")
            assert (page["is_compacted"], page["items"], page["last"]) == (False, [], 1)

    asyncio.run(scenario())


def test_a_page_of_events_goes_on_where_the_last_one_ended() -> None:
    async def scenario() -> None:
        async with lab_with_web1() as lab:
            for number in range(5):
                await lab.events.publish("instance.started", f"instances/web{number}")
            _, first = await lab.ask("GET", "/v1/events?limit=3")
            assert [event["id"] for event in first["items"]] == [1, 2, 3]
            _, rest = await lab.ask("GET", f"/v1/events?since={first['last']}")
            assert [event["id"] for event in rest["items"]] == [4, 5]

    asyncio.run(scenario())


def test_a_stream_ends_when_the_daemon_stops() -> None:
    async def scenario() -> None:
        async with (
            lab_with_web1() as lab,
            lab.session.get("http://lodge/v1/events", headers=STREAM) as answer,
        ):
            await answer.content.readline()
            await asyncio.wait_for(lab.server.stop(), 5)
            assert await answer.content.read() is not None

    asyncio.run(scenario())


def test_a_reader_that_takes_nothing_is_cut_off_and_holds_no_queue() -> None:
    async def scenario() -> None:
        async with lab_with_web1() as lab:
            reader = socket.socket(socket.AF_UNIX)
            reader.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(reader, str(lab.socket))
            ask = b"GET /v1/events?since=0 HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n"
            await loop.sock_sendall(reader, ask)
            big = {"text": "x" * 100_000}
            protocols = lab.server._protocols[0]
            async with asyncio.timeout(20):
                while not protocols.connections:
                    await asyncio.sleep(0.001)
                while protocols.connections:
                    await lab.events.publish("instance.started", "instances/web1", big)
            reader.close()

    asyncio.run(scenario())


def test_a_console_carries_both_ways_and_is_closed_after_its_viewer() -> None:
    async def scenario() -> None:
        async with lab_with_web1() as lab:
            path = "http://lodge/v1/instances/web1/console"
            async with lab.session.ws_connect(path) as console:
                assert await console.receive_bytes() == b"login: "
                await console.send_bytes(b"root\n")
                assert await console.receive_bytes() == b"root\n"
                await console.send_str("é")
                assert await console.receive_bytes() == "é".encode()
            async with asyncio.timeout(5):
                while not lab.instances.consoles[0].is_closed:
                    await asyncio.sleep(0.001)
            assert lab.audit.list()[-1].action == "instances.console"

    asyncio.run(scenario())


def test_a_message_beyond_the_limit_ends_the_console_and_is_not_typed() -> None:
    async def scenario() -> None:
        async with lab_with_web1() as lab:
            path = "http://lodge/v1/instances/web1/console"
            async with lab.session.ws_connect(path) as viewer:
                await viewer.receive_bytes()
                with contextlib.suppress(ConnectionError):  # cut off while it still sends
                    await viewer.send_bytes(bytes(2 << 20))
                async with asyncio.timeout(5):
                    while not (await viewer.receive()).type & 0x100:  # CLOSED, ERROR, ...
                        pass
            (console,) = lab.instances.consoles
            async with asyncio.timeout(5):
                while not console.is_closed:
                    await asyncio.sleep(0.001)
            assert console.typed.empty()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("origin", "is_let_in"),
    [
        ("https://lodge", True),
        ("https://evil.example", False),
        ("null", False),
        ("https://lodge.evil.example", False),
    ],
)
def test_a_page_of_another_origin_gets_no_console(origin: str, is_let_in: bool) -> None:
    async def scenario() -> None:
        async with lab_with_web1() as lab:
            path = "http://lodge/v1/instances/web1/console"
            headers = {"Origin": origin}
            if is_let_in:
                async with lab.session.ws_connect(path, headers=headers) as console:
                    assert await console.receive_bytes()
                return
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await lab.session.ws_connect(path, headers=headers)
            assert refused.value.status == 403

    asyncio.run(scenario())


def test_a_console_ends_with_the_daemon() -> None:
    async def scenario() -> None:
        async with lab_with_web1() as lab:
            path = "http://lodge/v1/instances/web1/console"
            async with lab.session.ws_connect(path) as console:
                await console.receive_bytes()
                stopping = asyncio.create_task(lab.server.stop())
                message = await console.receive(timeout=5)
                assert message.data == aiohttp.WSCloseCode.GOING_AWAY
                await stopping

    asyncio.run(scenario())


def test_the_screen_is_carried_from_the_guests_socket() -> None:
    async def screen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"RFB 003.008\n")
        writer.write(await reader.read(100))
        await writer.drain()
        writer.close()

    async def scenario() -> None:
        async with lab_with_web1() as lab:
            server = await asyncio.start_unix_server(screen, lab.folder / "vnc")
            path = "http://lodge/v1/instances/web1/vnc"
            async with lab.session.ws_connect(path, protocols=("binary",)) as vnc:
                assert vnc.protocol == "binary"
                assert await vnc.receive_bytes() == b"RFB 003.008\n"
                await vnc.send_bytes(b"RFB 003.008\n")
                assert await vnc.receive_bytes() == b"RFB 003.008\n"
                assert (await vnc.receive()).type is aiohttp.WSMsgType.CLOSE
            server.close()
            await server.wait_closed()

    asyncio.run(scenario())


def test_a_link_to_the_daemons_own_socket_in_place_of_a_screen_is_refused() -> None:
    async def scenario() -> None:
        async with lab_with_web1() as lab:
            for trap in (lab.socket, "/etc/passwd"):
                os.symlink(trap, lab.folder / "vnc")
                with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                    await lab.session.ws_connect("http://lodge/v1/instances/web1/vnc")
                assert refused.value.status == 503
                os.unlink(lab.folder / "vnc")
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await lab.session.ws_connect("http://lodge/v1/instances/web1/vnc")
            assert refused.value.status == 503

    asyncio.run(scenario())


async def run_exec(lab: Lab, *messages: bytes) -> list[tuple[int, Any]]:
    """Send messages, return all answers by channel."""
    answers: list[tuple[int, Any]] = []
    async with lab.session.ws_connect("http://lodge/v1/instances/web1/exec") as channel:
        for message in messages:
            await channel.send_bytes(message)
        async for answer in channel:
            kind, data = answer.data[0], answer.data[1:]
            answers.append((kind, json.loads(data) if kind == CONTROL else data))
    return answers


COMMAND = bytes((CONTROL,)) + b'{"command":["cat"]}'


def test_a_command_gets_stdin_and_gives_outputs_and_status_apart() -> None:
    async def scenario() -> None:
        async with lab_with_web1() as lab:
            stdin = bytes((STDIN,))
            answers = await run_exec(lab, COMMAND, stdin + b"a" * 70_000, stdin + b"b", stdin)
            outputs = b"".join(data for kind, data in answers if kind == STDOUT)
            assert outputs == b"a" * 70_000 + b"b"
            assert answers[-2:] == [
                (STDERR, b"oops"),
                (CONTROL, {"exit_status": 3, "signal": None, "is_truncated": False}),
            ]
            given = lab.instances.executed[0].stdin or ""
            assert len(base64.b64decode(given)) == 70_001

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (bytes((STDIN,)) + b"x", "invalid_field"),
        (bytes((9,)), "invalid_field"),
        (b"", "invalid_field"),
        (bytes((CONTROL,)) + b"{", "malformed_body"),
        (bytes((CONTROL,)) + b'{"command":[]}', "invalid_field"),
    ],
)
def test_a_wrong_message_ends_an_exec_with_an_error(message: bytes, code: str) -> None:
    async def scenario() -> None:
        async with lab_with_web1() as lab:
            ((kind, facts),) = await run_exec(lab, message)
            assert (kind, facts["error"]["code"]) == (CONTROL, code)

    asyncio.run(scenario())


def test_hanging_up_ends_the_wait_for_a_command() -> None:
    async def scenario() -> None:
        async with lab_with_web1() as lab:
            lab.instances.exec_delay_s = 3600
            async with lab.session.ws_connect("http://lodge/v1/instances/web1/exec") as channel:
                await channel.send_bytes(COMMAND)
                await channel.send_bytes(bytes((STDIN,)))
                async with asyncio.timeout(5):
                    while not lab.instances.executed:
                        await asyncio.sleep(0.001)
            async with asyncio.timeout(5):
                while any("execute" in repr(task) for task in asyncio.all_tasks()):
                    await asyncio.sleep(0.001)

    asyncio.run(scenario())


def test_a_screenshot_is_a_picture() -> None:
    async def scenario() -> None:
        async with lab_with_web1() as lab:
            path = "http://lodge/v1/instances/web1/screenshot"
            async with lab.session.get(path) as answer:
                assert answer.headers["Content-Type"] == "image/png"
                assert (await answer.read()).startswith(b"\x89PNG")

    asyncio.run(scenario())
