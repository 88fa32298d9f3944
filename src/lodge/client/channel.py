"""Two-way connections into a guest: console, screen, command (WebSockets, RFC 6455)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from lodge.client.errors import DaemonUnreachableError, StreamEndedError

if TYPE_CHECKING:
    import aiohttp

__all__ = ["AsyncChannel", "Channel"]

T = TypeVar("T")


class AsyncChannel:
    """An open connection: messages of bytes in both directions, kept apart as sent."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    async def send(self, data: bytes) -> None:
        """Send one message.

        Raises:
            StreamEndedError: the other side is gone.
        """
        try:
            await self._socket.send_bytes(data)
        except (ConnectionError, RuntimeError) as error:
            raise StreamEndedError("the connection into the guest is closed") from error

    async def receive(self) -> bytes | None:
        """Wait for the next message; null: the other side closed in good order.

        Raises:
            StreamEndedError: it was closed with a reason.
            DaemonUnreachableError: the connection broke.
        """
        import aiohttp

        message = await self._socket.receive()
        match message.type:
            case aiohttp.WSMsgType.BINARY:
                return bytes(message.data)
            case aiohttp.WSMsgType.TEXT:
                return str(message.data).encode()
            case aiohttp.WSMsgType.ERROR:
                raise DaemonUnreachableError("the connection into the guest broke")
        if self._socket.close_code in (None, 1000, 1001, 1005):
            return None
        if self._socket.close_code == 1006:
            raise DaemonUnreachableError("the connection into the guest broke")
        reason = message.extra or f"code {self._socket.close_code}"
        raise StreamEndedError(f"the daemon closed the connection: {reason}")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (message := await self.receive()) is not None:
            yield message

    async def close(self) -> None:
        """Say goodbye; idempotent."""
        await self._socket.close()


class Channel:
    """The blocking form of ``AsyncChannel``: a loop of its own runs while a method waits."""

    def __init__(self, opening: AbstractAsyncContextManager[AsyncChannel]) -> None:
        self._runner = asyncio.Runner()
        self._opening = opening
        self._channel: AsyncChannel | None = None

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    def __enter__(self) -> Channel:
        try:
            self._channel = self._run(_enter(self._opening))
        except BaseException:
            self._runner.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._run(_leave(self._opening, kind, error, trace))
        finally:
            self._runner.close()

    def send(self, data: bytes) -> None:
        """Send one message (see ``AsyncChannel.send``)."""
        self._run(self._open().send(data))

    def receive(self) -> bytes | None:
        """Wait for the next message (see ``AsyncChannel.receive``)."""
        return self._run(self._open().receive())

    def __iter__(self) -> Iterator[bytes]:
        while (message := self.receive()) is not None:
            yield message

    def _open(self) -> AsyncChannel:
        if self._channel is None:
            raise StreamEndedError("the connection was not opened (use it in a with statement)")
        return self._channel


async def _enter(opening: AbstractAsyncContextManager[AsyncChannel]) -> AsyncChannel:
    return await opening.__aenter__()


async def _leave(
    opening: AbstractAsyncContextManager[AsyncChannel],
    kind: type[BaseException] | None,
    error: BaseException | None,
    trace: TracebackType | None,
) -> None:
    await opening.__aexit__(kind, error, trace)
