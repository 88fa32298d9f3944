"""One running QEMU as this daemon knows it: its connections, and how it ends."""

import asyncio
import signal as signals
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from lodge.base.world import World
from lodge.drivers.instance.contract import Ended, Signal
from lodge.drivers.instance.errors import DriverRefusedError, DriverTimeoutError
from lodge.drivers.instance.qemu.agent.channel import AgentChannel
from lodge.drivers.instance.qemu.allowance import Allowance
from lodge.drivers.instance.qemu.console import RECENT_BYTES, ConsoleHub
from lodge.drivers.instance.qemu.events import (
    AgentPort,
    Ending,
    Meaning,
    agent_channel,
    ending_of,
    meaning,
)
from lodge.drivers.instance.qemu.handle import QemuHandle
from lodge.drivers.instance.qemu.logs import LOG_NAMES, log_path, rotate, tail
from lodge.drivers.instance.qemu.session import QmpSession
from lodge.system.errors import DiskFullError
from lodge.system.process import is_alive, is_halted, kill, wait_gone

__all__ = ["Running"]

CONNECT_LIMIT_S: Final = 10.0
_QUIT_LIMIT_S: Final = 1.0
_FLUSH_LIMIT_S: Final = 10.0
_LAST_WORDS_BYTES: Final = 2000
_ROTATE_EVERY_BYTES: Final = 256 * 1024
_SIGNALS_AT_ONCE: Final = 40
_SIGNALS_PER_S: Final = 2.0

_UNANSWERED = (DriverTimeoutError, DriverRefusedError)


class Running:
    """Own everything the daemon holds of one QEMU; the process itself belongs to nobody.

    Args:
        instance_id: whose QEMU it is.
        handle: how it was found.
        world: clock.
        tell: takes each signal; called in order, from the loop, never from within a connection.
        tidy: removes what the process leaves behind; awaited once, after it is gone.
    """

    def __init__(
        self,
        instance_id: str,
        handle: QemuHandle,
        world: World,
        *,
        tell: Callable[[str, Signal, Mapping[str, Any]], None],
        tidy: Callable[["Running"], Awaitable[None]],
    ) -> None:
        pid, sockets = handle.pid, handle.sockets
        self.instance_id = instance_id
        self.handle = handle
        self.gone = asyncio.Event()
        self.session = QmpSession(
            sockets.qmp, pid, world, on_event=self._hear, on_connected=self._connected_again
        )
        self.agent = AgentChannel(sockets.agent, pid, world)
        recent = tail(log_path(handle.state, "serial"), limit_bytes=RECENT_BYTES)
        self.console = ConsoleHub(
            sockets.console, pid, world, on_output=self._printed, recent=recent
        )
        self.addresses: tuple[str, ...] = ()
        self.agent_answers = False
        self.asked_agent_at = float("-inf")
        self.pause_reason = ""
        self.is_saving = False
        self._is_held = False
        self._tell = tell
        self._tidy = tidy
        self._ending: Ending | None = None
        self._errands: set[asyncio.Task[None]] = set()
        self._watcher: asyncio.Task[None] | None = None
        self._unrotated_bytes = 0
        self._world = world
        self._allowance = Allowance(burst=_SIGNALS_AT_ONCE, per_s=_SIGNALS_PER_S)

    def is_alive(self) -> bool:
        """Whether its process still runs."""
        return not self.gone.is_set() and is_alive(self.handle.identity)

    async def connect(self, *, timeout_s: float = CONNECT_LIMIT_S) -> None:
        """Open monitor and console.

        Raises:
            DriverTimeoutError: its monitor does not answer; it goes on trying.
            HandleLostError: its process has ended.
        """
        try:
            await self.session.open(timeout_s=timeout_s, gone=lambda: not self.is_alive())
        finally:
            await self.console.open()

    def watch(self) -> None:
        """From now on notice its end, clean up after it and tell once why it ended."""
        self._watcher = asyncio.create_task(self._watch())

    async def status(self, *, timeout_s: float) -> str:
        """Ask for QEMU's run state and draw the conclusions that a missed event would have caused.

        Raises:
            DriverTimeoutError: no answer in time, or nonsense.
        """
        answer = await self.session.execute("query-status", timeout_s=timeout_s)
        status = answer.get("status") if isinstance(answer, dict) else None
        if not isinstance(status, str):
            raise DriverTimeoutError("QEMU answers nonsense", where=str(self.handle.sockets.qmp))
        ending = ending_of(status)
        if ending is not None:
            self._finish(ending)
        return status

    def hold(self, reason: str) -> None:
        """Tell the next pause as one for lack of room."""
        if not self.pause_reason:
            self.pause_reason = reason
            self._is_held = True

    async def end(self, detail: str = "it was stopped") -> None:
        """Pull the plug and wait until the process is gone; idempotent."""
        self._ending = self._ending or Ending(Ended.ASKED, detail)
        if self.is_alive() and not is_halted(self.handle.identity):
            await self._quit()
        kill(self.handle.identity)
        await self.gone.wait()

    async def close(self) -> None:
        """Let go of it; it runs on."""
        tasks = [task for task in (self._watcher, *self._errands) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._close_connections()

    @property
    def ending(self) -> Ending | None:
        """Why it ends or ended, once that is known."""
        return self._ending

    async def _quit(self) -> None:
        with suppress(*_UNANSWERED):
            await self.session.execute("quit", timeout_s=_QUIT_LIMIT_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(_FLUSH_LIMIT_S):
                    await self.gone.wait()

    async def _watch(self) -> None:
        status = await wait_gone(self.handle.identity)
        await self._close_connections()
        await self._tidy(self)
        ending = self._ending = self._ending or self._crash(status)
        self.gone.set()
        self._tell(self.instance_id, Signal.ENDED, {"why": ending.why, "detail": ending.detail})

    def _crash(self, exit_status: int | None) -> Ending:
        if exit_status is None:
            how = "QEMU ended for an unknown reason"
        elif exit_status < 0:
            how = f"QEMU was ended by {_signal_name(-exit_status)}"
        else:
            how = f"QEMU ended with status {exit_status}"
        return Ending(Ended.CRASHED, "; ".join(filter(None, (how, self.last_words()))))

    def last_words(self) -> str:
        """Return the end of what this QEMU wrote to its log."""
        said = tail(
            log_path(self.handle.state, "qemu"),
            limit_bytes=_LAST_WORDS_BYTES,
            since=self.handle.log_offset,
        )
        return said.decode(errors="replace").strip()

    async def _close_connections(self) -> None:
        await self.agent.close()
        await self.session.close()
        await self.console.close()

    def _hear(self, event: str, data: Mapping[str, Any]) -> None:
        match meaning(event, data):
            case Ending() as ending:
                self._finish(ending)
            case AgentPort(is_open=is_open):
                if is_open is not self.agent.is_open:
                    self.agent.is_open = is_open
                    self._say(Signal.AGENT, {"is_open": is_open})
            case Meaning(signal=signal, data=facts):
                self._hear_signal(signal, facts)
            case None:
                return

    def _hear_signal(self, signal: Signal, facts: Mapping[str, Any]) -> None:
        if signal is Signal.PAUSED:
            if self._is_held:
                self._is_held = False
                signal, facts = Signal.NO_SPACE, {"reason": self.pause_reason, "is_paused": True}
            elif self._ending or self.is_saving or self.pause_reason:
                return  # told already, or part of something larger
        elif signal is Signal.STARTED:
            self.pause_reason = ""
        elif signal is Signal.NO_SPACE and facts.get("is_paused"):
            self.pause_reason = "no space left for a disk's writes"
        self._say(signal, facts)

    def _say(self, signal: Signal, facts: Mapping[str, Any]) -> None:
        # A guest that resets itself in a loop must not fill the event log and the daemon's queue.
        # What is left out here is seen by the next look at the instance; its end is always told.
        if not self._allowance.take(self._world.monotonic()):
            return
        # Through the loop: a listener's mistake must not break the connection that is being read.
        asyncio.get_running_loop().call_soon(self._tell, self.instance_id, signal, facts)

    def _finish(self, ending: Ending) -> None:
        """The guest has come to its end: let the process, which waits for us, go as well."""
        if self._ending is None:
            self._ending = ending
            self._errand(self._leave())

    async def _leave(self) -> None:
        await self._quit()
        kill(self.handle.identity)

    def _errand(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    def _connected_again(self) -> None:
        self._errand(self.catch_up())

    async def catch_up(self) -> None:
        """Learn what events would have told while nobody listened."""
        with suppress(*_UNANSWERED):
            await self.status(timeout_s=CONNECT_LIMIT_S)
            channel = agent_channel(await self.session.execute("query-chardev"))
            if channel is not None:
                self.agent.is_open = channel.is_open

    def _printed(self, size: int) -> None:
        self._unrotated_bytes += size
        if self._unrotated_bytes >= _ROTATE_EVERY_BYTES:
            self._unrotated_bytes = 0
            self.rotate_logs()

    def rotate_logs(self) -> None:
        """Move logs that have grown too large aside; a full disk leaves them as they are."""
        for name in LOG_NAMES:
            with suppress(DiskFullError):
                rotate(log_path(self.handle.state, name))


def _signal_name(number: int) -> str:
    try:
        return signals.Signals(number).name
    except ValueError:
        return f"signal {number}"
