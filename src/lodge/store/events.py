"""Events: what happened, in order, for everybody who wants to know."""

from collections.abc import Mapping
from typing import Any

import msgspec

from lodge.base.world import World
from lodge.model.event import Event
from lodge.store.contract import Put, Store
from lodge.store.log import AppendLog

__all__ = ["EventLog"]


class EventLog(AppendLog[Event]):
    """The newest events; ids grow by one in the order of the commits, over restarts too."""

    def __init__(
        self, store: Store, world: World, *, keep: int = 10_000, keep_s: float = 30 * 86_400.0
    ) -> None:
        super().__init__(store, world, "events/", Event, keep=keep, keep_s=keep_s)

    def put(
        self, kind: str, target: str, data: Mapping[str, Any] | None = None, trace: str = ""
    ) -> Put:
        """Return the operation that makes an event part of a transaction."""
        facts: dict[str, Any] = msgspec.to_builtins(dict(data or {}))
        at = self._world.now()
        return self._append(Event(id=0, kind=kind, at=at, target=target, data=facts, trace=trace))

    async def publish(
        self, kind: str, target: str, data: Mapping[str, Any] | None = None, trace: str = ""
    ) -> None:
        """Write one event of its own.

        Raises:
            StoreFullError: no room; the event is lost.
        """
        await self._store.txn((), [self.put(kind, target, data, trace)])
        await self.prune()
