"""Why a task cannot go on, in the shape in which it is journaled; pure."""

from dataclasses import dataclass
from typing import Any

import msgspec

from lodge.base.errors import InternalError, LodgeError
from lodge.model.task import Task

__all__ = ["Trouble", "told"]


@dataclass(frozen=True, slots=True)
class Trouble:
    """``error`` has the shape of ``LodgeError.as_dict()``; null: a person cancelled the task."""

    error: dict[str, Any] | None

    def with_details(self, **details: Any) -> "Trouble":
        """Return the same with more details; a cancellation has none."""
        if self.error is None:
            return self
        return Trouble({**self.error, "details": {**self.error.get("details", {}), **details}})


def told(task: Task, failure: Exception) -> dict[str, Any]:
    """Return the journaled form of a failure; what is not a ``LodgeError`` is a bug of Lodge."""
    if not isinstance(failure, LodgeError):
        failure = InternalError(
            f"task {task.kind} failed unexpectedly: {type(failure).__name__}: {failure}"
        )
    error: dict[str, Any] = msgspec.json.decode(
        msgspec.json.encode(failure.as_dict(), enc_hook=str)
    )
    return error
