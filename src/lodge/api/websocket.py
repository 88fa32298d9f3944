"""WebSockets (RFC 6455) into guests: opened for known callers only, paced by the slower side."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from urllib.parse import urlsplit

from aiohttp import WSCloseCode, WSMsgType, web

from lodge.api.call import Call
from lodge.api.errors import (
    ForeignOriginError,
    MalformedRequestError,
    WebSocketRequiredError,
)
from lodge.api.headers import SAFE_HEADERS, TRACE_HEADER

__all__ = ["bridge", "check_upgrade", "open_websocket", "send", "stream_chunks"]

MAX_MESSAGE_BYTES = 1 << 20
_PING_S = 20.0
_CHUNK_BYTES = 1 << 16


def check_upgrade(call: Call) -> None:
    """Refuse what is no WebSocket handshake, and web pages of other origins.

    A browser lets any page open a WebSocket to any host, and says in ``Origin`` which page it was
    (RFC 6455, section 10.2); other programs send no ``Origin``.

    Raises:
        WebSocketRequiredError, ForeignOriginError
    """
    headers = call.request.headers
    if headers.get("Upgrade", "").lower() != "websocket":
        raise WebSocketRequiredError(f"{call.route.name} speaks WebSocket only", where="Upgrade")
    origin = headers.get("Origin")
    if origin is None or origin in call.around.origins:
        return
    if urlsplit(origin).netloc.lower() != headers.get("Host", "").lower():
        raise ForeignOriginError(f"pages of {origin[:200]!r} may not do this", where="Origin")


async def open_websocket(call: Call, protocols: Sequence[str] = ()) -> web.WebSocketResponse:
    """Answer the handshake.

    Raises:
        MalformedRequestError: it is not one of RFC 6455, version 13.
    """
    socket = web.WebSocketResponse(
        protocols=protocols,
        heartbeat=_PING_S,
        max_msg_size=MAX_MESSAGE_BYTES,
        compress=False,
        timeout=2.0,
    )
    socket.headers.update({**SAFE_HEADERS, TRACE_HEADER: call.actor.trace})
    try:
        await socket.prepare(call.request)
    except web.HTTPException as error:
        raise MalformedRequestError(
            f"the WebSocket handshake is wrong: {error.text}"[:300], where="Upgrade"
        ) from None
    return socket


async def bridge(
    call: Call,
    socket: web.WebSocketResponse,
    output: AsyncIterator[bytes],
    write: Callable[[bytes], Awaitable[None]],
) -> None:
    """Carry bytes both ways until one side ends; no side is read faster than the other takes it.

    A side that takes nothing for ``stall_s`` seconds is cut off.
    """
    tasks = [
        asyncio.create_task(_outward(call, socket, output)),
        asyncio.create_task(_inward(call, socket, write)),
        asyncio.create_task(call.around.closing.wait()),
    ]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        is_closing = call.around.closing.is_set()
        await socket.close(code=WSCloseCode.GOING_AWAY if is_closing else WSCloseCode.OK)


async def send(call: Call, socket: web.WebSocketResponse, data: bytes) -> None:
    """Send one binary message; waits while the other side is slow.

    Raises:
        TimeoutError: it took nothing for ``stall_s`` seconds.
    """
    async with asyncio.timeout(call.around.stall_s):
        await socket.send_bytes(data)


async def stream_chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Yield what a stream brings until it ends."""
    while chunk := await reader.read(_CHUNK_BYTES):
        yield chunk


async def _outward(call: Call, socket: web.WebSocketResponse, output: AsyncIterator[bytes]) -> None:
    async for chunk in output:
        for place in range(0, len(chunk), _CHUNK_BYTES):
            await send(call, socket, chunk[place : place + _CHUNK_BYTES])


async def _inward(
    call: Call, socket: web.WebSocketResponse, write: Callable[[bytes], Awaitable[None]]
) -> None:
    async for message in socket:
        if message.type is WSMsgType.BINARY:
            data = message.data
        elif message.type is WSMsgType.TEXT:
            data = message.data.encode()
        else:
            return
        async with asyncio.timeout(call.around.stall_s):
            await write(data)
