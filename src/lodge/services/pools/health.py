"""How full is full: pure judgements about the room of a pool."""

from dataclasses import dataclass
from types import MappingProxyType

from lodge.base.units import GIB, MIB
from lodge.drivers.storage.contract import PoolRoom
from lodge.model.storage import Pool, PoolHealth

__all__ = ["Verdict", "guarded_bytes", "health_of", "judge", "next_look_s"]

_RELIEF_PERCENT = 2
"""A pool is no longer low only when this much below its warning: one block must not toggle it."""

_SMALLEST_RELIEF_BYTES = 64 * MIB
_LONGEST_S, _SHORTEST_S, _WHILE_FULL_S = 2.0, 0.2, 1.0
_FAST_PER_S = 1 * GIB

_EVENTS = MappingProxyType(
    {
        PoolHealth.OFFLINE: "pool.offline",
        PoolHealth.FULL: "pool.full",
        PoolHealth.LOW: "pool.low",
        PoolHealth.OK: "pool.recovered",
    }
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to believe from now on, and what to do about it."""

    health: PoolHealth
    event: str | None = None
    holds: bool = False
    releases: bool = False


def guarded_bytes(pool: Pool, total_bytes: int) -> int:
    """Room that is never given to guests: a small pool does not keep all of itself back."""
    return min(pool.guard_bytes, total_bytes // 10)


def health_of(room: PoolRoom | None, pool: Pool) -> PoolHealth:
    """Say how full a pool is, looking at it for the first time (null: it does not answer)."""
    return _health(room, pool, before=None)


def judge(before: PoolHealth | None, room: PoolRoom | None, pool: Pool) -> Verdict:
    """Decide what a look at a pool means, after what was believed of it before (null: nothing).

    Writing guests are held at every look while the pool is full: one may have been started since.
    They are released once, when there is room again, and at the first look, because whoever held
    them may be dead by now.
    """
    health = _health(room, pool, before)
    return Verdict(
        health,
        event=_event(before, health),
        holds=health is PoolHealth.FULL,
        releases=health in (PoolHealth.OK, PoolHealth.LOW)
        and before not in (PoolHealth.OK, PoolHealth.LOW),
    )


def _health(room: PoolRoom | None, pool: Pool, before: PoolHealth | None) -> PoolHealth:
    if room is None:
        return PoolHealth.OFFLINE
    was_full = before is PoolHealth.FULL
    guarded = guarded_bytes(pool, room.total_bytes)
    relief = max(guarded // 4, min(_SMALLEST_RELIEF_BYTES, room.total_bytes // 100))
    if room.free_bytes < guarded + (relief if was_full else 0) or room.free_bytes == 0:
        return PoolHealth.FULL
    used_percent = 100 * (room.total_bytes - room.free_bytes) / max(1, room.total_bytes)
    was_low = before in (PoolHealth.LOW, PoolHealth.FULL)
    is_low = used_percent >= pool.warn_percent - (_RELIEF_PERCENT if was_low else 0)
    return PoolHealth.LOW if is_low else PoolHealth.OK


def _event(before: PoolHealth | None, health: PoolHealth) -> str | None:
    if before is health or (before is None and health is PoolHealth.OK):
        return None
    if before is PoolHealth.FULL and health is not PoolHealth.OFFLINE:
        return "pool.recovered"
    return _EVENTS[health]


def next_look_s(
    pool: Pool, earlier: PoolRoom | None, now: PoolRoom | None, passed_s: float
) -> float:
    """Decide when to look again: sooner the nearer the guard is and the faster the pool fills up.

    So soon that a disk that takes 1 GiB/s cannot pass the guard unseen, and after a quarter of the
    time that is left at the present speed; 0.2 to 2 seconds, and every second while it is full.
    """
    if now is None:
        return _LONGEST_S
    left_bytes = now.free_bytes - guarded_bytes(pool, now.total_bytes)
    if left_bytes <= 0:
        return _WHILE_FULL_S
    lost_per_s = 0.0
    if earlier is not None and passed_s > 0:
        lost_per_s = (earlier.free_bytes - now.free_bytes) / passed_s
    return min(_LONGEST_S, max(_SHORTEST_S, left_bytes / max(_FAST_PER_S, 4 * lost_per_s)))
