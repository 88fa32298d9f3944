"""Instances: what is wanted (spec), what was seen (status), the word computed from both."""

from enum import StrEnum
from typing import Annotated, Any

from msgspec import Meta

from lodge.model.record import Record, Spec

__all__ = [
    "BootSpec",
    "CloudInitSpec",
    "CpuModel",
    "CpuSpec",
    "CrashPolicy",
    "DiskBus",
    "DiskSpec",
    "Drift",
    "Firmware",
    "Instance",
    "InstanceKind",
    "InstanceSpec",
    "InstanceState",
    "InstanceStatus",
    "MachineType",
    "NicSpec",
    "Power",
    "Tag",
    "drift",
    "state_word",
]


CpuModel = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._,=+-]{0,127}$(?!\n)")]
"""A QEMU CPU model with its flags, or ``auto``."""

Tag = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$(?!\n)")]
"""A word that groups instances."""


class InstanceKind(StrEnum):
    """What sort of isolation runs it."""

    VM = "vm"
    CONTAINER = "container"
    APP = "app"


class Power(StrEnum):
    """Whether an instance uses CPU and memory; both wish and observation use it."""

    RUNNING = "running"
    STOPPED = "stopped"
    PAUSED = "paused"
    SUSPENDED = "suspended"


class Firmware(StrEnum):
    """How a VM finds its first code."""

    BIOS = "bios"
    UEFI = "uefi"
    DIRECT = "direct"


class MachineType(StrEnum):
    """The board a VM sees: q35 with PCI, or microvm with virtio-mmio and a fast start."""

    Q35 = "q35"
    MICROVM = "microvm"


class CrashPolicy(StrEnum):
    """What happens after QEMU died or the guest panicked."""

    RESTART = "restart"
    STOP = "stop"


class DiskBus(StrEnum):
    """How the guest sees a disk."""

    VIRTIO = "virtio"
    SCSI = "scsi"
    SATA = "sata"


class CpuSpec(Spec, frozen=True, kw_only=True):
    """Virtual CPUs. ``model`` is a QEMU CPU model, or ``auto``: host under KVM, max under TCG."""

    count: Annotated[int, Meta(ge=1, le=1024)] = 1
    model: CpuModel = "auto"


class DiskSpec(Spec, frozen=True, kw_only=True):
    """A disk device; it points to a volume. ``size_bytes`` null: as large as the volume is."""

    name: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,14}$(?!\n)")]
    pool: str
    volume: str
    bus: DiskBus = DiskBus.VIRTIO
    is_read_only: bool = False


class NicSpec(Spec, frozen=True, kw_only=True):
    """A network device; it points to a network. MAC and addresses are filled in at creation."""

    name: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,14}$(?!\n)")]
    network: str
    mac: Annotated[str, Meta(pattern=r"^([0-9a-f]{2}:){5}[0-9a-f]{2}$(?!\n)")] | None = None
    ipv4: str | None = None
    ipv6: str | None = None


class BootSpec(Spec, frozen=True, kw_only=True):
    """Firmware and, for direct boot, the kernel's command line.

    Kernel and initrd come from the image.
    """

    firmware: Firmware = Firmware.BIOS
    command_line: Annotated[str, Meta(max_length=2048)] | None = None


class CloudInitSpec(Spec, frozen=True, kw_only=True):
    """What the guest's cloud-init is given through a NoCloud seed."""

    user_data: Annotated[str, Meta(max_length=1048576)] | None = None
    vendor_data: Annotated[str, Meta(max_length=1048576)] | None = None
    network_config: Annotated[str, Meta(max_length=65536)] | None = None
    ssh_keys: tuple[str, ...] = ()


class InstanceSpec(Spec, frozen=True, kw_only=True):
    """What is wanted of an instance: everything a person may set, complete after creation."""

    kind: InstanceKind = InstanceKind.VM
    description: Annotated[str, Meta(max_length=1024)] = ""
    tags: tuple[Tag, ...] = ()
    image: str | None = None
    profiles: tuple[str, ...] = ()
    machine: MachineType = MachineType.Q35
    cpu: CpuSpec = CpuSpec()
    memory_mib: Annotated[int, Meta(ge=32, le=16777216)] = 1024
    boot: BootSpec = BootSpec()
    disks: tuple[DiskSpec, ...] = ()
    nics: tuple[NicSpec, ...] = ()
    cloud_init: CloudInitSpec = CloudInitSpec()
    on_crash: CrashPolicy = CrashPolicy.RESTART
    starts_at_boot: bool = False
    boot_order: Annotated[int, Meta(ge=0, le=10000)] = 100
    is_protected: bool = False


class Instance(Record, frozen=True, kw_only=True):
    """The stored record: identity that never changes, the wish, and the driver's handle.

    ``id`` names everything on disk, so that a rename touches one record only. ``machine_version``
    is pinned at creation (``pc-q35-7.2``). ``uid`` is the system user the guest's process runs as.
    ``handle`` is opaque to everybody but the driver named by ``driver``; null while nothing runs.
    """

    id: str
    name: str
    spec: InstanceSpec
    wanted: Power
    driver: str
    machine_version: str
    uid: int
    created_at: float
    updated_at: float
    handle: dict[str, Any] | None = None
    image_name: str = ""


class InstanceStatus(Record, frozen=True, kw_only=True):
    """What was last seen, and when; never a wish. ``power`` null: nobody answers for it."""

    power: Power | None = None
    observed_at: float = 0.0
    started_at: float | None = None
    addresses: tuple[str, ...] = ()
    agent_answers: bool = False
    crash_count: int = 0
    reason: str = ""
    accelerator: str = ""


class Drift(StrEnum):
    """How reality differs from the wish; exactly one applies at any time."""

    NONE = "in sync"
    MUST_START = "should run, does not"
    MUST_STOP = "should not run, does"
    MUST_PAUSE = "should be paused, is not"
    UNKNOWN = "its driver does not answer"


class InstanceState(StrEnum):
    """The one computed word for people; never stored."""

    RUNNING = "running"
    STOPPED = "stopped"
    PAUSED = "paused"
    SUSPENDED = "suspended"
    MUST_START = "must start"
    MUST_STOP = "must stop"
    UNKNOWN = "unknown"
    ERROR = "error"


def drift(wanted: Power, seen: Power | None) -> Drift:
    """Compare wish and reality."""
    at_rest = (Power.STOPPED, Power.SUSPENDED)
    if seen is None:
        return Drift.UNKNOWN
    if wanted == seen:
        return Drift.NONE
    if wanted in at_rest:
        return Drift.NONE if seen in at_rest else Drift.MUST_STOP
    if seen in at_rest:
        return Drift.MUST_START
    return Drift.MUST_PAUSE if wanted is Power.PAUSED else Drift.MUST_START


def state_word(wanted: Power, status: InstanceStatus) -> InstanceState:
    """Compute the word people see from the wish and the last observation."""
    match drift(wanted, status.power):
        case Drift.UNKNOWN:
            return InstanceState.UNKNOWN
        case Drift.MUST_START:
            if status.power is Power.PAUSED:
                return InstanceState.PAUSED
            return (
                InstanceState.ERROR
                if status.crash_count and status.reason
                else InstanceState.MUST_START
            )
        case Drift.MUST_STOP:
            return InstanceState.MUST_STOP
        case _:
            return InstanceState((status.power or wanted).value)
