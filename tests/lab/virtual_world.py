"""A world whose clock moves only when the test says so."""

import asyncio
import heapq
import random
from collections.abc import Callable


class VirtualWorld:
    """Keeps ``lodge.base.world.World``; ``pass_time`` wakes sleepers in order."""

    def __init__(self, *, now: float = 1_800_000_000.0, seed: int = 1) -> None:
        self._started = now
        self._elapsed = 0.0
        self._random = random.Random(seed)
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    def now(self) -> float:
        return self._started + self._elapsed

    def monotonic(self) -> float:
        return self._elapsed

    async def sleep(self, seconds: float, /) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._sleepers, (self._elapsed + seconds, self._count, woken))
        await woken

    def random_bytes(self, count: int, /) -> bytes:
        return self._random.randbytes(count)

    async def pass_time(self, seconds: float) -> None:
        """Move the clock, letting everybody who wakes on the way do what is ready to be done."""
        end = self._elapsed + seconds
        while self._sleepers and self._sleepers[0][0] <= end:
            self._elapsed, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)
            await settle()
        self._elapsed = end
        await settle()


async def settle() -> None:
    """Let the tasks that are ready run for a while."""
    for _ in range(20):
        await asyncio.sleep(0)


async def eventually(claim: Callable[[], bool], *, limit_s: float = 20.0) -> None:
    """Wait in real time until a claim holds."""
    async with asyncio.timeout(limit_s):
        while not claim():
            await asyncio.sleep(0.001)
