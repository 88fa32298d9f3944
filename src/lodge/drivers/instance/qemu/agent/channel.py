"""The line to the guest agent: one JSON object out, one back, one request at a time.

The agent may be absent, slow, or in the middle of an answer to somebody else's question, so every
new connection begins with ``guest-sync-delimited`` (QEMU 7.2, docs/interop/qemu-ga-ref): whatever
stands before the delimiter 0xFF is an old answer. After a timeout the connection is given up,
because the late answer would be taken for the next one.

The agent is the guest's, so its answers may be anything. They are bounded: JSON takes up to forty
times the memory when it is read, so an answer without a known shape is short, and of a long one
only the fields of its shape are read.
"""

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec

from lodge.base.units import KIB, MIB
from lodge.base.world import World
from lodge.drivers.instance.errors import AgentError, AgentMissingError
from lodge.drivers.instance.qemu.peer import connect_to

__all__ = ["CALL_LIMIT_S", "AgentChannel", "shown"]

CALL_LIMIT_S: Final = 10.0
_ANSWER_BYTES: Final = MIB
_SHAPED_BYTES: Final = 48 * MIB
"""The agent keeps at most 16 MiB of each output stream; as base64 of both that is 43 MiB."""
_BUFFER_BYTES: Final = 64 * KIB
_SHOWN_CHARACTERS: Final = 400
_SYNC_LIMIT_S: Final = 3.0
_LAST_WORD_LIMIT_S: Final = 1.0
_DELIMITER: Final = b"\xff"


class _NonsenseError(Exception):
    """What came back is not an answer of an agent."""


class _Refusal(msgspec.Struct, frozen=True):
    """The agent's ``error``."""

    desc: str = ""
    kind: str = msgspec.field(default="", name="class")


def shown(text: str) -> str:
    """Return a text of the guest fit for messages: short, in one line, nothing for terminals."""
    cut = text[:_SHOWN_CHARACTERS] + ("..." if len(text) > _SHOWN_CHARACTERS else "")
    return "".join(char if char.isprintable() else " " for char in cut).strip()


class AgentChannel:
    """Ask one guest's agent.

    Args:
        path: the channel's unix socket on the host.
        pid: who must be listening there.
        world: source of the numbers that mark a synchronisation.

    ``is_open`` is what QEMU says about the guest's end: false means that nobody has opened it, so
    asking would only fill buffers; null means not known.
    """

    def __init__(self, path: Path, pid: int, world: World) -> None:
        self._path = path
        self._pid = pid
        self._world = world
        self._queue = asyncio.Lock()
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self.is_open: bool | None = None

    async def call(
        self,
        command: str,
        arguments: Mapping[str, object] | None = None,
        *,
        timeout_s: float = CALL_LIMIT_S,
        shape: type[msgspec.Struct] | None = None,
    ) -> Any:
        """Ask one thing and return the answer as JSON values; requests wait for each other.

        ``shape``: the fields of an answer that may be long; others are left out.

        Raises:
            AgentMissingError: nobody answers, or not in time, or not like an agent.
            AgentError: the agent answered with an error; details carry its class.
        """
        async with self._queue:
            answer = await self._asked(command, arguments, timeout_s, shape)
        return _value(answer, command)

    async def tell(self, command: str, arguments: Mapping[str, object] | None = None) -> None:
        """Give an order that is answered only when it fails (``guest-shutdown``).

        Raises:
            AgentMissingError: nobody is there to hear it.
            AgentError: the agent could not do it.
        """
        async with self._queue:
            await self._ready(command)
            try:
                self._send(command, arguments)
                async with asyncio.timeout(_LAST_WORD_LIMIT_S):
                    answer = await self._line()
            except (TimeoutError, OSError, EOFError):
                return
            except _NonsenseError as error:
                raise self._missing(command, str(error)) from error
            finally:
                self.drop()
        _value(answer, command)

    def drop(self) -> None:
        """Give the connection up; the next request makes a new one."""
        writer, self._writer, self._reader = self._writer, None, None
        if writer is not None:
            writer.transport.abort()

    async def close(self) -> None:
        """Let go of the channel."""
        self.is_open = False
        self.drop()

    async def _asked(
        self,
        command: str,
        arguments: Mapping[str, object] | None,
        timeout_s: float,
        shape: type[msgspec.Struct] | None,
    ) -> dict[str, Any]:
        await self._ready(command)
        is_answered = False
        try:
            self._send(command, arguments)
            async with asyncio.timeout(timeout_s):
                answer = await self._line(shape)
            is_answered = True
        except TimeoutError:
            raise self._missing(command, f"no answer within {timeout_s:g} s") from None
        except (OSError, EOFError, _NonsenseError) as error:
            raise self._missing(command, str(error)) from error
        finally:
            if not is_answered:
                self.drop()
        return answer

    def _missing(self, command: str, why: str) -> AgentMissingError:
        return AgentMissingError(
            f"the guest agent did not answer {command}: {why}", where=str(self._path)
        )

    def _send(self, command: str, arguments: Mapping[str, object] | None) -> None:
        writer = self._writer
        if writer is None:
            raise BrokenPipeError("the channel was closed")
        request = {"execute": command, **({"arguments": arguments} if arguments else {})}
        writer.write(json.dumps(request, separators=(",", ":")).encode() + b"\n")

    async def _line(self, shape: type[msgspec.Struct] | None = None) -> dict[str, Any]:
        line = await self._until(b"\n", _SHAPED_BYTES if shape else _ANSWER_BYTES)
        try:
            answer = _read_shaped(line, shape) if shape else json.loads(line)
        except (ValueError, RecursionError, msgspec.MsgspecError) as error:
            raise _NonsenseError(f"what it said is not its JSON: {shown(str(error))}") from error
        if not isinstance(answer, dict):
            raise _NonsenseError("what it said is not an object")
        return answer

    async def _until(self, separator: bytes, limit_bytes: int | None) -> bytes:
        """Read up to a separator; with no limit everything before it is thrown away."""
        reader = self._reader
        if reader is None:
            raise BrokenPipeError("the channel was closed")
        read = bytearray()
        while True:
            try:
                read += await reader.readuntil(separator)
            except asyncio.LimitOverrunError as more:
                read += await reader.readexactly(more.consumed)
                if limit_bytes is None:
                    read.clear()
                elif len(read) > limit_bytes:
                    raise _NonsenseError(f"its answer is longer than {limit_bytes} bytes") from None
            else:
                return bytes(read)

    async def _ready(self, command: str) -> None:
        """Have a connection on which the next line is the answer to the next request."""
        if self.is_open is False:
            self.drop()
            raise self._missing(command, "no agent has opened its channel in the guest")
        if self._writer is not None and not self._writer.is_closing():
            return
        try:
            connection = connect_to(self._path, self._pid)
            self._reader, self._writer = await asyncio.open_unix_connection(
                sock=connection, limit=_BUFFER_BYTES
            )
            async with asyncio.timeout(_SYNC_LIMIT_S):
                await self._synchronise(self._writer)
        except TimeoutError:
            self.drop()
            raise self._missing(command, f"silent for {_SYNC_LIMIT_S:g} s") from None
        except (OSError, EOFError, _NonsenseError) as error:
            self.drop()
            raise self._missing(command, str(error)) from error
        except asyncio.CancelledError:
            self.drop()
            raise

    async def _synchronise(self, writer: asyncio.StreamWriter) -> None:
        mark = int.from_bytes(self._world.random_bytes(4))
        request = {"execute": "guest-sync-delimited", "arguments": {"id": mark}}
        writer.write(_DELIMITER + json.dumps(request).encode() + b"\n")
        while True:
            await self._until(_DELIMITER, None)
            with suppress(_NonsenseError):
                if (await self._line()).get("return") == mark:
                    return


def _read_shaped(line: bytes, shape: type[msgspec.Struct]) -> dict[str, Any]:
    """Read an answer by the type of its value; fields that the type lacks cost nothing."""
    answer = msgspec.json.decode(line, type=_answer_type(shape))
    found: dict[str, Any] = msgspec.to_builtins(answer)
    return found


@cache
def _answer_type(shape: type[msgspec.Struct]) -> type[msgspec.Struct]:
    value: Any = shape | msgspec.UnsetType
    refusal: Any = _Refusal | msgspec.UnsetType
    fields = [("return_", value, msgspec.UNSET), ("error", refusal, msgspec.UNSET)]
    return msgspec.defstruct("Answer", fields, rename={"return_": "return"})


def _value(answer: Mapping[str, Any], command: str) -> Any:
    error = answer.get("error")
    if isinstance(error, dict):
        said, kind = shown(str(error.get("desc", ""))), shown(str(error.get("class", "")))
        hint = "the guest's agent is too old or forbids this" if kind == "CommandNotFound" else ""
        raise AgentError(
            f"the guest agent refused {command}: {said}", where=command, hint=hint, error_class=kind
        )
    return answer.get("return")
