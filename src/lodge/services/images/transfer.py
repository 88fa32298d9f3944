"""One file over http(s), in as many attempts as it takes, so that no byte has to come twice.

A part that arrived is kept beside a note of what it is a part of (RFC 9110: ``Range``,
``If-Range``, ``Content-Range``). It is used again only when the server vouches, by a strong entity
tag or a date, that the file is still the same one; otherwise the transfer begins anew.
"""

import asyncio
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import msgspec

from lodge.base.units import GIB, KIB, MIB, format_size
from lodge.services.images.errors import DownloadRefusedError, DownloadTooLargeError
from lodge.system.errors import DiskFullError
from lodge.system.files import disk_room, full_disk_told, write_whole

__all__ = [
    "FetchLimits",
    "Tell",
    "Transfer",
    "TryAgainError",
    "check_free",
    "check_status",
    "write_at",
]

_CHUNK_BYTES = 256 * KIB
_SAFE_EVERY_BYTES = 32 * MIB
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
_OK, _PARTIAL, _BAD_RANGE = 200, 206, 416
_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")

Tell = Callable[[int, int | None], None]
"""Called with (bytes done, bytes in all or null)."""


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """How long and how large. ``idle_s``: without a single byte; it may take days otherwise."""

    idle_s: float = 60.0
    connect_s: float = 30.0
    attempts: int = 5  # in a row without any progress
    pause_s: float = 2.0  # before the second attempt; doubled each time
    file_bytes: int = 256 * GIB
    spare_bytes: int = 256 * MIB  # left free: the daemon's own records need room to say so


class TryAgainError(Exception):
    """The transfer broke off in a way that may not happen again."""


class _Part(msgspec.Struct, frozen=True, kw_only=True):
    """What the kept bytes are a part of; the first ``safe`` ones are certainly on the disk."""

    url: str
    validator: str | None = None
    total: int | None = None
    safe: int = 0


def check_status(status: int, url: str) -> None:
    """Let a good answer pass.

    Raises:
        TryAgainError: the server is busy or broken just now.
        DownloadRefusedError: it does not give the file.
    """
    if status in _RETRIED:
        raise TryAgainError(f"the server answered {status}")
    if status not in (_OK, _PARTIAL, _BAD_RANGE):
        raise DownloadRefusedError(f"{url}: the server answered {status}", where=url, status=status)


class Transfer:
    """The state of one download in its folder: ``data`` and the note ``part.json``."""

    def __init__(
        self, url: str, folder: Path, tell: Tell, limits: FetchLimits, *, is_verified: bool
    ) -> None:
        self._url = url
        self._tell = tell
        self._limits = limits
        self._is_verified = is_verified
        self._data = folder / "data"
        self._note = folder / "part.json"
        self._part = self._load()

    @property
    def size_bytes(self) -> int:
        """How much has arrived."""
        return self._data.stat().st_size if self._data.exists() else 0

    def _load(self) -> _Part:
        """Read the note; what may not have reached the disk before a crash is cut off."""
        try:
            part = msgspec.json.decode(self._note.read_bytes(), type=_Part)
        except (FileNotFoundError, msgspec.DecodeError):
            part = _Part(url=self._url)
        if part.url != self._url or not self._may_join(part):
            part = _Part(url=self._url)
        if part.safe and self.size_bytes >= part.safe:
            os.truncate(self._data, part.safe)
            return part
        return _Part(url=self._url)

    def _may_join(self, part: _Part) -> bool:
        """Whether somebody vouches that another part is of the same file."""
        return part.validator is not None or self._is_verified

    def _remember(self, **changes: object) -> None:
        self._part = msgspec.structs.replace(self._part, **changes)
        write_whole(self._note, msgspec.json.encode(self._part))

    async def attempt(self, session: aiohttp.ClientSession) -> Path:
        """Fetch what is missing; return the path once all is there.

        Raises:
            TryAgainError, aiohttp.ClientError: it broke off.
        """
        if not self._may_join(self._part):
            self._part = _Part(url=self._url)
        start = self._part.safe
        headers = {"Range": f"bytes={start}-"} if start else {}
        if start and self._part.validator:
            headers["If-Range"] = self._part.validator
        async with session.get(self._url, headers=headers) as answer:
            check_status(answer.status, self._url)
            self._check_scheme(answer)
            if answer.status == _BAD_RANGE:
                return self._judge_bad_range(answer)
            await self._receive(answer, self._begin(answer, start))
        return self._data

    def _check_scheme(self, answer: aiohttp.ClientResponse) -> None:
        left_https = self._url.startswith("https:") and answer.url.scheme != "https"
        if left_https and not self._is_verified:
            raise DownloadRefusedError(
                f"{self._url} leads to {answer.url}, which anybody on the way could change",
                where=self._url,
                hint="give a checksum, or an address that stays with https",
            )

    def _judge_bad_range(self, answer: aiohttp.ClientResponse) -> Path:
        """Nothing behind what is here: it is whole, or it is of another file."""
        match = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        if match and self._part.safe and match[2] == str(self._part.safe):
            self._tell(self._part.safe, self._part.safe)
            return self._data
        self._part = _Part(url=self._url)
        raise TryAgainError("the server has another file now")

    def _begin(self, answer: aiohttp.ClientResponse, start: int) -> int:
        """Decide where the coming bytes belong; note what they are a part of."""
        validator = _validator(answer)
        total = answer.content_length
        if answer.status == _PARTIAL:
            match = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
            is_ours = match is not None and match[1] == str(start)
            if not is_ours or validator != self._part.validator:
                self._part = _Part(url=self._url)
                raise TryAgainError("the server sent another part than it was asked for")
            total = self._part.total
        else:
            start = 0
        self._check_room(total, start)
        if start == 0:
            self._data.unlink(missing_ok=True)
            self._remember(validator=validator, total=total, safe=0)
        return start

    def _check_room(self, total: int | None, start: int) -> None:
        if total is None:
            return
        if total > self._limits.file_bytes:
            raise self._too_large(total)
        check_free(self._data.parent, total - start, self._limits)

    def _too_large(self, size: int) -> DownloadTooLargeError:
        return DownloadTooLargeError(
            f"{self._url} has {format_size(size)} or more, at most"
            f" {format_size(self._limits.file_bytes)} are taken",
            where=self._url,
        )

    async def _receive(self, answer: aiohttp.ClientResponse, start: int) -> None:
        done, total = start, self._part.total
        with self._data.open("r+b" if start else "wb", buffering=0) as file:
            try:
                async for block in answer.content.iter_chunked(_CHUNK_BYTES):
                    check_free(self._data.parent, len(block), self._limits)
                    with full_disk_told(self._data):
                        write_at(file.fileno(), block, done)
                    done += len(block)
                    self._tell(done, total)
                    if done > self._limits.file_bytes:
                        raise self._too_large(done)
                    if done - self._part.safe >= _SAFE_EVERY_BYTES:
                        await self._make_safe(file.fileno(), done)
            finally:
                # Also when it broke off, and when the task is cancelled: all that came is kept.
                await self._make_safe(file.fileno(), done)
        if total is not None and done != total:
            raise TryAgainError(f"{done} of {total} bytes came")

    async def _make_safe(self, handle: int, done: int) -> None:
        with full_disk_told(self._data):
            await asyncio.shield(asyncio.to_thread(os.fsync, handle))
        self._remember(safe=done)


def check_free(folder: Path, needed: int, limits: FetchLimits) -> None:
    """Let pass what fits beside the room that must stay free.

    Raises:
        DiskFullError: with the numbers.
    """
    _, free = disk_room(folder)
    if needed + limits.spare_bytes > free:
        raise DiskFullError(
            f"{format_size(needed)} are to come, {format_size(free)} are free and"
            f" {format_size(limits.spare_bytes)} of that stay free",
            where=str(folder),
            needed_bytes=needed,
            free_bytes=free,
        )


def write_at(handle: int, data: bytes, offset: int) -> None:
    """Write all of it; a file without a buffer may take less at a time."""
    view = memoryview(data)
    while view:
        written = os.pwrite(handle, view, offset)
        view, offset = view[written:], offset + written


def _validator(answer: aiohttp.ClientResponse) -> str | None:
    """Return what says whether the file is still the same; weak tags do not (RFC 9110, 8.8.3)."""
    tag = answer.headers.get("ETag")
    if tag and not tag.startswith("W/"):
        return tag
    return answer.headers.get("Last-Modified")
