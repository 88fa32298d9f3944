"""A pool in its own btrfs subvolume."""

from pathlib import Path
from typing import ClassVar

from lodge.drivers.storage.errors import PoolPathUnsuitableError
from lodge.drivers.storage.files import folder
from lodge.drivers.storage.files.pool import FilePool
from lodge.system.btrfs import create_subvolume, delete_subvolume, is_btrfs, is_subvolume

__all__ = ["BtrfsStorage"]


class BtrfsStorage(FilePool):
    """Volumes as files in a subvolume: the whole pool can be snapshotted in one constant step."""

    name: ClassVar[str] = "btrfs"

    def _make_place(self) -> None:
        self._refuse_others(self._folder.parent)
        create_subvolume(self._folder)
        self._folder.chmod(folder.FOLDER_MODE)

    def _remove_place(self) -> None:
        delete_subvolume(self._folder)

    def _create_pool(self) -> None:
        """Refuse before anything is made; a folder that exists must be a subvolume's top."""
        above = self._folder
        while not above.exists():
            above = above.parent
        self._refuse_others(above)
        if above == self._folder and not is_subvolume(self._folder):
            raise PoolPathUnsuitableError(
                f"{self._folder} is a plain folder, not a btrfs subvolume",
                where="path",
                hint="name a folder that does not exist yet: it becomes a subvolume",
            )
        super()._create_pool()

    def _refuse_others(self, path: Path) -> None:
        if not is_btrfs(path):
            raise PoolPathUnsuitableError(
                f"{self._folder} is not on btrfs",
                where="path",
                hint="choose a path on a btrfs file system, or the driver dir",
            )
