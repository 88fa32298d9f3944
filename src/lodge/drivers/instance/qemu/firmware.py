"""Firmware files: where distributions put them, and each UEFI instance's own variables."""

from dataclasses import dataclass
from pathlib import Path

from lodge.system.files import write_whole
from lodge.system.identity import GUEST_GID

__all__ = ["FirmwareFiles", "find_firmware", "make_nvram"]

# Code and empty variables come from one build and must stay together.
_OVMF = (
    ("usr/share/OVMF/OVMF_CODE_4M.fd", "usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("usr/share/edk2/x64/OVMF_CODE.4m.fd", "usr/share/edk2/x64/OVMF_VARS.4m.fd"),
    ("usr/share/OVMF/OVMF_CODE.fd", "usr/share/OVMF/OVMF_VARS.fd"),
    ("usr/share/edk2/ovmf/OVMF_CODE.fd", "usr/share/edk2/ovmf/OVMF_VARS.fd"),
)
_QBOOT = ("usr/share/qemu/qboot.rom", "usr/share/qboot/bios.bin")
_SEABIOS = ("usr/share/seabios/bios-256k.bin", "usr/share/qemu/bios-256k.bin")


@dataclass(frozen=True, slots=True)
class FirmwareFiles:
    """What is installed; null: not found.

    ``ovmf_code`` is mapped read-only, ``ovmf_vars`` is the template of each instance's variables.
    """

    ovmf_code: Path | None = None
    ovmf_vars: Path | None = None
    qboot: Path | None = None
    seabios: Path | None = None


def find_firmware(root: Path = Path("/")) -> FirmwareFiles:
    """Look where Debian, Ubuntu, Fedora and Arch install firmware, below ``root``."""
    qboot, seabios = _first(root, _QBOOT), _first(root, _SEABIOS)
    for code, variables in _OVMF:
        if (root / code).is_file() and (root / variables).is_file():
            return FirmwareFiles(root / code, root / variables, qboot, seabios)
    return FirmwareFiles(qboot=qboot, seabios=seabios)


def _first(root: Path, places: tuple[str, ...]) -> Path | None:
    return next((root / place for place in places if (root / place).is_file()), None)


def make_nvram(template: Path, target: Path, *, uid: int) -> None:
    """Give an instance its own UEFI variables (0600, owned by ``uid``); what exists is kept.

    Raises:
        DiskFullError: no room.
    """
    if not target.exists():
        write_whole(target, template.read_bytes(), mode=0o600, owner=(uid, GUEST_GID))
