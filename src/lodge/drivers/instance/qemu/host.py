"""What this host offers: QEMU's machine types, firmware, acceleration; asked once, remembered."""

from collections.abc import Sequence

from lodge.drivers.instance.contract import Acceleration
from lodge.drivers.instance.qemu.firmware import FirmwareFiles, find_firmware
from lodge.drivers.instance.qemu.machines import PROGRAM, installed_machines
from lodge.drivers.instance.qemu.options import QemuOptions
from lodge.drivers.instance.qemu.probe import KVM_DEVICE, AccelerationProbe
from lodge.system.process import find_program

__all__ = ["Host"]

_Key = tuple[int, ...]


class Host:
    """Facts about the host, remembered until another QEMU is installed or KVM's device changes.

    Args:
        options: settings of the driver.
        probe: proves acceleration; without one guests are emulated unless the options say kvm.
    """

    def __init__(self, options: QemuOptions, probe: AccelerationProbe | None = None) -> None:
        self.options = options
        self._probe = probe
        self._machines: Sequence[str] = ()
        self._machines_key: _Key = ()
        self._acceleration: Acceleration | None = None
        self._acceleration_key: _Key = ()

    async def machines(self) -> Sequence[str]:
        """List the machine types of the installed QEMU.

        Raises:
            ProgramMissingError: QEMU is not installed.
            ProgramFailedError: it does not even print its machines.
        """
        key = _program_key()
        if self._machines_key != key:
            self._machines = await installed_machines()
            self._machines_key = key
        return self._machines

    def firmware(self) -> FirmwareFiles:
        """Find the firmware that is installed now."""
        return find_firmware()

    async def acceleration(self) -> Acceleration:
        """Say what a guest's CPU runs on: KVM when a guest has proven it, else emulation."""
        wanted = self.options.accelerator
        if wanted != "auto":
            return Acceleration(wanted, "the settings say so", is_proven=False)
        if self._probe is None:
            return Acceleration("tcg", "nothing has proven KVM", is_proven=False)
        key = (*_program_key(), *_device_key())
        if self._acceleration is None or self._acceleration_key != key:
            verdict = await self._probe.verdict(timeout_s=self.options.probe_timeout_s)
            found = Acceleration(verdict.accelerator, verdict.reason, verdict.is_proven)
            if not verdict.is_proven:
                return found
            self._acceleration, self._acceleration_key = found, key
        return self._acceleration


def _program_key() -> _Key:
    facts = find_program(PROGRAM).stat()
    return (facts.st_mtime_ns, facts.st_size, facts.st_ino)


def _device_key() -> _Key:
    try:
        facts = KVM_DEVICE.stat()
    except FileNotFoundError:
        return ()
    return (facts.st_rdev, facts.st_mode, facts.st_gid)
