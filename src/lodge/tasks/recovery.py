"""What becomes of a task that a dead daemon left; pure."""

from collections.abc import Sequence
from enum import Enum, auto

from lodge.model.task import StepState, Task, TaskState
from lodge.tasks.contract import OnCrash, StepDefinition

__all__ = ["MAX_ATTEMPTS", "Verdict", "is_past_return", "judge"]

MAX_ATTEMPTS = 5
"""A task that was cut off so often is undone instead of resumed: it may be what kills daemons."""


class Verdict(Enum):
    """What to do with it."""

    QUEUE = auto()
    RESUME = auto()
    UNDO = auto()


def judge(task: Task, on_crash: OnCrash, *, past_return: bool) -> Verdict:
    """Decide by what the journal tells.

    A task none of whose steps began has done nothing yet, perhaps not even its check: it waits
    again like a new one.
    """
    if task.state is TaskState.UNDOING:
        return Verdict.UNDO
    if all(step.state is StepState.WAITING for step in task.steps):
        return Verdict.QUEUE
    if past_return:
        return Verdict.RESUME
    gives_up = task.is_cancel_requested or task.attempts >= MAX_ATTEMPTS
    return Verdict.UNDO if gives_up or on_crash is OnCrash.UNDO else Verdict.RESUME


def is_past_return(task: Task, steps: Sequence[StepDefinition]) -> bool:
    """Whether a point of no return was reached, or may have been: nobody knows of a running one."""
    return any(
        plan.is_point_of_no_return and step.state in (StepState.RUNNING, StepState.DONE)
        for plan, step in zip(steps, task.steps, strict=True)
    )
