"""What a handler returns: facts only; ``answer.py`` turns them into HTTP."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from lodge.model.task import Task

__all__ = [
    "BytesReply",
    "FileReply",
    "FlowReply",
    "JsonReply",
    "ListReply",
    "NothingReply",
    "Reply",
    "SentReply",
    "TaskReply",
]


@dataclass(frozen=True, slots=True)
class JsonReply:
    """One value. ``revision``: that of the record, where there is one."""

    value: Any
    revision: int | None = None
    status: int = 200
    location: str | None = None


@dataclass(frozen=True, slots=True)
class ListReply:
    """All records of a noun; filter, order and page are applied by the dispatcher."""

    items: Sequence[Any]


@dataclass(frozen=True, slots=True)
class TaskReply:
    """A task that was started; the caller may have asked to wait for its end."""

    task: Task


@dataclass(frozen=True, slots=True)
class NothingReply:
    """Done; there is nothing to say."""


@dataclass(frozen=True, slots=True)
class BytesReply:
    """A few bytes of a media type."""

    data: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class FileReply:
    """A file on the host, sent as an attachment."""

    path: Path
    filename: str


@dataclass(frozen=True, slots=True)
class FlowReply:
    """Bytes that come one chunk after the other."""

    chunks: AsyncIterator[bytes]
    filename: str


@dataclass(frozen=True, slots=True)
class SentReply:
    """The handler has sent everything itself (WebSocket, event stream)."""

    response: web.StreamResponse


Reply = (
    JsonReply
    | ListReply
    | TaskReply
    | NothingReply
    | BytesReply
    | FileReply
    | FlowReply
    | SentReply
)
