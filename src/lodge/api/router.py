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
    route: Route | None = None


class Router:
    """Find routes; a literal part wins over a named one (``/images/build``, ``/images/{ref}``)."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._roots: dict[str, _Node] = {}
        for route in routes:
            self._add(route.method, route)
            if route.method == "GET" and route.answer in _HAS_HEAD:
                self._add("HEAD", route)

    def _add(self, method: str, route: Route) -> None:
        node = self._roots.setdefault(method, _Node())
        for part in _parts(route):
            if part.startswith("{"):
                node.named = node.named or _Node()
                node = node.named
            else:
                node = node.parts.setdefault(part, _Node())
        node.route = route

    def find(self, method: str, segments: Sequence[str]) -> Match:
        """Return the route of a request.

        Raises:
            RouteNotFoundError: no method has that path.
            MethodNotAllowedError: others have, this one has not.
        """
        path = "/".join(segments)
        route = self._walk(method, segments)
        if route is not None:
            values = {
                name[1:-1]: value
                for name, value in zip(_parts(route), segments[1:], strict=True)
                if name.startswith("{")
            }
            return Match(route, values)
        allowed = sorted(other for other in self._roots if self._walk(other, segments))
        if allowed:
            raise MethodNotAllowedError(
                f"{method[:20]} is not possible on /{path[:200]}",
                where="method",
                hint=f"use {', '.join(allowed)}",
                allowed=allowed,
            )
        raise RouteNotFoundError(f"there is no /{path[:200]}", where="path")

    def _walk(self, method: str, segments: Sequence[str]) -> Route | None:
        root = self._roots.get(method)
        if root is None or not segments or segments[0] != PREFIX:
            return None
        return _descend(root, segments[1:])


def _parts(route: Route) -> list[str]:
    return [part for part in route.path.split("/") if part]


def _descend(node: _Node, segments: Sequence[str]) -> Route | None:
    if not segments:
        return node.route
    literal = node.parts.get(segments[0])
    found = _descend(literal, segments[1:]) if literal else None
    if found is None and node.named is not None:
        found = _descend(node.named, segments[1:])
    return found
