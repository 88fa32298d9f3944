"""The loop that keeps statuses true: drivers' signals, a slow look at everything, crash policy."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from lodge.base.errors import LodgeError
from lodge.drivers.instance.contract import Ended, InstanceDriver, Signal
from lodge.model.instance import CrashPolicy, Instance, InstanceStatus, Power
from lodge.model.task import Actor
from lodge.services.instances.crashes import judge
from lodge.services.instances.runtime import AT_REST, Runtime
from lodge.services.instances.settle import Afterwards, SettleParams
from lodge.store.events import EventLog
from lodge.tasks.contract import Tasks

__all__ = ["InstanceWatch"]

_LOG = logging.getLogger(__name__)
_LOOK_PERIOD_S = 30.0
_CRASHES_KEPT = 20

_EVENTS: Mapping[Signal, str] = {
    Signal.STARTED: "instance.started",
    Signal.PAUSED: "instance.paused",
    Signal.RESET: "instance.reset",
    Signal.NO_SPACE: "instance.held",
    Signal.IO_ERROR: "instance.io_failed",
    Signal.AGENT: "instance.agent_changed",
}
_FOUND: Mapping[str, Any] = {
    "why": Ended.CRASHED,
    "detail": "its process was found to be gone",
    "is_found": True,
}


class InstanceWatch:
    """Turn signals into statuses and events, and settle what ended by itself."""

    def __init__(self, runtime: Runtime, tasks: Tasks, events: EventLog) -> None:
        self._runtime = runtime
        self._tasks = tasks
        self._events = events
        self._queue: asyncio.Queue[tuple[str, Signal, Mapping[str, Any]]] = asyncio.Queue()
        self._crashes: dict[str, list[float]] = {}
        self._restarts: dict[str, asyncio.Task[None]] = {}

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
            for restart in self._restarts.values():
                restart.cancel()

    async def _look_around(self) -> None:
        """Look at every running instance now and then, spread over the period.

        So an end that nobody heard of, or that could not be settled when it was told, is found.
        """
        while True:
            running = [record.id for record in self._runtime.registry.all() if record.handle]
            for instance_id in running:
                try:
                    status = await self._runtime.look(instance_id)
                    if status.power in AT_REST:
                        self._queue.put_nowait((instance_id, Signal.ENDED, _FOUND))
                except Exception:  # the loop edge: one instance must not blind the others
                    _LOG.exception("looking at instance %s", instance_id)
                await self._runtime.world.sleep(_LOOK_PERIOD_S / len(running))
            if not running:
                await self._runtime.world.sleep(_LOOK_PERIOD_S)

    async def _handle(self, instance_id: str, signal: Signal, data: Mapping[str, Any]) -> None:
        record = self._runtime.registry.by_id(instance_id)
        if record is None:
            self._crashes.pop(instance_id, None)
            return
        if signal is Signal.ENDED:
            if not (data.get("is_found") and self._is_in_hand(record)):
                why = Ended(data.get("why", Ended.CRASHED))
                await self.ended(record, why, str(data["detail"]))
            return
        await self._runtime.look(instance_id)
        if signal is Signal.NO_SPACE:
            self._runtime.note(instance_id, reason="paused: its storage pool is full")
        await self._tell(_EVENTS[signal], record, dict(data))

    def _is_in_hand(self, record: Instance) -> bool:
        """Whether somebody deals with the end of this instance, or did."""
        return (
            record.handle is None
            or record.id in self._restarts
            or bool(self._tasks.active(f"instances/{record.name}"))
        )

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
        elif not (record.wanted is Power.STOPPED and self._is_in_hand(record)):
            await self._settle(record.id, "its guest ended", Afterwards.STOPPED)

    async def _fallen(self, record: Instance, status: InstanceStatus, detail: str) -> None:
        if record.id in self._restarts:
            return
        now = self._runtime.world.now()
        before = self._crashes.get(record.id, ()) if status.crash_count else ()
        crashes = [*before[-_CRASHES_KEPT:], now]
        self._crashes[record.id] = crashes
        verdict = judge(record.spec.on_crash, crashes, now)
        self._runtime.note(
            record.id, reason=f"{verdict.words}: {detail}", crash_count=status.crash_count + 1
        )
        if verdict.restarts:
            restart = asyncio.create_task(
                self._restart_later(record.id, verdict.delay_s, verdict.words)
            )
            self._restarts[record.id] = restart
            restart.add_done_callback(lambda _: self._restarts.pop(record.id, None))
        elif record.spec.on_crash is CrashPolicy.STOP:
            await self._settle(record.id, verdict.words, Afterwards.STOPPED)
        else:
            await self._settle(record.id, verdict.words, Afterwards.ERROR)

    async def _restart_later(self, instance_id: str, delay_s: float, words: str) -> None:
        await self._runtime.world.sleep(delay_s)
        try:
            await self._settle(instance_id, words, Afterwards.RUNS)
        except LodgeError as error:  # the next look around finds it again
            _LOG.warning("restarting instance %s: %s", instance_id, error.message)

    async def _settle(self, instance_id: str, reason: str, afterwards: Afterwards) -> None:
        """Submit the task, unless somebody was faster: a person who stopped or started it."""
        status = await self._runtime.look(instance_id)
        current = self._runtime.registry.by_id(instance_id)
        if current is None or current.handle is None or status.power not in AT_REST:
            return
        actor = Actor(name="lodged", reasons=(reason,))
        params = SettleParams(name=current.name, id=instance_id, afterwards=afterwards)
        await self._tasks.submit("instance.settle", params, actor)

    async def _tell(self, kind: str, record: Instance, data: dict[str, Any]) -> None:
        await self._events.publish(kind, f"instances/{record.name}", data)
