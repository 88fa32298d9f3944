"""Where each device sits in the machine, decided once and never moved.

A guest names its devices by their place (``enp1s0``), and a saved or moved guest finds them there
again; so a place is a record, not a consequence of today's list of devices. ``assign`` is pure:
it keeps every place in ``known``, gives new devices the lowest free ones, and keeps the places of
removed devices reserved until the machine has no other left.

Places are written as text: ``port3`` (alone behind PCIe root port 3), ``lun2`` (on the SCSI
controller), ``sata1`` (on the board's AHCI), ``mmio5`` (sixth virtio-mmio transport of a microvm,
in the order the guest finds them). The entry ``ports`` is no device: it counts the root ports
the machine was given.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from lodge.drivers.instance.contract import InstancePlan
from lodge.drivers.instance.qemu.errors import TooManyDevicesError
from lodge.model.instance import DiskBus, MachineType

__all__ = [
    "MAX_PORTS",
    "PORTS_KEY",
    "RootSlot",
    "assign",
    "disk_id",
    "mmio_place",
    "nic_id",
    "port_address",
    "wanted_devices",
]

PORTS_KEY: Final = "ports"
MAX_PORTS: Final = 64
_FIRST_PORT_SLOT: Final = 0x10
_FAMILY_SIZES: Final = MappingProxyType({"port": MAX_PORTS, "lun": 255, "sata": 6, "mmio": 17})

_MMIO_LAST: Final = 23
_MMIO_FIXED: Final[Mapping[str, int]] = MappingProxyType(
    {"rng0": 6, "balloon0": 5, "serialbus0": 4, "vsock0": 3, "seed": 2}
)
"""Transports of a microvm's fixed devices, of its 24 (hw/i386/microvm.c). Linux finds the highest
transport first, so disks and nics count down from the top and the seed comes after them."""


class RootSlot:
    """Slots on the q35 root complex of devices that are never unplugged (0x00, 0x1f: chipset)."""

    VIDEO: Final = 0x01
    BALLOON: Final = 0x02
    RNG: Final = 0x03
    SERIAL_BUS: Final = 0x04
    SCSI: Final = 0x05
    TABLET: Final = 0x06
    VSOCK: Final = 0x07
    SEED_PORT: Final = 0x18


def disk_id(name: str) -> str:
    """Name of a disk's device and of its top block node."""
    return f"disk-{name}"


def nic_id(name: str) -> str:
    """Name of a nic's device."""
    return f"nic-{name}"


def port_address(index: int) -> str:
    """Address of a root port: eight functions to a slot, so that 64 ports take 8 slots.

    >>> port_address(0), port_address(11)
    ('0x10.0x0', '0x11.0x3')
    """
    return f"{_FIRST_PORT_SLOT + index // 8:#04x}.{index % 8:#x}"


def mmio_place(device: str, places: Mapping[str, str]) -> str:
    """Name of the virtio-mmio bus a microvm's device sits on."""
    index = _MMIO_FIXED.get(device)
    if index is None:
        index = _MMIO_LAST - int(places[device].removeprefix("mmio"))
    return f"virtio-mmio-bus.{index}"


def wanted_devices(plan: InstancePlan) -> tuple[str, ...]:
    """Name every device of a plan that needs a place of its own, disks first."""
    return tuple(_families(plan))


def _families(plan: InstancePlan) -> dict[str, str]:
    if plan.spec.machine is MachineType.MICROVM:
        by_bus = dict.fromkeys(DiskBus, "mmio")
    else:
        by_bus = {DiskBus.VIRTIO: "port", DiskBus.SCSI: "lun", DiskBus.SATA: "sata"}
    families = {disk_id(disk.name): by_bus[DiskBus(disk.bus)] for disk in plan.disks}
    families.update({nic_id(nic.name): by_bus[DiskBus.VIRTIO] for nic in plan.nics})
    return families


def assign(
    plan: InstancePlan, known: Mapping[str, str] | None = None, *, spare_ports: int = 4
) -> dict[str, str]:
    """Give every device of the plan a place; keep the result and pass it as ``known`` next time.

    When all devices are known already, nothing changes, the number of root ports included: the
    machine is then the same to the last bit, as a saved memory image demands.

    Raises:
        TooManyDevicesError: the machine has no place left.
    """
    places = dict(known or {})
    counted = places.pop(PORTS_KEY, "0")
    ports = min(MAX_PORTS, int(counted)) if _is_number(counted) else 0
    families = _families(plan)
    is_new = False
    for device, family in families.items():
        if _belongs(places.get(device, ""), family):
            continue
        places.pop(device, None)
        places[device] = _free_place(family, places, families)
        is_new = True
    if plan.spec.machine is MachineType.MICROVM:
        return places
    if is_new or not ports:
        used = [int(place[4:]) for place in places.values() if _belongs(place, "port")]
        ports = max(ports, min(MAX_PORTS, max(used, default=-1) + 1 + spare_ports))
    return {**places, PORTS_KEY: str(ports)}


def _belongs(place: str, family: str) -> bool:
    number = place.removeprefix(family)
    return place.startswith(family) and _is_number(number) and int(number) < _FAMILY_SIZES[family]


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 6


def _free_place(family: str, places: dict[str, str], wanted: Mapping[str, str]) -> str:
    taken = set(places.values())
    size = _FAMILY_SIZES[family]
    for index in range(size):
        if (place := f"{family}{index}") not in taken:
            return place
    for device, place in sorted(places.items()):  # the place of a device that is gone
        if device not in wanted and _belongs(place, family):
            del places[device]
            return place
    raise TooManyDevicesError(
        f"the machine has places for {size} devices of this sort, and all are taken",
        where="spec",
        hint="use bus scsi for more disks, or remove devices",
        places=size,
    )
