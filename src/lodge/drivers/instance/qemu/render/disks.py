"""Disks: block nodes with every layer named, and the devices the guest sees.

Every node's format is said, and every layer below is said too, down to an explicit ``null``. QEMU
must never look into a file to find out what it is: a guest that writes a qcow2 header onto its raw
disk would make the next start open whatever file of the host that header names.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lodge.drivers.instance.contract import AttachedDisk, InstancePlan
from lodge.drivers.instance.qemu.addresses import disk_id, mmio_place
from lodge.drivers.instance.qemu.render.facts import LaunchFacts
from lodge.drivers.instance.qemu.render.machine import is_microvm
from lodge.drivers.instance.qemu.render.text import as_json, device
from lodge.model.instance import DiskBus, Firmware

__all__ = ["block_node", "disk_devices", "disk_nodes", "seed"]


def _file_node(path: Path, name: str, facts: LaunchFacts, *, is_read_only: bool) -> dict[str, Any]:
    cache = facts.options.cache
    return {
        "driver": "file",
        "node-name": f"{name}-file",
        "filename": str(path),
        "read-only": is_read_only,
        "aio": facts.options.aio,
        "cache": {"direct": cache == "none", "no-flush": cache == "unsafe"},
        "discard": "ignore" if is_read_only else "unmap",
    }


def block_node(disk: AttachedDisk, facts: LaunchFacts) -> dict[str, Any]:
    """Return a disk's top node with all layers inside, also what ``blockdev-add`` takes."""
    name = disk_id(disk.name)
    below: dict[str, Any] | None = None
    for depth, (path, layer_format) in reversed(list(enumerate(disk.chain, start=1))):
        layer = f"{name}-{depth}"
        below = {
            "driver": layer_format,
            "node-name": layer,
            "read-only": True,
            "file": _file_node(path, layer, facts, is_read_only=True),
            **_backing(layer_format, below),
        }
    node: dict[str, Any] = {
        "driver": disk.format,
        "node-name": name,
        "read-only": disk.is_read_only,
        "discard": "ignore" if disk.is_read_only else "unmap",
        "detect-zeroes": "off" if disk.is_read_only else "unmap",
        "file": _file_node(disk.path, name, facts, is_read_only=disk.is_read_only),
    }
    return {**node, **_backing(disk.format, below)}


def _backing(layer_format: str, below: dict[str, Any] | None) -> dict[str, Any]:
    return {} if layer_format == "raw" else {"backing": below}


def disk_nodes(plan: InstancePlan, facts: LaunchFacts) -> Iterator[str]:
    """Every disk's nodes."""
    for disk in plan.disks:
        yield from ("-blockdev", as_json(block_node(disk, facts)))


def disk_devices(plan: InstancePlan, facts: LaunchFacts) -> Iterator[str]:
    """Every disk's device, in the order of the plan, which is the order of booting."""
    boots = plan.spec.boot.firmware is not Firmware.DIRECT
    for number, disk in enumerate(plan.disks, start=1):
        name = disk_id(disk.name)
        yield from device(
            _disk_driver(plan, disk),
            id=name,
            drive=name,
            **_place(plan, disk, facts),
            serial=disk.name,
            werror="stop",  # a full pool pauses the guest; nothing it wrote is lost
            rerror="report",
            bootindex=number if boots else None,
        )


def _disk_driver(plan: InstancePlan, disk: AttachedDisk) -> str:
    if is_microvm(plan):
        return "virtio-blk-device"
    match DiskBus(disk.bus):
        case DiskBus.VIRTIO:
            return "virtio-blk-pci"
        case DiskBus.SCSI:
            return "scsi-hd"
        case DiskBus.SATA:  # an ATA disk cannot be read-only, a CD-ROM always is
            return "ide-cd" if disk.is_read_only else "ide-hd"


def _place(plan: InstancePlan, disk: AttachedDisk, facts: LaunchFacts) -> dict[str, str | int]:
    name = disk_id(disk.name)
    if is_microvm(plan):
        return {"bus": mmio_place(name, facts.addresses)}
    place = facts.addresses[name]
    match DiskBus(disk.bus):
        case DiskBus.VIRTIO:
            return {"bus": place, "addr": "0x0"}
        case DiskBus.SCSI:
            return {"bus": "scsi0.0", "scsi-id": 0, "lun": int(place.removeprefix("lun"))}
        case DiskBus.SATA:
            return {"bus": f"ide.{place.removeprefix('sata')}", "unit": 0}


def seed(plan: InstancePlan, facts: LaunchFacts) -> Iterator[str]:
    """The read-only NoCloud disk; it comes last, so that the first disk stays ``/dev/vda``."""
    if plan.seed is None:
        return
    node = {
        "driver": "raw",
        "node-name": "seed",
        "read-only": True,
        "file": {
            "driver": "file",
            "node-name": "seed-file",
            "filename": str(plan.seed),
            "read-only": True,
        },
    }
    yield from ("-blockdev", as_json(node))
    if is_microvm(plan):
        place = {"bus": mmio_place("seed", facts.addresses)}
        yield from device("virtio-blk-device", id="seed", drive="seed", **place, serial="seed")
    else:
        yield from device(
            "virtio-blk-pci", id="seed", drive="seed", bus="port-seed", addr="0x0", serial="seed"
        )
