"""The loop that keeps guests from writing into a pool that has no room left."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from lodge.base.errors import LodgeError
from lodge.base.world import World
from lodge.drivers.storage.contract import PoolRoom
from lodge.model.storage import Pool, PoolHealth
from lodge.services.pools.errors import PoolNotFoundError
from lodge.services.pools.health import Verdict, judge, next_look_s
from lodge.services.pools.registry import PoolRegistry
from lodge.store.events import EventLog

__all__ = ["GuardedGuests", "SpaceGuard"]

_LOG = logging.getLogger(__name__)
_IDLE_S = 2.0


@dataclass(frozen=True, slots=True)
class GuardedGuests:
    """How to hold the guests that write to a pool, and how to let them go on; both idempotent."""

    hold: Callable[[str], Awaitable[None]]
    release: Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Seen:
    """The last look at a pool."""

    health: PoolHealth
    room: PoolRoom | None
    at: float


class SpaceGuard:
    """Look at every pool every two seconds, sooner while one fills up."""

    def __init__(
        self, registry: PoolRegistry, events: EventLog, world: World, guests: GuardedGuests
    ) -> None:
        self._registry = registry
        self._events = events
        self._world = world
        self._guests = guests
        self._seen: dict[str, _Seen] = {}

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self._world.sleep(await self.look())

    async def look(self) -> float:
        """Look at every pool once; return the seconds until the next look."""
        pools = self._registry.all()
        for gone in set(self._seen) - {pool.id for pool in pools}:
            del self._seen[gone]
        waits = [_IDLE_S]
        for pool in pools:
            try:
                waits.append(await self._look_at(pool))
            except Exception:  # the loop edge: one broken pool must not blind the guard to others
                _LOG.exception("watching pool %s", pool.name)
        return min(waits)

    async def _look_at(self, pool: Pool) -> float:
        room = await self._room(pool)
        now = self._world.monotonic()
        before = self._seen.get(pool.id)
        verdict = judge(before.health if before else None, room, pool)
        # Guests first: the event may find no room to be written, if the store is on the same disk.
        if verdict.holds:
            await self._guests.hold(pool.name)
        if verdict.releases:
            await self._guests.release(pool.name)
        await self._tell(pool, verdict, room)
        self._seen[pool.id] = _Seen(verdict.health, room, now)
        return next_look_s(
            pool,
            before.room if before else None,
            room,
            now - before.at if before else 0.0,
        )

    async def _room(self, pool: Pool) -> PoolRoom | None:
        try:
            return await (await self._registry.driver(pool.name)).room()
        except PoolNotFoundError:
            raise
        except LodgeError as error:
            _LOG.debug("pool %s: %s", pool.name, error)
            return None

    async def _tell(self, pool: Pool, verdict: Verdict, room: PoolRoom | None) -> None:
        if verdict.event is None:
            return
        facts = {"free_bytes": room.free_bytes, "total_bytes": room.total_bytes} if room else {}
        await self._events.publish(
            verdict.event,
            f"pools/{pool.name}",
            {**facts, "health": verdict.health.value, "guard_bytes": pool.guard_bytes},
        )
