"""Take a request's body off the wire: media type, size and speed are limited."""

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

from lodge.api.errors import (
    BodyTooLargeError,
    MalformedRequestError,
    RequestTimeoutError,
    WrongMediaTypeError,
)
from lodge.api.route import BodyKind, Route

__all__ = ["check_media_type", "chunks_of", "read_json_body"]

_JSON = "application/json"
_OCTETS = "application/octet-stream"
_CHARSETS = frozenset({"", "utf-8", "utf8"})


def check_media_type(request: web.BaseRequest, route: Route) -> None:
    """Refuse a body of another kind than the route takes.

    Raises:
        WrongMediaTypeError: wrong type, charset or content coding, or a body where none belongs.
    """
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise WrongMediaTypeError("compressed bodies are not taken", where="Content-Encoding")
    if not request.can_read_body:
        return
    if route.body_kind is BodyKind.NONE:
        raise WrongMediaTypeError(f"{route.name} takes no body", where="body")
    wanted = _JSON if route.body_kind is BodyKind.JSON else _OCTETS
    given = request.headers.get("Content-Type", "")
    name, _, parameters = given.partition(";")
    charset = parameters.partition("charset=")[2].strip().strip('"').lower()
    if name.strip().lower() != wanted or charset not in _CHARSETS:
        raise WrongMediaTypeError(
            f"{route.name} takes {wanted}, not {given[:80] or 'a body of no type'}",
            where="Content-Type",
        )


async def read_json_body(request: web.BaseRequest, *, limit: int, timeout_s: float) -> bytes:
    """Read a whole body.

    Raises:
        BodyTooLargeError, RequestTimeoutError, MalformedRequestError
    """
    length = request.content_length
    if length is not None and length > limit:
        raise _too_large(length, limit)
    await _invite(request)
    data = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            while chunk := await request.content.readany():
                data += chunk
                if len(data) > limit:
                    raise _too_large(len(data), limit)
    except TimeoutError:
        raise RequestTimeoutError(
            f"the body did not arrive within {timeout_s:g} s", where="body"
        ) from None
    except web.RequestPayloadError:
        raise MalformedRequestError("the body is not what its headers say", where="body") from None
    return bytes(data)


async def chunks_of(request: web.BaseRequest, stall_s: float) -> AsyncIterator[bytes]:
    """Yield a body of any length; the reader sets the pace.

    Raises:
        RequestTimeoutError: nothing came for ``stall_s`` seconds.
        MalformedRequestError: it is not what its headers say.
        ConnectionError: the caller has hung up before the end.
    """
    await _invite(request)
    while True:
        try:
            async with asyncio.timeout(stall_s):
                chunk = await request.content.readany()
        except TimeoutError:
            raise RequestTimeoutError(f"no data for {stall_s:g} s", where="body") from None
        except web.RequestPayloadError:
            raise MalformedRequestError(
                "the body is not what its headers say", where="body"
            ) from None
        if not chunk:
            return
        yield chunk


async def _invite(request: web.BaseRequest) -> None:
    """Answer ``Expect: 100-continue`` now that the body is wanted (RFC 9110, 10.1.1)."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # It is no part of the answer: the count decides whether an answer was begun.
        request.writer.output_size = 0


def _too_large(size: int, limit: int) -> BodyTooLargeError:
    return BodyTooLargeError(
        f"the body has {size} bytes, this route takes {limit}",
        where="body",
        size_bytes=size,
        limit_bytes=limit,
    )
