"""Connections with limits: how many there are, how long a request may take to arrive."""

import asyncio
import logging
from collections import Counter
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from lodge.api.answer import error_response
from lodge.api.encode import encode
from lodge.api.errors import MalformedRequestError, TooBusyError

__all__ = ["LimitedServer"]

_log = logging.getLogger("lodge.api.http")
_MAX_LINE = 1 << 16
"""Room for the longest filter, order and cursor, percent-encoded."""

_MAX_FIELD = 8190
_MAX_HEADERS = 100
_LINGER_S = 2.0


class LimitedServer(web.Server):
    """aiohttp's low-level server, with limits and with JSON in place of its own error pages.

    ``header_s`` bounds how long a connection may be open with no whole request header read, which
    also ends idle ones. ``most`` bounds all connections, ``most_per_peer`` those of one address.
    """

    def __init__(
        self, handler: Any, *, most: int, most_per_peer: int | None, header_s: float
    ) -> None:
        super().__init__(
            handler,
            access_log=None,
            logger=_log,
            keepalive_timeout=header_s,
            lingering_time=_LINGER_S,
            max_line_size=_MAX_LINE,
            max_field_size=_MAX_FIELD,
            max_headers=_MAX_HEADERS,
            auto_decompress=False,
        )
        self._most = most
        self._most_per_peer = most_per_peer
        self._per_peer: Counter[str] = Counter()

    def __call__(self) -> RequestHandler:
        """Make the protocol object of one connection."""
        return _Connection(self, loop=self._loop, **self._kwargs)

    def admit(self, peer: str) -> bool:
        """Count a connection in, unless there are too many."""
        if self._per_peer.total() >= self._most:
            return False
        if self._most_per_peer is not None and self._per_peer[peer] >= self._most_per_peer:
            return False
        self._per_peer[peer] += 1
        return True

    def dismiss(self, peer: str) -> None:
        """Count a connection out."""
        self._per_peer[peer] -= 1
        if self._per_peer[peer] <= 0:
            del self._per_peer[peer]


class _Connection(RequestHandler):
    """One connection."""

    __slots__ = ("_gate", "_peer")

    def __init__(self, manager: LimitedServer, **settings: Any) -> None:
        super().__init__(manager, **settings)
        self._gate = manager
        self._peer: str | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, or say at once that there are too many."""
        name = transport.get_extra_info("peername")
        peer = str(name[0]) if isinstance(name, tuple) else ""
        if self._gate.admit(peer):
            self._peer = peer
            super().connection_made(transport)
            return
        self._force_close = True
        if isinstance(transport, asyncio.WriteTransport):
            transport.write(_busy_answer())
        transport.close()

    def connection_lost(self, exc: BaseException | None) -> None:
        """End."""
        if self._peer is not None:
            self._gate.dismiss(self._peer)
            self._peer = None
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,  # noqa: ARG002 -- aiohttp's signature
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 -- aiohttp's signature
    ) -> web.StreamResponse:
        """Answer what is no HTTP; the bytes are not repeated, they may hold a secret."""
        _log.debug("refused %s: %s", request.remote, type(exc).__name__)
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun already")
        error = MalformedRequestError(
            "this is not a request that HTTP/1.1 allows, or its header is too large",
            where="header",
        )
        response = error_response(error, "")
        response.force_close()
        return response


def _busy_answer() -> bytes:
    error = TooBusyError("too many connections are open")
    body = encode({"error": error.as_dict(), "trace": ""})
    head = (
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nRetry-After: 5\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
