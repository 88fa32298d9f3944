"""The loop that keeps statuses true: drivers' signals, a slow look at everything, crash policy."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from msgspec import structs

from lodge.drivers.instance.contract import Ended, InstanceDriver, Signal
from lodge.model.instance import Instance, InstanceStatus, Power
from lodge.model.task import Actor
from lodge.services.instances.crashes import judge
from lodge.services.instances.runtime import Runtime
from lodge.services.instances.settle import SettleParams
from lodge.store.events import EventLog
from lodge.tasks.contract import Tasks

__all__ = ["InstanceWatch"]

_LOG = logging.getLogger(__name__)
_LOOK_PERIOD_S = 30.0

_EVENTS: Mapping[Signal, str] = {
    Signal.STARTED: "instance.started",
    Signal.PAUSED: "instance.paused",
    Signal.RESET: "instance.reset",
    Signal.NO_SPACE: "instance.held",
    Signal.IO_ERROR: "instance.io_failed",
    Signal.AGENT: "instance.agent_changed",
}


class InstanceWatch:
    """Turn signals into statuses and events, and settle what ended by itself."""

    def __init__(self, runtime: Runtime, tasks: Tasks, events: EventLog) -> None:
        self._runtime = runtime
        self._tasks = tasks
        self._events = events
        self._queue: asyncio.Queue[tuple[str, Signal, Mapping[str, Any]]] = asyncio.Queue()
        self._crashes: dict[str, list[float]] = {}
        self._delayed: set[asyncio.Task[None]] = set()

    def attach(self, driver: InstanceDriver) -> None:
        """Hear a driver's signals from now on."""
        driver.listen(
            lambda instance_id, signal, data: self._queue.put_nowait((instance_id, signal, data))
        )

    async def run(self) -> None:
        """Work until cancelled; one bad signal never ends the loop."""
        looker = asyncio.create_task(self._look_around())
        try:
            while True:
                instance_id, signal, data = await self._queue.get()
                try:
                    await self._handle(instance_id, signal, data)
                except Exception:  # the loop edge: told in the log, and the next signal is served
                    _LOG.exception("signal %s of instance %s", signal.value, instance_id)
        finally:
            looker.cancel()
            for task in self._delayed:
                task.cancel()

    async def _look_around(self) -> None:
        """Look at every running instance now and then, spread over the period."""
        while True:
            running = [record.id for record in self._runtime.registry.all() if record.handle]
            for instance_id in running:
                try:
                    await self._runtime.look(instance_id)
                except Exception:  # the loop edge: one instance must not blind the others
                    _LOG.exception("looking at instance %s", instance_id)
                await self._runtime.world.sleep(_LOOK_PERIOD_S / len(running))
            if not running:
                await self._runtime.world.sleep(_LOOK_PERIOD_S)

    async def _handle(self, instance_id: str, signal: Signal, data: Mapping[str, Any]) -> None:
        record = self._runtime.registry.by_id(instance_id)
        if record is None:
            return
        if signal is Signal.ENDED:
            await self.ended(record, Ended(data.get("why", Ended.CRASHED)), str(data["detail"]))
            return
        await self._runtime.look(instance_id)
        if signal is Signal.NO_SPACE:
            self._note(instance_id, reason="paused: its storage pool is full")
        await self._tell(_EVENTS[signal], record, dict(data))

    async def ended(self, record: Instance, why: Ended, detail: str) -> None:
        """Judge the end of an instance's process, and have a task put things right."""
        status = await self._runtime.look(record.id)
        fell = why in (Ended.CRASHED, Ended.PANICKED) and record.wanted is not Power.STOPPED
        await self._tell(
            "instance.crashed" if fell else "instance.stopped",
            record,
            {"why": why.value, "detail": detail},
        )
        if why is Ended.ASKED:
            return
        if fell:
            await self._fallen(record, status, detail)
        else:
            await self._submit_settle(record, "its guest ended", restarts=False)

    async def _fallen(self, record: Instance, status: InstanceStatus, detail: str) -> None:
        now = self._runtime.world.now()
        crashes = [*self._crashes.get(record.id, ())[-20:], now] if status.crash_count else [now]
        self._crashes[record.id] = crashes
        verdict = judge(record.spec.on_crash, crashes, now)
        self._note(
            record.id, reason=f"{verdict.words}: {detail}", crash_count=status.crash_count + 1
        )
        if not verdict.restarts:
            await self._submit_settle(record, verdict.words, restarts=False)
            return
        delayed = asyncio.create_task(self._restart_later(record, verdict.delay_s, verdict.words))
        self._delayed.add(delayed)
        delayed.add_done_callback(self._delayed.discard)

    async def _restart_later(self, record: Instance, delay_s: float, words: str) -> None:
        await self._runtime.world.sleep(delay_s)
        await self._submit_settle(record, words, restarts=True)

    async def _submit_settle(self, record: Instance, reason: str, *, restarts: bool) -> None:
        current = self._runtime.registry.by_id(record.id)
        if current is None:
            return
        actor = Actor(name="lodged", reasons=(reason,))
        params = SettleParams(name=current.name, id=record.id, restarts=restarts)
        await self._tasks.submit("instance.settle", params, actor)

    def _note(self, instance_id: str, **changes: Any) -> None:
        status = self._runtime.registry.status(instance_id)
        self._runtime.registry.set_status(instance_id, structs.replace(status, **changes))

    async def _tell(self, kind: str, record: Instance, data: dict[str, Any]) -> None:
        await self._events.publish(kind, f"instances/{record.name}", data)
