"""Events and audit records: what happened, never edited."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from lodge.model.record import Record
from lodge.model.task import Actor

__all__ = ["EVENT_KINDS", "AuditRecord", "Event"]

EVENT_KINDS: Mapping[str, str] = MappingProxyType(
    {
        "image.added": "an image is there: built, downloaded or imported",
        "image.changed": "the aliases of an image changed",
        "image.removed": "an image was removed",
        "instance.agent_changed": "the guest agent began or ceased to answer",
        "instance.changed": "an instance got another spec",
        "instance.crashed": "an instance ended though it should run; `why` and `detail` say how",
        "instance.created": "an instance has a record; its task makes the rest",
        "instance.deleted": "an instance has no record any more",
        "instance.held": "an instance was paused by QEMU: its storage pool has no room",
        "instance.io_failed": "the disk of an instance did not take a write",
        "instance.paused": "an instance stands still, its memory stays in RAM",
        "instance.renamed": "an instance has another name; `was` is the one before",
        "instance.reset": "an instance began anew without leaving its process",
        "instance.started": "an instance runs, or runs again",
        "instance.stopped": "an instance ended, and was meant to",
        "network.broken": "a network does not work; `reason` says why",
        "network.created": "a network was made, and may be used",
        "network.deleted": "a network was removed",
        "network.repaired": "a network was brought back; `reason` says what it lacked",
        "pool.created": "a storage pool was made",
        "pool.deleted": "a storage pool was removed",
        "pool.full": "a pool is below its guard: instances that write to it are paused",
        "pool.low": "a pool is fuller than its warning level",
        "pool.offline": "a pool does not answer",
        "pool.recovered": "a pool has room again, or answers again",
        "profile.changed": "a profile got another spec",
        "profile.created": "a profile was made",
        "profile.deleted": "a profile was removed",
        "task.cancelled": "a task ended because somebody cancelled it; everything was undone",
        "task.done": "a task succeeded",
        "task.failed": "a task failed and was undone; `error` is the code",
        "task.queued": "a task was accepted and is durable",
        "task.started": "a task got its locks and runs",
        "task.undo_failed": "undoing left something behind; the task's error names it",
        "task.undoing": "a task is being undone",
        "token.created": "a token was made",
        "token.revoked": "a token was ended",
        "volume.created": "a volume was made",
        "volume.deleted": "a volume was removed",
        "volume.resized": "a volume grew",
    }
)
"""Every kind of event that this version writes, and what it means."""


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
