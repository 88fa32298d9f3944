"""Commands in a guest over a channel: the first byte of each message names a stream.

0 stdin (to the daemon), 1 stdout, 2 stderr (from it), 3 control (JSON). The client begins with a
control message holding an ``ExecRequest``, then sends stdin, ended by an empty message. The daemon
ends with a control message that says how the command ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import Any

from lodge.base.errors import LodgeError
from lodge.client.errors import AnswerBrokenError, error_from
from lodge.model.requests import ExecRequest

__all__ = ["ExecStream", "Outcome", "opening_messages", "read_message"]

PIECE_BYTES = 1 << 16


class ExecStream(IntEnum):
    """Which stream a message belongs to."""

    STDIN = 0
    STDOUT = 1
    STDERR = 2
    CONTROL = 3


class Outcome:
    """How a command ended: its exit status, or the signal that killed it."""

    __slots__ = ("exit_status", "is_truncated", "signal")

    def __init__(
        self, exit_status: int | None, signal: int | None, *, is_truncated: bool = False
    ) -> None:
        self.exit_status = exit_status
        self.signal = signal
        self.is_truncated = is_truncated


def opening_messages(request: ExecRequest, stdin: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what the client sends: the request, the input, its end."""
    import msgspec

    yield bytes((ExecStream.CONTROL,)) + msgspec.json.encode(request)
    for data in stdin:
        for place in range(0, len(data), PIECE_BYTES):
            yield bytes((ExecStream.STDIN,)) + data[place : place + PIECE_BYTES]
    yield bytes((ExecStream.STDIN,))


def read_message(message: bytes) -> tuple[ExecStream, bytes] | Outcome:
    """Read one message of the daemon: a piece of output, or how the command ended.

    Raises:
        LodgeError: the command could not be run; this is the daemon's error.
        AnswerBrokenError: the message is none of this protocol.
    """
    if message[:1] in (b"\1", b"\2"):
        return ExecStream(message[0]), message[1:]
    if message[:1] != bytes((ExecStream.CONTROL,)):
        raise AnswerBrokenError(f"an unknown stream {message[:1]!r} in the answer of a command")
    facts = _facts(message[1:])
    if isinstance(facts.get("error"), dict):
        failure: LodgeError = error_from(facts["error"], trace=str(facts.get("trace", "")))
        raise failure
    return Outcome(
        facts.get("exit_status"),
        facts.get("signal"),
        is_truncated=bool(facts.get("is_truncated", False)),
    )


def _facts(content: bytes) -> dict[str, Any]:
    import json

    try:
        facts = json.loads(content)
    except ValueError:
        facts = None
    if not isinstance(facts, dict):
        raise AnswerBrokenError("a control message in the answer of a command is not JSON")
    return facts
