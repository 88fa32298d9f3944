"""Kinds of events."""

from generator.markdown import code, page, table
from lodge.model.event import EVENT_KINDS

__all__ = ["events_page"]

_ABOUT = """
An event says what happened; it is never edited. Each has an `id` that grows by one, a `kind`, the
time `at`, the `target` it is about, and `data` by kind. The newest 10,000 of the last 30 days are
kept.

- `lodge events` prints them, `lodge events --follow` goes on.
- `GET /v1/events?since=ID` gives a page of them. With `Accept: text/event-stream` it is a stream of
  server-sent events that never ends; `Last-Event-ID` lets it go on where it broke off.

Who asked for a change is not told here but in the audit log: `lodge audit`.
"""


def events_page() -> str:
    """One table."""
    rows = ((code(kind), meaning) for kind, meaning in sorted(EVENT_KINDS.items()))
    return page("Events", _ABOUT, table(("kind", "meaning"), rows))
