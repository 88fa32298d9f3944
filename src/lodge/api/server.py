"""The API's doors: the unix socket for local root, HTTPS for everybody with a token."""

import asyncio
import contextlib
import ssl
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lodge.api.call import Surroundings
from lodge.api.connection import LimitedServer
from lodge.api.dispatch import Dispatcher
from lodge.api.encode import encode
from lodge.api.errors import EndpointInUseError
from lodge.api.openapi import describe_api
from lodge.api.router import Router
from lodge.api.services import Services
from lodge.api.table import ROUTES
from lodge.base.world import World
from lodge.system.sockets import listen_private

__all__ = ["ApiServer", "ApiSettings"]

_HANDSHAKE_S = 10.0
_STOP_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """Where the API listens, and its limits. No ``listen``: the socket only.

    ``origins`` are the web origins (``https://console.example.org``) whose pages may open
    WebSockets, besides the API's own.
    """

    socket: Path
    lodge_version: str
    listen: tuple[tuple[str, int], ...] = ()
    certificate: Path | None = None
    key: Path | None = None
    origins: frozenset[str] = frozenset()
    most_connections: int = 512
    most_per_peer: int = 128
    header_s: float = 30.0
    stall_s: float = 60.0
    heartbeat_s: float = 15.0
    json_limit: int = 4 * 1024 * 1024


class _Description:
    """The OpenAPI document, written when it is first asked for."""

    def __init__(self, version: str) -> None:
        self._version = version

    @cached_property
    def data(self) -> bytes:
        return encode(describe_api(ROUTES, version=self._version))


class ApiServer:
    """Serve the table of routes until stopped."""

    def __init__(self, services: Services, settings: ApiSettings, world: World) -> None:
        self._services = services
        self._settings = settings
        self._world = world
        self._closing = asyncio.Event()
        self._listeners: list[asyncio.Server] = []
        self._protocols: list[LimitedServer] = []
        self._has_socket = False

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where HTTPS is served, with the ports the system chose."""
        return [
            (str(name[0]), int(name[1]))
            for listener in self._listeners
            for socket in listener.sockets
            if isinstance(name := socket.getsockname(), tuple)
        ]

    async def start(self) -> None:
        """Open all doors; when one cannot be opened, none stays open.

        Raises:
            EndpointInUseError: an address or the socket is taken.
        """
        dispatcher = self._dispatcher()
        try:
            await self._open_socket(dispatcher)
            for host, port in self._settings.listen:
                await self._open_https(dispatcher, host, port)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Close all doors: streams end, running requests get a moment to end. Idempotent."""
        self._closing.set()
        for listener in self._listeners:
            listener.close()
        for protocol in self._protocols:
            protocol.pre_shutdown()
        await asyncio.gather(*(protocol.shutdown(_STOP_S) for protocol in self._protocols))
        self._listeners.clear()
        self._protocols.clear()
        if self._has_socket:
            self._has_socket = False
            with contextlib.suppress(FileNotFoundError):
                self._settings.socket.unlink()

    def _dispatcher(self) -> Dispatcher:
        settings = self._settings
        description = _Description(settings.lodge_version)
        around = Surroundings(
            services=self._services,
            world=self._world,
            lodge_version=settings.lodge_version,
            openapi=lambda: description.data,
            closing=self._closing,
            origins=settings.origins,
            heartbeat_s=settings.heartbeat_s,
            stall_s=settings.stall_s,
            json_limit=settings.json_limit,
        )
        return Dispatcher(Router(ROUTES), around)

    def _protocol(self, dispatcher: Dispatcher, most_per_peer: int | None) -> LimitedServer:
        protocol = LimitedServer(
            dispatcher.serve,
            most=self._settings.most_connections,
            most_per_peer=most_per_peer,
            header_s=self._settings.header_s,
        )
        self._protocols.append(protocol)
        return protocol

    async def _open_socket(self, dispatcher: Dispatcher) -> None:
        """Open the socket; it has a limit of its own, so that a flood of HTTPS leaves root in."""
        path = self._settings.socket
        try:
            listener = listen_private(path)
        except OSError as error:
            raise EndpointInUseError(
                f"cannot listen on {path}: {error.strerror}", where=str(path)
            ) from None
        self._has_socket = True
        loop = asyncio.get_running_loop()
        protocol = self._protocol(dispatcher, None)
        self._listeners.append(await loop.create_unix_server(protocol, sock=listener))

    async def _open_https(self, dispatcher: Dispatcher, host: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        protocol = self._protocol(dispatcher, self._settings.most_per_peer)
        try:
            listener = await loop.create_server(
                protocol,
                host,
                port,
                ssl=self._tls(),
                ssl_handshake_timeout=_HANDSHAKE_S,
                reuse_address=True,
            )
        except OSError as error:
            raise EndpointInUseError(
                f"cannot listen on {host} port {port}: {error.strerror}", where=f"{host}:{port}"
            ) from None
        self._listeners.append(listener)

    def _tls(self) -> ssl.SSLContext:
        """TLS 1.2 or newer with the library's own choice of ciphers (RFC 9325)."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        if self._settings.certificate is not None:
            context.load_cert_chain(self._settings.certificate, self._settings.key)
        return context
