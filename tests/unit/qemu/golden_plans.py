"""The pairs of the golden test: a name, what differs in the plan, what differs in the facts."""

from pathlib import Path
from typing import Any

from lodge.drivers.instance.contract import AttachedDisk, AttachedNic
from lodge.drivers.instance.qemu.options import QemuOptions
from lodge.drivers.instance.qemu.render import Vsock
from lodge.model.instance import Firmware, MachineType

IMAGE = Path("/var/lib/lodge/images/0f1e2d3c")
POOL = Path("/var/lib/lodge/pools/default")
STATE = Path("/var/lib/lodge/instances/5d4c3b2a-1908-4f6e-8d7c-6b5a49382716")


def _disk(name: str, **more: Any) -> AttachedDisk:
    facts = {"path": POOL / f"web1-{name}.qcow2", "format": "qcow2", **more}
    return AttachedDisk(name, **facts)


_LINKED = _disk("root", chain=((IMAGE / "disk.qcow2", "qcow2"),))
_DEEP = _disk(
    "root",
    chain=(
        (POOL / "web1-root.1.qcow2", "qcow2"),
        (POOL / "web1-root.0.qcow2", "qcow2"),
        (IMAGE / "disk.raw", "raw"),
    ),
)
_KERNEL = {
    "kernel": IMAGE / "vmlinuz",
    "initrd": IMAGE / "initrd",
    "vmlinux": IMAGE / "vmlinux",
    "command_line": "console=ttyS0 root=/dev/vda",
    "firmware": Firmware.DIRECT,
}
_MICROVM = {**_KERNEL, "machine": MachineType.MICROVM}
_SEED = STATE / "seed.iso"
_NICS = tuple(AttachedNic(f"eth{n}", f"52:54:00:12:34:0{n}", 1450) for n in range(3))

PAIRS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "bios": ({}, {}),
    "bios-kvm": ({}, {"accelerator": "kvm", "cpu_model": "host"}),
    "bios-seed": ({"seed": _SEED}, {}),
    "uefi": ({"firmware": Firmware.UEFI, "seed": _SEED}, {"nvram": STATE / "nvram.fd"}),
    "uefi-kvm": (
        {"firmware": Firmware.UEFI, "cpus": 4, "memory_mib": 4096},
        {"nvram": STATE / "nvram.fd", "accelerator": "kvm", "cpu_model": "host"},
    ),
    "direct": (_KERNEL, {}),
    "direct-no-initrd": ({**_KERNEL, "initrd": None, "command_line": ""}, {}),
    "direct-only-vmlinux": ({**_KERNEL, "kernel": None}, {}),
    "microvm": ({**_MICROVM, "seed": _SEED}, {}),
    "microvm-kvm": (_MICROVM, {"accelerator": "kvm", "cpu_model": "host"}),
    "microvm-bzimage": ({**_MICROVM, "vmlinux": None}, {}),
    "microvm-own-tsc": ({**_MICROVM, "command_line": "tsc_early_khz=2000000 quiet"}, {}),
    "microvm-many": (
        {**_MICROVM, "cpus": 8, "disks": (_LINKED, _disk("data")), "nics": _NICS},
        {"vsock": Vsock(1007, 31)},
    ),
    "disks-virtio": ({"disks": (_LINKED, _disk("data"), _disk("logs"))}, {}),
    "disks-deep-chain": ({"disks": (_DEEP,)}, {}),
    "disks-raw": (
        {"disks": (AttachedDisk("root", POOL / "web1-root.raw", "raw"),)},
        {},
    ),
    "disks-scsi": (
        {"disks": (_disk("root", bus="scsi"), _disk("data", bus="scsi", is_read_only=True))},
        {},
    ),
    "disks-sata": (
        {"disks": (_disk("root", bus="sata"), _disk("iso", bus="sata", is_read_only=True))},
        {},
    ),
    "disks-read-only": ({"disks": (_LINKED, _disk("shared", is_read_only=True))}, {}),
    "disks-direct-io": ({}, {"options": QemuOptions(cache="none", aio="native")}),
    "disks-unsafe": ({}, {"options": QemuOptions(cache="unsafe", aio="io_uring")}),
    "disks-odd-path": (
        {"disks": (_disk("root", path=Path('/srv/a,b "c"/d=e.qcow2')),)},
        {},
    ),
    "no-disk-no-nic": ({"disks": (), "nics": ()}, {}),
    "nics-three": ({"nics": _NICS}, {}),
    "cpus-grown": ({"cpus": 6}, {"options": QemuOptions(max_cpus=32)}),
    "spare-ports-none": ({}, {"options": QemuOptions(spare_ports=0)}),
    "spare-ports-many": ({}, {"options": QemuOptions(spare_ports=12)}),
    "vsock": ({}, {"vsock": Vsock(1007, 31)}),
    "incoming": (
        {},
        {"is_incoming": True, "generation_id": "0b1c2d3e-4f50-4a6b-8c7d-9e0f1a2b3c4d"},
    ),
    "memory-file": ({}, {"ram_file": Path("/dev/shm/lodge/web1.ram")}),
    "plain-id": ({"id": "i-42", "name": "db"}, {}),
}
