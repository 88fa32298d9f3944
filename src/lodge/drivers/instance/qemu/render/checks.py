"""What can be said about a plan before anything is started."""

from collections.abc import Sequence

from lodge.drivers.instance.contract import InstancePlan
from lodge.drivers.instance.qemu.addresses import assign
from lodge.drivers.instance.qemu.errors import FirmwareMissingError, UnsupportedPlanError
from lodge.drivers.instance.qemu.firmware import FirmwareFiles
from lodge.drivers.instance.qemu.machines import check_machine
from lodge.drivers.instance.qemu.options import QemuOptions
from lodge.drivers.instance.qemu.render.machine import is_microvm, max_cpus
from lodge.model.instance import DiskBus, Firmware, InstanceKind, MachineType

__all__ = ["check_plan"]

_MOST_CPUS = {MachineType.Q35: 255, MachineType.MICROVM: 255}
_FORMATS = frozenset({"qcow2", "raw"})


def check_plan(
    plan: InstancePlan,
    *,
    versions: Sequence[str],
    firmware: FirmwareFiles,
    options: QemuOptions,
) -> None:
    """Refuse a plan that this QEMU on this host can never run; ``versions`` are its machines.

    Raises:
        UnknownMachineError: the pinned machine type is not in this QEMU.
        UnsupportedPlanError: a combination QEMU cannot run.
        FirmwareMissingError: the firmware it needs is not installed.
        TooManyDevicesError: the machine has no place for all its devices.
    """
    if plan.spec.kind is not InstanceKind.VM:
        raise UnsupportedPlanError(
            f"QEMU runs VMs, not instances of kind {plan.spec.kind.value!r}", where="spec.kind"
        )
    check_machine(plan.machine_version, versions)
    _check_cpus(plan, options)
    _check_boot(plan, firmware)
    _check_disks(plan)
    assign(plan, spare_ports=options.spare_ports)


def _check_cpus(plan: InstancePlan, options: QemuOptions) -> None:
    limit = _MOST_CPUS[plan.spec.machine]
    wanted = max_cpus(plan, options.max_cpus)
    if wanted > limit:
        raise UnsupportedPlanError(
            f"{wanted} CPUs are more than the {limit} a {plan.spec.machine.value} machine can have",
            where="spec.cpu.count",
            wanted=wanted,
            limit=limit,
        )


def _check_boot(plan: InstancePlan, firmware: FirmwareFiles) -> None:
    kind = plan.spec.boot.firmware
    if is_microvm(plan) and kind is not Firmware.DIRECT:
        raise UnsupportedPlanError(
            f"a microvm has no {kind.value} firmware that boots from disks",
            where="spec.boot.firmware",
            hint="set boot.firmware to direct, or machine to q35",
        )
    if kind is Firmware.DIRECT and plan.kernel is None and plan.vmlinux is None:
        raise UnsupportedPlanError(
            "direct boot needs a kernel, and the image has none beside its disk",
            where="spec.boot.firmware",
            hint="choose firmware bios or uefi, or an image built by Lodge",
        )
    if kind is Firmware.UEFI and (firmware.ovmf_code is None or firmware.ovmf_vars is None):
        raise FirmwareMissingError(
            "UEFI firmware (OVMF) is not installed",
            where="spec.boot.firmware",
            hint="install the package ovmf",
        )
    if is_microvm(plan) and firmware.qboot is None:
        raise FirmwareMissingError(
            "qboot, the firmware of microvm machines, is not installed",
            where="spec.machine",
            hint="install the package qemu-system-data",
        )


def _check_disks(plan: InstancePlan) -> None:
    names = [disk.name for disk in plan.disks]
    for index, disk in enumerate(plan.disks):
        where = f"spec.disks[{index}]"
        if disk.name in names[:index]:
            raise UnsupportedPlanError(f"two disks are named {disk.name!r}", where=where)
        if is_microvm(plan) and DiskBus(disk.bus) is not DiskBus.VIRTIO:
            raise UnsupportedPlanError(
                f"a microvm has no {disk.bus} bus",
                where=f"{where}.bus",
                hint="set the disk's bus to virtio, or machine to q35",
            )
        if disk.format == "raw" and disk.chain:
            raise UnsupportedPlanError(
                f"disk {disk.name!r} is raw, so it cannot have a layer below", where=where
            )
        for path, layer_format in ((disk.path, disk.format), *disk.chain):
            if layer_format not in _FORMATS:
                raise UnsupportedPlanError(
                    f"{path} is said to be {layer_format!r}; a guest's disk is qcow2 or raw",
                    where=where,
                )
