"""Download over http(s) with patience: what breaks off is taken up again where it stopped."""

import ipaddress
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import aiohttp
from aiohttp import AddrInfoType

from lodge.base.units import MIB, format_size
from lodge.base.world import World
from lodge.services.images.errors import DownloadFailedError, DownloadRefusedError
from lodge.services.images.transfer import (
    FetchLimits,
    Tell,
    Transfer,
    TryAgainError,
    check_status,
)

__all__ = ["Fetcher"]

_TEXT_LIMIT_BYTES = MIB
_METADATA = frozenset({ipaddress.ip_address("fd00:ec2::254"), ipaddress.ip_address("fd20:ce::254")})
"""Where two clouds serve credentials over IPv6, outside of the link-local range."""

T = TypeVar("T")


class Fetcher:
    """Downloads; proxies come from the environment of the daemon (``https_proxy`` and so on)."""

    def __init__(self, world: World, limits: FetchLimits | None = None) -> None:
        self._world = world
        self._limits = limits or FetchLimits()

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(socket_factory=_socket_to),
            trust_env=True,
            auto_decompress=False,  # an image is wanted as it is published
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=self._limits.connect_s, sock_read=self._limits.idle_s
            ),
            headers={"Accept-Encoding": "identity", "User-Agent": "lodge"},
        )

    async def text(self, url: str) -> str:
        """Fetch a small text, such as a list of checksums.

        Raises:
            DownloadRefusedError, DownloadFailedError: see ``fetch``.
        """

        async def attempt() -> str:
            async with self._session() as session, session.get(url) as answer:
                check_status(answer.status, url)
                body = b""
                async for block in answer.content.iter_any():
                    body += block
                    if len(body) > _TEXT_LIMIT_BYTES:
                        raise DownloadRefusedError(
                            f"{url} is larger than {format_size(_TEXT_LIMIT_BYTES)}", where=url
                        )
                return body.decode(errors="replace")

        return await self._persist(url, attempt, lambda: 0)

    async def fetch(self, url: str, folder: Path, tell: Tell, *, is_verified: bool) -> Path:
        """Fetch a file into ``folder``, which keeps what arrived for the next try; return its path.

        ``is_verified``: a checksum will be compared afterwards, so that parts may be joined on the
        server's word alone and leaving https on the way does no harm. Idempotent.

        Raises:
            DownloadRefusedError: the server will never give it.
            DownloadFailedError: it broke off too often without any progress.
            DownloadTooLargeError, DiskFullError: it does not fit.
        """
        transfer = Transfer(url, folder, tell, self._limits, is_verified=is_verified)

        async def attempt() -> Path:
            async with self._session() as session:
                return await transfer.attempt(session)

        return await self._persist(url, attempt, lambda: transfer.size_bytes)

    async def _persist(
        self, url: str, attempt: Callable[[], Awaitable[T]], size: Callable[[], int]
    ) -> T:
        """Try again after a pause, as long as each few attempts bring something."""
        failures, most = 0, size()
        while True:
            try:
                return await attempt()
            except (
                aiohttp.TooManyRedirects,
                aiohttp.InvalidURL,
                aiohttp.NonHttpUrlClientError,
            ) as e:
                raise DownloadRefusedError(f"{url} leads nowhere: {_words(e)}", where=url) from e
            except (aiohttp.ClientError, TimeoutError, ConnectionError, TryAgainError) as error:
                failures = 1 if size() > most else failures + 1
                most = max(most, size())
                if failures >= self._limits.attempts:
                    raise DownloadFailedError(
                        f"{url} could not be fetched: {_words(error)}",
                        where=url,
                        kept_bytes=size(),
                    ) from error
            await self._world.sleep(self._limits.pause_s * 2 ** (failures - 1))


def _socket_to(address: AddrInfoType) -> socket.socket:
    """Make the socket for one address, whatever name or redirect led to it.

    Link-local addresses are where clouds serve a host its own credentials (169.254.169.254); no
    image ever comes from there.
    """
    family, kind, protocol, _name, place = address
    target = ipaddress.ip_address(str(place[0]).partition("%")[0])
    target = getattr(target, "ipv4_mapped", None) or target
    if target.is_link_local or target.is_multicast or target in _METADATA:
        raise DownloadRefusedError(
            f"{target} is not an address from which images are fetched", where=str(target)
        )
    return socket.socket(family, kind, protocol)


def _words(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "the server does not answer"
    return str(error) or type(error).__name__
