"""The tiny guest: Debian's cloud kernel, busybox, dropbear and the real guest agent; no systemd."""

import asyncio
import shutil
from pathlib import Path
from typing import ClassVar

from lodge.base.world import World
from lodge.drivers.builder import packages
from lodge.drivers.builder.contract import BuildProgress, BuiltImage
from lodge.drivers.builder.cpio import write_initrd
from lodge.drivers.builder.disk import DISK_TOOLS, check_tools, pack_disk
from lodge.drivers.builder.errors import BuildFailedError
from lodge.drivers.builder.kernel import unpack_kernel
from lodge.drivers.builder.tiny import options
from lodge.drivers.builder.tiny.parse import load_order, parse_modules
from lodge.drivers.builder.tiny.tree import lay_tree
from lodge.model.host import Capability
from lodge.system import process

__all__ = ["TinyBuilder"]


class TinyBuilder:
    """Build the guest that most tests run: up in seconds even without KVM."""

    name: ClassVar[str] = "tiny"
    recipes: ClassVar[tuple[str, ...]] = ("tiny",)

    def __init__(self, world: World) -> None:
        self._world = world

    async def check(self, _recipe: str, /) -> list[Capability]:
        """List the tools it needs, found or missing."""
        return check_tools({**DISK_TOOLS, **options.TOOLS})

    async def build(self, _recipe: str, work: Path, progress: BuildProgress, /) -> BuiltImage:
        """Build in the work folder; what an earlier try left there is replaced."""
        scratch = work / "scratch"
        await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        try:
            return await self._build(work, scratch, progress)
        finally:
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True))

    async def _build(self, work: Path, scratch: Path, progress: BuildProgress) -> BuiltImage:
        progress(0, 100, "downloading packages")
        kernel_tree, tree = await _get_packages(scratch)
        progress(50, 100, "laying out the file system")
        version = _kernel_version(kernel_tree)
        await process.run(["depmod", "-b", kernel_tree, version])
        modules = kernel_tree / "lib/modules" / version
        order = load_order(options.MODULES, parse_modules((modules / "modules.dep").read_text()))
        root = scratch / "root"
        await lay_tree(root, tree, [modules / file for file in order])
        kernel, initrd, vmlinux = work / "vmlinuz", work / "initrd", work / "vmlinux"
        shutil.copyfile(kernel_tree / f"boot/vmlinuz-{version}", kernel)
        await asyncio.to_thread(write_initrd, root, initrd)
        progress(65, 100, "unpacking the kernel")
        await unpack_kernel(kernel, vmlinux)
        progress(75, 100, "writing the disk")
        (root / "etc/on-disk").touch()
        disk = work / "disk.qcow2"
        await pack_disk(
            options.PLAN, root=root, kernel=kernel, initrd=initrd, scratch=scratch, target=disk
        )
        progress(100, 100, "built")
        return BuiltImage(
            disk=disk,
            kernel=kernel,
            initrd=initrd,
            vmlinux=vmlinux,
            os="tiny",
            description=f"Tiny test guest, Linux {version}",
            default_user="root",
            command_line=options.PLAN.command_line,
            has_cloud_init=False,
            has_agent=True,
            min_memory_mib=128,
        )


async def _get_packages(scratch: Path) -> tuple[Path, Path]:
    """Fetch and unpack; return the folder of the kernel and that of everything else."""
    needed = await packages.dependencies([options.KERNEL_PACKAGE])
    kernels = [name for name in needed if name.startswith("linux-image-")]
    if not kernels:
        raise BuildFailedError(f"the package {options.KERNEL_PACKAGE} names no kernel")
    rest = [*options.PACKAGES, *await packages.libraries(options.PACKAGES)]
    kernel_tree, tree = scratch / "kernel", scratch / "tree"
    for archive in await packages.fetch(kernels[:1], scratch / "kernel-archive"):
        await packages.unpack(archive, kernel_tree)
    for archive in await packages.fetch(rest, scratch / "archives"):
        await packages.unpack(archive, tree)
    return kernel_tree, tree


def _kernel_version(tree: Path) -> str:
    found = sorted((tree / "boot").glob("vmlinuz-*"))
    if not found:
        raise BuildFailedError("the kernel package holds no kernel")
    return found[-1].name.removeprefix("vmlinuz-")
