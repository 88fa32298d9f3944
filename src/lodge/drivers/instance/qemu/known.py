"""Which QEMUs this daemon knows, and how it comes to know one that an earlier daemon started."""

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from weakref import WeakValueDictionary

from lodge.base.world import World
from lodge.drivers.instance.contract import Ended, Handle, InstancePlan, Signal
from lodge.drivers.instance.errors import DriverTimeoutError, HandleLostError
from lodge.drivers.instance.qemu import adopt
from lodge.drivers.instance.qemu.events import Ending
from lodge.drivers.instance.qemu.handle import QemuHandle, load_handle
from lodge.drivers.instance.qemu.launch import Launcher
from lodge.drivers.instance.qemu.running import Running
from lodge.system.process import kill, wait_gone

__all__ = ["Known"]

_CONNECT_LIMIT_S: Final = 3.0
_STATUS_LIMIT_S: Final = 5.0
_NEVER_RAN: Final = frozenset({"prelaunch", "inmigrate"})


class Known:
    """Find the QEMU behind a handle; at most one set of connections exists per instance."""

    def __init__(
        self,
        launcher: Launcher,
        world: World,
        tell: Callable[[str, Signal, Mapping[str, Any]], None],
    ) -> None:
        self._launcher = launcher
        self._world = world
        self._tell = tell
        self._running: dict[str, Running] = {}
        self._adoptions: dict[str, asyncio.Task[Running]] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._endings: dict[str, Ending] = {}

    def lock(self, instance_id: str) -> asyncio.Lock:
        """Return the lock under which an instance is started and ended."""
        lock = self._locks.get(instance_id)
        if lock is None:
            lock = self._locks[instance_id] = asyncio.Lock()
        return lock

    async def find(self, instance_id: str, handle: Handle) -> Running:
        """Return the QEMU behind a handle, adopting it when it is not known yet.

        Raises:
            HandleLostError: nothing runs under the handle, or it is not the present one.
        """
        wanted = load_handle(handle)
        running = self._running.get(instance_id)
        if running is None:
            running = await self._adopted(instance_id, wanted)
        if running.handle.identity != wanted.identity or not running.is_alive():
            raise _lost(instance_id)
        return running

    async def find_to_end(self, instance_id: str, handle: Handle) -> Running | None:
        """Return the QEMU behind a handle; when that has just ended, wait until it is cleared."""
        try:
            return await self.find(instance_id, handle)
        except HandleLostError:
            running = self._running.get(instance_id)
            if running is not None and not running.is_alive():
                await running.gone.wait()
            return None

    async def start(self, plan: InstancePlan, saved: Path | None) -> Running:
        """Return the instance's QEMU, started now if there was none; call it under the lock."""
        running = await self._already(plan)
        if running is None:
            self._endings.pop(plan.id, None)
            running = await self._launcher.launch(
                plan, saved, lambda handle: self._make(plan.id, handle)
            )
            self._running[plan.id] = running
        return running

    async def forget(self, instance_id: str, run_dir: Path) -> None:
        """End whatever runs of the instance and remove what it left; call it under the lock."""
        running = self._running.get(instance_id)
        if running is not None:
            await running.end()
        if run_dir.exists():
            await self._end_strays(run_dir)
        await self._launcher.clear(instance_id, run_dir)
        self._endings.pop(instance_id, None)

    async def ending_while_away(self, instance_id: str, handle: Handle) -> Ending | None:
        """Say, once, why an instance had ended when it was to be adopted; and clear it away."""
        told = self._endings.pop(instance_id, None)
        if told is not None or instance_id in self._running:
            return told
        with suppress(HandleLostError):
            run_dir = load_handle(handle).folder
            # A host that was booted again has an empty run folder, and nothing crashed.
            was_here = run_dir.exists()
            await self._launcher.clear(instance_id, run_dir)
            if was_here:
                return Ending(Ended.CRASHED, "its process ended while no daemon watched")
        return None

    async def close(self) -> None:
        """Let go of all of them; they run on."""
        known, self._running = list(self._running.values()), {}
        for task in self._adoptions.values():
            task.cancel()
        await asyncio.gather(*self._adoptions.values(), return_exceptions=True)
        await asyncio.gather(*(running.close() for running in known))

    def _make(self, instance_id: str, handle: QemuHandle) -> Running:
        return Running(instance_id, handle, self._world, tell=self._tell, tidy=self._tidy)

    async def _tidy(self, running: Running) -> None:
        await self._launcher.tidy(running)
        if self._running.get(running.instance_id) is running:
            del self._running[running.instance_id]

    async def _adopted(self, instance_id: str, handle: QemuHandle) -> Running:
        task = self._adoptions.get(instance_id)
        if task is None:
            task = asyncio.create_task(self._adopt(instance_id, handle))
            self._adoptions[instance_id] = task
            task.add_done_callback(lambda done: self._adoption_over(instance_id, done))
        return await asyncio.shield(task)

    def _adoption_over(self, instance_id: str, task: "asyncio.Task[Running]") -> None:
        self._adoptions.pop(instance_id, None)
        if not task.cancelled():
            task.exception()  # taken note of: whoever waited for it may have been cancelled

    async def _adopt(self, instance_id: str, handle: QemuHandle) -> Running:
        if not adopt.is_ours(handle):
            raise _lost(instance_id)
        running = self._make(instance_id, handle)
        try:
            with suppress(DriverTimeoutError):  # halted: it keeps trying to connect
                await running.connect(timeout_s=_CONNECT_LIMIT_S)
                await running.catch_up()
        except BaseException:
            await running.close()
            raise
        if running.ending is not None:
            self._endings[instance_id] = running.ending
            await self._launcher.abandon(running)
            raise _lost(instance_id)
        self._running[instance_id] = running
        running.watch()
        return running

    async def _already(self, plan: InstancePlan) -> Running | None:
        """Return what runs of the plan and may go on; everything else of it is ended."""
        running = self._running.get(plan.id) or await self._noted(plan)
        if running is not None:
            if running.is_alive() and running.ending is None and await self._has_run(running):
                return running
            await running.end()
        if plan.run_dir.exists():
            await self._end_strays(plan.run_dir)
        return None

    async def _noted(self, plan: InstancePlan) -> Running | None:
        noted = adopt.read_note(plan.run_dir)
        if noted is None or noted.uid != plan.uid:
            return None
        with suppress(HandleLostError):
            return await self._adopted(plan.id, noted)
        return None

    async def _has_run(self, running: Running) -> bool:
        """Whether its CPUs were ever let run; a start that was cut off leaves them waiting."""
        return await running.status(timeout_s=_STATUS_LIMIT_S) not in _NEVER_RAN

    async def _end_strays(self, run_dir: Path) -> None:
        noted = adopt.read_note(run_dir)
        strays = adopt.processes_of(os.stat(run_dir).st_gid)
        if noted is not None and adopt.is_ours(noted) and noted.identity not in strays:
            strays.append(noted.identity)
        for process in strays:
            kill(process)
        for process in strays:
            await wait_gone(process)


def _lost(instance_id: str) -> HandleLostError:
    return HandleLostError(
        f"nothing runs of instance {instance_id} under its handle", where=instance_id
    )
