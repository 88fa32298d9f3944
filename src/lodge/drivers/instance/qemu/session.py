"""The one QMP connection to one QEMU: every command has a time limit, nonsense is survived.

Protocol: QEMU 7.2, docs/interop/qmp-spec.txt; client: qemu.qmp 0.0.6.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from qemu.qmp import ExecuteError, QMPClient, QMPError, Runstate
from qemu.qmp.message import Message

from lodge.base.units import MIB
from lodge.base.world import World
from lodge.drivers.instance.errors import DriverRefusedError, DriverTimeoutError, HandleLostError
from lodge.drivers.instance.qemu.peer import connect_to

__all__ = ["COMMAND_LIMIT_S", "QmpSession"]

COMMAND_LIMIT_S: Final = 5.0
_CONNECT_POLL_S: Final = 0.002
_CONNECT_POLL_SHARE: Final = 0.05
"""Of the time waited so far: many QEMUs that start at once are slow, and asked less often."""
_FIRST_RETRY_S: Final = 0.05
_LONGEST_RETRY_S: Final = 5.0
_FAREWELL_LIMIT_S: Final = 1.0
_LONGEST_LINE_BYTES: Final = MIB
"""QEMU's longest answers here have some KiB; JSON takes up to forty times its size in memory."""

_WIRE_FAULTS: Final = (
    QMPError,
    OSError,
    EOFError,
    ValueError,  # a line longer than the limit, bytes that are not UTF-8
    TypeError,  # JSON of another shape than the client library expects
    LookupError,
    AssertionError,
    RecursionError,  # JSON nested too deep
)
"""What the client library lets through when the other side speaks nonsense."""


def _silence_library() -> None:
    """The library logs every refused connection as an error; what matters is raised anyway."""
    logger = logging.getLogger("qemu.qmp")
    logger.setLevel(logging.CRITICAL + 1)
    logger.propagate = False


class QmpSession:
    """Own the monitor of one QEMU process; connects again by itself until it is closed.

    Args:
        path: the monitor's unix socket.
        pid: who must be listening there.
        world: clock for polling and backing off.
        on_event: called with (event name, data) in order; must not raise or block.
        on_connected: called after every connection but the first.
    """

    def __init__(
        self,
        path: Path,
        pid: int,
        world: World,
        *,
        on_event: Callable[[str, Mapping[str, Any]], None],
        on_connected: Callable[[], None] = lambda: None,
    ) -> None:
        _silence_library()
        self._path = path
        self._pid = pid
        self._world = world
        self._on_event = on_event
        self._on_connected = on_connected
        self._client: QMPClient | None = None
        self._socket: socket.socket | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._late: set[asyncio.Task[object]] = set()
        self._is_closed = False

    @property
    def is_connected(self) -> bool:
        """Whether the connection stands; it may still be that nobody answers."""
        return self._client is not None and self._client.runstate is Runstate.RUNNING

    async def open(self, *, timeout_s: float, gone: Callable[[], bool] = lambda: False) -> None:
        """Connect, and from then on stay connected.

        Raises:
            DriverTimeoutError: nobody spoke QMP there within the limit.
            HandleLostError: ``gone`` said that the process has ended.
        """
        begun = self._world.monotonic()
        try:
            async with asyncio.timeout(timeout_s):
                while not await self._connect():
                    if gone():
                        raise HandleLostError("QEMU ended", where=str(self._path))
                    waited_s = self._world.monotonic() - begun
                    await self._world.sleep(max(_CONNECT_POLL_S, waited_s * _CONNECT_POLL_SHARE))
        except TimeoutError:
            raise self._timed_out("the greeting", timeout_s) from None
        finally:
            if not self._is_closed:
                self._keeper = asyncio.create_task(self._keep())

    async def execute(
        self,
        command: str,
        arguments: Mapping[str, object] | None = None,
        *,
        timeout_s: float = COMMAND_LIMIT_S,
        send_fd: int | None = None,
    ) -> Any:
        """Run one command and return its value.

        While an earlier command is still without an answer nothing new is sent: a QEMU that was
        stopped must not find a heap of stale orders when it goes on.

        Raises:
            DriverTimeoutError: no answer within the limit, or no connection.
            DriverRefusedError: QEMU answered with an error; details carry its class.
        """
        client = self._client
        if client is None or client.runstate is not Runstate.RUNNING:
            raise self._timed_out(command, 0.0, why="its monitor is not connected")
        await self._no_late_answers(command, timeout_s)
        task = asyncio.create_task(self._send(client, command, arguments, send_fd))
        try:
            done, _pending = await asyncio.wait({task}, timeout=timeout_s)
        finally:
            if not task.done():
                self._late.add(task)
                task.add_done_callback(self._answered_late)
        if not done:
            raise self._timed_out(command, timeout_s)
        return self._value(task, command)

    async def close(self) -> None:
        """Let go of the monitor; QEMU runs on."""
        self._is_closed = True
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            with suppress(asyncio.CancelledError):
                await keeper
        await self._disconnect()
        for task in self._late:
            task.cancel()

    async def _no_late_answers(self, command: str, timeout_s: float) -> None:
        if self._late:
            _done, pending = await asyncio.wait(self._late, timeout=timeout_s)
            if pending:
                raise self._timed_out(command, timeout_s)

    def _answered_late(self, task: asyncio.Task[object]) -> None:
        self._late.discard(task)
        if not task.cancelled():
            task.exception()  # taken note of: nobody waits for it any more

    async def _send(
        self,
        client: QMPClient,
        command: str,
        arguments: Mapping[str, object] | None,
        send_fd: int | None,
    ) -> object:
        if send_fd is not None:
            client.send_fd_scm(send_fd)
        return await client.execute(command, arguments)

    def _value(self, task: asyncio.Task[object], command: str) -> Any:
        try:
            return task.result()
        except ExecuteError as error:
            raise DriverRefusedError(
                f"QEMU refused {command}: {error}", where=command, error_class=error.error_class
            ) from error
        except _WIRE_FAULTS as error:
            raise self._timed_out(command, 0.0, why="its monitor broke off") from error

    def _timed_out(self, what: str, timeout_s: float, *, why: str = "") -> DriverTimeoutError:
        reason = why or f"no answer within {timeout_s:g} s"
        return DriverTimeoutError(f"QEMU did not answer {what}: {reason}", where=str(self._path))

    async def _connect(self) -> bool:
        """Try once; false when nobody there speaks QMP."""
        try:
            connection = connect_to(self._path, self._pid)
        except OSError:
            return False
        client = QMPClient()  # one that failed to connect cannot be used again
        client.readbuflen = _LONGEST_LINE_BYTES
        # A filter that answers False sees every event while the library keeps none: its own
        # listeners remember all events for ever.
        client.events.event_filter = self._hear
        try:
            await client.connect(connection)
        except _WIRE_FAULTS:
            connection.close()
            return False
        except asyncio.CancelledError:
            connection.close()  # the library may not have taken it over yet
            raise
        self._client, self._socket = client, connection
        return True

    def _hear(self, event: Message) -> bool:
        name, data = event.get("event"), event.get("data", {})
        if isinstance(name, str) and isinstance(data, dict):
            self._on_event(name, data)
        return False

    async def _keep(self) -> None:
        """Wait for the connection to break, then make it anew, for ever."""
        while True:
            client = self._client
            while client is not None and client.runstate is Runstate.RUNNING:
                await client.runstate_changed()
            await self._disconnect()
            pause = _FIRST_RETRY_S
            while not await self._try_again():
                await self._world.sleep(pause)
                pause = min(pause * 2, _LONGEST_RETRY_S)
            self._on_connected()

    async def _try_again(self) -> bool:
        try:
            async with asyncio.timeout(COMMAND_LIMIT_S):
                return await self._connect()
        except TimeoutError:
            return False

    async def _disconnect(self) -> None:
        client, self._client = self._client, None
        connection, self._socket = self._socket, None
        if client is None or connection is None:
            return
        # Shutting the socket down first lets the reader see the end, so that the library does not
        # wait for a QEMU that reads nothing to take what is still queued.
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        with suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL_LIMIT_S):
                while client.runstate is Runstate.RUNNING:
                    await client.runstate_changed()
        with suppress(*_WIRE_FAULTS):
            await client.disconnect()
