"""The blocking client: ``with`` nothing to close, one connection per request, safe in threads."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from lodge.base.errors import LodgeError
from lodge.client.address import Address, local_address
from lodge.client.call import Call
from lodge.client.connection import open_connection
from lodge.client.endpoint import Flow, Pause, Plain, Sync
from lodge.client.errors import DaemonUnreachableError, error_from_answer
from lodge.client.groups import Groups
from lodge.client.http1 import Head, chunk, read_body, read_head, request_head
from lodge.client.retry import retry_delay_s

if TYPE_CHECKING:
    import socket

    from lodge.client.channel import Channel
    from lodge.client.subscription import StreamMessage, Subscription

__all__ = ["BlockingDoor", "Client", "PlainClient"]

T = TypeVar("T")

PIECE_BYTES = 1 << 16


class BlockingDoor:
    """Carry out calls one after the other over sockets of its own.

    Args:
        address: where the daemon is.
        timeout_s: how long connecting, and each wait for bytes, may take.
        is_plain: answers stay plain JSON values.
    """

    def __init__(
        self, address: Address, *, timeout_s: float = 30.0, is_plain: bool = False
    ) -> None:
        self.address = address
        self.timeout_s = timeout_s
        self.is_plain = is_plain

    def send(self, call: Call[Any], answer: str, /) -> Any:
        """Send a call and return its decoded answer; see ``retry.py`` for repetitions."""
        content = self._content(call)
        if not self.is_plain or answer == "bytes":
            from lodge.client.answers import decode

            return decode(answer, content)
        return _plain(content)

    def run(self, flow: Flow[Any], /) -> Any:
        """Carry out a flow to its end."""
        reply: Any = None
        failure: LodgeError | None = None
        while True:
            try:
                wanted = flow.send(reply) if failure is None else flow.throw(failure)
            except StopIteration as end:
                return end.value
            reply = failure = None
            if isinstance(wanted, Pause):
                time.sleep(wanted.seconds)
                continue
            try:
                reply = self.send(*wanted)
            except LodgeError as error:
                failure = error

    def download(self, call: Call[Any], /) -> Iterator[bytes]:
        """Hand out an answer's bytes as they arrive; the request is sent at the first one."""
        with self._exchange(call, call.headers) as exchange:
            if exchange.head.status >= 400:
                raise error_from_answer(exchange.head.status, _joined(_told(exchange.body)))
            yield from _told(exchange.body)

    def subscribe(self, subscription: Subscription[Any], /) -> Iterator[Any]:
        """Follow a stream, taking it up again where it broke."""
        while True:
            failure = None
            try:
                for piece in self.download(subscription.call()):
                    for message in subscription.feed(piece):
                        yield self._message(subscription, message)
            except LodgeError as error:
                failure = error
            delay_s = subscription.delay_s(failure)
            if delay_s is None:
                raise failure or DaemonUnreachableError("the stream ended")
            time.sleep(delay_s)

    def open(self, call: Call[Any], /) -> Channel:
        """Open a WebSocket, to be used in a ``with`` statement."""
        from lodge.client.channel import Channel
        from lodge.client.nonblocking import AsyncClient

        return Channel(AsyncClient(self.address, timeout_s=self.timeout_s).open_once(call))

    def _message(self, subscription: Subscription[Any], message: StreamMessage) -> Any:
        if self.is_plain:
            return _plain(message.data.encode())
        from lodge.client.answers import decode

        return decode(subscription.answer, message.data.encode())

    def _content(self, call: Call[Any]) -> bytes:
        attempt = 0
        headers = call.own_headers()
        while True:
            try:
                return self._once(call, headers)
            except LodgeError as error:
                delay_s = retry_delay_s(call, attempt, error)
                if delay_s is None:
                    raise
            time.sleep(delay_s)
            attempt += 1

    def _once(self, call: Call[Any], headers: Mapping[str, str]) -> bytes:
        with self._exchange(call, headers) as exchange:
            content = _joined(_told(exchange.body))
        if exchange.head.status >= 400:
            raise error_from_answer(exchange.head.status, content)
        return content

    def _exchange(self, call: Call[Any], own: Mapping[str, str]) -> _Exchange:
        link = open_connection(self.address, timeout_s=self.timeout_s)
        try:
            link.settimeout(self.timeout_s + call.timeout_s)
            with suppress(BrokenPipeError, ConnectionResetError):
                self._write(link, call, own)  # who refuses a body closes early; the answer says why
            return _Exchange(link, call.method)
        except OSError as error:
            link.close()
            raise _broken(error) from error
        except BaseException:
            link.close()
            raise

    def _write(self, link: socket.socket, call: Call[Any], own: Mapping[str, str]) -> None:
        headers = {**self.address.headers(), "Connection": "close", "Accept": "application/json"}
        headers |= own
        body = call.json_body()
        if body is not None:
            headers["Content-Type"] = "application/json"
        elif isinstance(call.octets, bytes):
            body = call.octets
        if call.octets is not None:
            headers["Content-Type"] = "application/octet-stream"
        if isinstance(call.octets, os.PathLike):
            headers["Content-Length"] = str(os.stat(call.octets).st_size)
        elif call.octets is not None and body is None:
            headers["Transfer-Encoding"] = "chunked"
        elif body is not None or call.method not in ("GET", "HEAD", "DELETE"):
            headers["Content-Length"] = str(len(body or b""))
        link.sendall(request_head(call.method, call.target, headers) + (body or b""))
        if body is None and call.octets is not None:
            _upload(link, call.octets)


class _Exchange:
    """An answer under way: its head, and its body while the connection is open.

    Everything is closed by hand: what the collector closes swallows a Ctrl-C that comes meanwhile
    (``iobase_finalize`` in CPython's ``Modules/_io/iobase.c`` drops every exception).
    """

    __slots__ = ("_link", "_reader", "body", "head")

    def __init__(self, link: socket.socket, method: str) -> None:
        self._link = link
        self._reader = link.makefile("rb")
        try:
            self.head: Head = read_head(self._reader)
        except BaseException:
            self._reader.close()
            raise
        self.body = read_body(self._reader, self.head, method)

    def __enter__(self) -> _Exchange:
        return self

    def __exit__(self, *_failure: object) -> None:
        self._reader.close()
        self._link.close()


def _upload(link: socket.socket, octets: Any) -> None:
    if isinstance(octets, os.PathLike):
        with open(octets, "rb") as file:
            link.sendfile(file)
        return
    pieces: Iterable[bytes] = octets
    for piece in pieces:
        if piece:
            link.sendall(chunk(piece))
    link.sendall(chunk(b""))


def _joined(body: Iterable[bytes]) -> bytes:
    return b"".join(body)


def _told(body: Iterator[bytes]) -> Iterator[bytes]:
    """Hand out pieces, turning what can go wrong with the socket into words."""
    try:
        yield from body
    except OSError as error:
        raise _broken(error) from error


def _broken(error: OSError) -> DaemonUnreachableError:
    if isinstance(error, TimeoutError):
        return DaemonUnreachableError(
            "the daemon did not answer in time", hint="is it busy? see: lodge task list"
        )
    return DaemonUnreachableError(f"the connection to the daemon broke: {error.strerror or error}")


def _plain(content: bytes) -> Any:
    import json

    from lodge.client.errors import AnswerBrokenError

    if not content:
        return None
    try:
        return json.loads(content)
    except ValueError as error:
        raise AnswerBrokenError(f"the answer is not JSON: {error}") from error


class Client(Groups[Sync]):
    """Typed and blocking: ``Client().instances.get("web1").state``.

    Args:
        address: where the daemon is; this machine's socket when not given.
        timeout_s: how long connecting, and each wait for bytes, may take.
    """

    def __init__(self, address: Address | None = None, *, timeout_s: float = 30.0) -> None:
        super().__init__(BlockingDoor(address or local_address(), timeout_s=timeout_s))


class PlainClient(Groups[Plain]):
    """The same methods, answering plain JSON values: nothing but the standard library is loaded."""

    def __init__(self, address: Address | None = None, *, timeout_s: float = 30.0) -> None:
        super().__init__(
            BlockingDoor(address or local_address(), timeout_s=timeout_s, is_plain=True)
        )
