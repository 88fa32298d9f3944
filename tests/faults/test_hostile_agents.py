"""A guest whose agent attacks the daemon: endless, huge, deep and wrong answers, poisoned words."""

import asyncio
import base64
import json
import os
import resource
import tracemalloc
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from lodge.base.units import MIB
from lodge.base.world import RealWorld
from lodge.drivers.instance.errors import AgentError, AgentMissingError
from lodge.drivers.instance.qemu.agent.channel import AgentChannel
from lodge.drivers.instance.qemu.agent.execute import execute

Answer = Callable[[dict[str, Any], asyncio.StreamWriter], Coroutine[Any, Any, None]]


async def attacked(
    folder: Path, answer: Answer, attack: Callable[[AgentChannel], Coroutine[Any, Any, None]]
) -> None:
    """Run ``attack`` on a channel behind which ``answer`` speaks, synchronisation apart."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                request = json.loads(line.lstrip(b"\xff"))
                if request["execute"] == "guest-sync-delimited":
                    mark = json.dumps({"return": request["arguments"]["id"]}).encode()
                    writer.write(b"\xff" + mark + b"\n")
                else:
                    await answer(request, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_unix_server(talk, folder / "agent.sock")
    channel = AgentChannel(folder / "agent.sock", os.getpid(), RealWorld())
    try:
        await attack(channel)
    finally:
        await channel.close()
        server.close()


def say(data: bytes) -> Answer:
    async def answer(_request: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        writer.write(data + b"\n")
        await writer.drain()

    return answer


async def flood(_request: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


@pytest.mark.parametrize(
    "lie",
    [
        b'{"return":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"return":[' + b"[]," * 600_000 + b"[]]}",
        b'{"return":' + b"9" * 5000 + b"}",
        b"[]",
        b'{"return":"\xc3"}',
    ],
    ids=["deep", "long", "number", "no object", "no text"],
)
def test_nonsense_is_told_as_no_agent(tmp_path: Path, lie: bytes) -> None:
    async def attack(channel: AgentChannel) -> None:
        with pytest.raises(AgentMissingError):
            await channel.call("guest-network-get-interfaces")

    asyncio.run(attacked(tmp_path, say(lie), attack))


def test_an_answer_without_end_costs_the_daemon_a_bounded_piece_of_memory(tmp_path: Path) -> None:
    async def attack(channel: AgentChannel) -> None:
        tracemalloc.start()
        try:
            with pytest.raises(AgentMissingError, match="longer than"):
                await channel.call("guest-network-get-interfaces", timeout_s=30)
            assert tracemalloc.get_traced_memory()[1] < 8 * MIB
        finally:
            tracemalloc.stop()

    asyncio.run(attacked(tmp_path, flood, attack))


def test_an_output_wrapped_in_millions_of_values_is_read_without_making_them(
    tmp_path: Path,
) -> None:
    bomb = b"[" + b"[]," * (8 * MIB // 3) + b"[]]"
    status = b'{"return":{"exited":true,"exitcode":0,"bomb":' + bomb + b"}}"

    async def answer(request: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        is_start = request["execute"] == "guest-exec"
        writer.write((b'{"return":{"pid":1}}' if is_start else status) + b"\n")
        await writer.drain()

    async def attack(channel: AgentChannel) -> None:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        ended = await execute(channel, RealWorld(), ["true"], timeout_s=30)
        assert ended.exit_status == 0
        # As Python objects the bomb has 180 MiB.
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024

    asyncio.run(attacked(tmp_path, answer, attack))


def test_sixteen_mebibytes_of_each_output_still_come_through(tmp_path: Path) -> None:
    full = base64.b64encode(b"o" * (16 * MIB)).decode()
    status = {"exited": True, "exitcode": 3, "out-data": full, "err-data": full}

    async def answer(request: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        is_start = request["execute"] == "guest-exec"
        writer.write(json.dumps({"return": {"pid": 1} if is_start else status}).encode() + b"\n")
        await writer.drain()

    async def attack(channel: AgentChannel) -> None:
        ended = await execute(channel, RealWorld(), ["true"], timeout_s=60)
        assert (ended.exit_status, len(ended.stdout), len(ended.stderr)) == (3, 16 * MIB, 16 * MIB)

    asyncio.run(attacked(tmp_path, answer, attack))


def test_what_the_agent_says_reaches_messages_short_and_without_escapes(tmp_path: Path) -> None:
    words = "\x1b]0;owned\x07\x1b[2J\u009b31m\r\n" + "A" * 100_000
    lie = json.dumps({"error": {"class": words, "desc": words}}).encode()

    async def attack(channel: AgentChannel) -> None:
        with pytest.raises(AgentError) as told:
            await channel.call("guest-ping")
        assert told.value.message.isprintable()
        assert len(told.value.message) < 600
        assert str(told.value.details["error_class"]).isprintable()

    asyncio.run(attacked(tmp_path, say(lie), attack))
