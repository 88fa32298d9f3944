"""Copy files into and out of the guest through its agent."""

import base64
import binascii
import posixpath
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Final

from lodge.base.units import KIB
from lodge.base.world import World
from lodge.drivers.instance.errors import AgentError, AgentMissingError, GuestCommandTimeoutError
from lodge.drivers.instance.qemu.agent.channel import AgentChannel, shown
from lodge.drivers.instance.qemu.agent.execute import execute

__all__ = ["read_file", "write_file"]

CHUNK_BYTES: Final = 256 * KIB
DEFAULT_MODE: Final = 0o644
_TOOL_LIMIT_S: Final = 30.0
_AGENT_FAULTS: Final = (AgentError, AgentMissingError, GuestCommandTimeoutError)


async def read_file(channel: AgentChannel, path: str) -> AsyncIterator[bytes]:
    """Yield a guest file's bytes.

    Raises:
        AgentMissingError: no agent answers.
        AgentError: there is no such file, or it cannot be read.
    """
    _check_absolute(path)
    opened = await channel.call("guest-file-open", {"path": path, "mode": "r"})
    try:
        while True:
            part = await channel.call("guest-file-read", {"handle": opened, "count": CHUNK_BYTES})
            data = _content(part)
            if data:
                yield data
            if not data or part.get("eof") is True:
                return
    finally:
        with suppress(*_AGENT_FAULTS):
            await channel.call("guest-file-close", {"handle": opened})


async def write_file(
    channel: AgentChannel,
    world: World,
    path: str,
    data: AsyncIterator[bytes],
    *,
    mode: int | None,
) -> int:
    """Write a guest file through a temporary name beside it; return the bytes written.

    A reader in the guest sees the old file or the whole new one. ``mode`` null means 0644.

    Raises:
        AgentMissingError: no agent answers.
        AgentError: the folder does not exist, or the file cannot be written.
    """
    _check_absolute(path)
    folder, name = posixpath.split(path)
    temporary = posixpath.join(folder, f".{name}.{world.random_bytes(6).hex()}")
    opened = await channel.call("guest-file-open", {"path": temporary, "mode": "w"})
    try:
        try:
            # Before the first byte: the agent makes files that everybody may read and write.
            await _tool(channel, world, "chmod", "600", temporary)
            written = await _fill(channel, opened, data)
        finally:
            with suppress(*_AGENT_FAULTS):
                await channel.call("guest-file-close", {"handle": opened})
        await _tool(channel, world, "chmod", f"{mode or DEFAULT_MODE:o}", temporary)
        await _tool(channel, world, "mv", "-fT", temporary, path)
    except BaseException:
        with suppress(*_AGENT_FAULTS):
            await _tool(channel, world, "rm", "-f", temporary)
        raise
    return written


def _check_absolute(path: str) -> None:
    if not path.startswith("/") or path.endswith("/") or "\0" in path:
        raise AgentError(
            f"{path!r} is not the absolute path of a file in the guest",
            where=path,
            hint="write the whole path, such as /etc/motd",
        )


def _content(part: Any) -> bytes:
    encoded = part.get("buf-b64") if isinstance(part, dict) else None
    try:
        return base64.b64decode(str(encoded or ""), validate=True)
    except binascii.Error as error:
        raise AgentError(f"the guest agent sent damaged data: {error}") from error


async def _fill(channel: AgentChannel, opened: object, data: AsyncIterator[bytes]) -> int:
    written = 0
    async for chunk in data:
        for start in range(0, len(chunk), CHUNK_BYTES):
            written += await _put(channel, opened, chunk[start : start + CHUNK_BYTES])
    await channel.call("guest-file-flush", {"handle": opened})
    return written


async def _put(channel: AgentChannel, opened: object, data: bytes) -> int:
    rest = data
    while rest:
        request = {"handle": opened, "buf-b64": base64.b64encode(rest).decode()}
        answer = await channel.call("guest-file-write", request)
        count = answer.get("count") if isinstance(answer, dict) else None
        if not isinstance(count, int) or not 0 < count <= len(rest):
            raise AgentError(f"the guest agent wrote {count!r} of {len(rest)} bytes")
        rest = rest[count:]
    return len(data)


async def _tool(channel: AgentChannel, world: World, *command: str) -> None:
    ended = await execute(channel, world, command, timeout_s=_TOOL_LIMIT_S)
    if ended.exit_status != 0:
        said = shown(ended.stderr.decode(errors="replace"))
        raise AgentError(f"{' '.join(command)} failed in the guest: {said}", where=command[-1])
