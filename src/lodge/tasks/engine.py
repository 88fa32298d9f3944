"""The task engine: takes requests, journals them, runs them in turn, survives the daemon."""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from lodge.base.errors import LodgeError
from lodge.base.world import World
from lodge.model.record import Spec
from lodge.model.task import Actor, Step, Task, TaskState
from lodge.store.audit import AuditLog
from lodge.store.contract import Operation, Store
from lodge.store.errors import StoreFailedError, StoreFullError
from lodge.store.events import EventLog
from lodge.tasks.context import plain
from lodge.tasks.contract import TaskKind
from lodge.tasks.errors import (
    TaskInterruptedError,
    TaskKindUnknownError,
    TaskNotFoundError,
    TaskParamsError,
    TaskPlanChangedError,
    TasksStoppingError,
    TooManyLocksError,
)
from lodge.tasks.ids import TaskIds
from lodge.tasks.journal import MAX_LOCKS, Journal, LiveTask
from lodge.tasks.queue import TaskQueue
from lodge.tasks.recovery import Verdict, is_past_return, judge
from lodge.tasks.runner import KillPoints, Runner, Way
from lodge.tasks.trouble import Trouble, told

__all__ = ["Engine", "History"]

T = TypeVar("T")
_log = logging.getLogger(__name__)
_TIDY_EVERY = 50


@dataclass(frozen=True, slots=True)
class History:
    """How many ended tasks are kept, and for how long."""

    keep: int = 1_000
    keep_s: float = 30 * 86_400.0


class Engine:
    """See ``lodge.tasks.contract.Tasks``. Register the kinds, then ``recover``, then submit."""

    def __init__(
        self,
        store: Store,
        world: World,
        events: EventLog,
        audit: AuditLog,
        *,
        history: History | None = None,
    ) -> None:
        self._world = world
        self._journal = Journal(store, world, events, audit)
        self._runner = Runner(self._journal, world)
        self._history = history or History()
        self._ids = TaskIds(world)
        self._kinds: dict[str, TaskKind[Any]] = {}
        self._queue = TaskQueue()
        self._live: dict[str, LiveTask] = {}
        self._active: dict[str, tuple[str, ...]] = {}
        self._starts: dict[str, tuple[Way, Trouble | None]] = {}
        self._entering: set[asyncio.Task[Any]] = set()
        self._ended_count = 0
        self._is_stopping = False

    @property
    def kill_points(self) -> KillPoints:
        """Called with ``KIND/STEP/POINT`` or ``KIND/POINT`` wherever a death would be worst.

        Points of a step: ``before``, ``after`` (ended, not journaled), ``journaled``,
        ``undo-before``, ``undo-after``, ``undo-journaled``. Points of a task: ``submitted``,
        ``started`` (locks held), ``checked``, ``undoing``, ``done``, ``failed``, ``cancelled``.
        """
        return self._runner.kill_points

    @kill_points.setter
    def kill_points(self, hook: KillPoints) -> None:
        self._runner.kill_points = hook

    def register(self, kind: TaskKind[Any], /) -> None:
        """Make a kind known; before ``recover``."""
        self._kinds[kind.kind] = kind
        self._queue.limit(kind.kind, kind.parallel)

    async def submit(self, kind: str, params: Spec, actor: Actor, /) -> Task:
        """Check the request with no lock held, journal the task as queued, and return it.

        Raises:
            TaskKindUnknownError: nobody registered the kind.
            TasksStoppingError: the daemon is ending.
            TooManyLocksError: it must be done in smaller parts.
            LodgeError: whatever ``check`` raises, or that the store is full; there is no task then.
        """
        definition = self._kind(kind)
        await definition.check(params)
        locks = tuple(sorted(definition.locks(params)))
        if len(locks) > MAX_LOCKS:
            raise TooManyLocksError(f"{kind} needs {len(locks)} locks, at most {MAX_LOCKS} fit")
        steps = tuple(definition.plan(params))
        now = self._world.now()
        task = Task(
            id=self._ids.next(),
            kind=kind,
            target=definition.target(params),
            params=plain(msgspec.to_builtins(params)),
            actor=actor,
            locks=locks,
            state=TaskState.QUEUED,
            steps=tuple(Step(name=step.name) for step in steps),
            created_at=now,
        )
        if self._is_stopping:
            raise TasksStoppingError("the daemon is ending and takes no new tasks")
        live = LiveTask(task, 0, definition, params, steps)
        # A caller that goes away now must not leave a task that is journaled but never run.
        return await asyncio.shield(self._spawn(self._enter(live)))

    async def dry_run(self, kind: str, params: Spec, actor: Actor, /) -> None:  # noqa: ARG002
        """Run only the check; raises what it raises."""
        await self._kind(kind).check(params)

    async def wait(self, task_id: str, /, timeout_s: float | None = None) -> Task:
        """Return the task once it is final, or as it is when the time or the daemon is over."""
        live = self._live.get(task_id)
        if live is None:
            return self.get(task_id)
        ended = asyncio.ensure_future(live.ended.wait())
        waits: list[asyncio.Future[Any]] = [ended]
        if timeout_s is not None:
            waits.append(asyncio.ensure_future(self._world.sleep(timeout_s)))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return live.view()

    async def cancel(self, task_id: str, /, actor: Actor) -> Task:
        """Ask for the end of a task; it undoes what it did. Twice is the same as once.

        A task past its point of no return, or ended, goes on as if nobody had asked.

        Raises:
            TaskNotFoundError: no such task in the history.
        """
        live = self._live.get(task_id)
        if live is None:
            return self.get(task_id)
        if live.is_cancel_requested or live.is_past_return:
            return live.view()
        _log.info("task %s is cancelled by %s", task_id, actor.name)
        live.is_cancel_requested = True
        if live.body is not None:
            live.body.cancel()
        elif live.revision == 0:
            return live.view()  # it is being journaled, and ends right after
        elif live.runner is None:
            self._end_waiting(live)
        with suppress(StoreFullError, StoreFailedError):  # the end of the task tells it again
            await asyncio.shield(self._spawn(self._tell_cancelled(live)))
        return live.view()

    def get(self, task_id: str, /) -> Task:
        """Return one task, with live progress.

        Raises:
            TaskNotFoundError: no such task in the history.
        """
        live = self._live.get(task_id)
        task = self._journal.tasks.get(task_id) if live is None else live.view()
        if task is None:
            raise TaskNotFoundError(f"there is no task {task_id!r}", where=f"tasks/{task_id}")
        return task

    def list(self) -> Sequence[Task]:
        """All tasks in the history, newest first, with live progress."""
        return [
            live.view() if (live := self._live.get(key)) is not None else task
            for key, task in reversed(self._journal.tasks.items())
        ]

    def active(self, target: str, /) -> tuple[str, ...]:
        """Ids of the tasks on a target that are not final; cheap, the same tuple if unchanged."""
        return self._active.get(target, ())

    async def recover(self) -> Sequence[Task]:
        """Take over what a dead daemon left; returns those tasks. Runs them in the background."""
        left = [task for _, task in self._journal.tasks.items() if not task.state.is_final]
        begun = [task for task in left if task.state is not TaskState.QUEUED]
        with suppress(StoreFullError, StoreFailedError):
            await self._journal.write(self._journal.stray_locks({task.id for task in begun}))
        queued = [task for task in left if task.state is TaskState.QUEUED]
        for task in (*begun, *queued):  # those that hold locks stand first in the lines
            await self._take_over(task)
        self._pump()
        return [self.get(task.id) for task in left]

    async def stop(self, grace_s: float = 5.0) -> None:
        """End: take no more tasks, let running ones end within the time, leave the others as is.

        What is left goes on after the next start, as after a crash.
        """
        self._is_stopping = True
        while self._entering:
            await asyncio.wait(self._entering)
        runners = [live.runner for live in self._live.values() if live.runner is not None]
        if runners:
            time_over = asyncio.ensure_future(self._world.sleep(grace_s))
            all_ended = asyncio.ensure_future(asyncio.wait(runners))
            await asyncio.wait([time_over, all_ended], return_when=asyncio.FIRST_COMPLETED)
            time_over.cancel()
            all_ended.cancel()
            for runner in runners:
                runner.cancel()
            await asyncio.wait(runners)
        for live in self._live.values():
            live.ended.set()

    async def prune(self) -> None:
        """Remove old tasks, events and audit records; also done by itself now and then."""
        ended = [task for _, task in self._journal.tasks.items() if task.state.is_final]
        limit = self._world.now() - self._history.keep_s
        over = max(0, len(ended) - self._history.keep)
        removed: list[Operation] = [
            self._journal.tasks.delete(task.id)
            for place, task in enumerate(ended)
            if place < over or (task.ended_at or 0.0) < limit
        ]
        await self._journal.write(removed)
        await self._journal.tidy()

    def _end_waiting(self, live: LiveTask) -> None:
        """Let a cancelled task that has done nothing end now, without waiting for its locks."""
        if self._starts[live.record.id][0] is Way.FRESH and not self._is_stopping:
            self._queue.remove(live.record.id)
            self._start(live.record.id)

    def _kind(self, kind: str) -> TaskKind[Any]:
        try:
            return self._kinds[kind]
        except KeyError:
            raise TaskKindUnknownError(f"there is no task kind {kind!r}") from None

    def _spawn(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Run something that must go on when its caller goes away."""
        task: asyncio.Task[T] = asyncio.create_task(work)
        self._entering.add(task)
        task.add_done_callback(self._entering.discard)
        task.add_done_callback(_look_at)
        return task

    async def _enter(self, live: LiveTask) -> Task:
        task = live.record
        self._live[task.id] = live  # before it is durable: who sees its record may ask for its end
        try:
            live.revision = await self._journal.enter(task)
        except LodgeError:
            del self._live[task.id]
            raise
        self.kill_points(f"{task.kind}/submitted")
        self._line_up(live, Way.FRESH)
        if live.is_cancel_requested:
            self._end_waiting(live)
        self._pump()
        return task

    def _line_up(self, live: LiveTask, way: Way, trouble: Trouble | None = None) -> None:
        task = live.record
        self._live[task.id] = live
        self._active[task.target] = (*self.active(task.target), task.id)
        self._starts[task.id] = (way, trouble)
        self._queue.add(task.id, task.kind, task.locks)

    def _pump(self) -> None:
        """Start whatever may start now."""
        if not self._is_stopping:
            for task_id in self._queue.take():
                self._start(task_id)

    def _start(self, task_id: str) -> None:
        live = self._live[task_id]
        live.runner = asyncio.create_task(self._drive(live))
        live.runner.add_done_callback(_tell_death)

    async def _drive(self, live: LiveTask) -> None:
        way, trouble = self._starts[live.record.id]
        await self._runner.carry_out(live, way, trouble)
        del self._live[live.record.id], self._starts[live.record.id]
        self._forget_active(live.record)
        self._queue.remove(live.record.id)
        live.ended.set()
        self._pump()
        self._ended_count += 1
        if self._ended_count % _TIDY_EVERY == 0:
            self._spawn(self._tidy())

    def _forget_active(self, task: Task) -> None:
        left = tuple(key for key in self.active(task.target) if key != task.id)
        if left:
            self._active[task.target] = left
        else:
            del self._active[task.target]

    async def _tidy(self) -> None:
        try:
            await self.prune()
        except LodgeError as failure:
            _log.warning("the history of tasks is not tidied: %s", failure.message)

    async def _tell_cancelled(self, live: LiveTask) -> None:
        if not live.record.state.is_final:
            await self._journal.save(live)

    async def _take_over(self, task: Task) -> None:
        """Put a task of a dead daemon back in line."""
        entry = self._journal.tasks.entry(task.id)
        kind: Any = self._kinds.get(task.kind)
        live = LiveTask(task, 0 if entry is None else entry[1], kind, None, ())
        live.is_cancel_requested = task.is_cancel_requested
        failure = await self._runner.attempt(task, self._understand(live))
        if failure is not None:
            self._line_up(live, Way.GIVEN_UP, Trouble(told(task, failure)))
            return
        live.is_past_return = is_past_return(task, live.steps)
        verdict = judge(task, kind.on_crash, past_return=live.is_past_return)
        _log.info("task %s (%s) of an earlier daemon: %s", task.id, task.kind, verdict.name)
        changed: dict[str, Any] = {"attempts": task.attempts + 1}
        if verdict is Verdict.QUEUE:
            changed["state"] = TaskState.QUEUED
        with suppress(StoreFullError, StoreFailedError):
            await self._journal.save(live, **changed)
        way = {Verdict.QUEUE: Way.FRESH, Verdict.RESUME: Way.FORWARD, Verdict.UNDO: Way.BACK}
        self._line_up(live, way[verdict], _interrupted(task) if verdict is Verdict.UNDO else None)

    async def _understand(self, live: LiveTask) -> None:
        """Read parameters and steps of a journaled task again.

        Raises:
            TaskKindUnknownError, TaskParamsError, TaskPlanChangedError: another version wrote it.
        """
        task = live.record
        kind = self._kind(task.kind)
        try:
            encoded = msgspec.json.encode(task.params)
            live.params = msgspec.json.decode(encoded, type=kind.params_type)
        except msgspec.DecodeError as error:
            raise TaskParamsError(f"parameters of task {task.id}: {error}") from error
        live.steps = tuple(kind.plan(live.params))
        journaled, planned = [s.name for s in task.steps], [s.name for s in live.steps]
        if journaled != planned:
            raise TaskPlanChangedError(
                f"task {task.id} began with other steps than {task.kind} has now",
                journaled=journaled,
                planned=planned,
            )


def _interrupted(task: Task) -> Trouble:
    """Tell why a task of a dead daemon goes back."""
    if task.state is TaskState.UNDOING:
        return Trouble(task.error)
    if task.is_cancel_requested:
        return Trouble(None)
    return Trouble(
        told(task, TaskInterruptedError("the daemon ended in the middle; the task was undone"))
    )


def _tell_death(runner: "asyncio.Task[None]") -> None:
    """Log what should never happen: a runner that did not bring its task to an end."""
    if not runner.cancelled() and (failure := runner.exception()) is not None:
        _log.critical("the runner of a task died", exc_info=failure)


def _look_at(task: "asyncio.Task[Any]") -> None:
    """Take note of a failure that a caller which went away will not see."""
    if not task.cancelled() and task.exception() is not None:
        _log.debug("failed after its caller went away, if it did", exc_info=task.exception())
