"""One route, declared: everything about it (dispatch, access, OpenAPI, docs) is read from here."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta

from lodge.api.listing.page import Listing
from lodge.api.replies import Reply
from lodge.model.record import Spec
from lodge.model.requests import TaskAnswer
from lodge.model.token import Scope

if TYPE_CHECKING:
    from lodge.api.call import Call

__all__ = [
    "Answer",
    "BodyKind",
    "Handler",
    "ListQuery",
    "NoQuery",
    "Route",
    "TaskQuery",
]

Handler = Callable[["Call"], Awaitable[Reply]]


class Answer(StrEnum):
    """In which form a route answers."""

    JSON = "json"
    LIST = "list"
    TASK = "task"
    NOTHING = "nothing"
    OCTETS = "octets"
    TEXT = "text"
    PNG = "png"
    EVENTS = "events"
    WEBSOCKET = "websocket"


class BodyKind(StrEnum):
    """What a request carries."""

    NONE = "none"
    JSON = "json"
    OCTETS = "octets"


class NoQuery(Spec, frozen=True, kw_only=True):
    """No query parameters."""


class ListQuery(Spec, frozen=True, kw_only=True):
    """Which records, in which order, and how many of them."""

    filter: Annotated[
        str,
        Meta(max_length=2048, description="`field=value,field~text,field>number`; all must hold"),
    ] = ""
    sort: Annotated[
        str, Meta(max_length=512, description="`-created_at,name`; `-` sorts downwards")
    ] = ""
    limit: Annotated[int, Meta(ge=1, le=10000, description="records on one page")] | None = None
    cursor: (
        Annotated[str, Meta(max_length=2048, description="`next` of the page before")] | None
    ) = None


class TaskQuery(Spec, frozen=True, kw_only=True):
    """Whether to wait for the end of the task."""

    wait: Annotated[
        float,
        Meta(ge=0, le=3600, description="seconds to wait for the end of the task before answering"),
    ] = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method of one path below ``/v1``.

    ``scope`` null: open to everybody. ``body`` is the JSON body's type, ``value`` the type of the
    answer (of one record for lists). ``is_guarded``: keeps ``If-Match`` atomically.
    ``is_optional_body``: an absent JSON body means one with every default.
    ``examples`` are whole bodies by name; ``target`` names the thing changed, for the audit.
    """

    method: str
    path: str
    name: str
    scope: Scope | None
    summary: str
    handler: Handler
    answer: Answer = Answer.JSON
    value: Any = None
    status: int = 200
    query: type[Spec] = NoQuery
    body: Any = None
    body_kind: BodyKind = BodyKind.NONE
    is_optional_body: bool = False
    is_guarded: bool = False
    listing: Listing | None = None
    examples: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""

    @property
    def is_change(self) -> bool:
        """Whether an audit record is kept: it changes something or opens a door into a guest."""
        return self.method != "GET" or self.answer is Answer.WEBSOCKET

    @property
    def is_repeatable(self) -> bool:
        """Whether ``Idempotency-Key`` is kept."""
        return (
            self.method == "POST"
            and self.answer is Answer.TASK
            and self.body_kind is not BodyKind.OCTETS
        )

    @property
    def answer_type(self) -> Any:
        """The type of a good JSON answer."""
        return TaskAnswer if self.answer is Answer.TASK else self.value
