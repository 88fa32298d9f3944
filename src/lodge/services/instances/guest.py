"""What happens inside a guest or on its console: exec, files, console, screen, logs."""

import base64
import binascii
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from lodge.drivers.instance.contract import (
    Consoles,
    ConsoleSession,
    GuestAgent,
    Handle,
    InstanceDriver,
    Logs,
    Screens,
)
from lodge.model.instance import Instance
from lodge.model.requests import ExecRequest, ExecResult
from lodge.model.task import Actor
from lodge.model.verbs import ALLOWED, Verb, check_verb
from lodge.services.instances.errors import AbilityMissingError, InstanceSpecError
from lodge.services.instances.runtime import Runtime

__all__ = ["GuestAccess"]


class GuestAccess:
    """Reach into running instances, as far as their drivers can."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def _running(self, name: str) -> tuple[Instance, InstanceDriver, Handle]:
        return await self._in_state_for(Verb.EXEC, name)

    async def _in_state_for(self, verb: Verb, name: str) -> tuple[Instance, InstanceDriver, Handle]:
        """Let a verb pass by the last status; only before a refusal the driver is asked anew."""
        record = self._runtime.registry.get(name)
        status = self._runtime.registry.status(record.id)
        if status.power not in ALLOWED[verb]:
            status = await self._runtime.look(record.id)
        check_verb(verb, name, status.power)
        return record, self._runtime.driver(record), record.handle or {}

    async def execute(self, name: str, request: ExecRequest, _actor: Actor, /) -> ExecResult:
        """Run a command through the guest's agent.

        Raises:
            InstanceNotFoundError, WrongInstanceStateError, AbilityMissingError,
            AgentMissingError, AgentError.
        """
        record, driver, handle = await self._running(name)
        if not isinstance(driver, GuestAgent):
            raise _missing(driver, "run commands in a guest")
        outcome = await driver.execute(
            record.id,
            handle,
            request.command,
            stdin=_decoded(request.stdin),
            environment=request.environment,
            timeout_s=request.timeout_s,
        )
        return ExecResult(
            exit_status=outcome.exit_status,
            signal=outcome.signal,
            stdout=base64.b64encode(outcome.stdout).decode(),
            stderr=base64.b64encode(outcome.stderr).decode(),
            is_truncated=outcome.is_truncated,
        )

    async def read_file(self, name: str, path: str) -> AsyncIterator[bytes]:
        """Yield a guest file's bytes; the first error comes before the first byte."""
        record, driver, handle = await self._running(name)
        if not isinstance(driver, GuestAgent):
            raise _missing(driver, "read files of a guest")
        async for chunk in driver.read_file(record.id, handle, path):
            yield chunk

    async def write_file(
        self, name: str, path: str, data: AsyncIterator[bytes], *, mode: int | None
    ) -> int:
        """Write a guest file whole or not at all; returns the bytes written."""
        record, driver, handle = await self._running(name)
        if not isinstance(driver, GuestAgent):
            raise _missing(driver, "write files of a guest")
        return await driver.write_file(record.id, handle, path, data, mode=mode)

    async def console(self, name: str) -> ConsoleSession:
        """Open a session on the serial console."""
        record, driver, handle = await self._running_or_paused(name)
        if not isinstance(driver, Consoles):
            raise _missing(driver, "show a console")
        return await driver.console(record.id, handle)

    async def screenshot(self, name: str) -> bytes:
        """Return the screen as PNG."""
        record, driver, handle = await self._running_or_paused(name)
        if not isinstance(driver, Screens):
            raise _missing(driver, "show a screen")
        return await driver.screenshot(record.id, handle)

    def vnc_socket(self, name: str) -> Path:
        """Where the instance's VNC server listens.

        Raises:
            WrongInstanceStateError: nothing runs.
        """
        record = self._runtime.registry.get(name)
        check_verb(Verb.RESET, name, self._runtime.registry.status(record.id).power)
        driver = self._runtime.driver(record)
        if not isinstance(driver, Screens):
            raise _missing(driver, "show a screen")
        return driver.vnc_socket(record.id, record.handle or {})

    async def _running_or_paused(self, name: str) -> tuple[Instance, InstanceDriver, Handle]:
        return await self._in_state_for(Verb.RESET, name)

    def log_files(self, name: str) -> Mapping[str, Sequence[Path]]:
        """Names of logs and their files, oldest first."""
        record = self._runtime.registry.get(name)
        driver = self._runtime.driver(record)
        if not isinstance(driver, Logs):
            raise _missing(driver, "keep logs")
        return driver.log_files(self._runtime.planner.folders.of(record.id))


def _missing(driver: InstanceDriver, what: str) -> AbilityMissingError:
    return AbilityMissingError(f"driver {driver.name!r} cannot {what}")


def _decoded(stdin: str | None) -> bytes | None:
    if stdin is None:
        return None
    try:
        return base64.b64decode(stdin, validate=True)
    except binascii.Error as error:
        raise InstanceSpecError(f"stdin is not base64: {error}", where="stdin") from error
