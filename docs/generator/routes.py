"""The REST API: its table of routes, and OpenAPI."""

import json
from itertools import groupby
from typing import get_args, get_origin

from generator.markdown import code, page, table
from lodge import __version__
from lodge.api.openapi import describe_api
from lodge.api.route import Answer, BodyKind, Route
from lodge.api.table import ROUTES

__all__ = ["openapi_document", "routes_page"]

_ABOUT = """
Everything is below `/v1`, as JSON, on two doors: the unix socket `/run/lodge/lodged.sock` (root,
no token) and HTTPS with a bearer token. [How to use it with curl](../how-to/use-the-api.md).

The exact description is [openapi.json](openapi.json) (OpenAPI 3.1), which a running daemon serves
as `GET /v1/openapi.json`.

- A change answers `202` with a task; `?wait=SECONDS` waits for its end. A task that failed while
  waited for answers with the status of its [error](errors.md).
- `Idempotency-Key: KEY` on such a POST: the same request with the same key starts one task only.
- Lists: `{"items": [...], "total": N, "next": CURSOR, "revision": R}` with `?filter=`
  (`state=running,name~web`), `?sort=-created_at,name`, `?limit=`, `?cursor=`.
- `ETag` and `If-Match`: where *guarded*, a change with the ETag seen fails with `412` when
  somebody else was faster.
- *Scope*: what the token must allow. A wider scope holds the narrower: admin, write, read.
"""

_TITLES = {"api": "The API itself"}


def routes_page() -> str:
    """One table for each noun."""
    parts = [_ABOUT]
    for noun, routes in groupby(ROUTES, key=_noun):
        head = ("request", "scope", "body", "answer", "what it does")
        parts += [
            f"## {_TITLES.get(noun, noun.capitalize())}",
            table(head, (_row(route) for route in routes)),
        ]
    return page("REST API", *parts)


def openapi_document() -> str:
    """The same document that the daemon serves, laid out for reading."""
    document = describe_api(ROUTES, version=__version__)
    return json.dumps(document, indent=1, ensure_ascii=False, default=str) + "\n"


def _noun(route: Route) -> str:
    return route.name.partition(".")[0]


def _row(route: Route) -> tuple[str, ...]:
    path = f"/v1{route.path}".rstrip("/")
    marks = " *Guarded.*" if route.is_guarded else ""
    return (
        code(f"{route.method} {path}"),
        route.scope.value if route.scope else "none",
        _body(route),
        _answer(route),
        f"{route.summary}.{marks}",
    )


def _body(route: Route) -> str:
    if route.body_kind is BodyKind.OCTETS:
        return "octets"
    return code(_type_name(route.body)) if route.body_kind is BodyKind.JSON else ""


def _answer(route: Route) -> str:
    if route.answer is Answer.TASK:
        return "`202` task"
    if route.answer is Answer.LIST:
        return f"list of {code(_type_name(route.value))}"
    if route.answer is Answer.JSON:
        return code(_type_name(route.value))
    if route.answer is Answer.NOTHING:
        return "`204`"
    return {Answer.PNG: "PNG", Answer.WEBSOCKET: "WebSocket"}.get(route.answer, route.answer.value)


def _type_name(kind: object) -> str:
    if get_origin(kind) is list:
        return f"list[{_type_name(get_args(kind)[0])}]"
    if get_origin(kind) is dict:
        return "object"
    return getattr(kind, "__name__", None) or str(kind)
