"""``Idempotency-Key``: asking twice starts one task.

The key travels in the task's actor and so into the journal: it is kept as long as the task, over
restarts of the daemon, with no table of its own. Requests with the same key wait for each other.
"""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from lodge.api.errors import (
    IdempotencyKeyReusedError,
    IdempotencyUnsupportedError,
    MalformedRequestError,
)
from lodge.api.route import Route
from lodge.api.services import Tasks
from lodge.model.task import Actor, Task

__all__ = ["Repeats", "request_key"]

_KEY = re.compile(r"[\x21-\x39\x3b-\x7e]{1,128}")


def request_key(request: web.BaseRequest, route: Route, body: bytes) -> str:
    """Return what names this request for its caller, empty when the caller gave no key.

    Raises:
        IdempotencyUnsupportedError: the route is a POST that cannot keep it.
        MalformedRequestError: the key is not 1 to 128 visible characters without a colon.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None or route.method != "POST":
        return ""  # the other methods may be repeated as they are (RFC 9110, 9.2.2)
    if not route.is_repeatable:
        raise IdempotencyUnsupportedError(
            f"{route.name} does not keep a key", where="Idempotency-Key"
        )
    if not _KEY.fullmatch(key):
        raise MalformedRequestError(
            "a key has 1 to 128 visible ASCII characters and no colon", where="Idempotency-Key"
        )
    asked = b"\0".join((route.name.encode(), request.rel_url.raw_path.encode(), body))
    return f"{key}:{hashlib.sha256(asked).hexdigest()[:32]}"


class Repeats:
    """Find the task that a request has started before."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._turns: dict[tuple[str, str], tuple[asyncio.Lock, int]] = {}

    def find(self, actor: Actor, key: str) -> Task | None:
        """Return the task started with that key by that caller.

        Raises:
            IdempotencyKeyReusedError: the key was used for another request.
        """
        name, _, _ = key.partition(":")
        for task in self._tasks.list():
            known = task.actor.request_key
            if task.actor.name != actor.name or known.partition(":")[0] != name:
                continue
            if known != key:
                raise IdempotencyKeyReusedError(
                    f"key {name!r} was used for {task.kind} of {task.target}",
                    where="Idempotency-Key",
                    task=task.id,
                )
            return task
        return None

    @asynccontextmanager
    async def turn(self, actor: Actor, key: str) -> AsyncIterator[None]:
        """Let one request with a key through at a time."""
        place = (actor.name, key.partition(":")[0])
        lock, waiting = self._turns.get(place, (asyncio.Lock(), 0))
        self._turns[place] = (lock, waiting + 1)
        try:
            async with lock:
                yield
        finally:
            lock, waiting = self._turns.pop(place)
            if waiting > 1:
                self._turns[place] = (lock, waiting - 1)
