"""When a request is sent again, and after how long; the same for both doors."""

from __future__ import annotations

from lodge.base.errors import LodgeError
from lodge.client.call import Call
from lodge.client.errors import Answered, DaemonUnreachableError

__all__ = ["retry_delay_s"]

_DELAYS_S = (0.1, 0.4)


def retry_delay_s(call: Call[object], attempt: int, failure: LodgeError) -> float | None:
    """Return how long to wait before trying again, or null to give up.

    Only requests that change nothing, or that the daemon knows again by their key, are repeated:
    of others nobody knows whether they arrived.
    A daemon that is not there at all is told at once, so that a person does not wait for nothing.
    """
    if not call.is_repeatable or attempt >= len(_DELAYS_S):
        return None
    broken = isinstance(failure, DaemonUnreachableError) and not isinstance(
        failure.__cause__, FileNotFoundError | ConnectionRefusedError
    )
    busy = isinstance(failure, Answered) and failure.is_retryable
    return _DELAYS_S[attempt] if broken or busy else None
