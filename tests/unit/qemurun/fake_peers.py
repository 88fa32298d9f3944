"""The other ends: a QMP monitor and a guest agent that say what a test tells them to."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

_VERSION = {"qemu": {"major": 7, "minor": 2, "micro": 0}, "package": ""}
GREETING = json.dumps({"QMP": {"version": _VERSION, "capabilities": []}}).encode() + b"\n"

Answer = Callable[[dict[str, Any]], bytes | None]
"""Gets a request and says what to send back; None: nothing."""


def fine(request: dict[str, Any]) -> bytes:
    return json.dumps({"return": {}, "id": request.get("id")}).encode() + b"\n"


async def _requests(reader: asyncio.StreamReader) -> AsyncIterator[dict[str, Any]]:
    """QMP needs no line ends: a request is over where its object is."""
    text, decoder = "", json.JSONDecoder()
    while data := await reader.read(65536):
        text += data.decode()
        while text:
            try:
                request, end = decoder.raw_decode(text)
            except ValueError:
                break
            text = text[end:].lstrip()
            yield request


class Monitor:
    """A QMP server; ``greeting`` and ``answer`` may be changed at any time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.greeting = GREETING
        self.answer: Answer = fine
        self.asked: list[str] = []
        self.connections = 0
        self.writers: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.add(writer)
        writer.write(self.greeting)
        with suppress(ConnectionError):
            async for request in _requests(reader):
                if request["execute"] == "qmp_capabilities":
                    writer.write(fine(request))
                    continue
                self.asked.append(request["execute"])
                said = self.answer(request)
                if said is not None:
                    writer.write(said)
        self.writers.discard(writer)
        writer.close()

    def say(self, data: bytes) -> None:
        """Send something that nobody asked for."""
        for writer in self.writers:
            writer.write(data)


class Agent:
    """A guest agent; ``answer`` handles what is not a synchronisation."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.answer: Answer = lambda _request: b'{"return": {}}\n'
        self.before_sync = b""
        self.connections = 0
        self.writers: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.add(writer)
        with suppress(ConnectionError):
            while line := await reader.readline():
                request = json.loads(line.lstrip(b"\xff"))
                if request["execute"] == "guest-sync-delimited":
                    mark = json.dumps({"return": request["arguments"]["id"]}).encode()
                    writer.write(self.before_sync + b"\xff" + mark + b"\n")
                elif (said := self.answer(request)) is not None:
                    writer.write(said)
        self.writers.discard(writer)
        writer.close()


@asynccontextmanager
async def serving(peer: Monitor | Agent) -> AsyncIterator[None]:
    server = await asyncio.start_unix_server(peer.serve, peer.path)
    try:
        yield
    finally:
        server.close()
        for writer in list(peer.writers):
            writer.transport.abort()
        while peer.writers:
            await asyncio.sleep(0)
        await server.wait_closed()
