"""The QEMU instance driver: one detached QEMU per VM, driven over QMP without libvirt."""

import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from lodge.base.units import MIB, format_size
from lodge.base.world import World
from lodge.drivers.instance.contract import (
    Acceleration,
    ExecOutcome,
    Handle,
    InstancePlan,
    InstanceTraits,
    Listener,
    Observation,
    Signal,
)
from lodge.drivers.instance.errors import (
    AgentError,
    AgentMissingError,
    HandleLostError,
    PlanRefusedError,
)
from lodge.drivers.instance.qemu import screen
from lodge.drivers.instance.qemu.agent import transfer
from lodge.drivers.instance.qemu.agent.execute import execute
from lodge.drivers.instance.qemu.capabilities import qemu_capabilities
from lodge.drivers.instance.qemu.console import Viewer
from lodge.drivers.instance.qemu.handle import dump_handle, load_handle
from lodge.drivers.instance.qemu.host import Host
from lodge.drivers.instance.qemu.known import Known
from lodge.drivers.instance.qemu.launch import Launcher
from lodge.drivers.instance.qemu.logs import log_files
from lodge.drivers.instance.qemu.machines import newest
from lodge.drivers.instance.qemu.observe import observe
from lodge.drivers.instance.qemu.options import QemuOptions
from lodge.drivers.instance.qemu.probe import AccelerationProbe
from lodge.drivers.instance.qemu.render import check_plan
from lodge.drivers.instance.qemu.suspend import suspend
from lodge.model.host import Capability
from lodge.model.instance import InstanceKind, InstanceSpec, MachineType, Power
from lodge.system.cgroup import Cgroups

__all__ = ["Qemu"]


class Qemu:
    """Run VMs with QEMU.

    Args:
        world: clock and chance.
        options: settings of the driver.
        cgroups: one group for each instance; null leaves processes in the daemon's.
        probe: proves KVM; without one guests are emulated unless the options say kvm.
    """

    name: ClassVar[str] = "qemu"
    traits: ClassVar[InstanceTraits] = InstanceTraits(
        kinds=frozenset({InstanceKind.VM}), is_local=True
    )

    def __init__(
        self,
        world: World,
        options: QemuOptions | None = None,
        *,
        cgroups: Cgroups | None = None,
        probe: AccelerationProbe | None = None,
    ) -> None:
        self._world = world
        self._host = Host(options or QemuOptions(), probe)
        self._listeners: list[Listener] = []
        self._known = Known(Launcher(self._host, world, cgroups), world, self._tell)

    def listen(self, listener: Listener, /) -> None:
        """Call the listener for every signal from now on."""
        self._listeners.append(listener)

    async def machine_version(self, spec: InstanceSpec, /) -> str:
        """Return the newest versioned machine type of the installed QEMU."""
        return newest(spec.machine, await self._host.machines())

    async def check(self, plan: InstancePlan, /) -> None:
        """Refuse a plan that this QEMU on this host can never run; reads only."""
        check_plan(
            plan,
            versions=await self._host.machines(),
            firmware=self._host.firmware(),
            options=self._host.options,
        )
        wanted = plan.spec.memory_mib * MIB
        present = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        if wanted > present:
            raise PlanRefusedError(
                f"{format_size(wanted)} of memory are more than the {format_size(present)} "
                "this host has",
                where="spec.memory_mib",
                wanted_bytes=wanted,
                host_bytes=present,
            )

    async def acceleration(self) -> Acceleration:
        """Say what guests' CPUs run on here, and how that was found out."""
        return await self._host.acceleration()

    async def capabilities(self) -> Sequence[Capability]:
        """Try everything of the host that QEMU can use."""
        return await qemu_capabilities(self._host)

    async def start(self, plan: InstancePlan, /, *, saved: Path | None = None) -> Handle:
        """Run it (from the saved memory file when given); if it runs already, return its handle.

        Raises:
            InstanceStartError: QEMU ended at once; with its last words.
            DriverTimeoutError: QEMU came up but does not answer.
        """
        async with self._known.lock(plan.id):
            running = await self._known.start(plan, saved)
        return dump_handle(running.handle)

    async def stop(self, plan_id: str, handle: Handle, /) -> None:
        """Pull the plug and wait until its process is gone; nothing happens when it is."""
        async with self._known.lock(plan_id):
            running = await self._known.find_to_end(plan_id, handle)
            if running is not None:
                await running.end()

    async def shutdown(self, plan_id: str, handle: Handle, /) -> None:
        """Ask the guest to end, through its agent or else by the power button.

        Raises:
            AgentMissingError: a microvm has no power button, and no agent answers.
        """
        running = await self._known.find(plan_id, handle)
        try:
            await running.agent.tell("guest-shutdown", {"mode": "powerdown"})
        except (AgentMissingError, AgentError):
            if running.handle.machine == MachineType.MICROVM:
                raise
            await running.session.execute("system_powerdown")

    async def pause(self, plan_id: str, handle: Handle, /) -> None:
        """Stop its vCPUs; memory stays."""
        running = await self._known.find(plan_id, handle)
        await running.session.execute("stop")

    async def resume(self, plan_id: str, handle: Handle, /) -> None:
        """Let its vCPUs run again."""
        running = await self._known.find(plan_id, handle)
        await running.session.execute("cont")

    async def reset(self, plan_id: str, handle: Handle, /) -> None:
        """Press the reset button."""
        running = await self._known.find(plan_id, handle)
        await running.session.execute("system_reset")

    async def hold_for_space(self, plan_id: str, handle: Handle, /) -> None:
        """Pause it with the reason that its pool is full; one that is paused stays as it is."""
        running = await self._known.find(plan_id, handle)
        running.hold("its storage pool is full")
        await running.session.execute("stop")

    async def observe(self, plan_id: str, handle: Handle, /) -> Observation:
        """Look at it now, without waiting long; one that is not known yet is adopted."""
        try:
            running = await self._known.find(plan_id, handle)
        except HandleLostError:
            return Observation(power=Power.STOPPED)
        return await observe(running, self._world)

    async def recover(self, plan_id: str, handle: Handle, /) -> Observation:
        """Find it again after a restart of the daemon and go on listening to it.

        When it ended while nobody watched, what it left is removed and ``ended`` says why, as far
        as that can be known; no signal is sent then.
        """
        async with self._known.lock(plan_id):
            try:
                running = await self._known.find(plan_id, handle)
            except HandleLostError:
                ending = await self._known.ending_while_away(plan_id, handle)
                return Observation(
                    power=Power.STOPPED,
                    reason=ending.detail if ending else "",
                    ended=ending.why if ending else None,
                )
        return await observe(running, self._world)

    async def forget(self, plan_id: str, run_dir: Path, /) -> None:
        """Remove every leftover of an instance that must not run; idempotent."""
        async with self._known.lock(plan_id):
            await self._known.forget(plan_id, run_dir)

    async def close(self) -> None:
        """Let go of all connections; the instances go on running."""
        await self._known.close()
        self._listeners.clear()

    async def suspend(
        self,
        plan_id: str,
        handle: Handle,
        target: Path,
        /,
        progress: Callable[[int, int | None], None],
    ) -> None:
        """Write memory and device state to ``target`` and end; on failure the guest goes on.

        Raises:
            SuspendError: it could not be written.
            DiskFullError: no room for it.
        """
        async with self._known.lock(plan_id):
            running = await self._known.find_to_end(plan_id, handle)
            if running is not None:
                await suspend(running, target, self._world, progress)
            elif not target.exists():
                raise HandleLostError("nothing runs whose memory could be written", where=plan_id)

    async def execute(
        self,
        plan_id: str,
        handle: Handle,
        command: Sequence[str],
        /,
        *,
        stdin: bytes | None,
        environment: Mapping[str, str],
        timeout_s: float,
    ) -> ExecOutcome:
        """Run a command in the guest to its end."""
        running = await self._known.find(plan_id, handle)
        return await execute(
            running.agent,
            self._world,
            command,
            stdin=stdin,
            environment=environment,
            timeout_s=timeout_s,
        )

    async def read_file(self, plan_id: str, handle: Handle, path: str, /) -> AsyncIterator[bytes]:
        """Yield a guest file's bytes."""
        running = await self._known.find(plan_id, handle)
        async for data in transfer.read_file(running.agent, path):
            yield data

    async def write_file(
        self,
        plan_id: str,
        handle: Handle,
        path: str,
        data: AsyncIterator[bytes],
        /,
        *,
        mode: int | None,
    ) -> int:
        """Write a guest file through a temporary name beside it; returns the bytes written."""
        running = await self._known.find(plan_id, handle)
        return await transfer.write_file(running.agent, self._world, path, data, mode=mode)

    async def console(self, plan_id: str, handle: Handle, /) -> Viewer:
        """Open one viewer's session, beginning with the recent output."""
        return (await self._known.find(plan_id, handle)).console.view()

    async def screenshot(self, plan_id: str, handle: Handle, /) -> bytes:
        """Return the screen as PNG."""
        running = await self._known.find(plan_id, handle)
        return await screen.screenshot(running)

    def vnc_socket(self, _plan_id: str, handle: Handle, /) -> Path:
        """Where the VNC server listens (a unix socket)."""
        return screen.vnc_socket(load_handle(handle))

    def log_files(self, state_dir: Path, /) -> Mapping[str, Sequence[Path]]:
        """Name of log (``serial``, ``qemu``) to its files, oldest first."""
        return log_files(state_dir)

    def _tell(self, instance_id: str, signal: Signal, data: Mapping[str, Any]) -> None:
        for listener in self._listeners:
            listener(instance_id, signal, data)
