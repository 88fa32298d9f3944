"""Shapes of API requests and answers that belong to no single noun."""

from typing import Annotated, Any, Generic, TypeVar

from msgspec import UNSET, Meta, UnsetType

from lodge.model.event import Event
from lodge.model.record import Record, Spec
from lodge.model.task import Task
from lodge.model.token import Scope

__all__ = [
    "AliasChange",
    "ApiAnswer",
    "ConfigChange",
    "DryRunAnswer",
    "ErrorAnswer",
    "ErrorFacts",
    "EventPage",
    "FileWritten",
    "Page",
    "Setting",
    "TokenCreated",
    "TokenView",
    "VolumeResize",
]

T = TypeVar("T")


class Page(Record, Generic[T], frozen=True, kw_only=True):
    """One page of a list.

    ``total`` counts what the filter let through, on all pages. ``next`` is the cursor of the next
    page, null on the last one. ``revision`` is the store's revision when the list was read.
    """

    items: tuple[T, ...]
    total: int
    next: str | None
    revision: int


class EventPage(Record, frozen=True, kw_only=True):
    """Events later than ``since``, oldest first; ask again with ``since`` = ``last``.

    ``is_compacted``: events between ``since`` and the first one given were already removed, so
    what was read before must be read again.
    """

    items: tuple[Event, ...]
    last: int
    is_compacted: bool = False


class ErrorFacts(Record, frozen=True, kw_only=True):
    """One failure, told for programs (``code``) and for people (``message``, ``hint``)."""

    code: str
    category: str
    message: str
    retryable: bool
    where: str | UnsetType = UNSET
    hint: str | UnsetType = UNSET
    details: dict[str, Any] | UnsetType = UNSET


class ErrorAnswer(Record, frozen=True, kw_only=True):
    """Every answer with status 4xx or 5xx; ``task`` when the failure is that of a task."""

    error: ErrorFacts
    trace: str
    task: Task | UnsetType = UNSET


class DryRunAnswer(Record, frozen=True, kw_only=True):
    """The request would be accepted; nothing was changed."""

    is_dry_run: bool
    action: str


class ApiAnswer(Record, frozen=True, kw_only=True):
    """Which API this is, and who the caller is taken for (null: not authenticated)."""

    api_version: str
    lodge_version: str
    is_authenticated: bool
    name: str | None = None
    scope: Scope | None = None


class AliasChange(Spec, frozen=True, kw_only=True):
    """The whole set of aliases an image shall have."""

    aliases: Annotated[tuple[str, ...], Meta(max_length=64)]


class VolumeResize(Spec, frozen=True, kw_only=True):
    """The size a volume shall have, in bytes; volumes only grow."""

    size_bytes: Annotated[int, Meta(ge=1, le=2**63 - 1)]


class FileWritten(Record, frozen=True, kw_only=True):
    """How many bytes were written into the guest's file."""

    path: str
    written_bytes: int


class TokenView(Record, frozen=True, kw_only=True):
    """A token as shown: everything but what could be used."""

    id: str
    name: str
    scope: Scope
    created_at: float
    expires_at: float | None = None
    last_used_at: float | None = None


class TokenCreated(Record, frozen=True, kw_only=True):
    """A new token. ``secret`` is shown in this answer only and kept nowhere."""

    token: TokenView
    secret: str


class Setting(Record, frozen=True, kw_only=True):
    """One setting of the daemon; ``takes_effect`` is ``now`` or ``restart``."""

    name: str
    value: str | int | float | bool | None
    default: str | int | float | bool | None
    description: str
    takes_effect: str


class ConfigChange(Spec, frozen=True, kw_only=True):
    """New values by name of setting; null brings the default back."""

    settings: Annotated[
        dict[str, str | int | float | bool | None], Meta(min_length=1, max_length=100)
    ]
