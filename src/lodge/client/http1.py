"""HTTP/1.1 as a client reads and writes it (RFC 9112), over anything that reads and writes bytes.

The standard library's client costs 16 ms to import (it drags in the mail parser), a quarter of
what ``lodge list`` may take as a whole; of HTTP, talking to our own daemon needs these lines only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from lodge.client.errors import AnswerBrokenError, DaemonUnreachableError

__all__ = ["Head", "Reader", "chunk", "read_body", "read_head", "request_head"]

MAX_LINE_BYTES = 65536
MAX_HEADERS = 128
PIECE_BYTES = 65536
_BODILESS = frozenset({204, 304})


class Reader(Protocol):
    """The reading half of a buffered connection."""

    def readline(self, limit: int, /) -> bytes:
        """Read up to the end of a line, or as many bytes."""
        ...

    def read(self, count: int, /) -> bytes:
        """Read that many bytes; fewer only at the end."""
        ...

    def read1(self, count: int, /) -> bytes:
        """Read what is there, at most that many bytes; nothing only at the end."""
        ...


class Head:
    """Status and headers of an answer; header names are in lower case."""

    __slots__ = ("headers", "status")

    def __init__(self, status: int, headers: Mapping[str, str]) -> None:
        self.status = status
        self.headers = headers


def request_head(method: str, target: str, headers: Mapping[str, str]) -> bytes:
    """Render request line and headers.

    Raises:
        ValueError: a line break hides in one of the parts.
    """
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {text}" for name, text in headers.items())]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a request line or header may not contain a line break")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def chunk(data: bytes) -> bytes:
    """Frame one piece of a chunked body; the empty piece ends it (RFC 9112, section 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def read_head(reader: Reader) -> Head:
    """Read an answer's head; interim answers (1xx) are skipped.

    Raises:
        DaemonUnreachableError: the other side closed before it answered.
        AnswerBrokenError: this is not HTTP.
    """
    while True:
        first = _line(reader)
        if not first:
            raise DaemonUnreachableError("the daemon closed the connection without an answer")
        head = Head(_status(first), _headers(reader))
        if head.status >= 200:
            return head


def read_body(reader: Reader, head: Head, method: str) -> Iterator[bytes]:
    """Hand out an answer's body as it arrives.

    Raises:
        DaemonUnreachableError: the connection broke off inside the body.
        AnswerBrokenError: the framing is wrong.
    """
    if method == "HEAD" or head.status in _BODILESS:
        return
    if "chunked" in head.headers.get("transfer-encoding", "").lower():
        yield from _chunks(reader)
    elif "content-length" in head.headers:
        yield from _counted(reader, _number(head.headers["content-length"], 10))
    else:
        while piece := reader.read1(PIECE_BYTES):
            yield piece


def _line(reader: Reader) -> str:
    line = reader.readline(MAX_LINE_BYTES + 1)
    if len(line) > MAX_LINE_BYTES:
        raise AnswerBrokenError("the answer has an endless line")
    return line.decode("latin-1").rstrip("\r\n") if line.endswith(b"\n") else ""


def _status(line: str) -> int:
    parts = line.split(" ", 2)
    if not parts[0].startswith("HTTP/1.") or len(parts) < 2 or not parts[1].isdigit():
        raise AnswerBrokenError(f"the answer is not HTTP: {line[:80]!r}")
    return int(parts[1])


def _headers(reader: Reader) -> dict[str, str]:
    headers: dict[str, str] = {}
    for _ in range(MAX_HEADERS):
        line = _line(reader)
        if not line:
            return headers
        name, _colon, text = line.partition(":")
        headers[name.strip().lower()] = text.strip()
    raise AnswerBrokenError("the answer has too many headers")


def _number(text: str, base: int) -> int:
    try:
        number = int(text.strip(), base)
    except ValueError:
        number = -1
    if number < 0:
        raise AnswerBrokenError(f"{text[:40]!r} is not the length of a body")
    return number


def _counted(reader: Reader, left: int) -> Iterator[bytes]:
    while left:
        piece = reader.read1(min(left, PIECE_BYTES))
        if not piece:
            raise DaemonUnreachableError(f"the connection broke off with {left} bytes missing")
        left -= len(piece)
        yield piece


def _chunks(reader: Reader) -> Iterator[bytes]:
    while True:
        line = _line(reader)
        if not line:
            raise DaemonUnreachableError("the connection broke off between two pieces")
        size = _number(line.partition(";")[0], 16)
        if size == 0:
            _headers(reader)
            return
        yield from _counted(reader, size)
        _line(reader)
