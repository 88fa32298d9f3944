"""What a fake pool can be told to do wrong."""

import asyncio
from dataclasses import dataclass, field

from lodge.base.errors import LodgeError

__all__ = ["Faults"]


@dataclass
class Faults:
    """Faults by method name: errors to raise once each, and methods that hang until let go.

    ``is_offline``: every method fails as if the pool's file system were not mounted.
    """

    errors: dict[str, list[LodgeError]] = field(default_factory=dict)
    hanging: dict[str, asyncio.Event] = field(default_factory=dict)
    is_offline: bool = False

    async def meet(self, method: str) -> None:
        """Raise or hang when told so."""
        gate = self.hanging.get(method)
        if gate is not None:
            await gate.wait()
        waiting = self.errors.get(method)
        if waiting:
            raise waiting.pop(0)
