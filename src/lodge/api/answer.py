"""From facts to HTTP: the one place where replies and errors become responses."""

import logging
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from aiohttp import web

from lodge.api.call import Call
from lodge.api.conditions import is_unchanged
from lodge.api.encode import ItemCache, encode, entity_tag
from lodge.api.errors import TaskCancelledError, TaskFailedError
from lodge.api.headers import SAFE_HEADERS, TRACE_HEADER
from lodge.api.listing.page import Listing, cut_page
from lodge.api.replies import (
    BytesReply,
    FileReply,
    FlowReply,
    JsonReply,
    ListReply,
    NothingReply,
    Reply,
    SentReply,
    TaskReply,
)
from lodge.api.route import ListQuery
from lodge.api.statuses import status_of, status_of_facts
from lodge.api.veil import Veil
from lodge.base.errors import LodgeError, UnauthenticatedError
from lodge.model.requests import TaskAnswer
from lodge.model.task import Task, TaskState

__all__ = ["Answers", "error_response", "wait_for_task"]

_log = logging.getLogger("lodge.api")
_JSON = "application/json"
_LOOK_S = 5.0
"""How often a waiting request looks whether its caller is still there."""


def error_response(error: LodgeError, trace: str) -> web.Response:
    """Return the answer for a failure."""
    status = status_of(error)
    response = _json(encode({"error": error.as_dict(), "trace": trace}), status, trace)
    if isinstance(error, UnauthenticatedError):
        response.headers["WWW-Authenticate"] = 'Bearer realm="lodge"'
    if "retry_after_s" in error.details:
        response.headers["Retry-After"] = str(max(1, round(error.details["retry_after_s"])))
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        response.headers["Allow"] = ", ".join(error.details.get("allowed", ()))
    if status is HTTPStatus.UPGRADE_REQUIRED:
        response.headers["Upgrade"] = "websocket"
    return response


class Answers:
    """Make responses; keeps the encoded records of lists between requests."""

    def __init__(self) -> None:
        self._caches: dict[str, ItemCache] = {}
        self._veil = Veil()

    async def answer(self, call: Call, reply: Reply) -> web.StreamResponse:
        """Turn a reply into a response."""
        match reply:
            case JsonReply():
                return self._one(call, reply)
            case ListReply():
                return self._list(call, reply)
            case TaskReply():
                return await self._task(call, reply.task)
            case FlowReply():
                return await _flow(call, reply)
            case _:
                return _raw(call, reply)

    def _one(self, call: Call, reply: JsonReply) -> web.Response:
        data = encode(self._veil.over(reply.value, call.scope))
        trace = call.actor.trace
        if call.route.method != "GET":
            response = _json(data, reply.status, trace)
            if reply.revision is not None:
                response.headers["ETag"] = entity_tag(data, reply.revision)
            if reply.location is not None:
                response.headers["Location"] = reply.location
            return response
        tag = entity_tag(data, reply.revision)
        if is_unchanged(call.request, tag):
            response = web.Response(status=HTTPStatus.NOT_MODIFIED, headers=_headers(call))
        else:
            response = _json(data, reply.status, trace)
        response.headers["ETag"] = tag
        response.headers["Cache-Control"] = "private, no-cache"
        return response

    def _list(self, call: Call, reply: ListReply) -> web.Response:
        listing = call.route.listing or Listing(object)
        query: ListQuery = call.query
        # Before filters and orders see them: those would answer questions about hidden texts.
        items = self._veil.over_all(reply.items, call.scope)
        cut = cut_page(
            listing,
            items,
            filter_text=query.filter,
            sort=query.sort,
            limit=query.limit,
            cursor=query.cursor,
        )
        cache = self._caches.setdefault(call.route.name, ItemCache())
        facts = {"total": cut.total, "next": cut.next, "revision": call.services.revision()}
        data = b'{"items":%b,%b' % (cache.encode_all(cut.items), encode(facts)[1:])
        return _json(data, HTTPStatus.OK, call.actor.trace)

    async def _task(self, call: Call, task: Task) -> web.Response:
        """Answer with a task: finished when the caller waited for it, else as it is now."""
        task = self._veil.over(await wait_for_task(call, task, call.query.wait), call.scope)
        trace = call.actor.trace
        if task.state in (TaskState.FAILED, TaskState.CANCELLED):
            return _failed(task, trace)
        is_done = task.state is TaskState.DONE
        answer = TaskAnswer(task=task, result=task.result)
        response = _json(encode(answer), HTTPStatus.OK if is_done else HTTPStatus.ACCEPTED, trace)
        response.headers["Location"] = f"/v1/tasks/{task.id}"
        return response


def _raw(
    call: Call, reply: NothingReply | BytesReply | FileReply | SentReply
) -> web.StreamResponse:
    """Answer with what is no JSON."""
    headers = _headers(call)
    match reply:
        case NothingReply():
            return web.Response(status=HTTPStatus.NO_CONTENT, headers=headers)
        case BytesReply():
            headers["Content-Type"] = reply.media_type
            return web.Response(body=reply.data, headers=headers)
        case FileReply():
            headers.update(_attachment(reply.filename))
            return web.FileResponse(reply.path, headers=headers, chunk_size=1 << 18)
        case SentReply():
            return reply.response


def _headers(call: Call) -> dict[str, str]:
    return {**SAFE_HEADERS, TRACE_HEADER: call.actor.trace}


def _json(data: bytes, status: int, trace: str) -> web.Response:
    headers = {**SAFE_HEADERS, TRACE_HEADER: trace, "Content-Type": _JSON}
    return web.Response(status=status, body=data, headers=headers)


def _attachment(filename: str) -> dict[str, str]:
    """Name a download so that no character of the name can end the header (RFC 6266)."""
    return {
        "Content-Type": "application/octet-stream",
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(filename, safe='')}",
    }


async def wait_for_task(call: Call, task: Task, wait_s: float) -> Task:
    """Wait for the end of a task, for ``wait_s`` at most and while the caller is there."""
    clock = call.around.world.monotonic
    deadline = clock() + wait_s
    while not task.state.is_final and not call.is_gone and not call.around.closing.is_set():
        left = deadline - clock()
        if left <= 0:
            break
        task = await call.services.tasks.wait(task.id, timeout_s=min(left, _LOOK_S))
    return task


def _failed(task: Task, trace: str) -> web.Response:
    facts: dict[str, Any] | None = task.error
    if task.state is TaskState.CANCELLED:
        facts = TaskCancelledError(f"task {task.id} was cancelled", where=task.target).as_dict()
    elif facts is None:
        facts = TaskFailedError(f"task {task.id} failed", where=task.target).as_dict()
    response = _json(
        encode({"error": facts, "trace": trace, "task": task}), status_of_facts(facts), trace
    )
    response.headers["Location"] = f"/v1/tasks/{task.id}"
    return response


async def _flow(call: Call, reply: FlowReply) -> web.StreamResponse:
    """Send chunks as they come; what fails before the first one is a proper error answer."""
    chunks = reply.chunks
    first = await anext(chunks, b"")
    response = web.StreamResponse(headers={**_headers(call), **_attachment(reply.filename)})
    await response.prepare(call.request)
    try:
        await response.write(first)
        async for chunk in chunks:
            await response.write(chunk)
        await response.write_eof()
    except LodgeError as error:
        _log.warning("download %s ended early: %s", reply.filename, error)
        _cut_off(call)
    finally:
        await _close(chunks)
    return response


def _cut_off(call: Call) -> None:
    """End the connection without the last chunk, so that nobody takes a part for the whole."""
    if call.request.transport is not None:
        call.request.transport.abort()


async def _close(chunks: AsyncIterator[bytes]) -> None:
    close = getattr(chunks, "aclose", None)
    if close is not None:
        await close()
