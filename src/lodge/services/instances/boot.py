"""What a new daemon does about the instances it finds in its store.

Guests that outlived the daemon are adopted, whatever else is found. When the host itself was
rebooted, instances that start at boot come back, in order, and the others count as stopped.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from lodge.base.errors import LodgeError
from lodge.drivers.instance.contract import Ended, Observation
from lodge.model.instance import Instance, Power
from lodge.model.task import Actor
from lodge.services.instances.power import PowerParams
from lodge.services.instances.runtime import AT_REST, Runtime
from lodge.services.instances.watch import InstanceWatch
from lodge.system.files import write_whole
from lodge.tasks.contract import Tasks

__all__ = ["InstanceBoot"]

_LOG = logging.getLogger(__name__)
_AT_ONCE = 32
"""So many instances are adopted at a time: one that does not answer keeps few others waiting."""

_STARTING, _UP = b"starting\n", b"up\n"


class InstanceBoot:
    """Adopt, tell what ended meanwhile, start what starts at boot.

    A file in the run folder, which a reboot empties, tells how far an earlier daemon came: absent
    (nothing was done since the host came up), ``starting`` (wishes are set, not all instances that
    start at boot were started yet), ``up``.
    """

    def __init__(self, runtime: Runtime, watch: InstanceWatch, tasks: Tasks, run: Path) -> None:
        self._runtime = runtime
        self._watch = watch
        self._tasks = tasks
        self._marker = run / "host-is-up"
        self._ended: list[tuple[str, Observation]] = []

    async def adopt_all(self) -> None:
        """Find every instance again; before any task is recovered."""
        is_first = not self._marker.exists()
        adopt = self._adopt_after_reboot if is_first else self._adopt
        await _each(self._runtime.registry.all(), adopt)
        if is_first:
            write_whole(self._marker, _STARTING, mode=0o600)

    async def _adopt(self, record: Instance) -> bool:
        """Find one again; returns whether it runs, or may."""
        seen = Observation(power=Power.STOPPED)
        if record.handle is not None:
            seen = await self._runtime.driver(record).recover(record.id, record.handle)
            if seen.power is Power.STOPPED:
                self._ended.append((record.id, seen))
        self._runtime.remember(record, seen)
        return seen.power not in AT_REST

    async def _adopt_after_reboot(self, record: Instance) -> None:
        """Clear away what the host's end left, and set the wish for now."""
        if await self._adopt(record):
            return  # somebody emptied the run folder of a host that was not rebooted
        self._ended = [(ended, seen) for ended, seen in self._ended if ended != record.id]
        await self._runtime.end(record.id)
        self._runtime.forgive(record.id)
        if record.spec.starts_at_boot:
            await self._runtime.want(record.id, Power.RUNNING)
        elif record.wanted in (Power.RUNNING, Power.PAUSED):
            await self._runtime.want(record.id, Power.STOPPED)

    async def settle_all(self) -> None:
        """Deal with what ended while no daemon ran; after the tasks were recovered."""
        ended, self._ended = self._ended, []
        for instance_id, seen in ended:
            record = self._runtime.registry.by_id(instance_id)
            if record is not None and record.handle is not None:
                detail = seen.reason or "it ended while no daemon was running"
                why = seen.ended or Ended.CRASHED
                await self._try(record, self._watch.ended(record, why, detail))
        if self._marker.read_bytes() == _STARTING:
            await self._start_at_boot()
            write_whole(self._marker, _UP, mode=0o600)
        for record in self._runtime.registry.all():
            if _is_missed(record):
                await self._tell_given_up(record)

    async def _tell_given_up(self, record: Instance) -> None:
        """Show that an earlier daemon gave an instance up, whose reason died with it.

        Tasks that were carried on may start it yet, so they are waited for.
        """
        for task_id in self._tasks.active(_target(record)):
            await self._tasks.wait(task_id)
        current = self._runtime.registry.by_id(record.id)
        has_reason = bool(self._runtime.registry.status(record.id).reason)
        if current is not None and _is_missed(current) and not has_reason:
            reason = "it should run, but does not, and an earlier daemon gave it up"
            self._runtime.note(record.id, crash_count=1, reason=reason)

    async def _start_at_boot(self) -> None:
        """Start one after the other; one that was stopped or started meanwhile is left alone."""
        chosen = [record for record in self._runtime.registry.all() if record.spec.starts_at_boot]
        chosen.sort(key=lambda record: (record.spec.boot_order, record.name))
        for record in chosen:
            current = self._runtime.registry.by_id(record.id)
            if current is None or current.handle is not None:
                continue
            if current.wanted is Power.RUNNING:
                await self._try(current, self._start(current))

    async def _start(self, record: Instance) -> None:
        actor = Actor(name="lodged", reasons=("starts at boot",))
        params = PowerParams(name=record.name, id=record.id)
        task = await self._tasks.submit("instance.start", params, actor)
        ended = await self._tasks.wait(task.id)
        if ended.error is not None:
            reason = f"could not be started at boot: {ended.error['message']}"
            self._runtime.note(record.id, crash_count=1, reason=reason)

    async def _try(self, record: Instance, work: Awaitable[None]) -> None:
        """Let one instance's trouble not become the others'."""
        try:
            await work
        except LodgeError as error:
            _LOG.error("instance %s after the daemon's start: %s", record.name, error.message)


def _is_missed(record: Instance) -> bool:
    return record.handle is None and record.wanted in (Power.RUNNING, Power.PAUSED)


def _target(record: Instance) -> str:
    return f"instances/{record.name}"


async def _each(records: Sequence[Instance], work: Callable[[Instance], Awaitable[object]]) -> None:
    """Do something with every instance, a few at a time."""
    room = asyncio.Semaphore(_AT_ONCE)

    async def one(record: Instance) -> None:
        async with room:
            try:
                await work(record)
            except Exception:  # the loop edge: one instance must not keep the daemon from starting
                _LOG.exception("adopting instance %s", record.name)

    await asyncio.gather(*(one(record) for record in records))
