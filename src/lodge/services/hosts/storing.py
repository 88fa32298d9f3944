"""What storage needs, tried in the state folder."""

import asyncio
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lodge.base.units import GIB, format_size
from lodge.model.host import Capability
from lodge.services.hosts.probes import Ground, degraded, missing, ok, refusal
from lodge.system.btrfs import is_btrfs
from lodge.system.files import disk_room
from lodge.system.reflink import clone_file

__all__ = ["storing"]

_COMFORTABLE_BYTES: Final = 10 * GIB
_LEAST_BYTES: Final = GIB


async def storing(ground: Ground) -> Sequence[Capability]:
    """Look at the file system of the state folder, and at btrfs in the kernel."""
    folder = ground.state_dir
    room = await asyncio.to_thread(_room, folder)
    reflink = await asyncio.to_thread(_reflink, folder)  # waits for the disk
    return [room, reflink, await _btrfs(folder)]


def _room(folder: Path) -> Capability:
    total, free = disk_room(folder)
    found = f"{format_size(free)} free of {format_size(total)} in {folder}"
    if free >= _COMFORTABLE_BYTES:
        return ok("disk-room", found)
    cost = "images and instances of usual size do not fit"
    fix = "free space, or put the state folder or a pool on a larger disk"
    if free >= _LEAST_BYTES:
        return degraded("disk-room", found, cost=cost, fix=fix)
    return missing("disk-room", found, cost=cost, fix=fix)


def _reflink(folder: Path) -> Capability:
    with (
        tempfile.TemporaryFile(dir=folder) as source,
        tempfile.TemporaryFile(dir=folder) as target,
    ):
        source.write(os.urandom(65536))
        source.flush()
        os.fsync(source.fileno())
        if clone_file(source.fileno(), target.fileno()):
            return ok("reflink", f"files in {folder} can share blocks")
    return missing(
        "reflink",
        f"the file system of {folder} cannot share blocks between files",
        cost="copies of raw volumes take time and room; qcow2 volumes are linked and do not",
        fix="put the pool on XFS (made with reflink=1) or btrfs",
    )


async def _btrfs(folder: Path) -> Capability:
    known = Path("/proc/filesystems").read_text(encoding="ascii").split()
    if "btrfs" in known or await refusal(["modprobe", "--dry-run", "btrfs"]) is None:
        here = "is" if is_btrfs(folder) else "is not"
        return ok("btrfs", f"the kernel has btrfs; {folder} {here} on it")
    return missing(
        "btrfs",
        "the kernel has no btrfs",
        cost="no pools of the driver btrfs",
        fix="use a kernel with CONFIG_BTRFS_FS",
    )
