"""The steps by which a file from somewhere becomes an image; shared by the kinds of tasks."""

import asyncio
import os
import shutil
from pathlib import Path
from typing import Protocol

from lodge.base.world import World
from lodge.model.image import Image, ImageFormat, ImageOrigin
from lodge.model.record import Spec
from lodge.services.images.checksum import hash_file
from lodge.services.images.conversion import Converter
from lodge.services.images.library import ImageLibrary
from lodge.tasks.contract import StepContext

__all__ = ["About", "Intake", "Told", "tell"]

_PRIVATE_FILE_MODE = 0o400


class Told(Protocol):
    """Takes progress in bytes; nobody may know how many there will be."""

    def __call__(self, done: int, total: int | None = None, /) -> None:
        """Tell."""
        ...


class About(Spec, frozen=True, kw_only=True):
    """What people said, or the catalogue says, of an image before it is there."""

    source: str
    origin: ImageOrigin
    alias: str | None = None
    format: ImageFormat | None = None
    description: str = ""
    os: str = ""
    architecture: str = "x86_64"
    default_user: str = ""
    has_agent: bool = False
    has_cloud_init: bool = True


def tell(context: StepContext, note: str) -> Told:
    """Return a function that passes progress in bytes on to the task."""

    def told(done: int, total: int | None = None, /) -> None:
        context.progress(done, total, note=note)

    return told


class Intake:
    """Convert what lies in a task's folder, and enter it into the library."""

    def __init__(self, library: ImageLibrary, converter: Converter, world: World) -> None:
        self.library = library
        self._converter = converter
        self._world = world

    def source(self, context: StepContext) -> Path:
        """Where a task puts the file it wants converted."""
        return self.library.work(context.task_id) / "source"

    async def convert(self, context: StepContext, claimed: ImageFormat | None) -> None:
        """Turn ``source`` into ``disk.qcow2`` beside it and note its facts. Runs anew each time.

        Raises:
            DiskFileError, ImageNotADiskError: it is no disk that can be taken.
        """
        source = self.source(context)
        facts = await self._converter.inspect(source, claimed)
        source.chmod(_PRIVATE_FILE_MODE)
        note = f"converting from {facts.format.value}"
        context.progress(0, None, note=note)
        told = tell(context, note)
        disk = await self._converter.convert(source.parent, facts, told)
        fingerprint = await hash_file(disk, "sha256", tell(context, "taking its fingerprint"))
        await context.remember(
            fingerprint=fingerprint,
            virtual_bytes=facts.virtual_bytes,
            file_bytes=disk.stat().st_blocks * 512,
        )

    async def enter(self, context: StepContext, about: About) -> None:
        """Make the converted disk an image."""
        work = self.library.work(context.task_id)
        files = work / "files"
        files.mkdir(exist_ok=True)
        if (work / "disk.qcow2").exists():
            os.rename(work / "disk.qcow2", files / "disk.qcow2")
        image = Image(
            fingerprint=context.notes["fingerprint"],
            aliases=(),
            description=about.description,
            os=about.os,
            architecture=about.architecture,
            origin=about.origin,
            source=about.source,
            virtual_bytes=context.notes["virtual_bytes"],
            file_bytes=context.notes["file_bytes"],
            created_at=self._world.now(),
            has_cloud_init=about.has_cloud_init,
            has_agent=about.has_agent,
            default_user=about.default_user,
        )
        await self.enter_image(context, image, files, about.alias)

    async def enter_image(
        self, context: StepContext, image: Image, files: Path, alias: str | None
    ) -> None:
        """Enter an image whose files lie in ``files``; tell the task's caller about it."""
        is_known = self.library.find(image.fingerprint) is not None
        entered = await self.library.enter(image, files, alias)
        context.result(
            image=entered.fingerprint, aliases=list(entered.aliases), existed_already=is_known
        )

    async def clear(self, context: StepContext) -> None:
        """Remove the task's folder; idempotent."""
        folder = self.library.work(context.task_id)
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
