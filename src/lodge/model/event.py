"""Events and audit records: what happened, never edited."""

from typing import Any

from lodge.model.record import Record
from lodge.model.task import Actor

__all__ = ["AuditRecord", "Event"]


class Event(Record, frozen=True, kw_only=True):
    """Something that happened; ``kind`` is ``noun.past`` (``instance.started``), ``id`` grows."""

    id: int
    kind: str
    at: float
    target: str
    data: dict[str, Any] = {}
    trace: str = ""


class AuditRecord(Record, frozen=True, kw_only=True):
    """Who asked what, from where, with what result.

    ``result`` is ``accepted``, ``done`` or an error code.
    """

    id: int
    at: float
    actor: Actor
    action: str
    target: str
    result: str
    task: str | None = None
    params: dict[str, Any] = {}
