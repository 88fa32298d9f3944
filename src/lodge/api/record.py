"""Audit records of the API: who asked for which change, from where, with what result."""

import logging
from typing import Any

import msgspec

from lodge.api.call import Call
from lodge.api.replies import Reply, TaskReply
from lodge.api.router import Match
from lodge.api.services import Audit
from lodge.base.errors import LodgeError
from lodge.model.task import Actor
from lodge.services.access.redaction import redact

__all__ = ["AuditTrail"]

_log = logging.getLogger("lodge.api")


class AuditTrail:
    """Write one record per change asked for.

    A record that cannot be written (full disk) does not undo what was done and acknowledged; it is
    told in the daemon's log instead.
    """

    def __init__(self, audit: Audit) -> None:
        self._audit = audit

    async def done(self, call: Call, match: Match, reply: Reply | None) -> None:
        """Keep that it was done, or accepted as a task."""
        task = reply.task.id if isinstance(reply, TaskReply) else None
        params = _params(call.body, call.query)
        await self._write(call.actor, match, "accepted" if task else "done", task, params)

    async def refused(self, actor: Actor, match: Match, body: Any, error: LodgeError) -> None:
        """Keep that it was refused, and why."""
        await self._write(actor, match, error.code, None, _params(body, None))

    async def _write(
        self, actor: Actor, match: Match, result: str, task: str | None, params: dict[str, Any]
    ) -> None:
        action, target = match.route.name, _target(match, params)
        try:
            await self._audit.record(actor, action, target, result=result, task=task, params=params)
        except LodgeError as error:
            _log.error("no audit record of %s %s by %s: %s", action, target, actor.name, error)


def _target(match: Match, params: dict[str, Any]) -> str:
    """Name what was changed, as a path without the verb: ``instances/web``."""
    parts = [part for part in match.route.path.split("/") if part]
    filled = [match.values.get(part[1:-1], part) for part in parts]
    named = [place for place, part in enumerate(parts) if part.startswith("{")]
    if named:
        return "/".join(filled[: named[-1] + 1])
    name = params.get("body", {}).get("name") if isinstance(params.get("body"), dict) else None
    return f"{parts[0]}/{name}" if isinstance(name, str) else "/".join(parts)


def _params(body: Any, query: Any) -> dict[str, Any]:
    """Return what was asked, without secrets and without what was left at its default."""
    params: dict[str, Any] = {}
    if body is not None:
        params["body"] = redact(body)
    if query is not None:
        given = {
            field.name: value
            for field in msgspec.structs.fields(query)
            if (value := getattr(query, field.name)) != field.default
        }
        if given:
            params["query"] = redact(given)
    return params
