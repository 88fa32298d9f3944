"""What of this host QEMU can use: every line is found by trying, none by looking at a version."""

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lodge.drivers.instance.contract import Acceleration
from lodge.drivers.instance.qemu.firmware import FirmwareFiles
from lodge.drivers.instance.qemu.host import Host
from lodge.drivers.instance.qemu.machines import PROGRAM, installed_version
from lodge.drivers.instance.qemu.probe import as_guest
from lodge.drivers.instance.qemu.render import SANDBOX
from lodge.model.host import Capability, CapabilityState
from lodge.system.errors import ProgramFailedError, ProgramMissingError, ProgramTimeoutError
from lodge.system.process import find_program, run
from lodge.system.procfs import cpu_flags

__all__ = ["qemu_capabilities"]

_VHOST_SET_OWNER: Final = 0xAF01  # linux/vhost.h
_OK, _DEGRADED, _MISSING = (
    CapabilityState.OK,
    CapabilityState.DEGRADED,
    CapabilityState.MISSING,
)


async def qemu_capabilities(host: Host) -> Sequence[Capability]:
    """Try everything the driver uses; leaves nothing behind."""
    firmware = host.firmware()
    emulator = await _emulator()
    if emulator.state is _MISSING:  # nothing else can be tried without it
        return [emulator]
    return [
        _acceleration(await host.acceleration()),
        emulator,
        await _sandbox(),
        _seabios(firmware),
        _ovmf(firmware),
        _qboot(firmware),
        _vhost("vhost-net", "guests' network packets pass through QEMU: more CPU per packet"),
        _vhost("vhost-vsock", "no connections between host and guest beside the network"),
        _nested(),
    ]


def _acceleration(acceleration: Acceleration) -> Capability:
    is_kvm = acceleration.name == "kvm"
    return Capability(
        name="kvm",
        state=_OK if is_kvm else _DEGRADED,
        found=acceleration.reason,
        cost="" if is_kvm else "guests are emulated (TCG): their CPUs are many times slower",
        fix=""
        if is_kvm
        else "switch on virtualization in the firmware, or nesting in the host above;"
        " let the group kvm open /dev/kvm",
    )


async def _emulator() -> Capability:
    try:
        version = await installed_version()
    except (ProgramMissingError, ProgramFailedError, ProgramTimeoutError) as error:
        return Capability(
            name="qemu",
            state=_MISSING,
            found=error.message,
            cost="no VM can run",
            fix="install the package qemu-system-x86",
            is_required=True,
        )
    place = find_program(PROGRAM)
    return Capability(name="qemu", state=_OK, found=f"{version} ({place})", is_required=True)


async def _sandbox() -> Capability:
    """Start QEMU as a guest's user with its system calls restricted, and let it quit."""
    machine = ["-machine", "none", "-nodefaults", "-no-user-config", "-display", "none"]
    monitor = ["-chardev", "stdio,id=m", "-mon", "chardev=m,mode=control"]
    talk = b'{"execute":"qmp_capabilities"}\n{"execute":"quit"}\n'
    argv = [*as_guest(()), PROGRAM, *machine, "-sandbox", SANDBOX, *monitor]
    try:
        await run(argv, stdin=talk, timeout_s=20)
    except (ProgramMissingError, ProgramFailedError, ProgramTimeoutError) as error:
        return Capability(
            name="qemu-sandbox",
            state=_MISSING,
            found=error.message,
            cost="no VM can run: Lodge never starts QEMU with full rights",
            fix="install a QEMU built with seccomp, and run lodged as root",
            is_required=True,
        )
    return Capability(
        name="qemu-sandbox",
        state=_OK,
        found="QEMU starts as an unprivileged user with restricted system calls",
        is_required=True,
    )


def _file(name: str, path: Path | None, cost: str, package: str) -> Capability:
    if path is None:
        fix = f"install the package {package}"
        return Capability(name=name, state=_MISSING, found="not found", cost=cost, fix=fix)
    return Capability(name=name, state=_OK, found=str(path))


def _seabios(firmware: FirmwareFiles) -> Capability:
    return _file("seabios", firmware.seabios, "no VM can boot with BIOS firmware", "seabios")


def _ovmf(firmware: FirmwareFiles) -> Capability:
    return _file("ovmf", firmware.ovmf_code, "no VM can boot with UEFI firmware", "ovmf")


def _qboot(firmware: FirmwareFiles) -> Capability:
    return _file("qboot", firmware.qboot, "no microvm machines (fast start)", "qemu-system-data")


def _vhost(name: str, cost: str) -> Capability:
    """Open the device and become its owner, which fails where it is only a name."""
    path = f"/dev/{name}"
    fix = f"load the kernel module {name.replace('-', '_')}"
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        found = f"{path}: {error.strerror}"
        return Capability(name=name, state=_MISSING, found=found, cost=cost, fix=fix)
    try:
        fcntl.ioctl(handle, _VHOST_SET_OWNER)
    except OSError as error:
        found = f"{path} opens but does not work: {error.strerror}"
        return Capability(name=name, state=_MISSING, found=found, cost=cost, fix=fix)
    finally:
        os.close(handle)
    return Capability(name=name, state=_OK, found=f"{path} works")


def _nested() -> Capability:
    """Tell whether guests could run guests, and whether this host is a guest itself."""
    inside = "this host is a VM itself" if "hypervisor" in cpu_flags() else "a physical host"
    for module in ("kvm_intel", "kvm_amd"):
        switch = Path(f"/sys/module/{module}/parameters/nested")
        if switch.is_file() and switch.read_text(encoding="ascii").strip() in ("1", "Y"):
            return Capability(name="nested", state=_OK, found=f"{module}.nested is on; {inside}")
    return Capability(
        name="nested",
        state=_MISSING,
        found=f"neither kvm_intel nor kvm_amd offers it; {inside}",
        cost="guests cannot run accelerated guests of their own",
        fix="options kvm_intel nested=1 (or kvm_amd nested=1) in /etc/modprobe.d",
    )
