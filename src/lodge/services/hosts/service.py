"""What is known about this machine: who it is, how large, and what was proven to work."""

import asyncio
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lodge import __version__
from lodge.base.world import World
from lodge.drivers.instance.contract import (
    Accelerates,
    Acceleration,
    Capabilities,
    InstanceDriver,
)
from lodge.model.host import Capability, Host
from lodge.services.hosts.machine import machine
from lodge.services.hosts.networking import networking
from lodge.services.hosts.probes import Ground, Probe
from lodge.services.hosts.programs import programs
from lodge.services.hosts.storing import storing
from lodge.system import procfs
from lodge.system.cgroup import Cgroups
from lodge.system.errors import ProgramMissingError
from lodge.system.files import write_whole

__all__ = ["Hosts", "host_id"]

_PROBES: Final[tuple[Probe, ...]] = (machine, programs, networking, storing)


def host_id(state_dir: Path, world: World) -> str:
    """Return this installation's id, made at the first call and kept in the state folder.

    Not the machine-id: several simulated hosts may run on one machine, and machine-id(5) asks
    not to show it around.
    """
    file = state_dir / "host-id"
    try:
        return str(uuid.UUID(file.read_text(encoding="ascii").strip()))
    except (FileNotFoundError, ValueError):
        fresh = str(uuid.UUID(bytes=world.random_bytes(16), version=4))
        write_whole(file, f"{fresh}\n".encode(), mode=0o644)
        return fresh


class Hosts:
    """This host.

    Args:
        drivers: the instance drivers in use; asked for what they know of the host.
        cgroups: the daemon's control groups.
        state_dir: the daemon's state folder.
        world: clock and chance.
        name: this host's name; empty for the machine's own.
    """

    def __init__(
        self,
        drivers: Sequence[InstanceDriver],
        cgroups: Cgroups,
        state_dir: Path,
        world: World,
        *,
        name: str = "",
    ) -> None:
        self._drivers = drivers
        self._ground = Ground(state_dir, cgroups)
        self._name = name or procfs.host_name() or "localhost"
        self._id = host_id(state_dir, world)
        self._api_urls: tuple[str, ...] = ()
        self._fingerprint = ""

    def served_at(self, urls: Sequence[str], fingerprint: str) -> None:
        """Hear from the daemon where the API is served, and with which certificate."""
        self._api_urls = tuple(urls)
        self._fingerprint = fingerprint

    async def accelerator(self) -> Acceleration:
        """Return what guests' CPUs run on, proven by a guest."""
        for driver in self._drivers:
            if isinstance(driver, Accelerates):
                return await _acceleration(driver)
        names = ", ".join(driver.name for driver in self._drivers) or "none"
        return Acceleration("none", f"no driver here runs VMs (drivers: {names})", is_proven=True)

    async def show(self) -> Host:
        """Tell identity, size and load now."""
        found = await self.accelerator()
        memory = procfs.memory()
        return Host(
            name=self._name,
            id=self._id,
            cpus=procfs.cpu_count(),
            memory_mib=memory.total_mib,
            free_memory_mib=memory.available_mib,
            kernel=procfs.kernel_release(),
            lodge_version=__version__,
            accelerator=found.name,
            accelerator_reason=found.reason,
            uptime_s=procfs.uptime_s(),
            load_1m=procfs.load_1m(),
            api_urls=self._api_urls,
            certificate_fingerprint=self._fingerprint,
        )

    async def check(self) -> list[Capability]:
        """Try everything Lodge can use, at the same time; the order is always the same."""
        able = [driver for driver in self._drivers if isinstance(driver, Capabilities)]
        tried = await asyncio.gather(
            *(driver.capabilities() for driver in able),
            *(probe(self._ground) for probe in _PROBES),
        )
        return [capability for group in tried for capability in group]


async def _acceleration(driver: Accelerates) -> Acceleration:
    """Ask a driver; a host without its programs is still a host that can be shown."""
    try:
        return await driver.acceleration()
    except ProgramMissingError as error:
        return Acceleration("none", error.message, is_proven=True)
