"""Run a command in the guest through its agent."""

import asyncio
import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from lodge.base.units import MIB, format_size
from lodge.base.world import World
from lodge.drivers.instance.contract import ExecOutcome
from lodge.drivers.instance.errors import (
    AgentError,
    AgentMissingError,
    GuestCommandTimeoutError,
)
from lodge.drivers.instance.qemu.agent.channel import AgentChannel

__all__ = ["execute", "outcome"]

STDIN_BYTES: Final = 16 * MIB
_FIRST_POLL_S: Final = 0.003
_LONGEST_POLL_S: Final = 0.25
_KILL_LIMIT_S: Final = 2.0
_PATH: Final = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class _ExecStatus(msgspec.Struct, frozen=True, rename="kebab"):
    """The answer to ``guest-exec-status`` (QEMU 7.2, qga/qapi-schema.json)."""

    exited: bool
    exitcode: int | None = None
    signal: int | None = None
    out_data: str | None = None
    err_data: str | None = None
    out_truncated: bool = False
    err_truncated: bool = False


async def execute(
    channel: AgentChannel,
    world: World,
    command: Sequence[str],
    *,
    stdin: bytes | None = None,
    environment: Mapping[str, str] | None = None,
    timeout_s: float,
) -> ExecOutcome:
    """Run a command in the guest to its end; a cancelled or overdue one is killed there.

    The agent keeps at most 16 MiB of each output stream; ``is_truncated`` tells when it cut.

    Raises:
        AgentMissingError: no agent answers.
        AgentError: there is no such program, or the input is larger than 16 MiB.
        GuestCommandTimeoutError: it did not end within ``timeout_s``.
    """
    started = await channel.call("guest-exec", _request(command, stdin, environment or {}))
    pid = started.get("pid") if isinstance(started, dict) else None
    if not isinstance(pid, int):
        raise AgentError(f"the guest agent told no process id for {command[0]!r}")
    try:
        async with asyncio.timeout(timeout_s):
            return outcome(await _ended(channel, world, pid))
    except TimeoutError:
        await _kill(channel, pid)
        raise GuestCommandTimeoutError(
            f"{command[0]!r} did not end within {timeout_s:g} s in the guest and was killed",
            where=command[0],
        ) from None
    except asyncio.CancelledError:
        await _kill(channel, pid)
        raise


def _request(
    command: Sequence[str], stdin: bytes | None, environment: Mapping[str, str]
) -> dict[str, object]:
    program, *arguments = command
    request: dict[str, object] = {"path": program, "arg": arguments, "capture-output": True}
    if stdin is not None:
        if len(stdin) > STDIN_BYTES:
            size, limit = format_size(len(stdin)), format_size(STDIN_BYTES)
            raise AgentError(
                f"{size} of input are too much for the guest agent, at most {limit} go through",
                hint="copy the data into the guest with: lodge push",
            )
        request["input-data"] = base64.b64encode(stdin).decode()
    if environment:
        # A list replaces the agent's whole environment, so the search path must be said again.
        said = [f"{name}={value}" for name, value in environment.items()]
        request["env"] = said if "PATH" in environment else [_PATH, *said]
    return request


async def _ended(channel: AgentChannel, world: World, pid: int) -> Mapping[str, Any]:
    pause = _FIRST_POLL_S
    while True:
        status = await channel.call("guest-exec-status", {"pid": pid}, shape=_ExecStatus)
        if not isinstance(status, dict):
            raise AgentError("the guest agent told no status")
        if status.get("exited") is True:
            return status
        await world.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_POLL_S)


def outcome(status: Mapping[str, Any]) -> ExecOutcome:
    """Read the answer to ``guest-exec-status`` of a command that has ended."""
    number = status.get("signal")
    code = status.get("exitcode")
    return ExecOutcome(
        exit_status=code if isinstance(code, int) else None,
        signal=number if isinstance(number, int) else None,
        stdout=_bytes(status.get("out-data")),
        stderr=_bytes(status.get("err-data")),
        is_truncated=bool(status.get("out-truncated")) or bool(status.get("err-truncated")),
    )


def _bytes(encoded: object) -> bytes:
    try:
        return base64.b64decode(str(encoded or ""), validate=True)
    except binascii.Error as error:
        raise AgentError(f"the guest agent sent damaged output: {error}") from error


async def _kill(channel: AgentChannel, pid: int) -> None:
    """End the command in the guest as well as that goes; the caller tells what happened."""
    try:
        async with asyncio.timeout(_KILL_LIMIT_S):
            await channel.call("guest-exec", {"path": "kill", "arg": ["-KILL", str(pid)]})
            await channel.call("guest-exec-status", {"pid": pid})
    except (TimeoutError, AgentError, AgentMissingError):
        return
