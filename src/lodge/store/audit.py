"""Audit records: who asked what, from where, with what result."""

from collections.abc import Mapping
from typing import Any

import msgspec

from lodge.base.world import World
from lodge.model.event import AuditRecord
from lodge.model.task import Actor
from lodge.store.contract import Put, Store
from lodge.store.log import AppendLog

__all__ = ["AuditLog"]


class AuditLog(AppendLog[AuditRecord]):
    """The newest audit records, as ``EventLog`` keeps events. Never give it a secret."""

    def __init__(
        self, store: Store, world: World, *, keep: int = 50_000, keep_s: float = 365 * 86_400.0
    ) -> None:
        super().__init__(store, world, "audit/", AuditRecord, keep=keep, keep_s=keep_s)

    def put(
        self,
        actor: Actor,
        action: str,
        target: str,
        /,
        *,
        result: str,
        task: str | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> Put:
        """Return the operation that makes a record part of a transaction.

        ``result`` is ``accepted``, ``done`` or an error code.
        """
        return self._append(
            AuditRecord(
                id=0,
                at=self._world.now(),
                actor=actor,
                action=action,
                target=target,
                result=result,
                task=task,
                params=msgspec.to_builtins(dict(params or {})),
            )
        )

    async def record(
        self,
        actor: Actor,
        action: str,
        target: str,
        /,
        *,
        result: str,
        task: str | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> None:
        """Write one record of its own.

        Raises:
            StoreFullError: no room; the record is lost.
        """
        put = self.put(actor, action, target, result=result, task=task, params=params)
        await self._store.txn((), [put])
        await self.prune()
