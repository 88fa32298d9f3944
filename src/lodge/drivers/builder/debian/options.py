"""Settings of the Debian images, as one table."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from lodge.base.units import GIB, MIB
from lodge.drivers.builder.render import DiskPlan

__all__ = ["ALWAYS_MASKED", "APT_OPTIONS", "DPKG_OPTIONS", "SUITES", "TOOLS", "Suite", "plan_of"]

_COMMON = (
    # what boots
    "linux-image-cloud-amd64 initramfs-tools zstd systemd systemd-sysv systemd-resolved udev dbus"
    # what makes it a guest of Lodge
    " cloud-init cloud-guest-utils qemu-guest-agent openssh-server netplan.io"
    # what people expect to find
    " sudo ca-certificates e2fsprogs fdisk iproute2 iputils-ping netbase less procps"
)


@dataclass(frozen=True, slots=True)
class Suite:
    """One Debian release."""

    codename: str
    version: str
    packages: tuple[str, ...]
    expected: int  # packages it comes to in all; for the progress only


SUITES: Mapping[str, Suite] = MappingProxyType(
    {
        "debian-12": Suite("bookworm", "12", tuple(_COMMON.split()), 222),
        "debian-13": Suite("trixie", "13", tuple(_COMMON.split()), 240),
    }
)
"""Recipe to release."""

APT_OPTIONS = ('Acquire::Languages "none"', 'APT::Install-Recommends "false"')
DPKG_OPTIONS = (
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/locale/*",
)

ALWAYS_MASKED = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
)
"""Units that would make a thousand idle guests work at the same minute."""

TOOLS = {
    "mmdebstrap": "mmdebstrap",
    "setpriv": "util-linux",
    "unshare": "util-linux",
    "apt-get": "apt",
    "lz4": "lz4",  # Debian 12 packs its kernel so
    "zstd": "zstd",  # Debian 13
}
"""What is needed besides the tools of the disk."""

COMMAND_LINE = "root=LABEL=rootfs ro console=tty0 console=ttyS0 net.ifnames=0 quiet"


def plan_of(recipe: str) -> DiskPlan:
    """Return the disk of a recipe: small, because a guest's root grows to its disk at boot."""
    return DiskPlan(
        name=recipe,
        title=f"Debian {SUITES[recipe].version}",
        label="rootfs",
        command_line=COMMAND_LINE,
        size_bytes=3 * GIB,
        esp_bytes=128 * MIB,
    )
