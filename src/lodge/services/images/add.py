"""``image.add``: fetch an image from the network."""

import asyncio
import hashlib
import os
import shutil
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from lodge.base.names import check_name
from lodge.model.record import Spec
from lodge.services.images.checksum import Checksum, find_checksum, verify_file
from lodge.services.images.download import Fetcher
from lodge.services.images.errors import ChecksumMismatchError
from lodge.services.images.intake import About, Intake, tell
from lodge.tasks.contract import OnCrash, StepContext, StepDefinition

__all__ = ["AddImage", "AddParams"]


class AddParams(Spec, frozen=True, kw_only=True):
    """Where to fetch, what to compare with, what to call it."""

    about: About
    url: str
    sha256: str | None = None
    sha512: str | None = None
    checksum_url: str | None = None


def _key(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()[:32]


class AddImage:
    """Fetch, verify, convert, enter. A part that was fetched outlives failures and crashes."""

    kind: ClassVar[str] = "image.add"
    params_type: ClassVar[type[AddParams]] = AddParams
    on_crash: ClassVar[OnCrash] = OnCrash.RESUME
    parallel: ClassVar[int] = 2

    def __init__(self, intake: Intake, fetcher: Fetcher) -> None:
        self._intake = intake
        self._fetcher = fetcher

    def target(self, params: AddParams, /) -> str:
        """The alias, or where it comes from while it has no name."""
        return f"images/{params.about.alias or params.about.source}"

    def locks(self, params: AddParams, /) -> AbstractSet[str]:
        """One download of an address at a time."""
        return {f"image-source:{_key(params.url)}"}

    async def check(self, params: AddParams, /) -> None:
        """Refuse an alias that is no name."""
        if params.about.alias is not None:
            check_name(params.about.alias, what="image alias", where="alias")

    def plan(self, params: AddParams, /) -> Sequence[StepDefinition]:
        """List the steps."""
        clear = self._intake.clear
        return (
            StepDefinition("expect", partial(self._expect, params)),
            StepDefinition("fetch", partial(self._fetch, params)),
            StepDefinition("verify", partial(self._verify, params)),
            StepDefinition("convert", partial(self._convert, params), clear),
            StepDefinition(
                "enter",
                lambda context: self._intake.enter(context, params.about),
                clear,
                is_point_of_no_return=True,
            ),
            StepDefinition("tidy", partial(self._tidy, params)),
        )

    def _folder(self, params: AddParams) -> Path:
        return self._intake.library.download(_key(params.url))

    async def _expect(self, params: AddParams, context: StepContext) -> None:
        """Learn the checksum first: a wrong address of it should cost nobody a long download."""
        if params.sha512 is not None:
            expected = Checksum("sha512", params.sha512)
        elif params.sha256 is not None:
            expected = Checksum("sha256", params.sha256)
        elif params.checksum_url is not None:
            published = await self._fetcher.text(params.checksum_url)
            expected = find_checksum(published, urlsplit(params.url).path.rpartition("/")[2])
        else:
            return
        await context.remember(algorithm=expected.algorithm, digest=expected.digest)

    async def _fetch(self, params: AddParams, context: StepContext) -> None:
        await self._fetcher.fetch(
            params.url,
            self._folder(params),
            tell(context, "downloading"),
            is_verified="digest" in context.notes,
        )

    async def _verify(self, params: AddParams, context: StepContext) -> None:
        if "digest" not in context.notes:
            return
        expected = Checksum(context.notes["algorithm"], context.notes["digest"])
        data = self._folder(params) / "data"
        told = tell(context, f"comparing {expected.algorithm}")
        try:
            await verify_file(data, expected, told, source=params.url)
        except ChecksumMismatchError:
            await self._forget(params)
            raise

    async def _convert(self, params: AddParams, context: StepContext) -> None:
        source = self._intake.source(context)
        if not source.exists():
            os.link(self._folder(params) / "data", source)
        await self._intake.convert(context, params.about.format)

    async def _tidy(self, params: AddParams, context: StepContext) -> None:
        await self._intake.clear(context)
        await self._forget(params)

    async def _forget(self, params: AddParams) -> None:
        await asyncio.to_thread(shutil.rmtree, self._folder(params), ignore_errors=True)
