"""``image.import``: take a file of the host, or one that was uploaded."""

import asyncio
import shutil
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from pathlib import Path
from typing import ClassVar

from lodge.base.names import check_name
from lodge.model.record import Spec
from lodge.services.images.checksum import Checksum, verify_file
from lodge.services.images.conversion import take_file
from lodge.services.images.errors import ImageSourceError
from lodge.services.images.intake import About, Intake, tell
from lodge.tasks.contract import OnCrash, StepContext, StepDefinition

__all__ = ["ImportImage", "ImportParams"]


class ImportParams(Spec, frozen=True, kw_only=True):
    """The file; ``upload``: the key under which it was received, when it was."""

    about: About
    path: str
    upload: str | None = None
    sha256: str | None = None


class ImportImage:
    """Copy, verify, convert, enter. The file itself is only read."""

    kind: ClassVar[str] = "image.import"
    params_type: ClassVar[type[ImportParams]] = ImportParams
    on_crash: ClassVar[OnCrash] = OnCrash.RESUME
    parallel: ClassVar[int] = 2

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    def target(self, params: ImportParams, /) -> str:
        """The alias, or the file while it has no name."""
        return f"images/{params.about.alias or params.about.source}"

    def locks(self, params: ImportParams, /) -> AbstractSet[str]:
        """One import of a file at a time."""
        return {f"image-source:{params.path}"}

    async def check(self, params: ImportParams, /) -> None:
        """Refuse an alias that is no name and a file that is not there."""
        if params.about.alias is not None:
            check_name(params.about.alias, what="image alias", where="alias")
        if not Path(params.path).is_file():
            raise ImageSourceError(f"there is no file {params.path!r}", where="source")

    def plan(self, params: ImportParams, /) -> Sequence[StepDefinition]:
        """List the steps."""
        clear = partial(self._clear, params)
        return (
            StepDefinition("take", partial(self._take, params), clear),
            StepDefinition(
                "convert", lambda c: self._intake.convert(c, params.about.format), clear
            ),
            StepDefinition(
                "enter",
                lambda context: self._intake.enter(context, params.about),
                clear,
                is_point_of_no_return=True,
            ),
            StepDefinition("tidy", clear),
        )

    async def _take(self, params: ImportParams, context: StepContext) -> None:
        """Copy first, then look: what was looked at is what is converted."""
        source = self._intake.source(context)
        if not source.exists():
            context.progress(0, Path(params.path).stat().st_size, note="copying")
            await take_file(Path(params.path), source)
        if params.sha256 is not None:
            expected = Checksum("sha256", params.sha256)
            told = tell(context, "comparing sha256")
            await verify_file(source, expected, told, source=params.path)

    async def _clear(self, params: ImportParams, context: StepContext) -> None:
        await self._intake.clear(context)
        if params.upload is not None:
            folder = self._intake.library.upload(params.upload)
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
