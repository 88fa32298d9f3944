"""What the fake network driver can be told to do wrong."""

import asyncio
from dataclasses import dataclass, field

from lodge.base.errors import LodgeError

__all__ = ["Faults"]


@dataclass
class Faults:
    """Faults by method name: errors to raise once each, hanging and deaf methods.

    ``hanging`` methods wait until they are let go; ``deaf`` ones are not heard (for ``status``:
    DNS does not answer).
    """

    errors: dict[str, list[LodgeError]] = field(default_factory=dict)
    hanging: dict[str, asyncio.Event] = field(default_factory=dict)
    deaf: set[str] = field(default_factory=set)

    async def meet(self, method: str) -> bool:
        """Hang or raise when told so; false means: nobody heard."""
        gate = self.hanging.get(method)
        if gate is not None:
            await gate.wait()
        waiting = self.errors.get(method)
        if waiting:
            raise waiting.pop(0)
        return method not in self.deaf
