"""What a new daemon does about the instances it finds in its store.

Guests that outlived the daemon are adopted. When the host itself was rebooted (its run folder is
empty), nothing can run any more: instances that start at boot come back, in order.
"""

import logging
from pathlib import Path

from lodge.drivers.instance.contract import Ended, Observation
from lodge.model.instance import Instance, Power
from lodge.model.task import Actor
from lodge.services.instances.power import PowerParams
from lodge.services.instances.runtime import Runtime
from lodge.services.instances.watch import InstanceWatch
from lodge.system.files import write_whole
from lodge.tasks.contract import Tasks

__all__ = ["InstanceBoot"]

_LOG = logging.getLogger(__name__)


class InstanceBoot:
    """Adopt, tell what ended meanwhile, start what starts at boot."""

    def __init__(self, runtime: Runtime, watch: InstanceWatch, tasks: Tasks, run: Path) -> None:
        self._runtime = runtime
        self._watch = watch
        self._tasks = tasks
        self._marker = run / "host-is-up"

    def host_was_rebooted(self) -> bool:
        """Whether this is the first daemon since the host came up."""
        return not self._marker.exists()

    async def adopt_all(self) -> None:
        """Find every instance again; before any task is recovered."""
        for record in self._runtime.registry.all():
            try:
                await self._adopt(record)
            except Exception:  # the loop edge: one instance must not keep the daemon from starting
                _LOG.exception("adopting instance %s", record.name)

    async def _adopt(self, record: Instance) -> None:
        if record.handle is None:
            self._runtime.remember(record, Observation(power=Power.STOPPED))
            return
        if self.host_was_rebooted():
            await self._runtime.end(record.id)
            return
        seen = await self._runtime.driver(record).recover(record.id, record.handle)
        self._runtime.remember(record, seen)

    async def settle_all(self) -> None:
        """Deal with what ended while no daemon ran; after the tasks were recovered."""
        rebooted = self.host_was_rebooted()
        for record in self._runtime.registry.all():
            if rebooted:
                if record.wanted in (Power.RUNNING, Power.PAUSED):
                    await self._runtime.want(record.id, Power.STOPPED)
            elif self._ended_unseen(record):
                await self._watch.ended(
                    record, Ended.CRASHED, "it ended while no daemon was running"
                )
        if rebooted:
            await self._start_at_boot()
        write_whole(self._marker, b"", mode=0o600)

    def _ended_unseen(self, record: Instance) -> bool:
        status = self._runtime.registry.status(record.id)
        return record.handle is not None and status.power in (Power.STOPPED, Power.SUSPENDED)

    async def _start_at_boot(self) -> None:
        chosen = [record for record in self._runtime.registry.all() if record.spec.starts_at_boot]
        chosen.sort(key=lambda record: (record.spec.boot_order, record.name))
        actor = Actor(name="lodged", reasons=("starts at boot",))
        for record in chosen:
            params = PowerParams(name=record.name, id=record.id)
            task = await self._tasks.submit("instance.start", params, actor)
            await self._tasks.wait(task.id)
