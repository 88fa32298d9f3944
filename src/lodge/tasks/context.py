"""What a step holds in its hands while it runs."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import msgspec

from lodge.base.world import World
from lodge.model.task import Progress
from lodge.store.contract import Compare, Operation
from lodge.tasks.journal import Journal, LiveTask

__all__ = ["Context", "plain"]


class Context:
    """Fulfils ``lodge.tasks.contract.StepContext``; one for each run of a step."""

    def __init__(self, live: LiveTask, step: str, journal: Journal, world: World) -> None:
        self.task_id = live.record.id
        self.actor = live.record.actor
        self.world = world
        # A step may fail before its notes are journaled; its undo must see them all the same.
        self.notes: dict[str, Any] = deepcopy(
            live.record.notes if live.notes is None else live.notes
        )
        live.notes = self.notes
        self.facts: dict[str, Any] = dict(live.record.result or {})
        self.operations: list[Operation] = []
        self.guards: list[Compare] = []
        self._live = live
        self._step = step
        self._journal = journal

    async def remember(self, **notes: Any) -> None:
        """Write notes durably now."""
        self.notes.update(plain(notes))
        await self._journal.save(self._live, notes=plain(self.notes))

    def progress(
        self, done: int, total: int | None = None, *, unit: str = "bytes", note: str = ""
    ) -> None:
        """Tell how far this step is."""
        known = self._live.progress.get(self._step)
        self._live.progress[self._step] = Progress(
            done=done,
            total=total,
            unit=unit,
            started_at=self.world.now() if known is None else known.started_at,
            note=note,
        )

    def result(self, **facts: Any) -> None:
        """Add to what the caller gets when the task is done."""
        self.facts.update(plain(facts))

    def write(self, *operations: Operation, guards: Sequence[Compare] = ()) -> None:
        """Let the transaction that journals the end of this step also do these operations."""
        self.operations.extend(operations)
        self.guards.extend(guards)

    @property
    def is_cancel_requested(self) -> bool:
        """Whether a person asked to cancel."""
        return self._live.is_cancel_requested


def plain(facts: dict[str, Any]) -> dict[str, Any]:
    """Return a copy made of JSON values only, as it would be read back from the journal."""
    copied: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(facts))
    return copied
