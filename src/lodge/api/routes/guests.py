"""``/instances/{name}/...``: doors into the guest: exec, files, console, screen, logs."""

import asyncio
from typing import Annotated

from msgspec import Meta

from lodge.api.call import Call
from lodge.api.errors import LogNotFoundError, ScreenUnreachableError
from lodge.api.execstream import serve_exec
from lodge.api.replies import BytesReply, FlowReply, JsonReply, Reply, SentReply
from lodge.api.route import Answer, BodyKind, Route
from lodge.api.websocket import bridge, check_upgrade, open_websocket, stream_chunks
from lodge.model.answers import FileWritten
from lodge.model.record import Spec
from lodge.model.requests import ExecRequest, ExecResult
from lodge.model.token import Scope
from lodge.system.sockets import connect_untrusted
from lodge.system.tails import read_tail

__all__ = ["ROUTES"]

_GuestPath = Annotated[
    str, Meta(min_length=1, max_length=4096, pattern="^/", description="absolute path in the guest")
]


_Mode = Annotated[str, Meta(pattern=r"^[0-7]{3,4}$(?!\n)", description="permissions, octal: 0644")]


class FileQuery(Spec, frozen=True, kw_only=True):
    """Which file."""

    path: _GuestPath


class FileWriteQuery(Spec, frozen=True, kw_only=True):
    """Which file, and with which permissions."""

    path: _GuestPath
    mode: _Mode | None = None


class LogQuery(Spec, frozen=True, kw_only=True):
    """How much of the log."""

    tail: Annotated[int, Meta(ge=1, le=16777216, description="bytes from the end")] = 65536


async def execute(call: Call) -> Reply:
    """Run a command and answer when it has ended."""
    return JsonReply(
        await call.services.instances.execute(call.path["name"], call.body, call.actor)
    )


async def open_exec(call: Call) -> Reply:
    """Run a command over a WebSocket."""
    check_upgrade(call)
    call.services.instances.get(call.path["name"])
    socket = await open_websocket(call)
    await serve_exec(call, socket)
    return SentReply(socket)


async def read_file(call: Call) -> Reply:
    """Send a guest's file."""
    path: str = call.query.path
    chunks = call.services.instances.read_file(call.path["name"], path)
    return FlowReply(chunks, path.rpartition("/")[2] or "file")


async def write_file(call: Call) -> Reply:
    """Write a guest's file."""
    mode = None if call.query.mode is None else int(call.query.mode, 8)
    count = await call.services.instances.write_file(
        call.path["name"], call.query.path, call.chunks(), mode=mode
    )
    return JsonReply(FileWritten(path=call.query.path, written_bytes=count))


async def open_console(call: Call) -> Reply:
    """Share the serial console."""
    check_upgrade(call)
    session = await call.services.instances.console(call.path["name"])
    try:
        socket = await open_websocket(call)
        await bridge(call, socket, session.output(), session.write)
    finally:
        await session.close()
    return SentReply(socket)


async def open_vnc(call: Call) -> Reply:
    """Carry the VNC protocol (RFC 6143)."""
    check_upgrade(call)
    path = call.services.instances.vnc_socket(call.path["name"])
    try:
        reader, writer = await connect_untrusted(path)
    except OSError as error:
        raise ScreenUnreachableError(
            f"the screen of {call.path['name']!r} does not answer: {error.strerror}",
            where=f"instances/{call.path['name']}",
        ) from None

    async def write(data: bytes) -> None:
        writer.write(data)
        await writer.drain()

    try:
        socket = await open_websocket(call, ("binary",))
        await bridge(call, socket, stream_chunks(reader), write)
    finally:
        writer.close()
    return SentReply(socket)


async def show_screen(call: Call) -> Reply:
    """Send what the screen shows."""
    return BytesReply(await call.services.instances.screenshot(call.path["name"]), "image/png")


async def show_log(call: Call) -> Reply:
    """Send the end of a log; bytes that are not UTF-8 are replaced."""
    name, log = call.path["name"], call.path["log"]
    logs = call.services.instances.log_files(name)
    if log not in logs:
        known = sorted(logs)
        raise LogNotFoundError(
            f"instance {name!r} keeps no log {log!r}",
            where=f"instances/{name}/logs/{log}",
            hint=f"it keeps: {', '.join(known) or 'none'}",
            logs=known,
        )
    count: int = call.query.tail
    data = await asyncio.to_thread(read_tail, logs[log], count)
    text = data.decode("utf-8", "replace")
    return BytesReply(text.encode(), "text/plain; charset=utf-8")


ROUTES = (
    Route(
        method="POST",
        path="/instances/{name}/exec",
        name="instances.exec",
        scope=Scope.WRITE,
        summary="Run a command in the guest and wait for its end",
        handler=execute,
        value=ExecResult,
        body=ExecRequest,
        body_kind=BodyKind.JSON,
        examples={"uptime": {"command": ["uptime"], "timeout_s": 10}},
    ),
    Route(
        method="GET",
        path="/instances/{name}/exec",
        name="instances.exec_stream",
        scope=Scope.WRITE,
        summary="Run a command in the guest over a WebSocket",
        handler=open_exec,
        answer=Answer.WEBSOCKET,
        description=(
            "Binary messages; the first byte is the channel: 0 stdin, 1 stdout, 2 stderr,"
            " 3 control (JSON). The client sends an ExecRequest on channel 3, then stdin, ended by"
            " an empty stdin message (none when the request holds `stdin`). The server sends the"
            " outputs, then the exit status or an error on channel 3."
        ),
    ),
    Route(
        method="GET",
        path="/instances/{name}/files",
        name="instances.read_file",
        scope=Scope.WRITE,
        summary="Read a file of the guest",
        handler=read_file,
        answer=Answer.OCTETS,
        query=FileQuery,
    ),
    Route(
        method="PUT",
        path="/instances/{name}/files",
        name="instances.write_file",
        scope=Scope.WRITE,
        summary="Write a file in the guest",
        handler=write_file,
        value=FileWritten,
        query=FileWriteQuery,
        body_kind=BodyKind.OCTETS,
    ),
    Route(
        method="GET",
        path="/instances/{name}/console",
        name="instances.console",
        scope=Scope.WRITE,
        summary="Open the serial console over a WebSocket",
        handler=open_console,
        answer=Answer.WEBSOCKET,
        description="Binary messages carry what the guest prints and what is typed, as they are.",
    ),
    Route(
        method="GET",
        path="/instances/{name}/vnc",
        name="instances.vnc",
        scope=Scope.WRITE,
        summary="Open the screen (VNC) over a WebSocket",
        handler=open_vnc,
        answer=Answer.WEBSOCKET,
        description="Binary messages carry the VNC protocol (RFC 6143), as noVNC expects it.",
    ),
    Route(
        method="GET",
        path="/instances/{name}/screenshot",
        name="instances.screenshot",
        scope=Scope.READ,
        summary="Show what is on the screen, as PNG",
        handler=show_screen,
        answer=Answer.PNG,
    ),
    Route(
        method="GET",
        path="/instances/{name}/logs/{log}",
        name="instances.log",
        scope=Scope.READ,
        summary="Show the end of a log of an instance",
        handler=show_log,
        answer=Answer.TEXT,
        query=LogQuery,
    ),
)
