"""What lives inside a fake instance: a few commands and a console that echoes."""

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping, Sequence

from lodge.drivers.instance.contract import ExecOutcome

__all__ = ["PIXEL_PNG", "FakeConsole", "FakeSession", "execute"]

PIXEL_PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)
_BACKLOG_BYTES = 16384


def execute(
    name: str,
    command: Sequence[str],
    stdin: bytes | None,
    environment: Mapping[str, str],
    _timeout_s: float,
) -> ExecOutcome:
    """Answer ``true``, ``false``, ``echo``, ``cat``, ``env`` and ``hostname``; 127 for others."""
    program, *arguments = command
    answers: Mapping[str, tuple[int, bytes]] = {
        "true": (0, b""),
        "false": (1, b""),
        "echo": (0, " ".join(arguments).encode() + b"\n"),
        "cat": (0, stdin or b""),
        "hostname": (0, name.encode() + b"\n"),
        "env": (0, "".join(f"{k}={v}\n" for k, v in environment.items()).encode()),
    }
    if program not in answers:
        return ExecOutcome(127, None, b"", f"{program}: not found\n".encode())
    status, output = answers[program]
    return ExecOutcome(status, None, output, b"")


class FakeConsole:
    """A console that prints what is typed, to every viewer."""

    def __init__(self) -> None:
        self._recent = b"fake login: "
        self._viewers: list[asyncio.Queue[bytes | None]] = []

    def session(self) -> "FakeSession":
        """Open a viewer's session, beginning with the recent output."""
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        queue.put_nowait(self._recent)
        self._viewers.append(queue)
        return FakeSession(self, queue)

    def type(self, data: bytes) -> None:
        """Echo to everybody."""
        self._recent = (self._recent + data)[-_BACKLOG_BYTES:]
        for queue in self._viewers:
            queue.put_nowait(data)

    def end(self) -> None:
        """End every viewer's session."""
        for queue in list(self._viewers):
            self.leave(queue)

    def leave(self, queue: "asyncio.Queue[bytes | None]") -> None:
        """End one viewer's session."""
        if queue in self._viewers:
            self._viewers.remove(queue)
            queue.put_nowait(None)


class FakeSession:
    """One viewer of a fake console."""

    def __init__(self, console: FakeConsole, queue: "asyncio.Queue[bytes | None]") -> None:
        self._console = console
        self._queue = queue

    async def output(self) -> AsyncIterator[bytes]:
        """Yield what is printed until the session is closed."""
        while (data := await self._queue.get()) is not None:
            yield data

    async def write(self, data: bytes, /) -> None:
        """Type something."""
        self._console.type(data)

    async def close(self) -> None:
        """Leave."""
        self._console.leave(self._queue)
