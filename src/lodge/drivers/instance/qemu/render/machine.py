"""The board: machine type, accelerator, CPUs, memory, firmware, kernel."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lodge.base.units import MIB
from lodge.drivers.instance.contract import InstancePlan
from lodge.drivers.instance.qemu.render.facts import LaunchFacts
from lodge.drivers.instance.qemu.render.text import as_json, option
from lodge.model.instance import Firmware, MachineType

__all__ = [
    "board",
    "cpu_model",
    "cpus",
    "firmware",
    "is_microvm",
    "kernel",
    "machine_uuid",
    "max_cpus",
    "memory",
]

_NAMESPACE: Final = uuid.UUID("6c6f6467-6500-5000-8000-000000000000")
_LEAST_MAX_CPUS: Final = 4
_MAX_APIC_CPUS: Final = 255  # more need x2APIC with interrupt remapping


def machine_uuid(instance_id: str) -> str:
    """Return the UUID a guest sees: the instance's id, or one computed from it.

    >>> machine_uuid("5d4c3b2a-1908-4f6e-8d7c-6b5a49382716")
    '5d4c3b2a-1908-4f6e-8d7c-6b5a49382716'
    """
    try:
        return str(uuid.UUID(instance_id))
    except ValueError:
        return str(uuid.uuid5(_NAMESPACE, instance_id))


def cpu_model(wanted: str, accelerator: str) -> str:
    """Resolve ``auto``: the host's own CPU under KVM, everything QEMU can emulate under TCG.

    ``host`` needs hardware, so it means ``max`` under TCG too.
    """
    if accelerator == "kvm":
        return "host" if wanted == "auto" else wanted
    return "max" if wanted in ("auto", "host") else wanted


def is_microvm(plan: InstancePlan) -> bool:
    """Whether the board is a microvm."""
    return plan.spec.machine is MachineType.MICROVM


def board(plan: InstancePlan, facts: LaunchFacts) -> Iterator[str]:
    """Machine type and accelerator."""
    if is_microvm(plan):
        text = option(
            plan.machine_version,
            isa_serial=True,
            rtc=True,
            pit=True,
            pic=True,
            acpi=True,  # without ACPI the Debian kernel does not find virtio-mmio devices
            memory_backend="ram",
            dump_guest_core=False,
        )
    else:
        is_uefi = plan.spec.boot.firmware is Firmware.UEFI
        text = option(
            plan.machine_version,
            memory_backend="ram",
            usb=False,
            vmport=False,
            smm=False,
            dump_guest_core=False,  # a crash dump of QEMU must not hold the guest's secrets
            pflash0="firmware-code" if is_uefi else None,
            pflash1="firmware-vars" if is_uefi else None,
        )
    yield from ("-machine", text)
    if facts.accelerator == "tcg":
        yield from ("-accel", option("tcg", tb_size=facts.options.tcg_buffer_mib))
    else:
        yield from ("-accel", facts.accelerator)


def max_cpus(plan: InstancePlan, wanted_max: int) -> int:
    """Return how many CPUs the board has sockets for, hotplug included."""
    count = plan.spec.cpu.count
    if is_microvm(plan):
        return count
    grown = wanted_max or min(_MAX_APIC_CPUS, max(_LEAST_MAX_CPUS, 2 * count))
    return max(count, grown)


def cpus(plan: InstancePlan, facts: LaunchFacts) -> Iterator[str]:
    """CPU model and topology: one socket, since some systems limit sockets but not cores."""
    limit = max_cpus(plan, facts.options.max_cpus)
    yield from ("-cpu", facts.cpu_model)
    yield from (
        "-smp",
        option(str(plan.spec.cpu.count), maxcpus=limit, sockets=1, cores=limit, threads=1),
    )


def memory(plan: InstancePlan, facts: LaunchFacts) -> Iterator[str]:
    """Memory as a named object, shared, so that devices and forks outside QEMU can map it."""
    size = plan.spec.memory_mib * MIB
    if facts.ram_file is None:
        backend = option("memory-backend-memfd", id="ram", size=size, share=True)
    else:
        backend = option(
            "memory-backend-file", id="ram", size=size, mem_path=facts.ram_file, share=True
        )
    yield from ("-object", backend, "-m", option(f"size={plan.spec.memory_mib}M"))


def firmware(plan: InstancePlan, facts: LaunchFacts) -> Iterator[str]:
    """First code: qboot for microvm, OVMF with the instance's own variables, or SeaBIOS."""
    if is_microvm(plan):
        if facts.firmware.qboot is not None:
            yield from ("-bios", str(facts.firmware.qboot))
        return
    if plan.spec.boot.firmware is Firmware.UEFI:
        yield from _flash("firmware-code", facts.firmware.ovmf_code, is_read_only=True)
        yield from _flash("firmware-vars", facts.nvram, is_read_only=False)
    # Without "strict" SeaBIOS goes on to devices that nobody asked to boot from.
    yield from ("-boot", option("menu=off", strict=True))


def _flash(name: str, path: Path | None, *, is_read_only: bool) -> Iterator[str]:
    node = {
        "driver": "raw",
        "node-name": name,
        "read-only": is_read_only,
        "file": {"driver": "file", "filename": str(path), "node-name": f"{name}-file"},
    }
    yield from ("-blockdev", as_json(node))


def kernel(plan: InstancePlan, facts: LaunchFacts) -> Iterator[str]:
    """Direct boot: the kernel, its initrd and its command line."""
    if plan.spec.boot.firmware is not Firmware.DIRECT:
        return
    # The uncompressed kernel enters by PVH and saves a tenth to a fifth of the boot's CPU time.
    image = (plan.vmlinux or plan.kernel) if is_microvm(plan) else (plan.kernel or plan.vmlinux)
    yield from ("-kernel", str(image))
    if plan.initrd is not None:
        yield from ("-initrd", str(plan.initrd))
    line = _command_line(plan, facts)
    if line:
        yield from ("-append", line)


def _command_line(plan: InstancePlan, facts: LaunchFacts) -> str:
    """Add what a microvm's clock needs under TCG.

    It has no HPET and no PM timer to calibrate the TSC with, so Linux hangs or gives up; TCG's
    TSC runs at the host's rate, and any other number makes the guest's clock run wrong.
    """
    words = plan.command_line.split()
    needs_tsc = is_microvm(plan) and facts.accelerator == "tcg" and facts.tsc_khz is not None
    if needs_tsc and not any(word.startswith("tsc_early_khz=") for word in words):
        for word in (f"tsc_early_khz={facts.tsc_khz}", "tsc=reliable", "no_timer_check"):
            if word not in words:
                words.append(word)
    return " ".join(words)
