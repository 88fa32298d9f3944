"""The images that exist: records in the store, each with a folder of files that never change."""

import asyncio
import os
import shutil
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

import msgspec

from lodge.base.errors import ChangedMeanwhileError
from lodge.base.names import check_name
from lodge.base.world import World
from lodge.model.image import Image
from lodge.model.instance import Instance
from lodge.model.storage import Volume
from lodge.services.images.errors import ImageInUseError
from lodge.services.images.reference import find_image
from lodge.store.contract import Store
from lodge.store.events import EventLog
from lodge.store.records import Records
from lodge.system.files import make_folder, sync_folder
from lodge.system.identity import GUEST_GID

__all__ = ["ImageLibrary"]

_WRITE_ATTEMPTS = 20
_FOLDER_MODE, _FILE_MODE, _PRIVATE_MODE = 0o710, 0o640, 0o700
_USERS_NAMED = 10

Change = Callable[[dict[str, Image]], None]


class ImageLibrary:
    """Records and folders; an image is there for everybody once its record is."""

    def __init__(self, store: Store, events: EventLog, world: World, root: Path) -> None:
        self._store = store
        self._events = events
        self._world = world
        self._root = root
        self._images = Records(store, "images/", Image)
        self._instances = Records(store, "instances/", Instance)
        self._volumes = Records(store, "volumes/", Volume)
        self._moving = asyncio.Lock()  # one at a time changes which folders there are

    def all(self) -> list[Image]:
        """All images, newest first."""
        images = [image for _, image in self._images.items()]
        return sorted(images, key=lambda image: image.created_at, reverse=True)

    def get(self, reference: str) -> Image:
        """Return one image by alias, fingerprint, or at least 8 digits of its beginning.

        Raises:
            ImageNotFoundError, ImageAmbiguousError: none, or several.
        """
        whole = self._images.get(reference)  # what records of instances and volumes hold
        return whole or find_image(self.all(), reference)

    def find(self, fingerprint: str) -> Image | None:
        """Return the image of exactly this fingerprint, or null."""
        return self._images.get(fingerprint)

    def folder(self, fingerprint: str) -> Path:
        """Where an image's files are: ``disk.qcow2``, and ``vmlinuz``, ``initrd``, ``vmlinux``."""
        return self._root / fingerprint

    def prepare(self) -> None:
        """Make the folders in which work is done; idempotent."""
        if not self._root.exists():
            make_folder(self._root, mode=_FOLDER_MODE)
            os.chown(self._root, 0, GUEST_GID)  # guests' processes pass through to their image
        for name in (".work", ".downloads", ".uploads"):
            make_folder(self._root / name, mode=_PRIVATE_MODE)

    def work(self, task: str) -> Path:
        """A task's own folder on the same file system; made when missing."""
        self.prepare()
        folder = self._root / ".work" / task
        if not folder.exists():
            make_folder(folder, mode=_PRIVATE_MODE)
        return folder

    def download(self, key: str) -> Path:
        """Where the parts of one address are kept; made when missing."""
        self.prepare()
        folder = self._root / ".downloads" / key
        folder.mkdir(exist_ok=True)
        return folder

    def upload(self, key: str) -> Path:
        """Where one upload is received; made when missing."""
        self.prepare()
        folder = self._root / ".uploads" / key
        folder.mkdir(exist_ok=True)
        return folder

    def users(self, fingerprint: str) -> list[str]:
        """Name the instances and volumes that stand on an image."""
        instances = [
            f"instances/{record.name}"
            for _, record in self._instances.items()
            if record.spec.image == fingerprint
        ]
        volumes = [
            f"pools/{record.pool}/volumes/{record.name}"
            for _, record in self._volumes.items()
            if record.image == fingerprint
        ]
        return instances + volumes

    def check_unused(self, image: Image) -> None:
        """Let an image pass that nothing stands on.

        Raises:
            ImageInUseError: with the first of its users.
        """
        users = self.users(image.fingerprint)
        if users:
            more = f" and {len(users) - 3} more" if len(users) > 3 else ""
            raise ImageInUseError(
                f"image {_name(image)} is used by {', '.join(users[:3])}{more}",
                where=f"images/{image.fingerprint}",
                users=users[:_USERS_NAMED],
            )

    async def enter(self, image: Image, files: Path, alias: str | None) -> Image:
        """Make the files of a folder an image; an image of that content only gets the alias.

        The alias is taken from whoever has it. Idempotent.
        """
        async with self._moving:
            if self.find(image.fingerprint) is None:
                if files.exists():
                    await asyncio.to_thread(self._place, files, self.folder(image.fingerprint))
                known = msgspec.structs.replace(image, aliases=())
            else:
                known = image
            return await self._write(known, "image.added", [alias] if alias else [], adds=True)

    def _place(self, files: Path, target: Path) -> None:
        """Rename a whole folder into place, so that it is there completely or not at all."""
        shutil.rmtree(target, ignore_errors=True)  # left by a daemon that died before the record
        for path in (files, *files.iterdir()):
            os.chown(path, 0, GUEST_GID, follow_symlinks=False)
            path.chmod(_FOLDER_MODE if path == files else _FILE_MODE)
        sync_folder(files)
        files.rename(target)
        sync_folder(self._root)

    async def set_aliases(self, reference: str, aliases: Sequence[str]) -> Image:
        """Give an image exactly these aliases, taking them from whoever has them.

        Raises:
            InvalidNameError: one is not a name.
        """
        for alias in aliases:
            check_name(alias, what="image alias", where="aliases")
        return await self._write(self.get(reference), "image.changed", aliases, adds=False)

    async def _write(self, image: Image, kind: str, aliases: Sequence[str], *, adds: bool) -> Image:
        """Store an image and take its new aliases from the others, in one transaction."""
        for _ in range(_WRITE_ATTEMPTS):
            entry = self._images.entry(image.fingerprint)
            current, revision = entry or (image, 0)
            kept = current.aliases if adds else ()
            wanted = tuple(dict.fromkeys([*kept, *aliases]))
            new = msgspec.structs.replace(current, aliases=wanted)
            if entry is not None and new == current:
                return current
            compares = [self._images.compare(image.fingerprint, revision)]
            writes = [self._images.put(image.fingerprint, new)]
            for key, other, at in self._images.entries():
                left = tuple(alias for alias in other.aliases if alias not in wanted)
                if key != image.fingerprint and left != other.aliases:
                    compares.append(self._images.compare(key, at))
                    writes.append(
                        self._images.put(key, msgspec.structs.replace(other, aliases=left))
                    )
            event = self._events.put(
                kind if entry is None else "image.changed",
                f"images/{image.fingerprint}",
                {"aliases": list(wanted), "os": new.os},
            )
            if (await self._store.txn(compares, [*writes, event])).succeeded:
                return new
        raise ChangedMeanwhileError(
            f"image {_name(image)} keeps being changed by others",
            where=f"images/{image.fingerprint}",
        )

    async def leave(self, fingerprint: str, bin_folder: Path) -> None:
        """Take an image away: its record, then its files, moved into ``bin_folder``. Idempotent.

        Raises:
            ImageInUseError: something was made of it meanwhile.
        """
        async with self._moving:
            entry = self._images.entry(fingerprint)
            if entry is not None:
                image, revision = entry
                self.check_unused(image)
                gone = await self._store.txn(
                    [self._images.compare(fingerprint, revision)],
                    [
                        self._images.delete(fingerprint),
                        self._events.put("image.removed", f"images/{fingerprint}"),
                    ],
                )
                if not gone.succeeded:
                    raise ChangedMeanwhileError(
                        f"image {_name(image)} was changed meanwhile", where=f"images/{fingerprint}"
                    )
            folder = self.folder(fingerprint)
            if folder.exists():
                folder.rename(bin_folder / fingerprint)
                sync_folder(self._root)

    def sweep(
        self, *, works: AbstractSet[str], uploads: AbstractSet[str], keep_parts_s: float
    ) -> None:
        """Remove what dead tasks left, and download parts that nobody came back for.

        Folders of images without a record stay: the record may have been lost, not the image.
        """
        self.prepare()
        oldest = self._world.now() - keep_parts_s
        stale = [f for f in (self._root / ".work").iterdir() if f.name not in works]
        stale += [f for f in (self._root / ".uploads").iterdir() if f.name not in uploads]
        stale += [f for f in (self._root / ".downloads").iterdir() if f.stat().st_mtime < oldest]
        for folder in stale:
            shutil.rmtree(folder, ignore_errors=True)


def _name(image: Image) -> str:
    return repr(image.aliases[0]) if image.aliases else image.fingerprint[:12]
