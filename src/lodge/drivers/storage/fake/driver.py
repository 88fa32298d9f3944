"""A named fake: a pool of a given capacity whose volumes are only numbers.

It keeps the whole contract and can be told to fail, hang, go offline or fill up. Its folder holds
the pool's mark and a journal, so that a restarted daemon finds its fake volumes again.
"""

from pathlib import Path
from typing import ClassVar

from lodge.base.names import check_name
from lodge.base.units import TIB
from lodge.drivers.storage.contract import (
    SECTOR_BYTES,
    PoolPlace,
    PoolRoom,
    StorageTraits,
    VolumeFiles,
)
from lodge.drivers.storage.errors import (
    PoolFullError,
    PoolNotEmptyError,
    PoolOfflineError,
    VolumeBaseError,
    VolumeCannotShrinkError,
    VolumeExistsError,
    VolumeNotFoundError,
    VolumeTooSmallError,
)
from lodge.drivers.storage.fake.faults import Faults
from lodge.drivers.storage.fake.journal import FakeVolume, Journal
from lodge.drivers.storage.files import folder
from lodge.drivers.storage.files.content import opened
from lodge.drivers.storage.formats.errors import DiskFileError
from lodge.drivers.storage.formats.qcow2_file import read_header
from lodge.model.storage import PoolUsage, VolumeFormat, VolumeUsage

__all__ = ["JOURNAL", "FakeStorage"]

JOURNAL = ".fake-volumes"
_METADATA_BYTES = 16 * 1024


class FakeStorage:
    """Keep every promise of ``StorageDriver`` about volumes that do not exist."""

    name: ClassVar[str] = "fake"

    def __init__(
        self, place: PoolPlace, /, *, capacity_bytes: int = TIB, faults: Faults | None = None
    ) -> None:
        self._place = place
        self._capacity_bytes = capacity_bytes
        self._volumes: dict[str, FakeVolume] = {}
        self._foreign_bytes = 0
        self._written_bytes = 0
        self._journal = Journal(place.path / JOURNAL)
        self.faults = faults or Faults()

    @property
    def traits(self) -> StorageTraits:
        """Facts about this pool."""
        return StorageTraits(is_shared=False, has_reflink=True, is_thin=True)

    # What tests and demos do to it.

    def write(self, volume: str, written_bytes: int) -> None:
        """Pretend that a guest wrote that much to new places of its disk.

        Raises:
            PoolFullError: the pool has less room.
        """
        self._take(written_bytes, f"write to {volume!r}")
        kept = self._volume(volume)
        kept.written_bytes += written_bytes
        self._written_bytes += written_bytes
        self._journal.note(volume, kept)

    def fill(self, *, leaving_bytes: int) -> None:
        """Pretend that other files took (or gave back) room until this much is left."""
        self._foreign_bytes = 0
        self._foreign_bytes = self._free_bytes() - leaving_bytes

    # The contract.

    async def create_pool(self) -> None:
        """Make the folder that holds the mark and the journal."""
        await self.faults.meet("create_pool")
        folder.refuse_foreign_content(self._place)
        made: list[str] = []
        if not self._place.path.exists():
            made = [*folder.make_parents(self._place.path), str(self._place.path)]
            self._place.path.mkdir()
        folder.mark_folder(self._place, made)
        self._load()

    async def open(self) -> None:
        """Read the journal again."""
        await self._meet("open")
        folder.check_mark(self._place)
        self._load()

    async def delete_pool(self) -> None:
        """Remove the folder; refused while volumes are left."""
        await self._meet("delete_pool")
        if self._volumes:
            raise PoolNotEmptyError(
                f"pool {self._place.name!r} still has {len(self._volumes)} volumes",
                where=f"pools/{self._place.name}",
            )
        (self._place.path / JOURNAL).unlink(missing_ok=True)
        mark = folder.clear_folder(self._place)
        for made in reversed(mark.made if mark else ()):
            if not any(Path(made).iterdir()):
                Path(made).rmdir()

    async def create_volume(
        self, volume: str, /, *, size_bytes: int, layout: VolumeFormat, base: Path | None = None
    ) -> None:
        """Note a volume; an equal one that exists is kept."""
        await self._meet("create_volume")
        check_name(volume, what="volume")
        _check_size(size_bytes)
        wanted = (size_bytes, layout, None if base is None else str(base))
        there = self._volumes.get(volume)
        if there is not None:
            if (there.size_bytes, there.layout, there.base) != wanted:
                raise VolumeExistsError(
                    f"volume {volume!r} exists already with {there.size_bytes} bytes", where="name"
                )
            return
        if base is not None:
            _check_base(base, size_bytes)
        self._take(_METADATA_BYTES, f"make volume {volume!r}")
        self._put(volume, FakeVolume(size_bytes=size_bytes, layout=layout.value, base=wanted[2]))

    async def copy_volume(self, source: str, target: str, /) -> None:
        """Note a volume of the same size."""
        await self._meet("copy_volume")
        kept = self._volume(source)
        await self.create_volume(
            target,
            size_bytes=kept.size_bytes,
            layout=kept.layout,
            base=Path(kept.base) if kept.base else None,
        )

    async def resize_volume(self, volume: str, /, *, size_bytes: int) -> None:
        """Note a larger size."""
        await self._meet("resize_volume")
        _check_size(size_bytes)
        kept = self._volume(volume)
        if size_bytes < kept.size_bytes:
            raise VolumeCannotShrinkError(
                f"volume {volume!r} has {kept.size_bytes} bytes, {size_bytes} would be less",
                where="size_bytes",
            )
        kept.size_bytes = size_bytes
        self._put(volume, kept)

    async def delete_volume(self, volume: str, /) -> None:
        """Forget a volume."""
        await self._meet("delete_volume")
        gone = self._volumes.pop(volume, None)
        if gone is not None:
            self._written_bytes -= gone.written_bytes
            self._journal.note(volume, None)

    async def volume_files(self, volume: str, /) -> VolumeFiles:
        """Where its bytes would be."""
        await self._meet("volume_files")
        kept = self._volume(volume)
        path = self._place.path / f"{volume}.{kept.layout.value}"
        is_linked = kept.base is not None and kept.layout is VolumeFormat.QCOW2
        return VolumeFiles(path, kept.layout, ((Path(kept.base or ""), "qcow2"),) * is_linked)

    async def volume_usage(self, volume: str, /) -> VolumeUsage:
        """How much space it pretends to use."""
        await self._meet("volume_usage")
        kept = self._volume(volume)
        shared = Path(kept.base).stat().st_blocks * 512 if kept.base else 0
        return VolumeUsage(
            virtual_bytes=kept.size_bytes,
            allocated_bytes=_METADATA_BYTES + kept.written_bytes,
            shared_bytes=shared if kept.layout is VolumeFormat.QCOW2 else 0,
        )

    async def volumes(self) -> list[str]:
        """Names of all volumes, sorted."""
        await self._meet("volumes")
        return sorted(self._volumes)

    async def usage(self) -> PoolUsage:
        """Room of the pool and what its volumes use of it."""
        await self._meet("usage")
        return PoolUsage(
            total_bytes=self._capacity_bytes,
            free_bytes=self._free_bytes(),
            allocated_bytes=self._allocated_bytes(),
            promised_bytes=0,
        )

    async def room(self) -> PoolRoom:
        """Only the room."""
        await self._meet("room")
        return PoolRoom(self._capacity_bytes, self._free_bytes())

    async def grant(self, volume: str, /, *, uid: int) -> None:
        """Note the owner."""
        await self._meet("grant")
        kept = self._volume(volume)
        kept.uid = uid
        self._put(volume, kept)

    # Inside.

    def _load(self) -> None:
        self._volumes = self._journal.load()
        self._written_bytes = sum(kept.written_bytes for kept in self._volumes.values())

    async def _meet(self, method: str) -> None:
        await self.faults.meet(method)
        if self.faults.is_offline:
            raise PoolOfflineError(
                f"pool {self._place.name!r} is offline, as it was told to be",
                where=f"pools/{self._place.name}",
            )

    def _volume(self, volume: str) -> FakeVolume:
        check_name(volume, what="volume")
        if volume not in self._volumes:
            raise VolumeNotFoundError(
                f"pool {self._place.name!r} has no volume {volume!r}",
                where=f"volumes/{self._place.name}/{volume}",
            )
        return self._volumes[volume]

    def _put(self, name: str, volume: FakeVolume) -> None:
        self._volumes[name] = volume
        self._journal.note(name, volume)

    def _allocated_bytes(self) -> int:
        return _METADATA_BYTES * len(self._volumes) + self._written_bytes

    def _free_bytes(self) -> int:
        return max(0, self._capacity_bytes - self._foreign_bytes - self._allocated_bytes())

    def _take(self, needed_bytes: int, what: str) -> None:
        if self._free_bytes() < needed_bytes:
            raise PoolFullError(
                f"pool {self._place.name!r} has no room left to {what}",
                where=f"pools/{self._place.name}",
                pool=self._place.name,
            )


def _check_size(size_bytes: int) -> None:
    if size_bytes <= 0 or size_bytes % SECTOR_BYTES:
        raise VolumeTooSmallError(
            f"{size_bytes} bytes are no size of a disk",
            where="size_bytes",
            hint=f"ask for a multiple of {SECTOR_BYTES} bytes above zero",
        )


def _check_base(base: Path, size_bytes: int) -> None:
    """A fake image need not be a disk; a real one is held to what the real drivers ask of it."""
    try:
        with opened(base) as handle:
            found_bytes = read_header(handle, base.name).virtual_bytes
    except OSError as error:
        raise VolumeBaseError(f"{base} cannot be cloned: {error}", where="base") from error
    except DiskFileError:
        return
    if found_bytes > size_bytes:
        raise VolumeTooSmallError(
            f"{size_bytes} bytes are less than the {found_bytes} bytes of the image",
            where="size_bytes",
        )
