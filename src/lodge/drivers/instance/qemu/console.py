"""One serial console, many viewers.

QEMU serves a chardev socket to one client, so the driver is that client for as long as it lives
and hands what the guest prints to every viewer. A viewer that does not read loses output and is
told so; it never holds back the guest or the others.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from lodge.base.world import World
from lodge.drivers.instance.errors import DriverTimeoutError
from lodge.drivers.instance.qemu.peer import connect_to

__all__ = ["ConsoleHub", "Viewer"]

RECENT_BYTES: Final = 64 * 1024
VIEWER_BYTES: Final = 256 * 1024
_WRITE_LIMIT_S: Final = 10.0
_RETRY_S: Final = 0.5


class Viewer:
    """One viewer's session; fulfils ``ConsoleSession``."""

    def __init__(self, hub: "ConsoleHub", recent: bytes) -> None:
        self._hub = hub
        self._waiting: deque[bytes] = deque([recent] if recent else [])
        self._waiting_bytes = len(recent)
        self._lost_bytes = 0
        self._news = asyncio.Event()
        self._is_over = False

    async def output(self) -> AsyncIterator[bytes]:
        """Yield what the guest prints until the session or the instance ends."""
        while True:
            if self._lost_bytes:
                lost, self._lost_bytes = self._lost_bytes, 0
                yield f"\r\n[{lost} bytes were skipped: this viewer is too slow]\r\n".encode()
            if self._waiting:
                chunk = b"".join(self._waiting)
                self._waiting.clear()
                self._waiting_bytes = 0
                yield chunk
            elif self._is_over:
                return
            else:
                self._news.clear()
                await self._news.wait()

    async def write(self, data: bytes, /) -> None:
        """Type something.

        Raises:
            DriverTimeoutError: the guest takes no input, or its console is not connected.
        """
        await self._hub.write(data)

    async def close(self) -> None:
        """Leave."""
        self._hub.leave(self)

    def show(self, data: bytes) -> None:
        """Queue output, throwing away what the viewer has not read when that is too much."""
        if self._waiting_bytes + len(data) > VIEWER_BYTES:
            self._lost_bytes += self._waiting_bytes
            self._waiting.clear()
            self._waiting_bytes = 0
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        self._news.set()

    def end(self) -> None:
        """No more output will come."""
        self._is_over = True
        self._news.set()


class _Wire(asyncio.Protocol):
    """The connection to the chardev."""

    def __init__(self, hub: "ConsoleHub") -> None:
        self._hub = hub
        self.may_write = asyncio.Event()
        self.may_write.set()
        self.lost = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self._hub.printed(data)

    def pause_writing(self) -> None:
        self.may_write.clear()

    def resume_writing(self) -> None:
        self.may_write.set()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.may_write.set()
        self.lost.set()


class ConsoleHub:
    """Read one console for ever and show it to whoever looks.

    Args:
        path: the chardev's unix socket.
        pid: who must be listening there.
        world: clock for backing off.
        on_output: called with the size of everything printed (the log grows by that).
        recent: what was printed before this daemon began to read.
    """

    def __init__(
        self,
        path: Path,
        pid: int,
        world: World,
        *,
        on_output: Callable[[int], None] = lambda _size: None,
        recent: bytes = b"",
    ) -> None:
        self._path = path
        self._pid = pid
        self._world = world
        self._on_output = on_output
        self._recent = bytearray(recent[-RECENT_BYTES:])
        self._viewers: set[Viewer] = set()
        self._transport: asyncio.Transport | None = None
        self._wire: _Wire | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._is_over = False

    async def open(self) -> None:
        """Connect, and from then on stay connected; a console that is not there is tried later."""
        await self._connect()
        self._keeper = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """End every viewer's session and let go of the console."""
        self._is_over = True
        for viewer in self._viewers:
            viewer.end()
        self._viewers.clear()
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            with suppress(asyncio.CancelledError):
                await keeper
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def view(self) -> Viewer:
        """Open a viewer's session, beginning with the recent output."""
        viewer = Viewer(self, bytes(self._recent))
        if self._is_over:
            viewer.end()
        else:
            self._viewers.add(viewer)
        return viewer

    def leave(self, viewer: Viewer) -> None:
        """End one viewer's session; nothing happens when it has ended."""
        viewer.end()
        self._viewers.discard(viewer)

    def printed(self, data: bytes) -> None:
        """Take what the guest printed."""
        self._recent += data
        if len(self._recent) > 2 * RECENT_BYTES:
            del self._recent[:-RECENT_BYTES]
        for viewer in self._viewers:
            viewer.show(data)
        self._on_output(len(data))

    async def write(self, data: bytes) -> None:
        """Type something into the guest.

        Raises:
            DriverTimeoutError: the guest takes no input, or its console is not connected.
        """
        wire, transport = self._wire, self._transport
        if wire is None or transport is None or transport.is_closing():
            raise DriverTimeoutError("the console is not connected", where=str(self._path))
        try:
            async with asyncio.timeout(_WRITE_LIMIT_S):
                await wire.may_write.wait()
        except TimeoutError:
            raise DriverTimeoutError(
                f"the guest took no console input for {_WRITE_LIMIT_S:g} s", where=str(self._path)
            ) from None
        transport.write(data)

    async def _connect(self) -> bool:
        try:
            connection = connect_to(self._path, self._pid)
        except OSError:
            return False
        loop = asyncio.get_running_loop()
        transport, wire = await loop.create_unix_connection(lambda: _Wire(self), sock=connection)
        self._transport, self._wire = transport, wire
        return True

    async def _keep(self) -> None:
        while True:
            if self._wire is not None:
                await self._wire.lost.wait()
                self._wire = self._transport = None
            while not await self._connect():
                await self._world.sleep(_RETRY_S)
