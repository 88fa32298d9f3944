"""A web server on the loopback that can be told to be as bad as real ones."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Page:
    """What the server does with one path."""

    body: bytes = b""
    etag: str | None = '"one"'
    status: int = 200
    location: str | None = None
    has_ranges: bool = True
    honours_if_range: bool = True
    has_length: bool = True
    cuts: list[int] = field(default_factory=list)  # per request: end the line after so many bytes
    statuses: list[int] = field(default_factory=list)  # per request: answer this instead
    hangs_after: int | None = None
    claims_bytes: int | None = None  # Content-Length that is not true


@dataclass
class Asked:
    """One request as the server saw it."""

    path: str
    headers: dict[str, str]

    @property
    def range(self) -> str | None:
        return self.headers.get("range")


class ImageServer:
    """Pages by path; everything that was asked is kept."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.asked: list[Asked] = []
        self.sent_bytes = 0
        self.port = 0
        self._lines: set[asyncio.StreamWriter] = set()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._lines.add(writer)
        try:
            await self._answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._lines.discard(writer)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *rest = head.split("\r\n")
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in rest if line)}
        path = first.split(" ")[1]
        self.asked.append(Asked(path, headers))
        page = self.pages.get(path, Page(status=404, body=b"nothing here"))
        status = page.statuses.pop(0) if page.statuses else page.status
        await self._send(page, status, headers, writer)

    async def _send(
        self, page: Page, status: int, headers: dict[str, str], writer: asyncio.StreamWriter
    ) -> None:
        body, extra = page.body, []
        asked = headers.get("range")
        same = not page.honours_if_range or headers.get("if-range", page.etag) == page.etag
        if status == 200 and asked and page.has_ranges and same:
            start = int(asked.removeprefix("bytes=").partition("-")[0])
            if start >= len(body):
                status, body = 416, b""
                extra.append(f"Content-Range: bytes */{len(page.body)}")
            else:
                status, body = 206, body[start:]
                extra.append(f"Content-Range: bytes {start}-{len(page.body) - 1}/{len(page.body)}")
        if page.etag and status in (200, 206):
            extra.append(f"ETag: {page.etag}")
        if page.location:
            extra.append(f"Location: {page.location}")
        if page.has_length:
            extra.append(f"Content-Length: {page.claims_bytes or len(body)}")
        lines = [f"HTTP/1.1 {status} X", "Connection: close", *extra]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        cut = page.cuts.pop(0) if page.cuts and status in (200, 206) else None
        if page.hangs_after is not None:
            writer.write(body[: page.hangs_after])
            await writer.drain()
            await asyncio.Event().wait()
        sent = body if cut is None else body[:cut]
        self.sent_bytes += len(sent)
        writer.write(sent)
        await writer.drain()


@asynccontextmanager
async def image_server() -> AsyncIterator[ImageServer]:
    """Serve on a free port of the loopback until the block ends."""
    made = ImageServer()
    served: set[asyncio.Task[None]] = set()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(made._serve(reader, writer))
        served.add(task)
        task.add_done_callback(served.discard)

    server = await asyncio.start_server(begin, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        for task in list(served):
            task.cancel()
        await asyncio.gather(*served, return_exceptions=True)
