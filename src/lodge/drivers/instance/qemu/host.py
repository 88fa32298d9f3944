"""What this host offers: QEMU's machine types, firmware, acceleration; asked once, remembered."""

from collections.abc import Sequence
from pathlib import Path

from lodge.drivers.instance.qemu.firmware import FirmwareFiles, find_firmware
from lodge.drivers.instance.qemu.machines import PROGRAM, installed_machines
from lodge.drivers.instance.qemu.options import QemuOptions
from lodge.system.process import find_program

__all__ = ["Host"]


class Host:
    """Facts about the host, remembered until another QEMU is installed."""

    def __init__(self, options: QemuOptions) -> None:
        self.options = options
        self._machines: Sequence[str] = ()
        self._seen: tuple[int, int] | None = None

    async def machines(self) -> Sequence[str]:
        """List the machine types of the installed QEMU.

        Raises:
            ProgramMissingError: QEMU is not installed.
            ProgramFailedError: it does not even print its machines.
        """
        facts = find_program(PROGRAM).stat()
        version = (facts.st_mtime_ns, facts.st_size)
        if self._seen != version:
            self._machines = await installed_machines()
            self._seen = version
        return self._machines

    def firmware(self) -> FirmwareFiles:
        """Find the firmware that is installed now."""
        return find_firmware()

    async def accelerator(self) -> str:
        """Say what a guest's CPU runs on: ``kvm`` when that is proven, else ``tcg``."""
        return "tcg" if self.options.accelerator == "auto" else self.options.accelerator

    def tsc_khz(self) -> int | None:
        """Return the rate of the host's time stamp counter, as well as it is known."""
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
        for line in text.splitlines():
            if line.startswith("cpu MHz"):
                return int(float(line.partition(":")[2]) * 1000)
        return None
