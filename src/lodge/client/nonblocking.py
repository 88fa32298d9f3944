"""The asynchronous client, over aiohttp."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any

import aiohttp
from yarl import URL

from lodge.base.errors import LodgeError
from lodge.client.address import Address, local_address
from lodge.client.answers import decode
from lodge.client.call import Call
from lodge.client.channel import AsyncChannel
from lodge.client.connection import tls_context, unreachable
from lodge.client.endpoint import Async, Flow, Pause
from lodge.client.errors import (
    AnswerBrokenError,
    CertificateMismatchError,
    DaemonUnreachableError,
    error_from_answer,
)
from lodge.client.groups import Groups
from lodge.client.retry import retry_delay_s
from lodge.client.subscription import Subscription

__all__ = ["AsyncClient", "AsyncDoor"]

PIECE_BYTES = 1 << 16
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
_HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "bG9kZ2UtY2xpZW50LWtleQ==",
}


class AsyncDoor:
    """Carry out calls on the running loop; connections are kept and used again."""

    def __init__(self, address: Address, *, timeout_s: float = 30.0) -> None:
        self.address = address
        self.timeout_s = timeout_s
        self._http: aiohttp.ClientSession | None = None

    async def send(self, call: Call[Any], answer: str, /) -> Any:
        """Send a call and return its decoded answer; see ``retry.py`` for repetitions."""
        attempt = 0
        headers = call.own_headers()
        while True:
            try:
                return decode(answer, await self._once(call, headers))
            except LodgeError as error:
                delay_s = retry_delay_s(call, attempt, error)
                if delay_s is None:
                    raise
            await asyncio.sleep(delay_s)
            attempt += 1

    async def run(self, flow: Flow[Any], /) -> Any:
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
                await asyncio.sleep(wanted.seconds)
                continue
            try:
                reply = await self.send(*wanted)
            except LodgeError as error:
                failure = error

    async def download(self, call: Call[Any], /) -> AsyncIterator[bytes]:
        """Hand out an answer's bytes as they arrive."""
        async with self._request(call, call.headers) as answer:
            async for piece in answer.content.iter_any():
                yield piece

    async def subscribe(self, subscription: Subscription[Any], /) -> AsyncIterator[Any]:
        """Follow a stream, taking it up again where it broke."""
        while True:
            failure = None
            try:
                async for piece in self.download(subscription.call()):
                    for message in subscription.feed(piece):
                        yield decode(subscription.answer, message.data.encode())
            except LodgeError as error:
                failure = error
            delay_s = subscription.delay_s(failure)
            if delay_s is None:
                raise failure or DaemonUnreachableError("the stream ended")
            await asyncio.sleep(delay_s)

    @asynccontextmanager
    async def open(self, call: Call[Any], /) -> AsyncIterator[AsyncChannel]:
        """Open a WebSocket for the length of an ``async with`` block."""
        with _failures_told(self.address):
            try:
                socket = await self._session().ws_connect(
                    URL(call.target, encoded=True),
                    headers=call.headers,
                    ssl=self._tls(),
                    max_msg_size=MAX_MESSAGE_BYTES,
                    heartbeat=30.0,
                )
            except aiohttp.WSServerHandshakeError:
                # This error has no body: ask once more, in plain HTTP, for the reason.
                await self._once(call, {**call.headers, **_HANDSHAKE})
                raise AnswerBrokenError("the daemon refused the WebSocket") from None
        try:
            yield AsyncChannel(socket)
        finally:
            await socket.close()

    async def close(self) -> None:
        """Close all connections; idempotent."""
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def _once(self, call: Call[Any], headers: Mapping[str, str]) -> bytes:
        async with self._request(call, headers) as answer:
            return await answer.read()

    @asynccontextmanager
    async def _request(
        self, call: Call[Any], own: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = {"Accept": "application/json", **own}
        body: Any = call.json_body()
        if body is not None:
            headers["Content-Type"] = "application/json"
        elif call.octets is not None:
            headers["Content-Type"] = "application/octet-stream"
            body = _pieces(call.octets)
        limits = aiohttp.ClientTimeout(
            total=None, sock_connect=self.timeout_s, sock_read=self.timeout_s + call.timeout_s
        )
        with _failures_told(self.address):
            async with self._session().request(
                call.method,
                URL(call.target, encoded=True),
                data=body,
                headers=headers,
                ssl=self._tls(),
                timeout=limits,
                allow_redirects=False,
            ) as answer:
                if answer.status >= 400:
                    raise error_from_answer(answer.status, await answer.read())
                yield answer

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            address = self.address
            connector: aiohttp.BaseConnector = (
                aiohttp.TCPConnector()
                if address.socket_path is None
                else aiohttp.UnixConnector(path=address.socket_path)
            )
            base = "http://localhost" if address.is_local else address.url
            self._http = aiohttp.ClientSession(
                base_url=base, connector=connector, headers=address.headers()
            )
        return self._http

    def _tls(self) -> ssl.SSLContext | aiohttp.Fingerprint | bool:
        if self.address.is_local:
            return True
        if self.address.fingerprint is not None:
            return _Pin(bytes.fromhex(self.address.fingerprint))
        return tls_context(self.address)


class _Pin(aiohttp.Fingerprint):
    """Cut the connection to a wrong server off: a polite TLS goodbye would outlive the loop."""

    def check(self, transport: asyncio.Transport) -> None:
        try:
            super().check(transport)
        except aiohttp.ServerFingerprintMismatch:
            asyncio.get_running_loop().call_soon(transport.abort)
            raise


class _failures_told:  # noqa: N801 (reads as a sentence after "with")
    """Turn aiohttp's failures into the client's own."""

    def __init__(self, address: Address) -> None:
        self._address = address

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, aiohttp.ServerFingerprintMismatch):
            raise CertificateMismatchError(
                f"{self._address.url} shows a certificate with fingerprint {error.got.hex()},"
                f" pinned is {error.expected.hex()}",
                where=self._address.url,
            ) from error
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            raise CertificateMismatchError(
                f"nobody vouches for the certificate of {self._address.url}",
                where=self._address.url,
                hint="pin it: lodge remote add NAME URL --fingerprint FINGERPRINT",
            ) from error
        if isinstance(error, aiohttp.ClientConnectorError):
            raise unreachable(self._address, error.os_error) from error.os_error
        if isinstance(error, aiohttp.ClientError | TimeoutError | ConnectionError):
            raise DaemonUnreachableError(
                f"the connection to the daemon broke: {error or 'no answer in time'}"
            ) from error


def _pieces(octets: Any) -> Any:
    """Bytes and asynchronous pieces as they are; files and blocking pieces read in a thread."""
    if isinstance(octets, bytes) or hasattr(octets, "__aiter__"):
        return octets
    return _read_in_thread(_file_pieces(octets) if isinstance(octets, os.PathLike) else octets)


def _file_pieces(path: os.PathLike[str]) -> Iterable[bytes]:
    with open(path, "rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece


async def _read_in_thread(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    source = iter(pieces)
    while (piece := await asyncio.to_thread(next, source, None)) is not None:
        yield piece


class AsyncClient(Groups[Async]):
    """Typed and asynchronous: ``async with AsyncClient() as lodge: await lodge.hosts.show()``.

    Args:
        address: where the daemon is; this machine's socket when not given.
        timeout_s: how long connecting, and each wait for bytes, may take.
    """

    def __init__(self, address: Address | None = None, *, timeout_s: float = 30.0) -> None:
        self._async_door = AsyncDoor(address or local_address(), timeout_s=timeout_s)
        super().__init__(self._async_door)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections; idempotent."""
        await self._async_door.close()

    @asynccontextmanager
    async def open_once(self, call: Call[Any]) -> AsyncIterator[AsyncChannel]:
        """Open one WebSocket and close the client with it."""
        async with self, self._async_door.open(call) as channel:
            yield channel
