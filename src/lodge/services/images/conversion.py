"""Turn a disk file from somebody else into Lodge's own qcow2, by a program that may break.

The file is looked at first without running anything. Then ``qemu-img`` reads it as a user of its
own, without network, with bounded memory, time and output, and what it wrote is looked at again.
"""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lodge.base.units import GIB, TIB
from lodge.base.world import World
from lodge.drivers.storage.formats.facts import DiskFacts
from lodge.drivers.storage.formats.inspect import inspect_untrusted
from lodge.model.image import ImageFormat
from lodge.services.images.errors import ImageNotADiskError
from lodge.system import process
from lodge.system.errors import DiskFullError, ProgramFailedError
from lodge.system.identity import CONVERTER_UID

__all__ = [
    "MAX_VIRTUAL_BYTES",
    "ConversionLimits",
    "Converter",
    "convert_argv",
    "refuse_other_files",
    "take_file",
]

MAX_VIRTUAL_BYTES = 8 * TIB
_POLL_S = 0.5
_NOT_DISKS = {
    b"\xfd7zXZ\0": "xz-packed",
    b"\x1f\x8b": "gzip-packed",
    b"\x28\xb5\x2f\xfd": "zstd-packed",
    b"BZh": "bzip2-packed",
    b"PK\x03\x04": "a zip archive",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!": "a rar archive",
    b"\x7fELF": "a program",
    b"%PDF": "a document",
}
_TAR_OFFSET, _TAR_MAGIC = 257, b"ustar"
_TEXT_STARTS = (b"<!doctype", b"<html", b"<?xml", b"{", b"version https://git-lfs")
_HEAD_BYTES = 512


@dataclass(frozen=True, slots=True)
class ConversionLimits:
    """What one conversion may use."""

    virtual_bytes: int = MAX_VIRTUAL_BYTES
    memory_bytes: int = 4 * GIB
    time_s: float = 6 * 3600.0


def refuse_other_files(path: Path) -> None:
    """Refuse what would be taken for a raw disk although it is plainly something else.

    Raises:
        ImageNotADiskError: packed, an archive, a web page, a text.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    kind = next((what for magic, what in _NOT_DISKS.items() if head.startswith(magic)), None)
    if kind is None and head[_TAR_OFFSET:].startswith(_TAR_MAGIC):
        kind = "a tar archive"
    if kind is None and head.lstrip().lower().startswith(_TEXT_STARTS):
        kind = "a text, probably a page of the server"
    if kind is not None:
        raise ImageNotADiskError(f"the file is {kind}, not a disk", where="source", kind=kind)


def convert_argv(facts: DiskFacts, limits: ConversionLimits) -> list[str]:
    """Build the command, to be run in the folder that holds ``source``; pure.

    The format is always told, never guessed by the program; names are relative, because its user
    cannot pass through the folders above. It is the first of its own process namespace: whatever it
    started dies with it (pid_namespaces(7)), so nobody is left who could change its work after it
    was looked at; and it dies with the daemon.
    """
    user = str(CONVERTER_UID)
    largest_file = facts.virtual_bytes + facts.virtual_bytes // 64 + GIB
    return [
        *("setpriv", "--pdeathsig", "KILL", "--"),
        *("unshare", "--net", "--ipc", "--pid", "--fork", "--kill-child", "--"),
        *("setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--no-new-privs"),
        *("--pdeathsig", "KILL", "--"),
        *("prlimit", f"--as={limits.memory_bytes}", f"--fsize={largest_file}"),
        *(f"--cpu={int(limits.time_s)}", "--core=0", "--nofile=64", "--"),
        *("qemu-img", "convert", "-f", facts.format.value, "-O", "qcow2"),
        *("-o", "cluster_size=65536,compat=1.1,lazy_refcounts=off"),
        *("source", "disk.qcow2"),
    ]


class Converter:
    """Convert one file at a time into a folder of the task that asked."""

    def __init__(self, world: World, limits: ConversionLimits | None = None) -> None:
        self._world = world
        self._limits = limits or ConversionLimits()

    async def inspect(self, source: Path, claimed: ImageFormat | None) -> DiskFacts:
        """Say what a file is without running anything.

        Raises:
            DiskFileError, ImageNotADiskError: it cannot be taken; each reason has its own code.
        """
        if claimed is None:
            refuse_other_files(source)
        return await asyncio.to_thread(
            inspect_untrusted, source, claimed, max_virtual_bytes=self._limits.virtual_bytes
        )

    async def convert(self, work: Path, facts: DiskFacts, tell: Callable[[int], None]) -> Path:
        """Write ``work/disk.qcow2`` from ``work/source`` and return its path.

        ``tell`` is called with the bytes written so far. A target left by an earlier try is
        replaced.

        Raises:
            DiskFullError: no room.
            ProgramFailedError, ProgramTimeoutError: the program could not read it.
        """
        target = work / "disk.qcow2"
        target.unlink(missing_ok=True)
        for path in (work / "source", work):
            os.chown(path, CONVERTER_UID, CONVERTER_UID, follow_symlinks=False)
        follower = asyncio.create_task(self._follow(target, tell))
        try:
            await process.run(
                convert_argv(facts, self._limits), timeout_s=self._limits.time_s, cwd=work
            )
        except ProgramFailedError as error:
            target.unlink(missing_ok=True)  # at once: the daemon needs room to tell of it
            if "No space left" in error.message or "Disk quota exceeded" in error.message:
                raise DiskFullError(
                    f"no room left while converting to {target}", where=str(target)
                ) from error
            raise
        finally:
            follower.cancel()
            await asyncio.gather(follower, return_exceptions=True)
            os.chown(work, os.geteuid(), os.getegid())  # from here on nothing in it changes names
        # Nothing that program wrote is believed either, should a file have taken it over.
        await asyncio.to_thread(
            inspect_untrusted,
            target,
            ImageFormat.QCOW2,
            max_virtual_bytes=self._limits.virtual_bytes,
        )
        os.chown(target, os.geteuid(), os.getegid(), follow_symlinks=False)
        return target

    async def _follow(self, target: Path, tell: Callable[[int], None]) -> None:
        while True:
            await self._world.sleep(_POLL_S)
            with suppress(FileNotFoundError):
                tell(target.lstat().st_size)


async def take_file(source: Path, target: Path) -> None:
    """Make a private copy of a file that others may change; free where the file system shares.

    Raises:
        DiskFullError: no room.
    """
    part = target.with_suffix(".part")
    part.unlink(missing_ok=True)
    try:
        await process.run(
            ["cp", "--reflink=auto", "--sparse=always", "--", source, part], timeout_s=24 * 3600.0
        )
    except ProgramFailedError as error:
        part.unlink(missing_ok=True)
        if "No space left" in error.message:
            raise DiskFullError(
                f"no room left while copying {source}", where=str(target.parent)
            ) from error
        raise
    part.rename(target)
