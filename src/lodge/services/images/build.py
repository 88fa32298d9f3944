"""``image.build``: build an image by a recipe, from distribution packages."""

import asyncio
import os
import shutil
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from lodge.base.names import check_name
from lodge.base.world import World
from lodge.drivers.builder.contract import BuiltImage, ImageBuilder
from lodge.drivers.storage.formats.inspect import inspect_untrusted
from lodge.model.host import CapabilityState
from lodge.model.image import Image, ImageBuild, ImageFormat, ImageOrigin
from lodge.services.images.checksum import hash_file
from lodge.services.images.conversion import MAX_VIRTUAL_BYTES
from lodge.services.images.errors import ImageToolsMissingError
from lodge.services.images.intake import Intake, tell
from lodge.tasks.contract import OnCrash, StepContext, StepDefinition

__all__ = ["BuildImage", "built_from"]

_FILES = {"kernel": "vmlinuz", "initrd": "initrd", "vmlinux": "vmlinux"}


def built_from(recipe: str) -> str:
    """Return the ``source`` of images built by a recipe."""
    return f"recipe:{recipe}"


class BuildImage:
    """Build, enter. A build that a dead daemon left is begun again."""

    kind: ClassVar[str] = "image.build"
    params_type: ClassVar[type[ImageBuild]] = ImageBuild
    on_crash: ClassVar[OnCrash] = OnCrash.RESUME
    parallel: ClassVar[int] = 1

    def __init__(
        self, intake: Intake, builders: Callable[[str], ImageBuilder], world: World
    ) -> None:
        self._intake = intake
        self._library = intake.library
        self._builders = builders
        self._world = world

    def target(self, params: ImageBuild, /) -> str:
        """The alias it gets."""
        return f"images/{params.alias or params.recipe}"

    def locks(self, params: ImageBuild, /) -> AbstractSet[str]:
        """One build of a recipe at a time."""
        return {f"image-recipe:{params.recipe}"}

    async def check(self, params: ImageBuild, /) -> None:
        """Refuse an unknown recipe, and missing tools unless the image is there already.

        Raises:
            RecipeNotFoundError, ImageToolsMissingError: with what to install.
        """
        if params.alias is not None:
            check_name(params.alias, what="image alias", where="alias")
        builder = self._builders(params.recipe)
        if self._present(params) is not None:
            return
        tools = await builder.check(params.recipe)
        missing = [
            tool for tool in tools if tool.is_required and tool.state is CapabilityState.MISSING
        ]
        if missing:
            raise ImageToolsMissingError(
                f"to build {params.recipe!r} this host lacks:"
                f" {', '.join(tool.name.removeprefix('build tool ') for tool in missing)}",
                where="recipe",
                hint="; ".join(dict.fromkeys(tool.fix for tool in missing)),
            )

    def _present(self, params: ImageBuild) -> Image | None:
        if params.is_forced:
            return None
        source = built_from(params.recipe)
        return next((image for image in self._library.all() if image.source == source), None)

    def plan(self, params: ImageBuild, /) -> Sequence[StepDefinition]:
        """List the steps."""
        clear = self._intake.clear
        return (
            StepDefinition("build", partial(self._build, params), clear),
            StepDefinition(
                "enter", partial(self._enter, params), clear, is_point_of_no_return=True
            ),
            StepDefinition("tidy", clear),
        )

    async def _build(self, params: ImageBuild, context: StepContext) -> None:
        present = self._present(params)
        if present is not None:
            await context.remember(present=present.fingerprint)
            return
        await self._intake.clear(context)
        work = self._library.work(context.task_id)

        def progress(done: int, total: int | None, note: str) -> None:
            context.progress(done, total, unit="percent", note=note)

        built = await self._builders(params.recipe).build(params.recipe, work, progress)
        told = tell(context, "taking its fingerprint")
        fingerprint = await hash_file(built.disk, "sha256", told)
        files = await asyncio.to_thread(_gather, built, work / "files")
        image = Image(
            fingerprint=fingerprint,
            aliases=(),
            description=built.description,
            os=built.os,
            architecture="x86_64",
            origin=ImageOrigin.BUILT,
            source=built_from(params.recipe),
            virtual_bytes=await asyncio.to_thread(_virtual_bytes, files / "disk.qcow2"),
            file_bytes=(files / "disk.qcow2").stat().st_blocks * 512,
            created_at=self._world.now(),
            has_kernel=built.kernel is not None and built.initrd is not None,
            has_cloud_init=built.has_cloud_init,
            has_agent=built.has_agent,
            default_user=built.default_user,
            command_line=built.command_line,
            min_memory_mib=built.min_memory_mib,
        )
        await context.remember(image=msgspec.to_builtins(image))

    async def _enter(self, params: ImageBuild, context: StepContext) -> None:
        files = self._library.work(context.task_id) / "files"
        alias = params.alias or params.recipe
        present = self._library.find(context.notes.get("present", ""))
        image = present or self._noted(context.notes)
        await self._intake.enter_image(context, image, files, alias)

    def _noted(self, notes: dict[str, Any]) -> Image:
        return msgspec.convert(notes["image"], Image)


def _gather(built: BuiltImage, target: Path) -> Path:
    """Move the built files under their names in the library into one folder."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    os.rename(built.disk, target / "disk.qcow2")
    for field, name in _FILES.items():
        path: Path | None = getattr(built, field)
        if path is not None:
            os.rename(path, target / name)
    return target


def _virtual_bytes(disk: Path) -> int:
    facts = inspect_untrusted(disk, ImageFormat.QCOW2, max_virtual_bytes=MAX_VIRTUAL_BYTES)
    return facts.virtual_bytes
