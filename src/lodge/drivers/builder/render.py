"""Texts and command lines that turn a folder into a bootable disk; pure."""

import uuid
from dataclasses import dataclass
from pathlib import Path

from lodge.base.units import KIB, MIB

__all__ = [
    "SECTOR_BYTES",
    "DiskPlan",
    "filesystem_argv",
    "loader_entry",
    "loader_settings",
    "partition_script",
    "syslinux_settings",
]

SECTOR_BYTES = 512
_FIRST_SECTOR = MIB // SECTOR_BYTES
_TAIL_SECTORS = MIB // SECTOR_BYTES  # room for the second partition table


@dataclass(frozen=True, slots=True)
class DiskPlan:
    """A disk with two partitions: what the firmware reads (ESP), and the root file system.

    Ids are derived from ``name``, so that the same content gives the same disk.
    """

    name: str
    title: str
    label: str  # of the root file system
    command_line: str
    size_bytes: int
    esp_bytes: int

    def id_of(self, part: str) -> str:
        """Return the fixed UUID of a part of this disk."""
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"lodge/{self.name}/{part}"))

    @property
    def esp_offset(self) -> int:
        """First byte of the ESP."""
        return _FIRST_SECTOR * SECTOR_BYTES

    @property
    def root_offset(self) -> int:
        """First byte of the root partition."""
        return self.esp_offset + self.esp_bytes

    @property
    def root_bytes(self) -> int:
        """Length of the root partition."""
        return self.size_bytes - self.root_offset - _TAIL_SECTORS * SECTOR_BYTES


def partition_script(plan: DiskPlan) -> str:
    """Write sfdisk's input: a GPT whose ESP is also what a BIOS boots from (sfdisk(8))."""

    def sectors(count_bytes: int) -> int:
        return count_bytes // SECTOR_BYTES

    return (
        f"label: gpt\nlabel-id: {plan.id_of('disk')}\n"
        f"start={sectors(plan.esp_offset)},size={sectors(plan.esp_bytes)},type=U,name=ESP,"
        f"uuid={plan.id_of('esp')},attrs=LegacyBIOSBootable\n"
        f"start={sectors(plan.root_offset)},size={sectors(plan.root_bytes)},type=L,name=root,"
        f"uuid={plan.id_of('root')}\n"
    )


def filesystem_argv(plan: DiskPlan, root: Path, disk: Path) -> list[str]:
    """Build the command that writes a folder as ext4 into the disk's second partition.

    Everything is initialised now: a lazy guest would do it in the background, in each clone, and
    so make each clone's file grow. Two features are off because Debian 11's kernel lacks them.
    """
    extended = (
        f"offset={plan.root_offset},lazy_itable_init=0,lazy_journal_init=0,nodiscard,"
        f"root_owner=0:0,hash_seed={plan.id_of('hash')}"
    )
    return [
        *("mkfs.ext4", "-q", "-F", "-L", plan.label, "-U", plan.id_of("filesystem")),
        *("-O", "^metadata_csum_seed,^orphan_file", "-E", extended),
        *("-d", str(root), str(disk), f"{plan.root_bytes // KIB}k"),
    ]


def loader_settings() -> str:
    """Write systemd-boot's ``loader.conf``: boot at once."""
    return "default lodge\ntimeout 0\neditor no\n"


def loader_entry(plan: DiskPlan) -> str:
    """Write systemd-boot's entry (Boot Loader Specification, type 1)."""
    return f"title {plan.title}\nlinux /vmlinuz\ninitrd /initrd.img\noptions {plan.command_line}\n"


def syslinux_settings(plan: DiskPlan) -> str:
    """Write ``syslinux.cfg``: boot at once, ask nothing."""
    return (
        "DEFAULT lodge\nPROMPT 0\nTIMEOUT 1\nLABEL lodge\n"
        f"  KERNEL /vmlinuz\n  INITRD /initrd.img\n  APPEND {plan.command_line}\n"
    )
