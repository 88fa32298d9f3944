"""Tasks: one run of one change, visible to people, cancellable, journaled."""

from enum import StrEnum
from typing import Any

from lodge.model.record import Record

__all__ = ["Actor", "Progress", "Step", "StepState", "Task", "TaskState", "eta_seconds"]


class TaskState(StrEnum):
    """Where a task is in its life; the last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    UNDOING = "undoing"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen."""
        return self in (TaskState.DONE, TaskState.FAILED, TaskState.CANCELLED)


class StepState(StrEnum):
    """Where one step of a task is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    UNDONE = "undone"
    FAILED = "failed"


class Actor(Record, frozen=True, kw_only=True):
    """Who asked, through which door, from where, and why: the reason trail, newest first.

    ``name`` is ``root`` (socket), a token's name, or ``lodged`` itself. ``address`` is ``local``
    or the peer's IP address. ``via`` is ``socket``, ``https`` or ``daemon``. ``request_key`` is
    the key a caller gave so that asking twice starts one task only.
    """

    name: str
    via: str = "daemon"
    address: str = "local"
    reasons: tuple[str, ...] = ()
    trace: str = ""
    request_key: str = ""


class Progress(Record, frozen=True, kw_only=True):
    """How far a step is. ``unit`` is ``bytes`` or a noun; ``total`` null: nobody knows."""

    done: int = 0
    total: int | None = None
    unit: str = "bytes"
    started_at: float = 0.0
    note: str = ""


class Step(Record, frozen=True, kw_only=True):
    """One part of a task."""

    name: str
    state: StepState = StepState.WAITING
    progress: Progress | None = None


class Task(Record, frozen=True, kw_only=True):
    """One run of one change. ``target`` is the main thing it changes, such as ``instances/web``.

    ``notes`` is what steps must remember across a crash of the daemon; ``result`` what the caller
    gets; ``error`` has the shape of ``LodgeError.as_dict()``.
    """

    id: str
    kind: str
    target: str
    params: dict[str, Any]
    actor: Actor
    locks: tuple[str, ...]
    state: TaskState
    steps: tuple[Step, ...]
    created_at: float
    started_at: float | None = None
    ended_at: float | None = None
    is_cancel_requested: bool = False
    attempts: int = 1
    notes: dict[str, Any] = {}
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None


def eta_seconds(progress: Progress, now: float) -> float | None:
    """Estimate the seconds left from the mean speed so far; null when nobody can know."""
    elapsed = now - progress.started_at
    if progress.total is None or progress.done <= 0 or elapsed <= 0:
        return None
    return max(0.0, (progress.total - progress.done) * elapsed / progress.done)
