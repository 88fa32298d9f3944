"""``/events``."""

from typing import Annotated

from msgspec import Meta

from lodge.api.call import Call
from lodge.api.errors import InvalidQueryError
from lodge.api.eventstream import is_compacted, stream_events
from lodge.api.listing.filters import compile_filter
from lodge.api.replies import JsonReply, Reply, SentReply
from lodge.api.route import Answer, Route
from lodge.model.answers import EventPage
from lodge.model.event import Event
from lodge.model.record import Spec
from lodge.model.token import Scope

__all__ = ["ROUTES"]


class EventQuery(Spec, frozen=True, kw_only=True):
    """Which events."""

    since: (
        Annotated[
            int,
            Meta(
                ge=0,
                le=2**63 - 1,
                description="later than this id; a stream without it begins now, a page at the"
                " oldest event kept",
            ),
        ]
        | None
    ) = None
    filter: Annotated[
        str, Meta(max_length=2048, description="`kind~instance.,target=instances/web`")
    ] = ""
    limit: Annotated[int, Meta(ge=1, le=10000, description="events on one page")] = 1000


async def show_events(call: Call) -> Reply:
    """A stream when asked for one, else a page."""
    query: EventQuery = call.query
    keep = compile_filter(Event, query.filter)
    events = call.services.events
    resumed = _resume_from(call)
    if "text/event-stream" in call.request.headers.get("Accept", ""):
        start = events.last if resumed is None else resumed
        return SentReply(await stream_events(call, start, keep))
    since = resumed or 0
    found = events.since(since)
    page = [event for event in found if keep is None or keep(event)][: query.limit]
    is_cut = len(page) == query.limit
    # Without a cut everything up to the newest was looked at, whatever the filter let through.
    last = page[-1].id if is_cut else max(events.last, 0)
    missing = since > 0 and is_compacted(since, events.first, events.last)
    return JsonReply(EventPage(items=tuple(page), last=last, is_compacted=missing))


def _resume_from(call: Call) -> int | None:
    """Return the last id a reader has seen; the header that a reconnect sends wins."""
    text = call.request.headers.get("Last-Event-ID")
    if text is None:
        since: int | None = call.query.since
        return since
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise InvalidQueryError(f"{text[:60]!r} is not the id of an event", where="Last-Event-ID")
    return int(text)


ROUTES = (
    Route(
        method="GET",
        path="/events",
        name="events.list",
        scope=Scope.READ,
        summary="Read events: a page, or a stream with Accept: text/event-stream",
        handler=show_events,
        answer=Answer.EVENTS,
        value=EventPage,
        query=EventQuery,
        description=(
            "The stream sends each event's id, so that a reader who reconnects with Last-Event-ID"
            " (or `since`) misses nothing. An event named `compacted` says that older events were"
            " removed: read everything again."
        ),
    ),
)
