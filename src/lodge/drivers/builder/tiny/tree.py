"""The files of the tiny guest's root file system."""

import re
import shutil
from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path

from lodge.drivers.builder.errors import BuildFailedError
from lodge.drivers.builder.modes import open_folders
from lodge.system import process

__all__ = ["lay_tree"]

_FOLDERS = """
    bin sbin dev proc sys tmp etc/dropbear etc/acpi/PWRF root/.ssh lib/modules/m run var/run
    var/www mnt usr/bin usr/sbin newroot
"""
_MULTIARCH = ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu")
_LOADER = "ld-linux-x86-64.so.2"
_LIBRARY = re.compile(r"(?:=> )?(/\S+) \(0x")

_PROGRAMS = {
    "init": "init",
    "start": "sbin/start",
    "ticker": "sbin/ticker",
    "dhcp": "sbin/dhcp",
    "shutdown": "sbin/shutdown",
    "power-button": "etc/acpi/PWRF/00000080",
}
_TEXTS = {"inittab", "passwd", "group", "shadow", "shells", "nsswitch.conf", "profile"}
_LINKS = ("init", "poweroff", "reboot", "halt", "modprobe", "ip")


async def lay_tree(root: Path, packages: Path, modules: Sequence[Path]) -> None:
    """Fill ``root`` from unpacked packages, kernel modules in load order, and Lodge's own files."""
    for name in _FOLDERS.split():
        (root / name).mkdir(parents=True, exist_ok=True)
    await _add_busybox(root, packages)
    for program in ("dropbear", "qemu-ga"):
        await _add_program(root, packages, packages / "usr/sbin" / program)
    _add_modules(root, modules)
    _add_own_files(root)
    open_folders(root)
    (root / "root").chmod(0o700)
    (root / "root/.ssh").chmod(0o700)
    (root / "tmp").chmod(0o1777)


def _first(packages: Path, names: Sequence[str]) -> Path:
    for name in names:
        if (packages / name).exists():
            return packages / name
    raise BuildFailedError(f"no package holds {names[0]}")


async def _add_busybox(root: Path, packages: Path) -> None:
    source = _first(packages, ["bin/busybox", "usr/bin/busybox"])
    shutil.copy(source, root / "bin/busybox")
    listed = await process.run([root / "bin/busybox", "--list"])
    for applet in listed.stdout.decode().split():
        if applet != "busybox":
            (root / "bin" / applet).symlink_to("busybox")
    for name in _LINKS:
        (root / "sbin" / name).symlink_to("/bin/busybox")


async def _add_program(root: Path, packages: Path, program: Path) -> None:
    """Copy a program and the libraries that its own dynamic linker finds for it."""
    shutil.copy(program, root / "usr/sbin" / program.name)
    folders = [packages / name for name in _MULTIARCH]
    linker = _first(packages, [f"{name}/{_LOADER}" for name in _MULTIARCH])
    path = ":".join(str(folder) for folder in folders)
    listed = await process.run([linker, "--library-path", path, "--list", program])
    for found in _LIBRARY.findall(listed.stdout.decode()):
        library = Path(found)
        if not library.is_relative_to(packages):
            raise BuildFailedError(f"{program.name} needs {library.name}, which no package holds")
        _copy_library(library, root / "lib/x86_64-linux-gnu" / library.name)
    (root / "lib64").mkdir(exist_ok=True)
    _copy_library(linker, root / "lib64" / _LOADER)


def _copy_library(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o755)


def _add_modules(root: Path, modules: Sequence[Path]) -> None:
    for module in modules:
        shutil.copyfile(module, root / "lib/modules/m" / module.name)
    names = "".join(f"{module.name}\n" for module in modules)
    (root / "lib/modules/order").write_text(names, encoding="ascii")
    for path in (root / "lib/modules").rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _add_own_files(root: Path) -> None:
    with as_file(files("lodge.drivers.builder.tiny") / "files") as folder:
        for name, target in _PROGRAMS.items():
            shutil.copyfile(folder / name, root / target)
            (root / target).chmod(0o755)
        for name in sorted(_TEXTS):
            shutil.copyfile(folder / name, root / "etc" / name)
            (root / "etc" / name).chmod(0o600 if name == "shadow" else 0o644)
