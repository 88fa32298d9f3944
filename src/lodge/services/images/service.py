"""``Images``: what the API calls. Reads are answered from memory, changes become tasks."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from lodge.base.errors import LodgeError
from lodge.base.world import World
from lodge.drivers.builder.contract import ImageBuilder
from lodge.model.image import (
    CatalogueEntry,
    Image,
    ImageAdd,
    ImageBuild,
    ImageFormat,
    ImageOrigin,
)
from lodge.model.task import Actor, Task
from lodge.services.images.add import AddImage, AddParams
from lodge.services.images.bring import ImportImage, ImportParams
from lodge.services.images.build import BuildImage
from lodge.services.images.catalogue import catalogue, find_entry
from lodge.services.images.conversion import Converter
from lodge.services.images.download import Fetcher
from lodge.services.images.errors import (
    DownloadTooLargeError,
    ImagePathDeniedError,
    ImageSourceError,
)
from lodge.services.images.intake import About, Intake
from lodge.services.images.library import ImageLibrary
from lodge.services.images.remove import RemoveImage, RemoveParams
from lodge.services.images.transfer import FetchLimits, check_free, write_at
from lodge.store.contract import Store
from lodge.store.events import EventLog
from lodge.system.files import full_disk_told
from lodge.tasks.contract import Tasks

__all__ = ["ImageParts", "Images"]

_KEEP_PARTS_S = 7 * 86_400.0
_LOCAL_DOORS = frozenset({"socket", "daemon"})
_UPLOAD_KEY_BYTES = 12


@dataclass(frozen=True, slots=True)
class ImageParts:
    """What the service is made of; put together by the daemon.

    ``root`` is the folder of images; ``builders`` returns the builder that knows a recipe.
    """

    store: Store
    tasks: Tasks
    events: EventLog
    world: World
    root: Path
    builders: Callable[[str], ImageBuilder]
    limits: FetchLimits = field(default_factory=FetchLimits)


class Images:
    """Images by alias or fingerprint."""

    def __init__(self, parts: ImageParts) -> None:
        self._tasks = parts.tasks
        self._world = parts.world
        self._limits = parts.limits
        self._library = ImageLibrary(parts.store, parts.events, parts.world, parts.root)
        intake = Intake(self._library, Converter(parts.world), parts.world)
        parts.tasks.register(AddImage(intake, Fetcher(parts.world, parts.limits)))
        parts.tasks.register(ImportImage(intake))
        parts.tasks.register(BuildImage(intake, parts.builders, parts.world))
        parts.tasks.register(RemoveImage(intake))

    def open(self) -> None:
        """Make the folders and sweep what dead tasks left; once, before tasks are carried on."""
        live = [task for task in self._tasks.list() if not task.state.is_final]
        self._library.sweep(
            works=frozenset(task.id for task in live),
            uploads=frozenset(str(task.params.get("upload")) for task in live),
            keep_parts_s=_KEEP_PARTS_S,
        )

    def list(self) -> Sequence[Image]:
        """All images, newest first."""
        return self._library.all()

    def get(self, reference: str, /) -> Image:
        """Return one image by alias, fingerprint, or at least 8 digits of its beginning.

        Raises:
            ImageNotFoundError, ImageAmbiguousError: none, or several.
        """
        return self._library.get(reference)

    def folder(self, fingerprint: str) -> Path:
        """Where the image's files are."""
        return self._library.folder(fingerprint)

    def file(self, reference: str, /) -> Path:
        """Return the path of its qcow2 file, which never changes."""
        return self._library.folder(self.get(reference).fingerprint) / "disk.qcow2"

    def users(self, reference: str) -> Sequence[str]:
        """Name the instances and volumes that stand on an image."""
        return self._library.users(self.get(reference).fingerprint)

    def catalogue(self) -> Sequence[CatalogueEntry]:
        """List what can be fetched or built by name."""
        return catalogue()

    async def add(self, request: ImageAdd, actor: Actor, /) -> Task:
        """Begin to fetch, build or copy an image, whatever the source names.

        Raises:
            ImageSourceError: it names nothing.
            ImagePathDeniedError: a path, and not asked by root of this host.
        """
        entry = find_entry(request.source)
        if entry is not None and entry.recipe is not None:
            return await self.build(ImageBuild(recipe=entry.recipe, alias=request.alias), actor)
        if entry is not None:
            return await self._tasks.submit(AddImage.kind, _from_catalogue(entry, request), actor)
        if request.source.startswith("/"):
            return await self._take_path(request, actor)
        url = _check_url(request.source)
        about = _about(request, ImageOrigin.DOWNLOADED)
        params = AddParams(about=about, url=url, sha256=request.sha256)
        return await self._tasks.submit(AddImage.kind, params, actor)

    async def _take_path(self, request: ImageAdd, actor: Actor) -> Task:
        if actor.via not in _LOCAL_DOORS:
            raise ImagePathDeniedError(f"{request.source!r} is a file of the host", where="source")
        params = ImportParams(
            about=_about(request, ImageOrigin.IMPORTED), path=request.source, sha256=request.sha256
        )
        return await self._tasks.submit(ImportImage.kind, params, actor)

    async def receive(
        self,
        data: AsyncIterator[bytes],
        /,
        *,
        alias: str | None,
        format: ImageFormat | None,  # noqa: A002 -- the model's own name for it
        description: str,
        actor: Actor,
    ) -> Task:
        """Receive an upload to its end, then begin to import it.

        Raises:
            DiskFullError, DownloadTooLargeError: it does not fit; nothing of it is kept.
        """
        key = self._world.random_bytes(_UPLOAD_KEY_BYTES).hex()
        folder = self._library.upload(key)
        try:
            await self._write_upload(data, folder / "data")
        except BaseException:
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True))
            raise
        about = About(
            source="upload",
            origin=ImageOrigin.IMPORTED,
            alias=alias,
            format=format,
            description=description,
        )
        params = ImportParams(about=about, path=str(folder / "data"), upload=key)
        try:
            return await self._tasks.submit(ImportImage.kind, params, actor)
        except LodgeError:  # any other end may come after the task was journaled
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            raise

    async def _write_upload(self, data: AsyncIterator[bytes], path: Path) -> None:
        done = 0
        with path.open("xb", buffering=0) as file:
            async for block in data:
                if done + len(block) > self._limits.file_bytes:
                    raise DownloadTooLargeError("the upload is too large", where="upload")
                check_free(path.parent, len(block), self._limits)
                with full_disk_told(path):
                    write_at(file.fileno(), block, done)
                done += len(block)
            with full_disk_told(path):
                await asyncio.to_thread(os.fsync, file.fileno())

    async def build(self, request: ImageBuild, actor: Actor, /) -> Task:
        """Begin to build an image; one that was built before is kept unless ``is_forced``.

        Raises:
            RecipeNotFoundError, ImageToolsMissingError: it cannot be built here.
        """
        return await self._tasks.submit(BuildImage.kind, request, actor)

    async def remove(self, reference: str, actor: Actor, /) -> Task:
        """Begin to remove an image.

        Raises:
            ImageInUseError: with what uses it.
        """
        params = RemoveParams(fingerprint=self.get(reference).fingerprint)
        return await self._tasks.submit(RemoveImage.kind, params, actor)

    async def set_aliases(self, reference: str, aliases: Sequence[str], _actor: Actor, /) -> Image:
        """Give an image exactly these aliases, taking them from whoever has them.

        Raises:
            InvalidNameError: one is not a name.
        """
        return await self._library.set_aliases(reference, aliases)


def _about(request: ImageAdd, origin: ImageOrigin) -> About:
    return About(
        source=request.source,
        origin=origin,
        alias=request.alias,
        format=request.format,
        description=request.description,
    )


def _from_catalogue(entry: CatalogueEntry, request: ImageAdd) -> AddParams:
    about = About(
        source=entry.name,
        origin=ImageOrigin.DOWNLOADED,
        alias=request.alias or entry.name,
        format=request.format,
        description=request.description or entry.description,
        os=entry.os,
        architecture=entry.architecture,
        default_user=entry.default_user,
        has_agent=entry.has_agent,
    )
    return AddParams(
        about=about,
        url=entry.url or "",
        sha256=request.sha256 or entry.sha256,
        sha512=None if request.sha256 else entry.sha512,
        checksum_url=None if request.sha256 else entry.checksum_url,
    )


def _check_url(source: str) -> str:
    try:
        parts = urlsplit(source)
        is_web = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        is_web = False
    if not is_web:
        raise ImageSourceError(f"{source!r} is no source of images", where="source")
    if parts.username is not None or parts.password is not None:
        raise ImageSourceError(
            "an address with a password would be readable in the list of tasks",
            where="source",
            hint="download it yourself, then: lodge image import FILE",
        )
    return source
