"""One request from its first byte to its answer: route, caller, decode, act, audit, answer."""

import asyncio
import logging

from aiohttp import HttpVersion10, web
from msgspec import structs

from lodge.api.answer import Answers, error_response
from lodge.api.body import check_media_type, chunks_of, read_json_body
from lodge.api.call import Call, Surroundings
from lodge.api.caller import Caller, identify_caller, require_scope, trace_of
from lodge.api.conditions import wanted_revision
from lodge.api.decode import decode_body, decode_query, path_segments
from lodge.api.errors import MalformedRequestError
from lodge.api.record import AuditTrail
from lodge.api.repeats import Repeats, request_key
from lodge.api.replies import Reply, TaskReply
from lodge.api.route import Answer, BodyKind
from lodge.api.router import Match, Router
from lodge.base.errors import InternalError, LodgeError

__all__ = ["Dispatcher"]

_log = logging.getLogger("lodge.api")
_LONGEST_LOGGED = 300
_NO_ANSWER = 499
"""What the log says when the caller hung up before there was an answer; never sent."""


class Dispatcher:
    """Serve requests over one table of routes."""

    def __init__(self, router: Router, around: Surroundings) -> None:
        self._router = router
        self._around = around
        self._answers = Answers()
        self._repeats = Repeats(around.services.tasks)
        self._audit = AuditTrail(around.services.audit)

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; whatever goes wrong becomes an error answer."""
        clock = self._around.world.monotonic
        started = clock()
        trace = trace_of(request, self._around.world)
        response = await self._guarded(request, trace)
        _log.info(
            "%s %s %d %.1f ms trace=%s",
            request.method,
            ascii(request.rel_url.raw_path)[1:-1][:_LONGEST_LOGGED],
            response.status,
            (clock() - started) * 1000,
            trace,
        )
        return response

    async def _guarded(self, request: web.BaseRequest, trace: str) -> web.StreamResponse:
        error: LodgeError
        try:
            return await self._serve(request, trace)
        except LodgeError as expected:
            error = expected
        except (ConnectionError, asyncio.IncompleteReadError):
            return web.Response(status=_NO_ANSWER)
        except Exception:  # edge: a bug in one request must not end the others
            _log.exception("a bug while serving %s trace=%s", request.rel_url.raw_path, trace)
            error = InternalError("something unexpected went wrong", where=trace)
        if request.writer.output_size > 0:
            # The answer has begun: cut it off, so that nobody takes a part for the whole.
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=_NO_ANSWER)
        return error_response(error, trace)

    async def _serve(self, request: web.BaseRequest, trace: str) -> web.StreamResponse:
        if request.version < HttpVersion10:
            raise MalformedRequestError("HTTP/1.0 or HTTP/1.1 is spoken here", where="version")
        raw_path, _, raw_query = request.raw_path.partition("?")
        match = self._router.find(request.method, path_segments(_origin_form(raw_path)))
        caller = await identify_caller(request, self._around.services.access, trace)
        try:
            require_scope(caller, match.route)
        except LodgeError as error:
            if match.route.is_change and caller.scope is not None:
                await self._audit.refused(caller.actor, match, None, error)
            raise
        call, key = await self._decode(request, match, caller, raw_query)
        reply = await self._act(call, key, match)
        return await self._answers.answer(call, reply)

    async def _decode(
        self, request: web.BaseRequest, match: Match, caller: Caller, raw_query: str
    ) -> tuple[Call, str]:
        route, around = match.route, self._around
        check_media_type(request, route)
        query = decode_query(route.query, raw_query)
        data = b""
        if route.body_kind is BodyKind.JSON:
            data = await read_json_body(request, limit=around.json_limit, timeout_s=around.stall_s)
        body = None
        if route.body_kind is BodyKind.JSON:
            body = decode_body(route.body, data or (b"{}" if route.is_optional_body else b""))
        key = request_key(request, route, data)
        call = Call(
            route=route,
            request=request,
            around=around,
            actor=structs.replace(caller.actor, request_key=key) if key else caller.actor,
            scope=caller.scope,
            path=match.values,
            query=query,
            body=body,
            chunks=lambda: chunks_of(request, around.stall_s),
            revision=wanted_revision(request, route),
        )
        return call, key

    async def _act(self, call: Call, key: str, match: Match) -> Reply:
        if not key:
            return await self._audited(call, match)
        async with self._repeats.turn(call.actor, key):
            known = self._repeats.find(call.actor, key)
            return TaskReply(known) if known else await self._audited(call, match)

    async def _audited(self, call: Call, match: Match) -> Reply:
        """Act and keep a record of it; a door into a guest is recorded before it opens."""
        if not call.route.is_change:
            return await call.route.handler(call)
        if call.route.answer is Answer.WEBSOCKET:
            await self._audit.done(call, match, None)
            return await call.route.handler(call)
        try:
            reply = await call.route.handler(call)
        except LodgeError as error:
            await self._audit.refused(call.actor, match, call.body, error)
            raise
        await self._audit.done(call, match, reply)
        return reply


def _origin_form(path: str) -> str:
    """Return the path of a request target; ``http://host/path`` is what proxies send.

    Raises:
        MalformedRequestError: it is neither.
    """
    if path.startswith("/"):
        return path
    scheme, _, rest = path.partition("://")
    if scheme.lower() in ("http", "https") and "/" in rest:
        return rest[rest.index("/") :]
    raise MalformedRequestError("the request target is not a path", where="path")
