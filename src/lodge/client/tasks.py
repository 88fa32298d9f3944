"""Endpoints of tasks and events."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from lodge.base.errors import LodgeError
from lodge.client.call import Call, path
from lodge.client.endpoint import (
    Endpoint,
    Flow,
    FlowEndpoint,
    Group,
    ListEndpoint,
    Pause,
    SubscriptionEndpoint,
)
from lodge.client.errors import (
    Answered,
    DaemonUnreachableError,
    WaitedTaskCancelledError,
    WaitTimeoutError,
    error_from,
)

if TYPE_CHECKING:
    from lodge.client.subscription import StreamMessage, Subscription
    from lodge.model.answers import EventPage, Page
    from lodge.model.event import Event
    from lodge.model.task import Task

__all__ = ["Events", "Tasks"]

D = TypeVar("D")

FINAL = frozenset({"done", "failed", "cancelled"})
LONG_POLL_S = 25.0
PROGRESS_POLL_S = 0.5
DAEMON_AWAY_S = 60.0


class Tasks(Group[D]):
    """Tasks: what is being changed and what was."""

    @ListEndpoint
    def list(
        self,
        *,
        where: str = "",
        sort: str = "",
        limit: int | None = None,
    ) -> Call[Page[Task]]:
        """List tasks, newest first."""
        return Call("GET", path("tasks"), query={"filter": where, "sort": sort, "limit": limit})

    @Endpoint
    def get(self, task_id: str, *, wait_s: float | None = None) -> Call[Task]:
        """Show a task; with ``wait_s``, once it is final or that many seconds are over."""
        return Call("GET", path("tasks", task_id), query={"wait": wait_s}, timeout_s=wait_s or 0.0)

    @Endpoint
    def cancel(self, task_id: str) -> Call[Task]:
        """Ask for the end of a task; what it did is undone."""
        return Call("POST", path("tasks", task_id, "cancel"))

    @FlowEndpoint
    def wait(
        self,
        task_id: str,
        *,
        timeout_s: float | None = None,
        progress: Callable[[Any], None] | None = None,
    ) -> Flow[Task]:
        """Wait until a task is done, and return it.

        Args:
            task_id: which task.
            timeout_s: how long to wait; for ever when not given. The task goes on after that.
            progress: called with the task about twice a second.

        A daemon that is restarted meanwhile is waited for: tasks go on after its start.

        Raises:
            LodgeError: the task failed; this is its error, of its own category.
            WaitedTaskCancelledError: the task was cancelled.
            WaitTimeoutError: the task is not final yet.
            DaemonUnreachableError: the daemon was away for longer than a minute.
        """
        began = seen = time.monotonic()
        while True:
            now = time.monotonic()
            left_s = None if timeout_s is None else max(0.0, began + timeout_s - now)
            poll_s = PROGRESS_POLL_S if progress else LONG_POLL_S
            if left_s is not None:
                poll_s = min(poll_s, left_s)
            try:
                call: Call[Task] = Call(
                    "GET", path("tasks", task_id), query={"wait": poll_s}, timeout_s=poll_s
                )
                task = yield call, "Task"
            except LodgeError as error:
                if not _may_return(error) or time.monotonic() - seen > DAEMON_AWAY_S:
                    raise
                yield Pause(0.5)
                continue
            seen = time.monotonic()
            if progress is not None:
                progress(task)
            if _field(task, "state") in FINAL:
                _judge(task)
                return cast("Task", task)
            if left_s is not None and left_s <= poll_s:
                raise WaitTimeoutError(
                    f"task {task_id} is not finished after {timeout_s:g} s; it goes on",
                    where=f"tasks/{task_id}",
                    hint=f"lodge task follow {task_id}   or   lodge task cancel {task_id}",
                )


class Events(Group[D]):
    """What happened."""

    @Endpoint
    def since(self, event_id: int = 0, *, where: str = "") -> Call[EventPage]:
        """List the events kept that are later than that id."""
        return Call("GET", path("events"), query={"since": event_id, "filter": where})

    @SubscriptionEndpoint
    def follow(
        self, since: int | None = None, *, on_gap: Callable[[], None] | None = None
    ) -> Subscription[Event]:
        """Yield events as they happen, for ever; after ``since``, or from now on.

        A broken connection is taken up again behind the last event seen. ``on_gap`` is called
        when events in between were already removed: what was read before must be read again.
        """
        from lodge.client.subscription import Subscription, stream_headers

        def ask(last: str | None) -> Call[Any]:
            return Call("GET", path("events"), headers=stream_headers(last), timeout_s=30.0)

        def keep(message: StreamMessage) -> bool:
            if message.kind == "compacted" and on_gap is not None:
                on_gap()
            return message.kind == "message"

        return Subscription(ask, "Event", None if since is None else str(since), keep)


def _may_return(error: LodgeError) -> bool:
    return isinstance(error, DaemonUnreachableError) or (
        isinstance(error, Answered) and error.is_retryable
    )


def _judge(task: Any) -> None:
    state = _field(task, "state")
    if state == "done":
        return
    task_id = _field(task, "id")
    if state == "cancelled":
        raise WaitedTaskCancelledError(
            f"task {task_id} was cancelled; what it had done was undone", where=f"tasks/{task_id}"
        )
    raise error_from(_field(task, "error") or {"message": f"task {task_id} failed"})


def _field(record: Any, name: str) -> Any:
    return record.get(name) if isinstance(record, dict) else getattr(record, name)
