"""A fake of the API for the client and the command line: real HTTP, canned answers.

It keeps the API's shapes (records are encoded by the product's own models) and nothing of its
behaviour: each test says what is answered, and reads afterwards what was asked.
"""

import asyncio
import json
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Asked:
    """One request that came in."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class CannedApi:
    """Answers by method and path; a list of answers is given out one by one, the last for ever."""

    answers: dict[tuple[str, str], list[Any]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def on(self, method: str, path: str, *answers: Any) -> None:
        """Answer with JSON values, records, ``Failure``s, bytes or handlers, in this order."""
        self.answers[method, path] = list(answers)

    def calls(self, method: str, path: str) -> list[Asked]:
        return [asked for asked in self.asked if (asked.method, asked.path) == (method, path)]

    async def serve(self, request: web.Request) -> web.StreamResponse:
        is_upgrade = "Upgrade" in request.headers
        body = b"" if is_upgrade else await request.read()
        self.asked.append(
            Asked(request.method, request.path, dict(request.query), dict(request.headers), body)
        )
        known = self.answers.get((request.method, request.path))
        if known is None:
            return failure_response(Failure("route_not_found", "not_found", status=404))
        answer = known.pop(0) if len(known) > 1 else known[0]
        return await respond(answer, request)


@dataclass(frozen=True)
class Failure:
    """An error answer."""

    code: str
    category: str
    message: str = "it failed"
    status: int = 409
    hint: str = ""
    where: str | None = None
    retryable: bool = False
    details: dict[str, Any] = field(default_factory=dict)


async def respond(answer: Any, request: web.Request) -> web.StreamResponse:
    if callable(answer):
        response: web.StreamResponse = await answer(request)
        return response
    if isinstance(answer, Failure):
        return failure_response(answer)
    if isinstance(answer, bytes):
        return web.Response(body=answer, content_type="application/octet-stream")
    if answer is None:
        return web.Response(status=204)
    return web.Response(body=msgspec.json.encode(answer), content_type="application/json")


def failure_response(failure: Failure) -> web.Response:
    error: dict[str, Any] = {
        "code": failure.code,
        "category": failure.category,
        "message": failure.message,
        "retryable": failure.retryable,
    }
    if failure.where is not None:
        error["where"] = failure.where
    if failure.hint:
        error["hint"] = failure.hint
    if failure.details:
        error["details"] = failure.details
    body = json.dumps({"error": error, "trace": "trace-1"}).encode()
    return web.Response(status=failure.status, body=body, content_type="application/json")


def page(*items: Any, following: str | None = None, total: int | None = None) -> dict[str, Any]:
    """A page of a list as the API writes it."""
    count = len(items) if total is None else total
    return {"items": list(items), "total": count, "next": following, "revision": 7}


class Served:
    """A canned API that listens; ``stop`` and ``start`` play a daemon's restart."""

    def __init__(self, api: CannedApi, *, socket_path: Path | None, tls: ssl.SSLContext | None):
        self._api = api
        self._socket_path = socket_path
        self._tls = tls
        self._loop = asyncio.new_event_loop()
        self._made: list[Any] = []
        self._keep_account()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._runner: web.ServerRunner | None = None
        self.port = 0

    def start(self) -> None:
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)

    def end(self) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        for transport in self._made:
            # A client killed while it connects can leave one that no loop will ever close.
            if transport._sock is not None:
                transport._sock.close()
                transport._sock = None
        self._loop.close()

    def _keep_account(self) -> None:
        loop: Any = self._loop
        make = loop._make_socket_transport

        def noted(*args: Any, **kwargs: Any) -> Any:
            self._made.append(make(*args, **kwargs))
            return self._made[-1]

        loop._make_socket_transport = noted

    async def _start(self) -> None:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{tail:.*}", self._api.serve)
        self._runner = web.AppRunner(app, handle_signals=False, access_log=None)
        await self._runner.setup()
        if self._socket_path is not None:
            await web.UnixSite(self._runner, str(self._socket_path)).start()
            return
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self._tls)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _stop(self) -> None:
        if self._runner is not None:
            await self._runner.shutdown()
            await self._runner.cleanup()
            self._runner = None
        # What was accepted but is no connection yet is known to the loop alone.
        transports: Any = self._loop._transports  # type: ignore[attr-defined]
        quiet = 0
        while quiet < 4:
            left = [each for each in transports.values() if each._sock is not None]
            for each in left:
                each.abort()
            quiet = 0 if left else quiet + 1
            await asyncio.sleep(0.001)


@contextmanager
def served(
    api: CannedApi, *, socket_path: Path | None = None, tls: ssl.SSLContext | None = None
) -> Iterator[Served]:
    """Serve a canned API for the length of a block."""
    server = Served(api, socket_path=socket_path, tls=tls)
    server.start()
    try:
        yield server
    finally:
        server.end()
