"""What every power task does in the end: idempotent moves of one instance, by id.

The order of writes matters: the wish is stored before the driver acts and the handle right after,
so that a daemon killed in between finds either nothing running or a guest it can adopt.
"""

from dataclasses import replace
from typing import Any

import msgspec

from lodge.base.world import World
from lodge.drivers.instance.contract import InstanceDriver, Observation, SpaceGuard, Suspend
from lodge.drivers.instance.errors import HandleLostError
from lodge.model.instance import Instance, InstanceStatus, Power
from lodge.services.instances.errors import AbilityMissingError
from lodge.services.instances.planner import Planner
from lodge.services.instances.registry import InstanceRegistry
from lodge.tasks.contract import StepContext

__all__ = ["Runtime", "addresses"]


class Runtime:
    """Start, stop and look at instances through their drivers."""

    def __init__(self, registry: InstanceRegistry, planner: Planner, world: World) -> None:
        self.registry = registry
        self.planner = planner
        self.world = world

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
                else msgspec.structs.replace(record, wanted=power, updated_at=now)
            ),
        )

    async def _keep_handle(self, instance_id: str, handle: dict[str, Any] | None) -> None:
        await self.registry.update(
            instance_id, lambda record: msgspec.structs.replace(record, handle=handle)
        )

    async def run(self, instance_id: str) -> None:
        """Make it run, from its saved memory when it has one; nothing happens when it runs."""
        record = self.record(instance_id)
        driver = self.driver(record)
        saved = self.planner.folders.saved_memory(instance_id)
        plan = await self.planner.plan(record)
        handle = await driver.start(plan, saved=saved if saved.exists() else None)
        await self._keep_handle(instance_id, dict(handle))
        saved.unlink(missing_ok=True)
        await self.look(instance_id)

    async def end(self, instance_id: str) -> None:
        """Make it not run, with no leftover; nothing happens when it does not."""
        record = self.record(instance_id)
        driver = self.driver(record)
        if record.handle is not None:
            await driver.stop(instance_id, record.handle)
            await self._keep_handle(instance_id, None)
        await driver.forget(instance_id, self.planner.folders.run_dir(instance_id))
        await self.look(instance_id)

    async def discard_saved(self, instance_id: str) -> None:
        """Throw the memory of a suspended instance away."""
        self.planner.folders.saved_memory(instance_id).unlink(missing_ok=True)
        await self.look(instance_id)

    async def suspend(self, instance_id: str, context: StepContext) -> None:
        """Write its memory to disk and end it; nothing happens when that was done before.

        Raises:
            AbilityMissingError: its driver cannot.
        """
        record = self.record(instance_id)
        driver = self.driver(record)
        if not isinstance(driver, Suspend):
            raise AbilityMissingError(f"driver {driver.name!r} cannot suspend instances")
        saved = self.planner.folders.saved_memory(instance_id)
        if record.handle is not None and not saved.exists():
            partial = saved.with_suffix(".part")
            await driver.suspend(instance_id, record.handle, partial, context.progress)
            partial.rename(saved)
        await self.end(instance_id)

    def forgive(self, instance_id: str) -> None:
        """Forget earlier crashes, because a person asked for the instance again."""
        status = self.registry.status(instance_id)
        self.registry.set_status(
            instance_id, msgspec.structs.replace(status, crash_count=0, reason="")
        )

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
                await driver.hold_for_space(record.id, record.handle)

    async def release_pool(self, pool: str) -> None:
        """Let instances go on that wish to run but are paused, on a pool that has room again."""
        for record in self._on_pool(pool):
            seen = await self.look(record.id)
            held = record.wanted is Power.RUNNING and seen.power is Power.PAUSED
            if held and record.handle is not None:
                await self.driver(record).resume(record.id, record.handle)
                await self.look(record.id)

    def _on_pool(self, pool: str) -> list[Instance]:
        return [
            record
            for record in self.registry.all()
            if any(disk.pool == pool and not disk.is_read_only for disk in record.spec.disks)
        ]

    def remember(self, record: Instance, seen: Observation) -> InstanceStatus:
        """Turn an observation into the status people see."""
        if seen.power is Power.STOPPED and self.planner.folders.saved_memory(record.id).exists():
            seen = replace(seen, power=Power.SUSPENDED)
        before = self.registry.status(record.id)
        runs = seen.power in (Power.RUNNING, Power.PAUSED)
        keeps_reason = not seen.reason and not runs
        status = InstanceStatus(
            power=seen.power,
            observed_at=self.world.now(),
            started_at=seen.started_at,
            addresses=addresses(record) if runs else (),
            agent_answers=seen.agent_answers,
            crash_count=before.crash_count,
            reason=before.reason if keeps_reason else seen.reason,
            accelerator=seen.accelerator,
        )
        if msgspec.structs.replace(before, observed_at=status.observed_at) != status:
            self.registry.set_status(record.id, status)
        return status


def addresses(record: Instance) -> tuple[str, ...]:
    """List the addresses reserved for its nics, IPv4 first."""
    fours = [nic.ipv4 for nic in record.spec.nics if nic.ipv4]
    sixes = [nic.ipv6 for nic in record.spec.nics if nic.ipv6]
    return (*fours, *sixes)
