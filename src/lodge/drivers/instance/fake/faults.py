"""What a fake driver can be told to do wrong."""

import asyncio
from dataclasses import dataclass, field

from lodge.base.errors import LodgeError

__all__ = ["Faults"]


@dataclass
class Faults:
    """Faults by method name: errors to raise once each, and methods that do not answer.

    ``deaf`` methods return without doing anything; ``hanging`` ones wait until they are let go.
    """

    errors: dict[str, list[LodgeError]] = field(default_factory=dict)
    deaf: set[str] = field(default_factory=set)
    hanging: dict[str, asyncio.Event] = field(default_factory=dict)

    async def meet(self, method: str) -> bool:
        """Raise or hang when told so; false means: pretend that nobody heard."""
        gate = self.hanging.get(method)
        if gate is not None:
            await gate.wait()
        waiting = self.errors.get(method)
        if waiting:
            raise waiting.pop(0)
        return method not in self.deaf
