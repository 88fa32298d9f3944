"""Files Lodge puts into a Debian guest before its packages, and what it takes out after them."""

import shutil
from importlib.resources import as_file, files
from pathlib import Path

from lodge.drivers.builder.debian.options import ALWAYS_MASKED
from lodge.drivers.builder.errors import BuildFailedError
from lodge.drivers.builder.modes import open_folders
from lodge.drivers.builder.sources import without_password

__all__ = ["finish_tree", "lay_overlay"]

_OWN_FILES = {
    "cloud.cfg": ("etc/cloud/cloud.cfg.d/90_lodge.cfg", 0o644),
    "initramfs.conf": ("etc/initramfs-tools/conf.d/lodge.conf", 0o644),
    "initramfs-modules": ("usr/share/initramfs-tools/modules.d/lodge", 0o644),
    "update-boot": ("etc/kernel/postinst.d/zz-lodge-boot", 0o755),
    "update-boot-initramfs": ("etc/initramfs/post-update.d/zz-lodge-boot", 0o755),
    "wait-online.conf": (
        "etc/systemd/system/systemd-networkd-wait-online.service.d/lodge.conf",
        0o644,
    ),
}

_SECRETS_AND_LEFTOVERS = (
    "etc/ssh/ssh_host_*",
    "etc/apt/apt.conf.d/99mmdebstrap",
    "etc/dpkg/dpkg.cfg.d/99mmdebstrap",
    "etc/*-",
    "var/lib/apt/lists/*",
    "var/cache/apt/*.bin",
    "var/cache/apt/archives/*.deb",
    "var/cache/debconf/*-old",
    "var/lib/dpkg/*-old",
    "var/lib/dbus/machine-id",
    "var/lib/systemd/random-seed",
    "var/lib/systemd/credential.secret",
    "var/log/*.log",
    "var/log/apt/*",
)
"""What identifies one machine, or was needed by the build only: it must not stay in an image."""

_FSTAB = "LABEL=rootfs / ext4 defaults,discard,errors=remount-ro,x-systemd.growfs 0 1\n"


def lay_overlay(folder: Path) -> None:
    """Write the files that must be there before the packages' own scripts run."""
    with as_file(files("lodge.drivers.builder.debian") / "files") as own:
        for name, (target, mode) in _OWN_FILES.items():
            path = folder / target
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(own / name, path)
            path.chmod(mode)
    units = folder / "etc/systemd/system"
    for unit in ALWAYS_MASKED:
        (units / unit).symlink_to("/dev/null")
    open_folders(folder)


def _write(root: Path, name: str, text: str) -> None:
    """Replace a file of the tree; never through a link, which might lead out of it."""
    path = root / name
    if not path.parent.resolve().is_relative_to(root.resolve()):
        raise BuildFailedError(f"{name} would be written outside the image")
    path.unlink(missing_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o644)


def finish_tree(root: Path, settings: list[str]) -> None:
    """Take out what must not be in an image, and give it no identity.

    ``settings`` of the host's apt that say how old a mirror may be stay with the mirror's address;
    those that say how the host gets there do not.
    """
    for pattern in _SECRETS_AND_LEFTOVERS:
        for path in root.glob(pattern):
            path.unlink() if path.is_symlink() or not path.is_dir() else shutil.rmtree(path)
    _write(root, "etc/machine-id", "")  # empty: made at the first boot (machine-id(5))
    _write(root, "etc/hostname", "localhost\n")
    _write(root, "etc/fstab", _FSTAB)
    sources = root / "etc/apt/sources.list"
    lines = sources.read_text(encoding="utf-8").splitlines() if sources.exists() else []
    _write(root, "etc/apt/sources.list", "".join(f"{without_password(line)}\n" for line in lines))
    if kept := [line for line in settings if "::Check-" in line]:
        _write(root, "etc/apt/apt.conf.d/90mirror", "\n".join(kept) + "\n")
    resolver = root / "etc/resolv.conf"
    resolver.unlink(missing_ok=True)
    resolver.symlink_to("../run/systemd/resolve/stub-resolv.conf")
