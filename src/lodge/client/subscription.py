"""Event streams as data: parse server-sent events, remember the last one, say how to go on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from lodge.base.errors import LodgeError
from lodge.client.call import Call
from lodge.client.errors import AnswerBrokenError, Answered, DaemonUnreachableError

__all__ = ["StreamMessage", "StreamParser", "Subscription", "stream_headers"]

T = TypeVar("T")

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
_DELAYS_S = (0.2, 0.5, 1.0, 2.0, 5.0)


class StreamMessage:
    """One message of a stream."""

    __slots__ = ("data", "id", "kind")

    def __init__(self, kind: str, data: str, id: str | None) -> None:  # noqa: A002
        self.kind = kind
        self.data = data
        self.id = id


class StreamParser:
    """Cut a byte stream into messages (HTML Living Standard, section 9.2.6).

    Messages may arrive in any pieces; comments (heartbeats) are dropped.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._fields: dict[str, list[str]] = {}
        self._size = 0

    def feed(self, piece: bytes) -> list[StreamMessage]:
        """Take a piece and return the messages it completes.

        Raises:
            AnswerBrokenError: a message without end.
        """
        messages = []
        *lines, self._rest = (self._rest + piece).split(b"\n")
        self._size += len(piece)
        if self._size > MAX_MESSAGE_BYTES:
            raise AnswerBrokenError("the event stream has a message without end")
        for line in lines:
            text = line.rstrip(b"\r").decode("utf-8", "replace")
            if text:
                self._take(text)
            elif message := self._finish():
                messages.append(message)
        return messages

    def _take(self, line: str) -> None:
        if line.startswith(":"):
            self._size = 0
            return
        name, _colon, text = line.partition(":")
        self._fields.setdefault(name, []).append(text.removeprefix(" "))

    def _finish(self) -> StreamMessage | None:
        fields, self._fields, self._size = self._fields, {}, len(self._rest)
        if "data" not in fields:
            return None
        kind = fields.get("event", ["message"])[-1]
        return StreamMessage(kind, "\n".join(fields["data"]), fields.get("id", [None])[-1])


class Subscription(Generic[T]):
    """A stream to follow: how to ask for it, and from where to go on after it broke.

    Args:
        make: builds the call for what comes after an id (null: from now on).
        answer: name of the type of each message's data.
        since: id of the last message known already.
        keep: whether a message is one that was asked for.
    """

    def __init__(
        self,
        make: Callable[[str | None], Call[Any]],
        answer: str,
        since: str | None,
        keep: Callable[[StreamMessage], bool] = lambda _message: True,
    ) -> None:
        self.answer = answer
        self._make = make
        self._last = since
        self._keep = keep
        self._failures = 0
        self._parser = StreamParser()

    def call(self) -> Call[Any]:
        """Return the request for what was not seen yet; begins a new connection."""
        self._parser = StreamParser()
        return self._make(self._last)

    def feed(self, piece: bytes) -> list[StreamMessage]:
        """Take bytes, remember where we are, return the messages asked for."""
        messages = self._parser.feed(piece)
        if messages:
            self._failures = 0
        for message in messages:
            if message.id is not None:
                self._last = message.id
        return [message for message in messages if self._keep(message)]

    def delay_s(self, failure: LodgeError | None) -> float | None:
        """Return how long to wait before connecting again; null: it is of no use.

        A stream that ended (null) or broke is taken up again for ever; one that was refused, or a
        daemon that was not there from the start, is told.
        """
        if failure is not None:
            is_gone = isinstance(failure, DaemonUnreachableError)
            is_busy = isinstance(failure, Answered) and failure.is_retryable
            if not (is_gone or is_busy) or (
                self._last is None and self._failures >= len(_DELAYS_S)
            ):
                return None
        self._failures += 1
        return _DELAYS_S[min(self._failures, len(_DELAYS_S)) - 1]


def stream_headers(last: str | None) -> Mapping[str, str]:
    """Headers that ask for a stream, from behind a message on."""
    headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
    return headers if last is None else {**headers, "Last-Event-ID": last}
