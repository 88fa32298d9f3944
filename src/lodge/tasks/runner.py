"""Carry one task out: check, steps, or back again; every move is journaled.

A step that ended is journaled together with the beginning of the next one, and the last together
with the end of the task. So the journal tells after a crash which step may have run half: the one
that is ``running``. It is run again, or undone: steps are idempotent both ways.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from enum import Enum, auto
from typing import Any

import msgspec

from lodge.base.errors import InternalError, LodgeError
from lodge.base.world import World
from lodge.model.task import Step, StepState, Task, TaskState
from lodge.store.errors import StoreFailedError, StoreFullError
from lodge.tasks.context import Context, plain
from lodge.tasks.contract import StepBody
from lodge.tasks.errors import TaskUndoFailedError
from lodge.tasks.journal import Journal, LiveTask
from lodge.tasks.trouble import Trouble, told

__all__ = ["KillPoints", "Runner", "Way"]

_log = logging.getLogger(__name__)

KillPoints = Callable[[str], None]


class Way(Enum):
    """Where a task begins in this life of the daemon."""

    FRESH = auto()
    FORWARD = auto()
    BACK = auto()
    GIVEN_UP = auto()


class _CancelledByPersonError(Exception):
    """Ends a body that a person cancelled; never leaves this module."""


class Runner:
    """Carries tasks out, one call each. ``kill_points`` is called at every point worth dying at."""

    def __init__(self, journal: Journal, world: World) -> None:
        self._journal = journal
        self._world = world
        self.kill_points: KillPoints = lambda _point: None

    async def carry_out(self, live: LiveTask, way: Way, trouble: Trouble | None = None) -> None:
        """Bring a task to its end; ``trouble`` is why it goes back or is given up.

        Cancelling this call leaves the rest to the journal.
        """
        if way is Way.FRESH:
            trouble = await self._begin(live)
        if way in (Way.FRESH, Way.FORWARD) and trouble is None:
            trouble = await self._forward(live)
        if trouble is None:
            self._kill(live, "done")
        elif way is Way.GIVEN_UP or not _begun(live.record):
            await self._end(live, trouble)
        elif live.is_past_return:
            await self._end(live, trouble.with_details(unfinished=_unfinished(live.record)))
        else:
            await self._back(live, trouble)

    async def _begin(self, live: LiveTask) -> Trouble | None:
        """Take the locks, then check with them held."""

        async def begin() -> None:
            if live.is_cancel_requested:
                raise _CancelledByPersonError
            await self._journal.take_locks(live)
            self._kill(live, "started")
            await self._interruptible(live, lambda: live.kind.check(live.params))
            self._kill(live, "checked")

        return _why(live, await self.attempt(live.record, begin()))

    async def _forward(self, live: LiveTask) -> Trouble | None:
        for place, step in enumerate(live.steps):
            if live.record.steps[place].state is StepState.DONE:
                continue
            trouble = _why(live, await self.attempt(live.record, self._step(live, place)))
            if trouble is not None:
                return trouble.with_details(step=step.name)
        if not live.steps:
            await self._journal.end(live, TaskState.DONE, result={})
        return None

    async def _step(self, live: LiveTask, place: int) -> None:
        step = live.steps[place]
        if live.record.steps[place].state is not StepState.RUNNING:
            await self._save(live, steps=_marked(live.record.steps, place, StepState.RUNNING))
        context = Context(live, step.name, self._journal, self._world)
        self._kill(live, f"{step.name}/before")
        await self._interruptible(live, lambda: step.do(context))
        self._kill(live, f"{step.name}/after")
        live.is_past_return = live.is_past_return or step.is_point_of_no_return
        await self._journal_step(live, place, context)
        live.notes = None  # from here on they are as the journal has them
        self._kill(live, f"{step.name}/journaled")

    async def _journal_step(self, live: LiveTask, place: int, context: Context) -> None:
        """Journal the end of a step with the beginning of the next, or the end of the task."""
        steps = _marked(live.view().steps, place, StepState.DONE)
        changed: dict[str, Any] = {"notes": plain(context.notes), "result": context.facts}
        if place + 1 < len(steps):
            steps = _marked(steps, place + 1, StepState.RUNNING)
            await self._save(live, context, steps=steps, **changed)
            return
        changed |= {"state": TaskState.DONE, "ended_at": self._world.now(), "steps": steps}
        context.operations.extend(self._journal.ending(live, TaskState.DONE, None))
        await self._save(live, context, event="task.done", **changed)

    async def _save(
        self,
        live: LiveTask,
        context: Context | None = None,
        *,
        event: str | None = None,
        **changed: Any,
    ) -> None:
        """Save; past the point of no return a full disk is waited for, since nothing goes back."""
        save = self._journal.insist if live.is_past_return else self._journal.save
        operations = () if context is None else context.operations
        guards = () if context is None else context.guards
        await save(live, operations, guards, event=event, **changed)

    async def _back(self, live: LiveTask, trouble: Trouble) -> None:
        """Undo what was begun, newest first, then end the task."""
        steps = tuple(
            msgspec.structs.replace(step, state=StepState.FAILED)
            if step.state is StepState.RUNNING
            else step
            for step in live.view().steps
        )
        mark: dict[str, Any] = {"state": TaskState.UNDOING, "error": trouble.error}
        is_marked = await self._mark(live, steps=steps, **mark)
        self._kill(live, "undoing")
        leftovers: list[dict[str, Any]] = []
        for place in reversed(_begun(live.record)):
            if not is_marked and live.record.steps[place].state is StepState.DONE:
                # The journal tells this step as done, and another start would go on behind it: it
                # must be told first. The step that failed could be undone before, and that may be
                # what makes room on the disk.
                await self._journal.insist(live, event="task.undoing", steps=steps, **mark)
                is_marked = True
            if (undo := live.steps[place].undo) is None:
                continue
            error = await self._undo(live, live.steps[place].name, undo)
            if error is not None:
                leftovers.append({"step": live.steps[place].name, "error": error})
            steps = _marked(steps, place, StepState.FAILED if error else StepState.UNDONE)
            is_marked = is_marked and await self._try(live, steps=steps)
            self._kill(live, f"{live.steps[place].name}/undo-journaled")
        await self._end(live, _with_leftovers(live, trouble, leftovers), steps=steps)

    async def _undo(self, live: LiveTask, name: str, undo: StepBody) -> dict[str, Any] | None:
        """Undo one step, whoever cancels; returns the error when that failed."""
        context = Context(live, name, self._journal, self._world)
        self._kill(live, f"{name}/undo-before")
        failure = await self.attempt(live.record, self._shielded(lambda: undo(context)))
        self._kill(live, f"{name}/undo-after")
        return None if failure is None else told(live.record, failure)

    async def _mark(self, live: LiveTask, **changed: Any) -> bool:
        """Journal that the task goes back, if that was not done by an earlier daemon."""
        if live.record.state is TaskState.UNDOING:
            return True
        return await self._try(live, event="task.undoing", **changed)

    async def _try(self, live: LiveTask, *, event: str | None = None, **changed: Any) -> bool:
        """Save unless the disk is full or fails."""
        try:
            await self._journal.save(live, event=event, **changed)
        except (StoreFullError, StoreFailedError) as failure:
            _log.warning("task %s is not journaled now: %s", live.record.id, failure.message)
            return False
        return True

    async def _end(self, live: LiveTask, trouble: Trouble, **changed: Any) -> None:
        """Write that the task failed or was cancelled, whatever it takes."""
        state = TaskState.CANCELLED if trouble.error is None else TaskState.FAILED
        await self._journal.end(live, state, error=trouble.error, result=None, **changed)
        self._kill(live, state.value)

    async def attempt(self, task: Task, work: Awaitable[None]) -> Exception | None:
        """Await what others wrote; returns what it raised, logged when it is a bug."""
        try:
            await work
        except Exception as error:  # the edge of the task engine: nothing may end the runner
            if not isinstance(error, LodgeError | _CancelledByPersonError):
                _log.exception("task %s (%s) failed: %s", task.id, task.kind, task.target)
            return error
        return None

    async def _interruptible(self, live: LiveTask, body: Callable[[], Awaitable[None]]) -> None:
        """Await a body that ``cancel`` may interrupt, unless the task can no longer go back."""
        if live.is_cancel_requested and not live.is_past_return:
            raise _CancelledByPersonError
        try:
            await self._shielded(body, live)
        finally:
            live.body = None

    async def _shielded(
        self, body: Callable[[], Awaitable[None]], live: LiveTask | None = None
    ) -> None:
        """Await a body in a task of its own, which only the end of the daemon interrupts."""
        inner = asyncio.ensure_future(_awaited(body))
        if live is not None:
            live.body = inner
        try:
            await asyncio.wait([inner])
        except asyncio.CancelledError:
            inner.cancel()
            await asyncio.wait([inner])
            raise
        if not inner.cancelled():
            inner.result()
        elif live is not None and live.is_cancel_requested:
            raise _CancelledByPersonError
        else:
            raise InternalError("a step was cancelled by something inside itself")

    def _kill(self, live: LiveTask, point: str) -> None:
        self.kill_points(f"{live.record.kind}/{point}")


async def _awaited(body: Callable[[], Awaitable[None]]) -> None:
    await body()


def _why(live: LiveTask, failure: Exception | None) -> Trouble | None:
    """Tell why a task goes back; an error after a cancellation is the cancellation's echo."""
    if failure is None:
        return None
    if isinstance(failure, _CancelledByPersonError):
        return Trouble(None)
    if live.is_cancel_requested and not live.is_past_return:
        return Trouble(None)
    return Trouble(told(live.record, failure))


def _with_leftovers(live: LiveTask, trouble: Trouble, leftovers: list[dict[str, Any]]) -> Trouble:
    if not leftovers:
        return trouble
    if trouble.error is None:
        names = ", ".join(left["step"] for left in leftovers)
        failure = TaskUndoFailedError(f"cancelled, but not all could be undone: {names}")
        trouble = Trouble(told(live.record, failure))
    return trouble.with_details(leftovers=leftovers)


def _begun(task: Task) -> list[int]:
    """Places of the steps that ran or may have run, and were not undone."""
    quiet = (StepState.WAITING, StepState.UNDONE)
    return [place for place, step in enumerate(task.steps) if step.state not in quiet]


def _unfinished(task: Task) -> list[str]:
    return [step.name for step in task.steps if step.state is not StepState.DONE]


def _marked(steps: tuple[Step, ...], place: int, state: StepState) -> tuple[Step, ...]:
    changed = msgspec.structs.replace(steps[place], state=state)
    return (*steps[:place], changed, *steps[place + 1 :])
