"""The journal: every change of a task, with its locks, event and audit record, in one transaction.

Locks are stored so that another daemon on the same store (a cluster) respects them; within this
daemon the queue keeps tasks apart.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from lodge.base.errors import ChangedMeanwhileError
from lodge.base.world import World
from lodge.model.task import Progress, Task, TaskState
from lodge.store.audit import AuditLog
from lodge.store.contract import Compare, Delete, Operation, Put, Store
from lodge.store.errors import StoreFailedError, StoreFullError
from lodge.store.events import EventLog
from lodge.store.records import Records
from lodge.tasks.contract import StepDefinition, TaskKind
from lodge.tasks.errors import LocksTakenError

__all__ = ["MAX_LOCKS", "Journal", "LiveTask"]

_log = logging.getLogger(__name__)

_LOCKS = "locks/"
MAX_LOCKS = 100
"""A transaction has 128 operations; the task, its event and its audit record need some."""
_RETRY_S = (0.5, 1.0, 2.0, 5.0, 10.0)


@dataclass(slots=True, eq=False)
class LiveTask:
    """A task that has not ended: its journaled record, and what only memory knows."""

    record: Task
    revision: int
    kind: TaskKind[Any]
    params: Any
    steps: Sequence[StepDefinition]
    body: "asyncio.Task[None] | None" = None
    runner: "asyncio.Task[None] | None" = None
    progress: dict[str, Progress] = field(default_factory=dict)
    notes: dict[str, Any] | None = None
    is_cancel_requested: bool = False
    is_past_return: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    def view(self) -> Task:
        """Return the record with live progress, as people see it."""
        steps = tuple(
            msgspec.structs.replace(step, progress=self.progress[step.name])
            if step.name in self.progress
            else step
            for step in self.record.steps
        )
        return msgspec.structs.replace(
            self.record, steps=steps, is_cancel_requested=self.is_cancel_requested
        )


class Journal:
    """Reads and writes task records."""

    def __init__(self, store: Store, world: World, events: EventLog, audit: AuditLog) -> None:
        self._store = store
        self._world = world
        self._events = events
        self._audit = audit
        self.tasks = Records(store, "tasks/", Task)

    async def enter(self, task: Task) -> int:
        """Write a new task; returns its revision.

        Raises:
            StoreFullError, StoreFailedError: it was not written.
        """
        answer = await self._store.txn(
            [self.tasks.compare(task.id, 0)],
            [self.tasks.put(task.id, task), self._event("task.queued", task)],
        )
        if not answer.succeeded:
            raise _lost(task.id)
        return answer.revision

    async def take_locks(self, live: LiveTask) -> None:
        """Write the locks and that the task runs.

        Raises:
            LocksTakenError: another daemon holds one.
        """
        keys = [_LOCKS + name for name in live.record.locks]
        holder = live.record.id.encode()
        free = [key for key in keys if self._holder(key) != live.record.id]
        try:
            await self.save(
                live,
                [Put(key, holder) for key in keys],
                [Compare(key, 0) for key in free],
                event="task.started",
                state=TaskState.RUNNING,
                started_at=self._world.now(),
            )
        except ChangedMeanwhileError as error:
            raise LocksTakenError(
                "another daemon holds a lock of this task", locks=list(live.record.locks)
            ) from error

    async def save(
        self,
        live: LiveTask,
        operations: Sequence[Operation] = (),
        guards: Sequence[Compare] = (),
        *,
        event: str | None = None,
        **changed: Any,
    ) -> None:
        """Write changed fields of a task, and operations with them; guarded by its revision.

        Raises:
            ChangedMeanwhileError: a guard does not hold; nothing was written.
            StoreFullError, StoreFailedError: nothing was written.
        """
        async with live.writing:
            asked = live.is_cancel_requested
            task = msgspec.structs.replace(live.record, is_cancel_requested=asked, **changed)
            own: list[Operation] = [self.tasks.put(task.id, task)]
            if event is not None:
                own.append(self._event(event, task))
            answer = await self._store.txn(
                [self.tasks.compare(task.id, live.revision), *guards], [*own, *operations]
            )
            if answer.succeeded:
                live.record, live.revision = task, answer.revision
                return
        entry = self.tasks.entry(live.record.id)
        if entry is None or entry[1] != live.revision:
            raise _lost(live.record.id)
        raise ChangedMeanwhileError(
            "something this step read was changed before it could write",
            keys=[guard.key for guard in guards],
        )

    async def insist(
        self,
        live: LiveTask,
        operations: Sequence[Operation] = (),
        guards: Sequence[Compare] = (),
        *,
        event: str | None = None,
        **changed: Any,
    ) -> None:
        """Save what must not be lost, again and again until the disk takes it."""
        attempt = 0
        while True:
            try:
                await self.save(live, operations, guards, event=event, **changed)
            except (StoreFullError, StoreFailedError) as failure:
                _log.error("task %s cannot be journaled yet: %s", live.record.id, failure.message)
                await self._world.sleep(_RETRY_S[min(attempt, len(_RETRY_S) - 1)])
                attempt += 1
            else:
                return

    async def end(self, live: LiveTask, state: TaskState, **changed: Any) -> None:
        """Write the end of a task: locks released, event and audit record made, all in one."""
        await self.insist(
            live,
            self.ending(live, state, changed.get("error")),
            event=f"task.{state.value}",
            state=state,
            ended_at=self._world.now(),
            **changed,
        )

    def ending(
        self, live: LiveTask, state: TaskState, error: dict[str, Any] | None
    ) -> list[Operation]:
        """Return the operations that go with the end of a task."""
        task = live.record
        outcome = error["code"] if error is not None else state.value
        has_leftovers = error is not None and "leftovers" in error.get("details", {})
        return [
            *([self._event("task.undo_failed", task)] if has_leftovers else []),
            *self.held_locks(task),
            self._audit.put(task.actor, task.kind, task.target, result=outcome, task=task.id),
        ]

    def held_locks(self, task: Task) -> list[Operation]:
        """Return the removal of the locks that a task holds."""
        keys = (_LOCKS + name for name in task.locks)
        return [Delete(key) for key in keys if self._holder(key) == task.id]

    def stray_locks(self, alive: set[str]) -> list[Operation]:
        """Return the removal of locks whose holder is not alive."""
        entries, _ = self._store.list(_LOCKS)
        return [Delete(entry.key) for entry in entries if entry.value.decode() not in alive]

    async def write(self, operations: Sequence[Operation]) -> None:
        """Apply operations that belong to no task, in parts that fit."""
        for first in range(0, len(operations), MAX_LOCKS):
            await self._store.txn((), operations[first : first + MAX_LOCKS])

    async def tidy(self) -> None:
        """Let the logs remove what is over their limits."""
        await self._events.prune()
        await self._audit.prune()

    def _holder(self, key: str) -> str | None:
        entry = self._store.get(key)
        return None if entry is None else entry.value.decode()

    def _event(self, kind: str, task: Task) -> Put:
        facts: dict[str, Any] = {
            "kind": task.kind,
            "target": task.target,
            "state": task.state.value,
            "actor": task.actor.name,
        }
        if task.error is not None:
            facts["error"] = task.error["code"]
        return self._events.put(kind, f"tasks/{task.id}", facts, task.actor.trace)


def _lost(task_id: str) -> ChangedMeanwhileError:
    return ChangedMeanwhileError(
        f"the record of task {task_id} was changed by another daemon", where=f"tasks/{task_id}"
    )
