"""What the command line needs beside the plan: decided, opened or found outside."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lodge.drivers.instance.qemu.firmware import FirmwareFiles
from lodge.drivers.instance.qemu.options import QemuOptions

__all__ = ["LaunchFacts", "Sockets", "Vsock"]


@dataclass(frozen=True, slots=True)
class Sockets:
    """Unix sockets on which QEMU listens."""

    qmp: Path
    agent: Path
    vnc: Path
    console: Path

    @classmethod
    def within(cls, run_dir: Path) -> "Sockets":
        """Place them in an instance's run folder under their usual names."""
        return cls(*(run_dir / f"{name}.sock" for name in ("qmp", "agent", "vnc", "console")))


@dataclass(frozen=True, slots=True)
class Vsock:
    """A guest's address on AF_VSOCK and the open ``/dev/vhost-vsock`` to hand over."""

    cid: int
    fd: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchFacts:
    """Everything ``render`` may not decide itself.

    ``accelerator`` is ``kvm`` or ``tcg``; ``cpu_model`` a model that QEMU knows; ``addresses``
    comes from ``addresses.assign``; ``tap_fds`` maps nics to descriptors by the number QEMU
    sees; ``nvram`` is the instance's own copy of the UEFI variables. ``is_incoming``: the
    machine waits for a saved memory image. ``tsc_khz`` is the host's TSC frequency. ``ram_file``
    null: anonymous memory. ``generation_id`` null: the instance's own UUID.
    """

    accelerator: str
    cpu_model: str
    sockets: Sockets
    serial_log: Path
    addresses: Mapping[str, str]
    firmware: FirmwareFiles
    options: QemuOptions = field(default_factory=QemuOptions)
    tap_fds: Mapping[str, int] = field(default_factory=dict)
    nvram: Path | None = None
    is_incoming: bool = False
    tsc_khz: int | None = None
    vsock: Vsock | None = None
    ram_file: Path | None = None
    generation_id: str | None = None
