"""Programs Lodge starts: each is started for its version, because a file may be broken."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Final

from lodge.model.host import Capability
from lodge.services.hosts.probes import Ground, missing, ok
from lodge.system.errors import ProgramFailedError, ProgramMissingError, ProgramTimeoutError
from lodge.system.process import find_program, run

__all__ = ["PROGRAMS", "Program", "programs"]

_VERSION = re.compile(r"\d+(?:\.\d+)+[^\s,()]*")


@dataclass(frozen=True, slots=True)
class Program:
    """A program: how it tells its version, what is lost without it, where it comes from."""

    name: str
    question: tuple[str, ...]
    cost: str
    package: str
    _: KW_ONLY
    is_required: bool = False


_NO_UEFI: Final = "no images that boot with UEFI can be built"

PROGRAMS: Final = (
    Program("qemu-img", ("--version",), "no volumes", "qemu-utils", is_required=True),
    Program("dnsmasq", ("--version",), "networks give no addresses", "dnsmasq-base"),
    Program("nft", ("--version",), "networks reach nothing outside", "nftables"),
    Program("ip", ("-V",), "the network check cannot try anything", "iproute2"),
    Program("setpriv", ("--version",), "KVM cannot be proven", "util-linux"),
    Program("mkfs.btrfs", ("--version",), "no new btrfs pools", "btrfs-progs"),
    Program("mmdebstrap", ("--version",), "no images of Debian can be built", "mmdebstrap"),
    Program("mkfs.ext4", ("-V",), "no images can be built", "e2fsprogs"),
    Program("mkfs.fat", ("--help",), _NO_UEFI, "dosfstools"),
    Program("mcopy", ("--version",), _NO_UEFI, "mtools"),
    Program("sfdisk", ("--version",), "no images of Debian can be built", "fdisk"),
    Program("syslinux", ("--version",), "no images that boot with BIOS can be built", "syslinux"),
    Program("lz4", ("--version",), "built images cannot start as microvm", "lz4"),
    Program("zstd", ("--version",), "some kernels cannot be unpacked", "zstd"),
)


async def programs(_ground: Ground) -> Sequence[Capability]:
    """Ask every program for its version."""
    return await asyncio.gather(*(_ask(program) for program in PROGRAMS))


async def _ask(program: Program) -> Capability:
    try:
        # Some programs end with an error after they told their version; being able to is enough.
        answer = await run([program.name, *program.question], timeout_s=20, is_checked=False)
    except (ProgramMissingError, ProgramFailedError, ProgramTimeoutError) as error:
        return _lost(program, error.message)
    said = (answer.stdout + b"\n" + answer.stderr).decode(errors="replace")
    if answer.exit_status in (126, 127) or answer.exit_status < 0:
        return _lost(program, f"it does not start: {said.strip()[:200]}")
    version = _VERSION.search(said)
    place = find_program(program.name)
    found = f"{version[0]} ({place})" if version else str(place)
    return ok(program.name, found, is_required=program.is_required)


def _lost(program: Program, found: str) -> Capability:
    return missing(
        program.name,
        found,
        cost=program.cost,
        fix=f"install the package {program.package}",
        is_required=program.is_required,
    )
