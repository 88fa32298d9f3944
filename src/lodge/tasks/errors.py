"""What can fail in the task engine itself.

LodgeError
|-- TaskNotFoundError       no such task in the history
|-- TaskKindUnknownError    nobody registered this kind of task
|-- TaskInterruptedError    the daemon died in the middle; the task was undone
|-- TaskPlanChangedError    another version of Lodge began the task with other steps
|-- TaskUndoFailedError     a task was cancelled, and something could not be undone
|-- TaskParamsError         the journaled parameters cannot be read any more
|-- TooManyLocksError       a task asks for more locks than one transaction takes
|-- LocksTakenError         another daemon holds a lock
`-- TasksStoppingError      the daemon is ending and takes no new tasks
"""

from lodge.base.errors import (
    ConflictError,
    InternalError,
    LimitError,
    NotFoundError,
    UnavailableError,
)

__all__ = [
    "LocksTakenError",
    "TaskInterruptedError",
    "TaskKindUnknownError",
    "TaskNotFoundError",
    "TaskParamsError",
    "TaskPlanChangedError",
    "TaskUndoFailedError",
    "TasksStoppingError",
    "TooManyLocksError",
]


class TaskNotFoundError(NotFoundError):
    """There is no such task in the history."""

    code = "task_not_found"
    hint_text = "list the tasks; old ones are removed from the history"


class TaskKindUnknownError(InternalError):
    """Nobody registered this kind of task."""

    code = "task_kind_unknown"


class TaskInterruptedError(UnavailableError):
    """The daemon ended in the middle of the task, and the next one undid what was done."""

    code = "task_interrupted"
    hint_text = "ask for it again"


class TaskPlanChangedError(InternalError):
    """The steps of a journaled task differ from those this version of Lodge would take."""

    code = "task_plan_changed"
    hint_text = "look at what the task changes, and finish or remove it by hand"


class TaskUndoFailedError(UnavailableError):
    """A task was cancelled, and some of its steps could not be undone; details name them."""

    code = "task_undo_failed"
    hint_text = "remove by hand what the named steps left behind"


class TaskParamsError(InternalError):
    """The parameters of a journaled task cannot be read by this version of Lodge."""

    code = "task_params_unreadable"
    hint_text = "look at what the task changes, and finish or remove it by hand"


class TooManyLocksError(LimitError):
    """A task needs more locks than one transaction can take."""

    code = "too_many_locks"
    hint_text = "do it in smaller parts"


class LocksTakenError(ConflictError):
    """Another daemon holds a lock that the task needs."""

    code = "locks_taken"
    retryable = True


class TasksStoppingError(UnavailableError):
    """The daemon is ending and takes no new tasks."""

    code = "tasks_stopping"
