"""``exec`` over a WebSocket: binary messages whose first byte names a channel.

Channel 0 stdin (client to server), 1 stdout, 2 stderr (server to client), 3 control (JSON).
The client begins with a control message holding an ``ExecRequest``; then come stdin messages, ended
by an empty one. The server sends the outputs, then ``{"exit_status": 0, "signal": null,
"is_truncated": false}`` or ``{"error": {...}}`` on the control channel, and closes.
"""

import asyncio
import base64
import binascii
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from lodge.api.call import Call
from lodge.api.decode import decode_body
from lodge.api.encode import encode
from lodge.api.errors import BodyTooLargeError, InvalidFieldError, RequestTimeoutError
from lodge.api.websocket import send
from lodge.base.errors import LodgeError
from lodge.model.requests import ExecRequest, ExecResult

__all__ = ["CONTROL", "STDERR", "STDIN", "STDOUT", "serve_exec"]

STDIN, STDOUT, STDERR, CONTROL = 0, 1, 2, 3
_MOST_STDIN = 8 << 20
_CHUNK_BYTES = 1 << 16


async def serve_exec(call: Call, socket: web.WebSocketResponse) -> None:
    """Run one command for one WebSocket; hanging up ends the wait for it."""
    try:
        request = await _read_request(call, socket)
        if request is None:
            return
        result = await _run(call, socket, request)
        if result is not None:
            await _send_result(call, socket, result)
    except LodgeError as error:
        await _control(call, socket, {"error": error.as_dict(), "trace": call.actor.trace})
    finally:
        await socket.close()


async def _run(
    call: Call, socket: web.WebSocketResponse, request: ExecRequest
) -> ExecResult | None:
    """Wait for the command or for the caller to go, whichever is first."""
    name = call.path["name"]
    running = asyncio.create_task(call.services.instances.execute(name, request, call.actor))
    leaving = asyncio.create_task(_until_gone(socket))
    closing = asyncio.create_task(call.around.closing.wait())
    try:
        await asyncio.wait({running, leaving, closing}, return_when=asyncio.FIRST_COMPLETED)
        return await running if running.done() else None
    finally:
        for task in (running, leaving, closing):
            task.cancel()
        await asyncio.gather(running, leaving, closing, return_exceptions=True)


async def _until_gone(socket: web.WebSocketResponse) -> None:
    """Take further messages (late stdin is too late) until the other side closes."""
    async for _ in socket:
        pass


async def _read_request(call: Call, socket: web.WebSocketResponse) -> ExecRequest | None:
    """Read the command, then its stdin; null when the caller left."""
    request: ExecRequest | None = None
    stdin = bytearray()
    while True:
        try:
            message = await socket.receive(timeout=call.around.stall_s)
        except TimeoutError:
            raise RequestTimeoutError("nothing came on the WebSocket", where="exec") from None
        if message.type is not WSMsgType.BINARY:
            return None
        channel, data = message.data[:1], message.data[1:]
        if channel == bytes((CONTROL,)) and request is None:
            request = decode_body(ExecRequest, data)
            if request.stdin is not None:
                return request
        elif channel == bytes((STDIN,)) and request is not None:
            if not data:
                return _with_stdin(request, stdin)
            stdin += data
            if len(stdin) > _MOST_STDIN:
                raise BodyTooLargeError(f"stdin is larger than {_MOST_STDIN} bytes", where="stdin")
        else:
            raise InvalidFieldError(
                "first a control message with the request, then stdin", where="channel"
            )


def _with_stdin(request: ExecRequest, stdin: bytes | bytearray) -> ExecRequest:
    text = base64.b64encode(stdin).decode() if stdin else None
    return msgspec.structs.replace(request, stdin=text)


async def _send_result(call: Call, socket: web.WebSocketResponse, result: ExecResult) -> None:
    for channel, text in ((STDOUT, result.stdout), (STDERR, result.stderr)):
        data = _decoded(text)
        for place in range(0, len(data), _CHUNK_BYTES):
            await send(call, socket, bytes((channel,)) + data[place : place + _CHUNK_BYTES])
    ended = {
        "exit_status": result.exit_status,
        "signal": result.signal,
        "is_truncated": result.is_truncated,
    }
    await _control(call, socket, ended)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return text.encode()


async def _control(call: Call, socket: web.WebSocketResponse, facts: dict[str, Any]) -> None:
    if not socket.closed:
        await send(call, socket, bytes((CONTROL,)) + encode(facts))
