"""One request to the API as data: no socket, no clock, nothing that waits.

Endpoints build calls, doors carry them out. This module is on the way of every command, so it
imports nothing that is slow to load.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, Iterable, Mapping
from typing import Any, Generic, TypeVar

__all__ = ["SAFE_METHODS", "Call", "Octets", "Value", "change_call", "path", "quote"]

T = TypeVar("T")

Value = str | int | float | bool | None
"""What a query parameter may be; null leaves it out."""

Octets = bytes | os.PathLike[str] | Iterable[bytes] | AsyncIterable[bytes]
"""A body of raw bytes: at once, from a file, or piece by piece."""

SAFE_METHODS = frozenset({"GET", "HEAD"})
"""Methods that change nothing, so that they may be sent again (RFC 9110, section 9.2.1)."""

_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def quote(text: str) -> str:
    """Percent-encode everything but the unreserved characters (RFC 3986, section 2.3).

    >>> quote("a b/ü")
    'a%20b%2F%C3%BC'
    """
    return "".join(chr(b) if b in _UNRESERVED else f"%{b:02X}" for b in text.encode())


def path(*parts: str) -> str:
    """Join parts to a path below the API's version prefix, each part encoded.

    >>> path("instances", "web1", "start")
    '/v1/instances/web1/start'
    """
    return "/v1/" + "/".join(map(quote, parts))


class Call(Generic[T]):
    """A request whose answer is a ``T``.

    Args:
        method: HTTP method.
        path: path as ``path()`` makes it.
        query: parameters; null values are left out, true becomes ``true``.
        body: a model record or JSON value, sent as JSON.
        octets: raw bytes, sent as they are; excludes ``body``.
        headers: further request headers.
        timeout_s: how long the answer may take to begin, beyond the door's own limit.
        is_keyed: the daemon keeps an ``Idempotency-Key`` for it: sent twice, it is done once.
    """

    __slots__ = ("body", "headers", "is_keyed", "method", "octets", "path", "query", "timeout_s")

    def __init__(  # noqa: PLR0913 (a request has that many parts)
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Value] | None = None,
        body: object | None = None,
        octets: Octets | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 0.0,
        is_keyed: bool = False,
    ) -> None:
        self.method = method
        self.path = path
        self.query = {k: v for k, v in (query or {}).items() if v is not None and v != ""}
        self.body = body
        self.octets = octets
        self.headers = dict(headers or {})
        self.timeout_s = timeout_s
        self.is_keyed = is_keyed

    @property
    def is_repeatable(self) -> bool:
        """Whether sending it twice does no harm."""
        return self.method in SAFE_METHODS or self.is_keyed

    def own_headers(self) -> dict[str, str]:
        """Return the headers of this call; a key is new each time, so ask once per call."""
        if not self.is_keyed:
            return dict(self.headers)
        return {**self.headers, "Idempotency-Key": os.urandom(16).hex()}

    @property
    def target(self) -> str:
        """Path and query as they stand in the request line."""
        if not self.query:
            return self.path
        pairs = (f"{quote(name)}={quote(_text(value))}" for name, value in self.query.items())
        return f"{self.path}?{'&'.join(pairs)}"

    def with_query(self, **query: Value) -> Call[T]:
        """Return the same call with some parameters replaced."""
        return Call(
            self.method,
            self.path,
            query={**self.query, **query},
            body=self.body,
            octets=self.octets,
            headers=self.headers,
            timeout_s=self.timeout_s,
            is_keyed=self.is_keyed,
        )

    def json_body(self) -> bytes | None:
        """Encode the body; a plain value with the standard library, a record with msgspec."""
        if self.body is None:
            return None
        if isinstance(self.body, dict | list):
            import json

            return json.dumps(self.body).encode()
        import msgspec

        return msgspec.json.encode(self.body)

    def __repr__(self) -> str:
        return f"Call({self.method} {self.target})"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def change_call(
    method: str,
    path: str,
    *,
    wait_s: float | None,
    body: object | None = None,
    query: Mapping[str, Value] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Call[Any]:
    """Build a call that starts a task and perhaps waits for its end."""
    return Call(
        method,
        path,
        query={**(query or {}), "wait": wait_s},
        body=body,
        headers=headers,
        timeout_s=wait_s or 0.0,
        is_keyed=method == "POST",
    )
