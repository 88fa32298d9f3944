"""Failures as people and scripts see them: two lines on stderr, and an exit status."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from lodge.base.errors import Category, LodgeError
from lodge.cli.errors import InterruptedWaitError, PartlyFailedError
from lodge.client.errors import Answered, DaemonUnreachableError

__all__ = ["EXIT_MEANINGS", "Exit", "describe", "exit_status", "failure_text", "one_line"]


class Exit(IntEnum):
    """How a command ends; ``exec`` alone passes on the status of the guest's command."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    CONFLICT = 4
    DENIED = 5
    UNREACHABLE = 6
    NO_ROOM = 7
    UNSUPPORTED = 8
    TIMEOUT = 9
    INTERRUPTED = 130
    PIPE_CLOSED = 141


EXIT_MEANINGS: Mapping[Exit, str] = {
    Exit.DONE: "done",
    Exit.FAILED: "failed: the message says why",
    Exit.USAGE: "the command or a value in it is wrong; nothing was changed",
    Exit.NOT_FOUND: "something named does not exist",
    Exit.CONFLICT: "it exists already, is in use, was changed meanwhile, or is in a wrong state",
    Exit.DENIED: "not allowed: no permission, no token, wrong certificate, or not confirmed",
    Exit.UNREACHABLE: "the daemon does not answer",
    Exit.NO_ROOM: "not enough room: disk, memory, or a limit",
    Exit.UNSUPPORTED: "this host, driver or kind of instance cannot do it",
    Exit.TIMEOUT: "not finished in time",
    Exit.INTERRUPTED: "interrupted with Ctrl-C; a task that was waited for goes on",
    Exit.PIPE_CLOSED: "the reader of the output went away",
}

_BY_CATEGORY: Mapping[Category, Exit] = {
    Category.INVALID: Exit.USAGE,
    Category.NOT_FOUND: Exit.NOT_FOUND,
    Category.CONFLICT: Exit.CONFLICT,
    Category.STATE: Exit.CONFLICT,
    Category.PRECONDITION: Exit.CONFLICT,
    Category.UNAUTHENTICATED: Exit.DENIED,
    Category.DENIED: Exit.DENIED,
    Category.LIMIT: Exit.NO_ROOM,
    Category.UNSUPPORTED: Exit.UNSUPPORTED,
    Category.UNAVAILABLE: Exit.FAILED,
    Category.INTERNAL: Exit.FAILED,
}


def exit_status(error: LodgeError) -> int:
    """Return the exit status for a failure."""
    if isinstance(error, InterruptedWaitError):
        return Exit.INTERRUPTED
    if isinstance(error, DaemonUnreachableError):
        return Exit.UNREACHABLE
    if isinstance(error, PartlyFailedError):
        return error.exit_status
    code = error.answered_code if isinstance(error, Answered) else error.code
    if code.endswith("_timeout"):
        return Exit.TIMEOUT
    return _BY_CATEGORY[error.category]


def one_line(text: str) -> str:
    """Keep a message on one line and free of control characters that a guest may have sent."""
    return "".join(c if c.isprintable() else " " for c in text).strip()


def failure_text(error: LodgeError) -> str:
    """Return the lines for people: what was wrong, then what to do.

    >>> print(failure_text(LodgeError("pool 'a' is full", hint="delete something")))
    error: pool 'a' is full
    hint: delete something
    """
    lines = [f"error: {one_line(error.message)}"]
    if error.where and error.category is Category.INVALID and error.where not in error.message:
        lines[0] += f" (in {one_line(error.where)})"
    if error.hint:
        lines.append(f"hint: {one_line(error.hint)}")
    if isinstance(error, Answered) and error.trace and error.category is Category.INTERNAL:
        lines.append(f"trace: {error.trace}   (look for it in the daemon's log)")
    return "\n".join(lines)


def describe(error: LodgeError) -> str:
    """Return the JSON form for programs, on one line."""
    import json

    body: dict[str, object] = {"error": error.as_dict(), "exit_status": int(exit_status(error))}
    if isinstance(error, Answered) and error.trace:
        body["trace"] = error.trace
    return json.dumps(body, default=str)
