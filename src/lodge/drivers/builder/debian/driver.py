"""Debian guests from Debian packages: bootstrap, clean, pack into a disk that boots everywhere."""

import asyncio
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from lodge.base.world import World
from lodge.drivers.builder.contract import BuildProgress, BuiltImage
from lodge.drivers.builder.debian import options
from lodge.drivers.builder.debian.overlay import finish_tree, lay_overlay
from lodge.drivers.builder.debian.parse import progress_of
from lodge.drivers.builder.debian.render import Bootstrap, bootstrap_argv
from lodge.drivers.builder.disk import DISK_TOOLS, check_tools, pack_disk
from lodge.drivers.builder.errors import BuildFailedError
from lodge.drivers.builder.kernel import unpack_kernel
from lodge.drivers.builder.sources import apt_settings, host_sources
from lodge.model.host import Capability
from lodge.system import process

__all__ = ["DebianBuilder"]

_LIMIT_S = 7200.0
_POLL_S = 1.0
_BOOTSTRAP_PERCENT = 80
_PROXIES = ("http_proxy", "https_proxy", "no_proxy")
_LOG_TAIL_LINES = 15


class DebianBuilder:
    """Build a Debian server image with cloud-init, guest agent and SSH server."""

    name: ClassVar[str] = "debian"
    recipes: ClassVar[tuple[str, ...]] = tuple(options.SUITES)

    def __init__(self, world: World) -> None:
        self._world = world

    async def check(self, _recipe: str, /) -> list[Capability]:
        """List the tools it needs, found or missing."""
        return check_tools({**DISK_TOOLS, **options.TOOLS})

    async def build(self, recipe: str, work: Path, progress: BuildProgress, /) -> BuiltImage:
        """Build in the work folder; what an earlier try left there is replaced."""
        scratch = work / "scratch"
        await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        try:
            root = await self._bootstrap(recipe, scratch, progress)
            return await _pack(recipe, root, scratch, work, progress)
        finally:
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True))

    async def _bootstrap(self, recipe: str, scratch: Path, progress: BuildProgress) -> Path:
        progress(0, 100, "reading package lists")
        settings = await apt_settings()
        suite = options.SUITES[recipe]
        run = Bootstrap(
            suite=suite,
            target=scratch / "rootfs",
            overlay=scratch / "overlay",
            log=scratch / "bootstrap.log",
            sources=[source.line() for source in await host_sources(suite.codename)],
            settings=settings,
        )
        lay_overlay(run.overlay)
        follower = asyncio.create_task(self._follow(run, progress))
        try:
            ended = await process.run(
                bootstrap_argv(run),
                timeout_s=_LIMIT_S,
                is_checked=False,
                environment={name: os.environ[name] for name in _PROXIES if name in os.environ},
            )
        finally:
            follower.cancel()
            with suppress(asyncio.CancelledError):
                await follower
        if ended.exit_status != 0:
            raise _failure(run.log, ended)
        await asyncio.to_thread(finish_tree, run.target, settings)
        return run.target

    async def _follow(self, run: Bootstrap, progress: BuildProgress) -> None:
        while True:
            await self._world.sleep(_POLL_S)
            if run.log.exists():
                said = run.log.read_text(encoding="utf-8", errors="replace")
                percent, note = progress_of(said, run.suite.expected)
                progress(percent * _BOOTSTRAP_PERCENT // 100, 100, note)


def _failure(log: Path, ended: process.Completed) -> BuildFailedError:
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    lines = (text + ended.stderr.decode(errors="replace")).splitlines()
    complaints = [line for line in lines if line.startswith(("E:", "W:", "Err"))] or lines
    return BuildFailedError(
        f"mmdebstrap failed with status {ended.exit_status}: {' | '.join(complaints[-6:])}",
        where="mmdebstrap",
        log=lines[-_LOG_TAIL_LINES:],
    )


def _newest(folder: Path, prefix: str) -> Path:
    found = sorted(folder.glob(f"{prefix}-*"))
    if not found:
        raise BuildFailedError(f"the built system has no {prefix}")
    return found[-1]


async def _pack(
    recipe: str, root: Path, scratch: Path, work: Path, progress: BuildProgress
) -> BuiltImage:
    progress(_BOOTSTRAP_PERCENT, 100, "unpacking the kernel")
    kernel, initrd, vmlinux = work / "vmlinuz", work / "initrd", work / "vmlinux"
    version = _newest(root / "boot", "vmlinuz").name.removeprefix("vmlinuz-")
    shutil.copyfile(root / f"boot/vmlinuz-{version}", kernel)
    shutil.copyfile(_newest(root / "boot", "initrd.img"), initrd)
    await unpack_kernel(kernel, vmlinux)
    progress(85, 100, "writing the disk")
    plan, disk = options.plan_of(recipe), work / "disk.qcow2"
    await pack_disk(plan, root=root, kernel=kernel, initrd=initrd, scratch=scratch, target=disk)
    progress(100, 100, "built")
    return BuiltImage(
        disk=disk,
        kernel=kernel,
        initrd=initrd,
        vmlinux=vmlinux,
        os=recipe,
        description=f"Debian {options.SUITES[recipe].version}, Linux {version}",
        default_user="debian",
        command_line=plan.command_line,
        has_cloud_init=True,
        has_agent=True,
        min_memory_mib=384,
    )
