"""Machine types: which ones a QEMU has, which one to pin, whether a pinned one is still there.

A pinned version keeps the virtual board the same when the host's QEMU is upgraded, and lets a
guest move between hosts with different QEMUs (QEMU documentation, "Machine types and versioning").
"""

import re
from collections.abc import Sequence

from lodge.drivers.instance.qemu.errors import UnknownMachineError
from lodge.model.instance import MachineType
from lodge.system.process import run

__all__ = [
    "PROGRAM",
    "check_machine",
    "installed_machines",
    "installed_version",
    "newest",
    "parse_machines",
    "parse_version",
]

PROGRAM = "qemu-system-x86_64"
_MICROVM = "microvm"
_Q35 = re.compile(r"pc-q35-(\d+(?:\.\d+)*)")
_VERSION = re.compile(r"QEMU emulator version (\d+(?:\.\d+)+)")


def parse_machines(text: str) -> tuple[str, ...]:
    r"""List the machine types of ``-machine help``, without aliases.

    >>> parse_machines("Supported machines are:\nq35   Standard PC (alias of pc-q35-7.2)\n"
    ...                "pc-q35-7.2  Standard PC\npc-q35-2.4  Standard PC (deprecated)\n")
    ('pc-q35-7.2', 'pc-q35-2.4')
    """
    found = []
    for line in text.splitlines():
        name, _, description = line.strip().partition(" ")
        if description and not name.endswith(":") and "(alias of " not in description:
            found.append(name)
    return tuple(name for name in found if name != "Supported")


def parse_version(text: str) -> str:
    """Return the version in the output of ``--version``, or ``unknown``.

    >>> parse_version("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)")
    '7.2.22'
    """
    match = _VERSION.search(text)
    return match[1] if match else "unknown"


def newest(machine: MachineType, versions: Sequence[str]) -> str:
    """Return the machine type to pin for a new instance; microvm has no versions.

    Raises:
        UnknownMachineError: this QEMU has no such machine at all.

    >>> newest(MachineType.Q35, ["pc-q35-7.2", "pc-q35-10.0", "microvm"])
    'pc-q35-10.0'
    """
    if machine is MachineType.MICROVM:
        check_machine(_MICROVM, versions)
        return _MICROVM
    numbered = [(_number(match[1]), name) for name in versions if (match := _Q35.fullmatch(name))]
    if not numbered:
        raise UnknownMachineError(
            "the installed QEMU has no versioned q35 machine",
            where="spec.machine",
            hint="install qemu-system-x86 2.4 or newer",
        )
    return max(numbered)[1]


def check_machine(pinned: str, versions: Sequence[str]) -> None:
    """Let a pinned machine type pass when this QEMU has it.

    Raises:
        UnknownMachineError: it has not; the message names the newest one of its family.
    """
    if pinned in versions:
        return
    family = [name for name in versions if _Q35.fullmatch(name)]
    best = max(family, key=lambda name: _number(name.rpartition("-")[2]), default="none")
    raise UnknownMachineError(
        f"machine type {pinned!r} is not in the installed QEMU, whose newest q35 is {best!r}",
        where="machine_version",
        hint="install a QEMU at least as new as the one the instance was created with",
        pinned=pinned,
        newest=best,
    )


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


async def installed_machines() -> tuple[str, ...]:
    """Ask the installed QEMU for its machine types.

    Raises:
        ProgramMissingError: QEMU is not installed.
        ProgramFailedError: it does not even print its machines.
    """
    answer = await run([PROGRAM, "-machine", "help"], timeout_s=30)
    return parse_machines(answer.stdout.decode(errors="replace"))


async def installed_version() -> str:
    """Ask the installed QEMU for its version.

    Raises:
        ProgramMissingError: QEMU is not installed.
        ProgramFailedError: it does not even print its version.
    """
    answer = await run([PROGRAM, "--version"], timeout_s=30)
    return parse_version(answer.stdout.decode(errors="replace"))
