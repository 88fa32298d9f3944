"""What the command line itself can refuse."""

from __future__ import annotations

from lodge.base.errors import ConflictError, DeniedError, InvalidError, LodgeError, NotFoundError

__all__ = [
    "AbortedError",
    "FilterError",
    "InterruptedWaitError",
    "LocalFileError",
    "PartlyFailedError",
    "RemoteExistsError",
    "RemoteUnknownError",
    "UsageError",
]


class UsageError(InvalidError):
    """The command is not written as it must be."""

    code = "usage"


class FilterError(InvalidError):
    """A filter, a column or a sort key names nothing that the list has."""

    code = "list_option"


class LocalFileError(InvalidError):
    """A file on this side cannot be read or written, or does not hold what it should."""

    code = "local_file"


class RemoteUnknownError(NotFoundError):
    """No remote of that name was added."""

    code = "remote_unknown"
    hint_text = "list them with: lodge remote list"


class RemoteExistsError(ConflictError):
    """A remote of that name was added before."""

    code = "remote_exists"


class AbortedError(DeniedError):
    """Somebody was asked and did not say yes; nothing was done."""

    code = "aborted"


class InterruptedWaitError(LodgeError):
    """Ctrl-C while waiting: only the waiting ended, the task goes on."""

    code = "interrupted"


class PartlyFailedError(LodgeError):
    """Some of several names failed; each was told when it did.

    ``exit_status`` is that of the first one that failed.
    """

    code = "partly_failed"
    exit_status = 1
