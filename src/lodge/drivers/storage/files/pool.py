"""A pool whose volumes are files in one folder; what ``dir`` and ``btrfs`` have in common.

The layout of a volume is the ending of its file's name. Lodge gives it, the folder is root's, so
a guest can change neither; what a guest can change, its disk's content, is never asked for it.
"""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, TypeVar

from lodge.base.names import check_name
from lodge.drivers.storage.contract import (
    SECTOR_BYTES,
    PoolPlace,
    PoolRoom,
    StorageTraits,
    VolumeFiles,
)
from lodge.drivers.storage.errors import (
    PoolFullError,
    PoolOfflineError,
    VolumeBusyError,
    VolumeExistsError,
    VolumeNotFoundError,
    VolumeTooSmallError,
)
from lodge.drivers.storage.files import content, folder
from lodge.drivers.storage.files.trouble import trouble_told
from lodge.model.storage import PoolUsage, VolumeFormat, VolumeUsage
from lodge.system.errors import ProgramFailedError
from lodge.system.filelocks import is_image_open
from lodge.system.files import disk_room, make_folder, sync_folder
from lodge.system.identity import GUEST_GID
from lodge.system.process import run
from lodge.system.reflink import shared_file_bytes
from lodge.system.threads import in_thread

__all__ = ["FilePool"]

T = TypeVar("T")
_CONVERT_TIMEOUT_S = 6 * 3600.0


class FilePool:
    """Keep volumes as ``NAME.qcow2`` or ``NAME.raw`` in one folder."""

    name: ClassVar[str] = "files"

    def __init__(self, place: PoolPlace, /) -> None:
        self._place = place
        self._folder = place.path
        self._traits = StorageTraits(is_shared=False, has_reflink=False, is_thin=True)

    @property
    def traits(self) -> StorageTraits:
        """Facts about this pool, once it is open."""
        return self._traits

    async def create_pool(self) -> None:
        """Make the pool's folder and mark it as this pool's; refuse one with other content."""
        await self._do("be created", self._create_pool)

    async def open(self) -> None:
        """Check that the folder is this pool's, remove unfinished files, probe abilities."""
        await self._do("be opened", self._open)

    async def delete_pool(self) -> None:
        """Remove what ``create_pool`` made; refused while anything else is left."""
        await self._do("be deleted", self._delete_pool)

    async def create_volume(
        self, volume: str, /, *, size_bytes: int, layout: VolumeFormat, base: Path | None = None
    ) -> None:
        """Make an empty volume, or a clone of ``base``; an equal one that exists is kept."""
        _check_size(size_bytes)
        if base is not None and layout is VolumeFormat.RAW:
            await self._create_raw_copy(volume, size_bytes, base)
            return
        await self._do(
            f"make volume {volume!r}", lambda: self._create(volume, size_bytes, layout, base)
        )

    async def copy_volume(self, source: str, target: str, /) -> None:
        """Copy a volume that nothing runs on; an equal-sized ``target`` that exists is kept."""
        await self._do(f"copy volume {source!r}", lambda: self._copy(source, target))

    async def resize_volume(self, volume: str, /, *, size_bytes: int) -> None:
        """Grow it (never shrink) while nothing runs on it."""
        _check_size(size_bytes)
        what = f"resize volume {volume!r}"
        if not await self._do(what, lambda: self._grow(volume, size_bytes)):
            path, _ = self._find(volume)
            argv = ["qemu-img", "resize", "-q", "-f", "qcow2", str(path), str(size_bytes)]
            await run([*_as_owner_of(path), *argv])

    async def delete_volume(self, volume: str, /) -> None:
        """Remove it; nothing happens when it is not there."""
        await self._do(f"delete volume {volume!r}", lambda: self._delete(volume))

    async def volume_files(self, volume: str, /) -> VolumeFiles:
        """Where its bytes are."""
        return await self._do(f"read volume {volume!r}", lambda: self._files(volume))

    async def volume_usage(self, volume: str, /) -> VolumeUsage:
        """How much space it really uses."""
        return await self._do(f"read volume {volume!r}", lambda: self._volume_usage(volume))

    async def volumes(self) -> list[str]:
        """Names of all volumes found in the pool, sorted."""
        return await self._do("be listed", lambda: sorted(name for name, _ in self._listed()))

    async def usage(self) -> PoolUsage:
        """Room of the pool and what its volumes use of it."""
        return await self._do("be measured", self._usage)

    async def room(self) -> PoolRoom:
        """Only the room, for those who look every second."""
        return await self._do("be measured", self._room)

    async def grant(self, volume: str, /, *, uid: int) -> None:
        """Give the volume's own file to that user, and to nobody else."""
        await self._do(f"grant volume {volume!r}", lambda: self._grant(volume, uid))

    # What differs between the drivers.

    def _make_place(self) -> None:
        make_folder(self._folder, mode=folder.FOLDER_MODE)

    def _remove_place(self) -> None:
        self._folder.rmdir()

    # What blocks; runs in a thread.

    async def _do(self, what: str, work: Callable[[], T]) -> T:
        def told() -> T:
            with trouble_told(self._place.name, what):
                return work()

        return await in_thread(told)

    def _create_pool(self) -> None:
        folder.refuse_foreign_content(self._place)
        made: list[str] = []
        if not self._folder.exists():
            made = [*folder.make_parents(self._folder), str(self._folder)]
            self._make_place()
            sync_folder(self._folder.parent)
        folder.mark_folder(self._place, made)
        self._open()

    def _open(self) -> None:
        folder.check_mark(self._place)
        folder.sweep(self._folder)
        self._traits = StorageTraits(
            is_shared=False, has_reflink=folder.has_reflink(self._folder), is_thin=True
        )

    def _delete_pool(self) -> None:
        mark = folder.clear_folder(self._place)
        if mark is None or str(self._folder) not in mark.made:
            return
        self._remove_place()
        for parent in reversed(mark.made[:-1]):
            if os.listdir(parent):
                break
            os.rmdir(parent)

    def _path(self, volume: str, layout: VolumeFormat) -> Path:
        check_name(volume, what="volume")
        return self._folder / f"{volume}.{layout.value}"

    def _find(self, volume: str) -> tuple[Path, VolumeFormat]:
        for layout in VolumeFormat:
            path = self._path(volume, layout)
            if path.is_file() and not path.is_symlink():
                return path, layout
        folder.check_mark(self._place)
        raise VolumeNotFoundError(
            f"pool {self._place.name!r} has no volume {volume!r}",
            where=f"volumes/{self._place.name}/{volume}",
        )

    def _listed(self) -> list[tuple[str, os.stat_result]]:
        folder.check_mark(self._place)
        endings = {f".{layout.value}": layout for layout in VolumeFormat}
        found = []
        with os.scandir(self._folder) as entries:
            for entry in entries:
                name, ending = os.path.splitext(entry.name)
                if ending in endings and not entry.name.startswith("."):
                    facts = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(facts.st_mode):
                        found.append((name, facts))
        return found

    def _create(
        self, volume: str, size_bytes: int, layout: VolumeFormat, base: Path | None
    ) -> None:
        if self._is_there(volume, layout, size_bytes, base):
            return
        if base is not None:
            content.check_base(base, size_bytes)
        content.make_file(self._path(volume, layout), content.write_empty(layout, size_bytes, base))

    def _is_there(
        self, volume: str, layout: VolumeFormat, size_bytes: int, base: Path | None
    ) -> bool:
        try:
            path, found = self._find(volume)
        except VolumeNotFoundError:
            return False
        if found is not layout:
            raise VolumeExistsError(
                f"volume {volume!r} exists already as {found.value}", where="name"
            )
        with content.opened(path) as handle:
            content.check_same(handle, layout, volume, size_bytes=size_bytes, base=base)
        return True

    async def _create_raw_copy(self, volume: str, size_bytes: int, base: Path) -> None:
        """Write a whole image out as raw: unlike a linked clone, it needs all its room."""
        what, layout = f"make volume {volume!r}", VolumeFormat.RAW
        if await self._do(what, lambda: self._is_there(volume, layout, size_bytes, None)):
            return
        await self._do(what, lambda: content.check_base(base, size_bytes))
        final = self._path(volume, layout)
        whole = content.Unfinished.of(final).with_name(f".{volume}.convert.new")
        try:
            await self._convert(base, whole, what)
            await self._do(what, lambda: self._adopt(whole, final, size_bytes))
        finally:
            whole.unlink(missing_ok=True)

    async def _convert(self, base: Path, whole: Path, what: str) -> None:
        argv = ["qemu-img", "convert", "-q", "-f", "qcow2", "-O", "raw", str(base), str(whole)]
        try:
            await run(argv, timeout_s=_CONVERT_TIMEOUT_S)
        except ProgramFailedError as error:
            if os.strerror(errno.ENOSPC) not in error.message:
                raise
            raise PoolFullError(
                f"pool {self._place.name!r} has no room left to {what}",
                where=f"pools/{self._place.name}",
                pool=self._place.name,
            ) from error

    def _adopt(self, whole: Path, final: Path, size_bytes: int) -> None:
        with content.opened(whole, is_writable=True) as handle:
            os.fchmod(handle, 0o600)
            os.ftruncate(handle, size_bytes)
            os.fsync(handle)
        os.link(whole, final)
        sync_folder(self._folder)

    def _copy(self, source: str, target: str) -> None:
        path, layout = self._find(source)
        with content.opened(path) as handle:
            self._refuse_busy(handle, source)
            size = content.virtual_bytes(handle, layout, source)
            base: Path | None = None
            if layout is VolumeFormat.QCOW2:
                backing = content.own_header(handle, source).backing
                base = Path(backing) if backing else None
            if self._is_there(target, layout, size, base):
                return
            content.make_file(
                self._path(target, layout),
                content.write_copy(handle, has_reflink=self._traits.has_reflink),
            )

    def _grow(self, volume: str, size_bytes: int) -> bool:
        path, layout = self._find(volume)
        with content.opened(path, is_writable=True) as handle:
            self._refuse_busy(handle, volume)
            return content.grow(handle, layout, volume, size_bytes)

    def _refuse_busy(self, handle: int, volume: str) -> None:
        if is_image_open(handle):
            raise VolumeBusyError(
                f"volume {volume!r} is open in a running program",
                where=f"volumes/{self._place.name}/{volume}",
            )

    def _delete(self, volume: str) -> None:
        try:
            path, _ = self._find(volume)
        except VolumeNotFoundError:
            return
        with content.opened(path) as handle:
            self._refuse_busy(handle, volume)
        os.unlink(path)
        sync_folder(self._folder)

    def _files(self, volume: str) -> VolumeFiles:
        path, layout = self._find(volume)
        if layout is VolumeFormat.RAW:
            return VolumeFiles(path, layout)
        with content.opened(path) as handle:
            backing = content.own_header(handle, volume).backing
        return VolumeFiles(path, layout, ((Path(backing), "qcow2"),) if backing else ())

    def _volume_usage(self, volume: str) -> VolumeUsage:
        files = self._files(volume)
        with content.opened(files.path) as handle:
            shared = shared_file_bytes(handle)
            allocated = os.fstat(handle).st_blocks * 512
            size = content.virtual_bytes(handle, files.format, volume)
        below = sum(_allocated_bytes(path) for path, _ in files.chain)
        return VolumeUsage(
            virtual_bytes=size,
            allocated_bytes=max(0, allocated - shared),
            shared_bytes=shared + below,
        )

    def _usage(self) -> PoolUsage:
        room = self._room()
        return PoolUsage(
            total_bytes=room.total_bytes,
            free_bytes=room.free_bytes,
            allocated_bytes=sum(facts.st_blocks * 512 for _, facts in self._listed()),
            promised_bytes=0,
        )

    def _room(self) -> PoolRoom:
        folder.check_mark(self._place)
        total, free = disk_room(self._folder)
        return PoolRoom(total, free)

    def _grant(self, volume: str, uid: int) -> None:
        path, _ = self._find(volume)
        with content.opened(path) as handle:
            os.fchmod(handle, 0o600)
            os.fchown(handle, uid, GUEST_GID)


def _as_owner_of(path: Path) -> list[str]:
    """Return the words before a program that reads what a guest's process wrote.

    It gets that process's user and no rights beside, as root gets none: a header that breaks the
    program gains what the guest's process had anyway.
    """
    owner = str(path.lstat().st_uid)
    identity = ("--reuid", owner, "--regid", str(GUEST_GID), "--clear-groups")
    return ["setpriv", *identity, "--no-new-privs", "--bounding-set", "-all", "--"]


def _check_size(size_bytes: int) -> None:
    if size_bytes <= 0 or size_bytes % SECTOR_BYTES:
        raise VolumeTooSmallError(
            f"{size_bytes} bytes are no size of a disk",
            where="size_bytes",
            hint=f"ask for a multiple of {SECTOR_BYTES} bytes above zero",
        )


def _allocated_bytes(path: Path) -> int:
    try:
        return path.stat().st_blocks * 512
    except OSError as error:
        raise PoolOfflineError(f"the base {path} is not there", where=str(path)) from error
