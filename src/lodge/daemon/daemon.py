"""The life of a daemon: open, take over, serve, end."""

import asyncio
import logging
import os
import signal
from collections.abc import Coroutine
from typing import Any

from lodge import __version__
from lodge.api.server import ApiServer, ApiSettings
from lodge.base.world import World
from lodge.daemon.compose import Parts, compose
from lodge.daemon.defaults import make_defaults
from lodge.daemon.folders import make_folders
from lodge.daemon.settings import DaemonSettings
from lodge.store.sqlite.store import SqliteStore
from lodge.system.certificate import ensure_certificate, local_names
from lodge.system.files import write_whole

__all__ = ["Daemon"]

_LOG = logging.getLogger(__name__)

KILL_AT = "LODGE_KILL_AT"
"""For fault tests: the kill point (see ``Engine.kill_points``) at which the daemon kills itself."""


class Daemon:
    """One running ``lodged``; made by ``open`` only."""

    def __init__(self, settings: DaemonSettings, world: World, store: SqliteStore) -> None:
        self._settings = settings
        self._world = world
        self._store = store
        self._parts: Parts = compose(settings, world, store)
        self._api: ApiServer | None = None
        self._loops: list[asyncio.Task[None]] = []
        self._failed = asyncio.Event()
        self._is_serving = False
        self._fingerprint = ""
        self._pid_file = settings.run_dir / "lodged.pid"
        if point := os.environ.get(KILL_AT):
            self._parts.engine.kill_points = lambda here: _die_at(point, here)

    @classmethod
    async def open(cls, settings: DaemonSettings, world: World) -> "Daemon":
        """Make the folders and open the store; nothing of another daemon is touched.

        Raises:
            FolderUnusableError, StateFolderInUseError, DatabaseDamagedError, DatabaseNewerError.
        """
        make_folders(settings)
        return cls(settings, world, await SqliteStore.open(settings.state_dir, world))

    @property
    def parts(self) -> Parts:
        """What it is put together of."""
        return self._parts

    async def start(self) -> None:
        """Take over what an earlier daemon left, then serve.

        Raises:
            EndpointInUseError: an address of the API is taken.
        """
        await self.take_over()
        self._api = ApiServer(self._parts.services, await self._api_settings(), self._world)
        await self._api.start()
        self._parts.hosts.served_at(self._https(), self._fingerprint)
        self._is_serving = True
        write_whole(self._pid_file, f"{os.getpid()}\n".encode(), mode=0o644)
        self.watch()

    async def take_over(self) -> None:
        """Adopt networks and guests, carry tasks on, make what a first start makes.

        Networks come before instances (they need ports), instances before tasks (they need
        statuses), tasks before the API.
        """
        parts = self._parts
        for name, failure in (await parts.resources.networks.ensure_all()).items():
            _LOG.error("network %s: %s", name, failure.message)
        parts.resources.images.open()
        await parts.boot.adopt_all()
        await parts.engine.recover()
        await make_defaults(
            self._store,
            parts.engine,
            self._settings,
            parts.resources.pools,
            parts.resources.networks,
            parts.resources.profiles,
        )

    def watch(self) -> None:
        """Begin to keep statuses, networks and pools right, and to start what starts at boot."""
        parts = self._parts
        self._keep(parts.watch.run())
        self._keep(parts.resources.networks.watch())
        self._keep(parts.guard.run())
        # Starting instances takes long; the API answers meanwhile.
        self._keep(parts.boot.settle_all())

    async def _api_settings(self) -> ApiSettings:
        settings = self._settings
        listen: tuple[tuple[str, int], ...] = ()
        certificate = None
        if settings.listen_address:
            listen = ((settings.listen_address, settings.listen_port),)
            names = await asyncio.to_thread(local_names)
            certificate = ensure_certificate(
                settings.state_dir / "tls",
                sorted({*names, settings.listen_address}),
                now=self._world.now(),
            )
            self._fingerprint = certificate.fingerprint
            _LOG.info("HTTPS certificate fingerprint %s", certificate.fingerprint)
        return ApiSettings(
            socket=settings.socket,
            lodge_version=__version__,
            listen=listen,
            certificate=certificate.certificate if certificate else None,
            key=certificate.key if certificate else None,
        )

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a loop beside the others; one that ends by an error ends the daemon, loudly."""
        task = asyncio.create_task(work)
        task.add_done_callback(self._look_at)
        self._loops.append(task)

    def _look_at(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            _LOG.critical("a loop of the daemon failed", exc_info=task.exception())
            self._failed.set()

    def where(self) -> str:
        """Say where the API is."""
        return ", ".join([f"socket {self._settings.socket}", *self._https()])

    def _https(self) -> list[str]:
        if self._api is None:
            return []
        return [
            f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
            for host, port in self._api.addresses
        ]

    async def run_until(self, end: asyncio.Event) -> None:
        """Serve until the event is set, or a loop failed."""
        waits = [asyncio.create_task(event.wait()) for event in (end, self._failed)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    async def close(self) -> None:
        """End in the other order; guests and networks go on."""
        if self._api is not None:
            await self._api.stop()
        for task in self._loops:
            task.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        await self._parts.engine.stop()
        await self._parts.instance_driver.close()
        await self._parts.network_driver.close()
        await self._store.close()
        if self._is_serving:  # else the file may be of another daemon, which took the socket first
            self._pid_file.unlink(missing_ok=True)


def _die_at(point: str, here: str) -> None:
    if here == point:
        os.kill(os.getpid(), signal.SIGKILL)
