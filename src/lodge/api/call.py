"""One request under way, as handlers see it: decoded, and of a known caller."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from lodge.api.route import Route
from lodge.api.services import Services
from lodge.base.world import World
from lodge.model.task import Actor
from lodge.model.token import Scope

__all__ = ["Call", "Surroundings"]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every call shares: the services, the world, the limits, the API's own description."""

    services: Services
    world: World
    lodge_version: str
    openapi: Callable[[], bytes]
    closing: asyncio.Event
    origins: frozenset[str] = frozenset()
    heartbeat_s: float = 15.0
    stall_s: float = 60.0
    json_limit: int = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A decoded request. ``scope`` null: the caller did not say who it is.

    ``body`` has the route's type; ``query`` likewise. ``chunks`` yields a raw body. ``revision`` is
    what ``If-Match`` asks for, null when it does not.
    """

    route: Route
    request: web.BaseRequest
    around: Surroundings
    actor: Actor
    scope: Scope | None
    path: Mapping[str, str]
    query: Any
    body: Any
    chunks: Callable[[], AsyncIterator[bytes]]
    revision: int | None = None

    @property
    def services(self) -> Services:
        """Everything below the API."""
        return self.around.services

    @property
    def is_gone(self) -> bool:
        """Whether the caller has hung up."""
        transport = self.request.transport
        return transport is None or transport.is_closing()
