"""Events as they happen: server-sent events (HTML standard, 9.2), resumable by id."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from aiohttp import web

from lodge.api.call import Call
from lodge.api.encode import encode
from lodge.api.headers import SAFE_HEADERS, TRACE_HEADER
from lodge.base.errors import LodgeError
from lodge.model.event import Event

__all__ = ["compacted_frame", "event_frame", "is_compacted", "stream_events"]

_HEARTBEAT = b": still here\n\n"
_RETRY = b"retry: 2000\n\n"


def event_frame(event: Event) -> bytes:
    """Write one event. It has no ``event:`` line, so that ``onmessage`` of a browser gets all."""
    return b"id: %d\ndata: %b\n\n" % (event.id, encode(event))


def compacted_frame(since: int, first: int) -> bytes:
    """Tell that events are missing: the reader must read everything again."""
    facts = encode({"since": since, "first": first})
    return b"event: compacted\ndata: %b\n\n" % facts


def is_compacted(since: int, first: int, last: int) -> bool:
    """Whether events later than ``since`` were removed, or ``since`` is from another history."""
    return since + 1 < first or since > last


async def stream_events(
    call: Call, since: int, keep: Callable[[Event], bool] | None
) -> web.StreamResponse:
    """Send every event later than ``since`` until the caller leaves.

    The next event is taken only after the one before went out: a slow reader holds one event, not
    a queue; one that takes nothing for ``stall_s`` seconds is cut off.
    """
    events = call.services.events
    headers = {**SAFE_HEADERS, TRACE_HEADER: call.actor.trace, "Content-Type": "text/event-stream"}
    response = web.StreamResponse(headers=headers)
    await response.prepare(call.request)
    await response.write(_RETRY)
    if is_compacted(since, events.first, events.last):
        await response.write(compacted_frame(since, events.first))
        since = max(0, events.first - 1) if since < events.first else events.last
    try:
        async for frame in _frames(call, since, keep):
            async with asyncio.timeout(call.around.stall_s):
                await response.write(frame)
        await response.write_eof()
    except LodgeError:
        # The log was compacted under the reader: say so, and let it come again.
        await response.write(compacted_frame(since, events.first))
    except (TimeoutError, ConnectionError):
        if call.request.transport is not None:
            call.request.transport.abort()
    return response


async def _frames(
    call: Call, since: int, keep: Callable[[Event], bool] | None
) -> AsyncIterator[bytes]:
    """Yield frames of events, with a heartbeat wherever nothing happens for a while."""
    source = call.services.events.follow(since)
    following: asyncio.Task[Event | None] = asyncio.create_task(_next(source))
    closing = asyncio.create_task(call.around.closing.wait())
    try:
        while not call.around.closing.is_set():
            waiting: set[asyncio.Task[Any]] = {following, closing}
            await asyncio.wait(
                waiting, timeout=call.around.heartbeat_s, return_when=asyncio.FIRST_COMPLETED
            )
            if not following.done():
                yield _HEARTBEAT
                continue
            event = following.result()
            if event is None:
                return
            following = asyncio.create_task(_next(source))
            if keep is None or keep(event):
                yield event_frame(event)
    finally:
        following.cancel()
        closing.cancel()
        await asyncio.gather(following, closing, return_exceptions=True)


async def _next(source: AsyncIterator[Event]) -> Event | None:
    return await anext(source, None)
