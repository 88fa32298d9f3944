"""The root of all expected failures, and the few families they fall into.

    LodgeError
    |-- InvalidError        the request itself is wrong; asking again the same way never works
    |-- NotFoundError       the named thing does not exist
    |-- ConflictError       the thing exists already, or somebody changed it meanwhile
    |-- StateError          the thing exists but is in a state that does not allow the verb
    |-- ChangedMeanwhileError  the thing is not at the revision the caller has seen
    |-- UnauthenticatedError   nobody knows who asks
    |-- DeniedError         who asks may not do this
    |-- LimitError          a pool, host or quota has not enough room
    |-- UnsupportedError    this driver, kind or host cannot do it
    |-- UnavailableError    a program, driver or device does not answer or failed; later may work
    `-- InternalError       a bug

Every room adds its own leaves in its ``errors.py``; each leaf has a stable, unique ``code``.
"""

from enum import StrEnum
from typing import Any, ClassVar

__all__ = [
    "Category",
    "ChangedMeanwhileError",
    "ConflictError",
    "DeniedError",
    "InternalError",
    "InvalidError",
    "LimitError",
    "LodgeError",
    "NotFoundError",
    "StateError",
    "UnauthenticatedError",
    "UnavailableError",
    "UnsupportedError",
    "family",
]


class Category(StrEnum):
    """What kind of failure it is; a transport maps it to its own codes (HTTP status, exit code)."""

    INVALID = "invalid"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    STATE = "state"
    PRECONDITION = "precondition"
    UNAUTHENTICATED = "unauthenticated"
    DENIED = "denied"
    LIMIT = "limit"
    UNSUPPORTED = "unsupported"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"


class LodgeError(Exception):
    """An expected failure, told so that a person can act and a program can branch.

    Args:
        message: one sentence saying what was wrong, with the offending value.
        where: path of the bad field or name of the thing (``spec.disks[0].size_bytes``).
        hint: what to do next; the class's own hint when not given.
        details: further facts as JSON values, by name (``needed_bytes=...``).

    ``code`` is stable for ever and documented; the error page of the docs is generated from
    these classes. Anything that is not a ``LodgeError`` and escapes is a bug.
    """

    code: ClassVar[str] = "lodge_error"
    category: ClassVar[Category] = Category.INTERNAL
    hint_text: ClassVar[str] = ""
    retryable: ClassVar[bool] = False

    def __init__(
        self, message: str, *, where: str | None = None, hint: str | None = None, **details: Any
    ) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = self.hint_text if hint is None else hint
        self.details = details

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form shown by the API, stored in tasks and read by clients."""
        body: dict[str, Any] = {
            "code": self.code,
            "category": self.category.value,
            "message": self.message,
            "retryable": self.retryable,
        }
        if self.where is not None:
            body["where"] = self.where
        if self.hint:
            body["hint"] = self.hint
        if self.details:
            body["details"] = self.details
        return body


class InvalidError(LodgeError):
    """The request is malformed or contradicts itself."""

    code = "invalid"
    category = Category.INVALID


class NotFoundError(LodgeError):
    """The named thing does not exist."""

    code = "not_found"
    category = Category.NOT_FOUND


class ConflictError(LodgeError):
    """The thing exists already, is in use, or was changed by somebody else meanwhile."""

    code = "conflict"
    category = Category.CONFLICT


class StateError(LodgeError):
    """The verb is not allowed in the present state; message names actual and required state."""

    code = "wrong_state"
    category = Category.STATE


class ChangedMeanwhileError(LodgeError):
    """The thing is at another revision than the caller has seen; details carry ``revision``."""

    code = "changed_meanwhile"
    category = Category.PRECONDITION
    hint_text = "read it again, decide again, and send the new revision"


class UnauthenticatedError(LodgeError):
    """The caller did not prove who it is: no token, or not a valid one."""

    code = "unauthenticated"
    category = Category.UNAUTHENTICATED


class DeniedError(LodgeError):
    """Who asks has no permission."""

    code = "denied"
    category = Category.DENIED


class LimitError(LodgeError):
    """Something has not enough room; the message names both numbers."""

    code = "limit"
    category = Category.LIMIT


class UnsupportedError(LodgeError):
    """This driver, kind of instance or host cannot do it; the message says why."""

    code = "unsupported"
    category = Category.UNSUPPORTED


class UnavailableError(LodgeError):
    """A program, driver or device failed or does not answer; trying later may work."""

    code = "unavailable"
    category = Category.UNAVAILABLE
    retryable = True


class InternalError(LodgeError):
    """A bug in Lodge."""

    code = "internal"
    category = Category.INTERNAL
    hint_text = "this is a bug: please report it with the daemon's log"


def family(root: type[LodgeError]) -> list[type[LodgeError]]:
    """List a class and everything below it, in definition order."""
    found = [root]
    for child in root.__subclasses__():
        found.extend(family(child))
    return found
