"""Plans to render: one way to say what differs from a plain VM."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from lodge.drivers.instance.contract import AttachedDisk, AttachedNic, InstancePlan
from lodge.drivers.instance.qemu.firmware import FirmwareFiles
from lodge.model.instance import (
    BootSpec,
    CpuSpec,
    Firmware,
    InstanceKind,
    InstanceSpec,
    MachineType,
)

PlanMaker = Callable[..., InstancePlan]

IMAGE = Path("/var/lib/lodge/images/0f1e2d3c")
STATE = Path("/var/lib/lodge/instances/5d4c3b2a-1908-4f6e-8d7c-6b5a49382716")
RUN = Path("/run/lodge/instances/5d4c3b2a-1908-4f6e-8d7c-6b5a49382716")


@pytest.fixture
def firmware() -> FirmwareFiles:
    """What Debian 12 installs."""
    return FirmwareFiles(
        ovmf_code=Path("/usr/share/OVMF/OVMF_CODE_4M.fd"),
        ovmf_vars=Path("/usr/share/OVMF/OVMF_VARS_4M.fd"),
        qboot=Path("/usr/share/qemu/qboot.rom"),
        seabios=Path("/usr/share/seabios/bios-256k.bin"),
    )


@pytest.fixture
def make_plan() -> PlanMaker:
    """A plan of a VM with one linked disk and one nic; ``wanted`` changes it."""

    def make(**wanted: Any) -> InstancePlan:
        machine = wanted.pop("machine", MachineType.Q35)
        boot = wanted.pop("firmware", Firmware.BIOS)
        spec = InstanceSpec(
            machine=machine,
            cpu=CpuSpec(count=wanted.pop("cpus", 1)),
            memory_mib=wanted.pop("memory_mib", 1024),
            boot=BootSpec(firmware=boot),
            kind=wanted.pop("kind", InstanceKind.VM),
        )
        facts: Mapping[str, Any] = {
            "id": "5d4c3b2a-1908-4f6e-8d7c-6b5a49382716",
            "name": "web1",
            "spec": spec,
            "machine_version": "microvm" if machine is MachineType.MICROVM else "pc-q35-7.2",
            "uid": 600_001,
            "run_dir": RUN,
            "state_dir": STATE,
            "disks": (disk("root"),),
            "nics": (AttachedNic("eth0", "52:54:00:12:34:56", 1500),),
            **wanted,
        }
        return InstancePlan(**facts)

    return make


def disk(name: str, **wanted: Any) -> AttachedDisk:
    """A linked qcow2 disk, or what ``wanted`` says."""
    facts: dict[str, Any] = {
        "path": Path(f"/var/lib/lodge/pools/default/web1-{name}.qcow2"),
        "format": "qcow2",
        "chain": ((IMAGE / "disk.qcow2", "qcow2"),),
        **wanted,
    }
    return AttachedDisk(name, **facts)
