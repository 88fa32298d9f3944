"""The world outside the program that tests must be able to replace: clocks, sleep, chance."""

import asyncio
import secrets
import time
from typing import Protocol

__all__ = ["RealWorld", "World"]


class World(Protocol):
    """Clocks, sleeping and randomness; everything that decides takes one of these."""

    def now(self) -> float:
        """Wall clock, seconds since the Unix epoch."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never jumps."""
        ...

    async def sleep(self, seconds: float, /) -> None:
        """Let other work go on for that long."""
        ...

    def random_bytes(self, count: int, /) -> bytes:
        """Unpredictable bytes."""
        ...


class RealWorld:
    """The machine's own clocks and random source."""

    def now(self) -> float:
        """Wall clock, seconds since the Unix epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds on a clock that never jumps."""
        return time.monotonic()

    async def sleep(self, seconds: float, /) -> None:
        """Let other work go on for that long."""
        await asyncio.sleep(seconds)

    def random_bytes(self, count: int, /) -> bytes:
        """Unpredictable bytes from the operating system."""
        return secrets.token_bytes(count)
