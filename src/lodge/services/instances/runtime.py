"""What every power task does in the end: idempotent moves of one instance, by id.

The order of writes matters: the wish is stored before the driver acts and the handle right after,
so that a daemon killed in between finds either nothing running or a guest it can adopt.
"""

import logging
from dataclasses import replace
from typing import Any

from msgspec import structs

from lodge.base.errors import LodgeError
from lodge.base.world import World
from lodge.drivers.instance.contract import InstanceDriver, Observation, SpaceGuard
from lodge.drivers.instance.errors import HandleLostError
from lodge.model.instance import Instance, InstanceStatus, Power
from lodge.services.instances.memory import SavedMemory
from lodge.services.instances.planner import Planner
from lodge.services.instances.registry import InstanceRegistry
from lodge.services.instances.unbroken import unbroken

__all__ = ["AT_REST", "Runtime"]

_LOG = logging.getLogger(__name__)

AT_REST = (Power.STOPPED, Power.SUSPENDED)
"""Nothing of the instance runs."""


class Runtime:
    """Start, stop and look at instances through their drivers."""

    def __init__(self, registry: InstanceRegistry, planner: Planner, world: World) -> None:
        self.registry = registry
        self.planner = planner
        self.world = world
        self.memory = SavedMemory(planner.folders)

    def record(self, instance_id: str) -> Instance:
        """Return the newest record of an instance whose lock the caller holds."""
        record = self.registry.by_id(instance_id)
        if record is None:
            raise HandleLostError(f"instance {instance_id} has no record", where=instance_id)
        return record

    def driver(self, record: Instance) -> InstanceDriver:
        """Return the driver that runs it."""
        return self.planner.driver(record)

    async def want(self, instance_id: str, power: Power) -> Instance:
        """Store the wish."""
        now = self.world.now()
        return await self.registry.update(
            instance_id,
            lambda record: (
                record
                if record.wanted is power
                else structs.replace(record, wanted=power, updated_at=now)
            ),
        )

    async def _keep_handle(self, instance_id: str, handle: dict[str, Any] | None) -> None:
        await self.registry.update(
            instance_id, lambda record: structs.replace(record, handle=handle)
        )

    async def run(self, instance_id: str) -> None:
        """Make it run, from its saved memory when it has one; nothing happens when it runs.

        A start from memory is not broken off by a cancellation: memory can be loaded only once.
        """
        if self.memory.waits(instance_id):
            await unbroken(self._run(instance_id))
        else:
            await self._run(instance_id)

    async def _run(self, instance_id: str) -> None:
        record = self.record(instance_id)
        plan = await self.planner.plan(record)
        handle = await self.memory.start(self.driver(record), plan)
        await self._keep_handle(instance_id, dict(handle))
        await self.look(instance_id)

    async def end(self, instance_id: str) -> None:
        """Make it not run, with no leftover; nothing happens when it does not."""
        record = self.record(instance_id)
        driver = self.driver(record)
        if record.handle is not None:
            await driver.stop(instance_id, record.handle)
            await self._keep_handle(instance_id, None)
        await driver.forget(instance_id, self.planner.folders.run_dir(instance_id))
        self.memory.forget_loaded(instance_id)
        await self.look(instance_id)

    async def put_back(self, instance_id: str, wanted: Power, *, was_at_rest: bool) -> None:
        """After a failed move: wish and reality as they were before it, as far as that goes."""
        if self.registry.by_id(instance_id) is None:
            return
        if was_at_rest:
            await self.end(instance_id)
        elif self.record(instance_id).handle is None:
            await self.end(instance_id)
            if wanted not in AT_REST:
                wanted = Power.STOPPED  # it ended meanwhile, and nobody would start it again
        record = await self.want(instance_id, wanted)
        seen = await self.look(instance_id)
        if record.handle is None:
            return
        if wanted is Power.RUNNING and seen.power is Power.PAUSED:
            await self.driver(record).resume(instance_id, record.handle)
        elif wanted is Power.PAUSED and seen.power is Power.RUNNING:
            await self.driver(record).pause(instance_id, record.handle)
        await self.look(instance_id)

    def note(self, instance_id: str, **changes: Any) -> None:
        """Change fields of the status of an instance that exists."""
        if self.registry.by_id(instance_id) is not None:
            status = self.registry.status(instance_id)
            self.registry.set_status(instance_id, structs.replace(status, **changes))

    def forgive(self, instance_id: str) -> None:
        """Forget earlier crashes, because a person asked for the instance again."""
        self.note(instance_id, crash_count=0, reason="")

    async def look(self, instance_id: str) -> InstanceStatus:
        """Ask the driver and remember the answer."""
        record = self.registry.by_id(instance_id)
        if record is None:
            return InstanceStatus()
        if record.handle is None:
            seen = Observation(power=Power.STOPPED)
        else:
            seen = await self.driver(record).observe(instance_id, record.handle)
        return self.remember(record, seen)

    async def hold_pool(self, pool: str) -> None:
        """Pause every running instance that writes to a full pool; what they wish stays."""
        for record in self._on_pool(pool):
            driver = self.driver(record)
            if record.handle is not None and isinstance(driver, SpaceGuard):
                try:
                    await driver.hold_for_space(record.id, record.handle)
                except LodgeError as error:  # one that cannot be held must not save the others
                    _LOG.warning("holding instance %s: %s", record.name, error.message)

    async def release_pool(self, pool: str) -> None:
        """Let instances go on that wish to run but are paused, on a pool that has room again."""
        for record in self._on_pool(pool):
            if record.handle is None or record.wanted is not Power.RUNNING:
                continue
            try:
                seen = await self.look(record.id)
                if seen.power is Power.PAUSED:
                    await self.driver(record).resume(record.id, record.handle)
                    await self.look(record.id)
            except LodgeError as error:
                _LOG.warning("letting instance %s go on: %s", record.name, error.message)

    def _on_pool(self, pool: str) -> list[Instance]:
        return [
            record
            for record in self.registry.all()
            if any(disk.pool == pool and not disk.is_read_only for disk in record.spec.disks)
        ]

    def remember(self, record: Instance, seen: Observation) -> InstanceStatus:
        """Turn an observation into the status people see.

        The reason of before stays while nothing changed and the driver names none of its own.
        """
        if seen.power is Power.STOPPED and self.memory.is_saved(record.id):
            seen = replace(seen, power=Power.SUSPENDED)
        before = self.registry.status(record.id)
        runs = seen.power in (Power.RUNNING, Power.PAUSED)
        is_same = seen.power is before.power or (not runs and before.power in AT_REST)
        keeps_reason = not seen.reason and is_same and seen.power is not Power.RUNNING
        status = InstanceStatus(
            power=seen.power,
            observed_at=self.world.now(),
            started_at=seen.started_at,
            addresses=_addresses(record) if runs else (),
            agent_answers=seen.agent_answers,
            crash_count=before.crash_count,
            reason=before.reason if keeps_reason else seen.reason,
            accelerator=seen.accelerator,
        )
        if structs.replace(before, observed_at=status.observed_at) != status:
            self.registry.set_status(record.id, status)
        return status


def _addresses(record: Instance) -> tuple[str, ...]:
    """List the addresses reserved for its nics, IPv4 first."""
    fours = [nic.ipv4 for nic in record.spec.nics if nic.ipv4]
    sixes = [nic.ipv6 for nic in record.spec.nics if nic.ipv6]
    return (*fours, *sixes)
