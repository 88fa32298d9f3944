"""Deadlines of leases, by the World's clock that never jumps."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from lodge.base.errors import LodgeError
from lodge.base.world import World
from lodge.store.errors import LeaseExpiredError

__all__ = ["Leases"]

_log = logging.getLogger(__name__)
_RETRY_S = 1.0


class Leases:
    """Ends each lease when nobody renewed it in time. ``known``: those stored, with their times.

    A lease whose deadline is over can no longer be renewed, also while its end is being written.
    """

    def __init__(
        self,
        world: World,
        expire: Callable[[int], Awaitable[None]],
        stored: Mapping[int, float],
    ) -> None:
        self.known: dict[int, float] = {}
        self._world = world
        self._expire = expire
        self._deadlines: dict[int, float] = {}
        self._watchers: dict[int, asyncio.Task[None]] = {}
        for lease, ttl_s in stored.items():
            self.add(lease, ttl_s)

    def add(self, lease: int, ttl_s: float) -> None:
        """Begin to watch a lease that is stored."""
        self.known[lease] = ttl_s
        self._deadlines[lease] = self._world.monotonic() + ttl_s
        self._watchers[lease] = asyncio.create_task(self._watch(lease))

    def renew(self, lease: int) -> None:
        """Give a lease its full time again.

        Raises:
            LeaseExpiredError: it ended, or its time is over.
        """
        deadline = self._deadlines.get(lease)
        if deadline is None or deadline <= self._world.monotonic():
            raise LeaseExpiredError(f"lease {lease} ended", lease=lease)
        self._deadlines[lease] = self._world.monotonic() + self.known[lease]

    def forget(self, lease: int) -> None:
        """Stop to watch a lease that ended."""
        self.known.pop(lease, None)
        self._deadlines.pop(lease, None)
        watcher = self._watchers.pop(lease, None)
        if watcher is not None and watcher is not asyncio.current_task():
            watcher.cancel()

    def close(self) -> None:
        """Stop to watch all of them; the next start gives each its full time again."""
        for watcher in self._watchers.values():
            watcher.cancel()
        self._watchers.clear()

    async def _watch(self, lease: int) -> None:
        while (left_s := self._deadlines[lease] - self._world.monotonic()) > 0:
            await self._world.sleep(left_s)
        while lease in self.known:
            try:
                await self._expire(lease)
            except LodgeError as failure:
                _log.warning("lease %d cannot be ended yet: %s", lease, failure.message)
                await self._world.sleep(_RETRY_S)
