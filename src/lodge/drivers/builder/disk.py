"""A folder, a kernel and an initrd become a qcow2 disk that boots under BIOS and UEFI.

No mount, loop device or nbd: each file system is written as a file, or in place at an offset.
"""

import asyncio
from pathlib import Path

from lodge.drivers.builder.render import (
    DiskPlan,
    filesystem_argv,
    loader_entry,
    loader_settings,
    partition_script,
    syslinux_settings,
)
from lodge.model.host import Capability, CapabilityState
from lodge.system import process
from lodge.system.errors import ProgramMissingError
from lodge.system.files import full_disk_told

__all__ = ["DISK_TOOLS", "check_tools", "pack_disk"]

EFI_LOADER = Path("/usr/lib/systemd/boot/efi/systemd-bootx64.efi")
BIOS_LOADER = Path("/usr/lib/syslinux/mbr/gptmbr.bin")
_BIOS_LOADER_BYTES = 440  # the code area of a master boot record; the rest is the partition table
_COPY_BYTES = 1 << 20
_LIMIT_S = 1800.0

DISK_TOOLS = {
    "sfdisk": "fdisk",
    "mkfs.fat": "dosfstools",
    "mcopy": "mtools",
    "mmd": "mtools",
    "syslinux": "syslinux",
    "mkfs.ext4": "e2fsprogs",
    "qemu-img": "qemu-utils",
    str(EFI_LOADER): "systemd-boot-efi",
    str(BIOS_LOADER): "syslinux-common",
}
"""Program or file to the Debian package that has it."""


def _find(tool: str) -> str | None:
    if tool.startswith("/"):
        return tool if Path(tool).exists() else None
    try:
        return str(process.find_program(tool))
    except ProgramMissingError:
        return None


def check_tools(tools: dict[str, str]) -> list[Capability]:
    """Say of each tool where it is, or which package has it."""
    found = [(tool, package, _find(tool)) for tool, package in tools.items()]
    return [
        Capability(
            name=f"build tool {Path(tool).name}",
            state=CapabilityState.OK if path else CapabilityState.MISSING,
            found=path or "not found",
            cost="images cannot be built on this host",
            fix=f"apt-get install {package}",
            is_required=True,
        )
        for tool, package, path in found
    ]


async def pack_disk(
    plan: DiskPlan, *, root: Path, kernel: Path, initrd: Path, scratch: Path, target: Path
) -> None:
    """Write ``target``; ``scratch`` is a folder for what is needed on the way.

    Raises:
        DiskFullError: no room.
        ProgramFailedError: a tool failed; a root file system that does not fit is the usual cause.
    """
    esp, disk = scratch / "esp.img", scratch / "disk.raw"
    await _make_esp(plan, esp, kernel, initrd, scratch)
    disk.unlink(missing_ok=True)
    with full_disk_told(disk), disk.open("wb") as made:
        made.truncate(plan.size_bytes)
    await process.run(["sfdisk", "-q", disk], stdin=partition_script(plan).encode())
    await asyncio.to_thread(_place, BIOS_LOADER, disk, 0, _BIOS_LOADER_BYTES)
    await asyncio.to_thread(_place, esp, disk, plan.esp_offset, plan.esp_bytes)
    await process.run(filesystem_argv(plan, root, disk), timeout_s=_LIMIT_S)
    await process.run(
        ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", disk, target], timeout_s=_LIMIT_S
    )
    for leftover in (esp, disk):
        leftover.unlink()


async def _make_esp(plan: DiskPlan, esp: Path, kernel: Path, initrd: Path, scratch: Path) -> None:
    esp.unlink(missing_ok=True)
    with full_disk_told(esp), esp.open("wb") as made:
        made.truncate(plan.esp_bytes)
    await process.run(["mkfs.fat", "-F", "32", "-s", "1", "--invariant", "-n", "LODGE-ESP", esp])
    folders = ("EFI", "EFI/BOOT", "loader", "loader/entries", "syslinux")
    await process.run(["mmd", "-i", esp, *(f"::/{name}" for name in folders)])
    texts = {
        "loader/loader.conf": loader_settings(),
        "loader/entries/lodge.conf": loader_entry(plan),
        "syslinux/syslinux.cfg": syslinux_settings(plan),
    }
    files = {"vmlinuz": kernel, "initrd.img": initrd, "EFI/BOOT/BOOTX64.EFI": EFI_LOADER}
    for name, text in texts.items():
        files[name] = scratch / Path(name).name
        files[name].write_text(text, encoding="utf-8")
    for name, path in files.items():
        await process.run(["mcopy", "-o", "-i", esp, path, f"::/{name}"])
    await process.run(["syslinux", "--install", "--directory", "syslinux", esp])


def _place(source: Path, disk: Path, offset: int, limit: int) -> None:
    """Copy at most ``limit`` bytes into the disk at ``offset``, leaving holes for zeros."""
    with full_disk_told(disk), source.open("rb") as read, disk.open("r+b") as write:
        done = 0
        while block := read.read(min(_COPY_BYTES, limit - done)):
            if block.count(0) != len(block):
                write.seek(offset + done)
                write.write(block)
            done += len(block)
