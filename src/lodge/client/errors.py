"""What the client can fail with, besides what the daemon itself answers.

The daemon's own errors arrive as JSON and become one leaf per category here: ``category``,
``where``, ``hint`` and ``details`` are the daemon's, ``answered_code`` is its stable code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from lodge.base.errors import (
    Category,
    ChangedMeanwhileError,
    ConflictError,
    DeniedError,
    InternalError,
    InvalidError,
    LimitError,
    LodgeError,
    NotFoundError,
    StateError,
    UnauthenticatedError,
    UnavailableError,
    UnsupportedError,
)

__all__ = [
    "AnswerBrokenError",
    "Answered",
    "CertificateMismatchError",
    "DaemonUnreachableError",
    "RemoteChangedMeanwhileError",
    "RemoteConflictError",
    "RemoteDeniedError",
    "RemoteInternalError",
    "RemoteInvalidError",
    "RemoteLimitError",
    "RemoteNotFoundError",
    "RemoteStateError",
    "RemoteUnauthenticatedError",
    "RemoteUnavailableError",
    "RemoteUnsupportedError",
    "SecretFileError",
    "SocketDeniedError",
    "StreamEndedError",
    "WaitTimeoutError",
    "WaitedTaskCancelledError",
    "error_from",
    "error_from_answer",
]


class DaemonUnreachableError(UnavailableError):
    """Nobody listens where the daemon should, or the connection broke."""

    code = "daemon_unreachable"
    hint_text = "start the daemon with: systemctl start lodged   (or run: lodged)"


class SocketDeniedError(DeniedError):
    """The daemon's socket is there, but this user may not open it."""

    code = "socket_denied"
    hint_text = "the socket is for root: use sudo, or a remote with a token (lodge remote add)"


class CertificateMismatchError(DeniedError):
    """The server showed another certificate than the pinned one; nothing was sent to it."""

    code = "certificate_mismatch"
    hint_text = (
        "compare the fingerprint with the one on the server; if it was renewed there:"
        " lodge remote add NAME URL --fingerprint NEW --replace"
    )


class AnswerBrokenError(UnavailableError):
    """What came back is not what the API promises; perhaps it is another program's port."""

    code = "answer_broken"


class StreamEndedError(UnavailableError):
    """A console or command connection was closed by the other side before its end was told."""

    code = "stream_ended"


class SecretFileError(DeniedError):
    """A file with a token cannot be read, or others can read it too."""

    code = "secret_file"


class WaitTimeoutError(UnavailableError):
    """A task, or a guest, was not ready within the time limit of who waits; it goes on."""

    code = "wait_timeout"


class WaitedTaskCancelledError(StateError):
    """The task that was waited for was cancelled; what it had done was undone."""

    code = "waited_task_cancelled"


class Answered(LodgeError):  # noqa: N818 (a mark on errors, no error of its own)
    """Mark of errors that the daemon answered; ``answered_code`` is the code it gave."""

    code: ClassVar[str] = "answered"
    answered_code: str = ""
    trace: str = ""
    is_retryable: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return the daemon's own JSON form again."""
        body = super().as_dict()
        body["code"] = self.answered_code or self.code
        body["retryable"] = self.is_retryable
        return body


class RemoteInvalidError(Answered, InvalidError):
    """The daemon found the request itself wrong."""

    code = "remote_invalid"


class RemoteNotFoundError(Answered, NotFoundError):
    """The daemon knows no such thing."""

    code = "remote_not_found"


class RemoteConflictError(Answered, ConflictError):
    """The thing exists already, is in use, or was changed by somebody else meanwhile."""

    code = "remote_conflict"


class RemoteStateError(Answered, StateError):
    """The thing's state does not allow the verb."""

    code = "remote_wrong_state"


class RemoteChangedMeanwhileError(Answered, ChangedMeanwhileError):
    """The thing was changed since the revision that the request is based on."""

    code = "remote_changed_meanwhile"


class RemoteUnauthenticatedError(Answered, UnauthenticatedError):
    """The daemon does not know who asks: no token, or a wrong or expired one."""

    code = "remote_unauthenticated"


class RemoteDeniedError(Answered, DeniedError):
    """The daemon knows who asks and does not let them."""

    code = "remote_denied"


class RemoteLimitError(Answered, LimitError):
    """The daemon has not enough room for it."""

    code = "remote_limit"


class RemoteUnsupportedError(Answered, UnsupportedError):
    """That daemon, driver or host cannot do it."""

    code = "remote_unsupported"


class RemoteUnavailableError(Answered, UnavailableError):
    """A program, driver or device on the daemon's side failed or does not answer."""

    code = "remote_unavailable"


class RemoteInternalError(Answered, InternalError):
    """A bug in the daemon."""

    code = "remote_internal"


_BY_CATEGORY: Mapping[str, type[Answered]] = {
    Category.INVALID: RemoteInvalidError,
    Category.NOT_FOUND: RemoteNotFoundError,
    Category.CONFLICT: RemoteConflictError,
    Category.STATE: RemoteStateError,
    Category.PRECONDITION: RemoteChangedMeanwhileError,
    Category.UNAUTHENTICATED: RemoteUnauthenticatedError,
    Category.DENIED: RemoteDeniedError,
    Category.LIMIT: RemoteLimitError,
    Category.UNSUPPORTED: RemoteUnsupportedError,
    Category.UNAVAILABLE: RemoteUnavailableError,
    Category.INTERNAL: RemoteInternalError,
}

_BY_STATUS = {
    400: Category.INVALID,
    401: Category.UNAUTHENTICATED,
    403: Category.DENIED,
    404: Category.NOT_FOUND,
    405: Category.UNSUPPORTED,
    409: Category.CONFLICT,
    412: Category.PRECONDITION,
    413: Category.INVALID,
    415: Category.INVALID,
    422: Category.INVALID,
    502: Category.UNAVAILABLE,
    503: Category.UNAVAILABLE,
    504: Category.UNAVAILABLE,
}


def error_from(body: Mapping[str, Any], *, trace: str = "") -> LodgeError:
    """Build the error that a JSON object in the shape of ``LodgeError.as_dict()`` describes.

    A category of a newer daemon becomes an internal error; nothing of the message is lost.
    """
    leaf = _BY_CATEGORY.get(str(body.get("category", "")), RemoteInternalError)
    details = body.get("details")
    error = leaf(
        str(body.get("message", "the daemon gave no reason")),
        where=body.get("where"),
        hint=str(body.get("hint", "")),
    )
    error.details = dict(details) if isinstance(details, Mapping) else {}
    error.answered_code = str(body.get("code", ""))
    error.is_retryable = bool(body.get("retryable", False))
    error.trace = trace
    return error


def error_from_answer(status: int, content: bytes) -> LodgeError:
    """Build the error that an answer with a failing status describes; never raises itself."""
    import json

    try:
        body = json.loads(content)
    except ValueError:
        body = None
    if isinstance(body, dict) and isinstance(body.get("error"), dict):
        return error_from(body["error"], trace=str(body.get("trace", "")))
    category = _BY_STATUS.get(status, Category.INTERNAL)
    text = content[:200].decode("utf-8", "replace").strip() or "no text"
    return error_from(
        {
            "category": category,
            "code": f"http_{status}",
            "message": f"the server answered {status}: {text}",
            "hint": "is this address really a Lodge daemon?",
            "retryable": status == 503,
        }
    )
