"""From a method and a path to a route: a tree of path parts per method, built once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lodge.api.errors import MethodNotAllowedError, RouteNotFoundError
from lodge.api.route import Answer, Route

__all__ = ["PREFIX", "Match", "Router"]

PREFIX = "v1"
_HAS_HEAD = frozenset({Answer.JSON, Answer.LIST, Answer.TEXT, Answer.PNG})


@dataclass(frozen=True, slots=True)
class Match:
    """A route and the values of the named parts of its path."""

    route: Route
    values: Mapping[str, str]


@dataclass(slots=True)
class _Node:
    parts: dict[str, "_Node"] = field(default_factory=dict)
    named: "_Node | None" = None
    routes: dict[str, Route] = field(default_factory=dict)


class Router:
    """Find routes; a literal part wins over a named one (``/images/build``, ``/images/{ref}``)."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._root = _Node()
        for route in routes:
            found = self._place(route).routes
            found[route.method] = route
            if route.method == "GET" and route.answer in _HAS_HEAD:
                found["HEAD"] = route

    def _place(self, route: Route) -> _Node:
        node = self._root
        for part in _parts(route):
            if part.startswith("{"):
                node.named = node.named or _Node()
                node = node.named
            else:
                node = node.parts.setdefault(part, _Node())
        return node

    def find(self, method: str, segments: Sequence[str]) -> Match:
        """Return the route of a request.

        Raises:
            RouteNotFoundError: no method has that path.
            MethodNotAllowedError: others have, this one has not.
        """
        path = "/".join(segments)[:200]
        is_inside = bool(segments) and segments[0] == PREFIX
        node = _descend(self._root, segments[1:]) if is_inside else None
        if node is None:
            raise RouteNotFoundError(f"there is no /{path}", where="path")
        route = node.routes.get(method)
        if route is None:
            allowed = sorted(node.routes)
            raise MethodNotAllowedError(
                f"{method[:20]} is not possible on /{path}",
                where="method",
                hint=f"use {', '.join(allowed)}",
                allowed=allowed,
            )
        parts = zip(_parts(route), segments[1:], strict=True)
        return Match(route, {part[1:-1]: value for part, value in parts if part.startswith("{")})


def _parts(route: Route) -> list[str]:
    return [part for part in route.path.split("/") if part]


def _descend(node: _Node, segments: Sequence[str]) -> _Node | None:
    """Find the node of a path, going back where a literal part leads nowhere."""
    if not segments:
        return node if node.routes else None
    literal = node.parts.get(segments[0])
    found = _descend(literal, segments[1:]) if literal else None
    if found is None and node.named is not None:
        found = _descend(node.named, segments[1:])
    return found
