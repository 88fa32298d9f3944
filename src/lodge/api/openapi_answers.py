"""The answers of a route, good and bad, for the API's description."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from lodge.api.route import Answer, BodyKind, Route
from lodge.api.statuses import STATUS_BY_CATEGORY
from lodge.base.errors import Category
from lodge.model.answers import ErrorAnswer
from lodge.model.requests import TaskAnswer

__all__ = ["answers_of"]

_Schema = dict[str, Any]
_EVERY_BODY = (
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
)
_OPEN = frozenset(
    {
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.CONFLICT,
    }
)
_HEADERS = {
    "ETag": "what `If-None-Match` and `If-Match` take",
    "Location": "where the task (or the new thing) is",
    "Retry-After": "seconds to wait",
    "WWW-Authenticate": "how to authenticate",
}


def answers_of(route: Route, schemas: Mapping[int, _Schema]) -> _Schema:
    """Return every status a route may answer with, by number."""
    answers = _good(route, schemas)
    error = {"application/json": {"schema": schemas[id(ErrorAnswer)]}}
    for status in _bad(route):
        answers[str(status.value)] = {"description": status.phrase, "content": error}
    if "429" in answers:
        answers["429"]["headers"] = _named("Retry-After")
    if "401" in answers:
        answers["401"]["headers"] = _named("WWW-Authenticate")
    return dict(sorted(answers.items()))


def _bad(route: Route) -> set[HTTPStatus]:
    """Return the statuses of errors: those of every category, and those of the route's shape."""
    found = {HTTPStatus.BAD_REQUEST, HTTPStatus.TOO_MANY_REQUESTS, *_EVERY_BODY}
    found |= set(STATUS_BY_CATEGORY.values())
    if not route.is_guarded:
        found.discard(STATUS_BY_CATEGORY[Category.PRECONDITION])
    if route.scope is None:
        found -= _OPEN - {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
    if route.answer is Answer.WEBSOCKET:
        found.add(HTTPStatus.UPGRADE_REQUIRED)
    if route.answer is Answer.OCTETS and route.body_kind is BodyKind.NONE:
        found.add(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
    return found


def _good(route: Route, schemas: Mapping[int, _Schema]) -> _Schema:
    match route.answer:
        case Answer.TASK:
            return _task(route, schemas)
        case Answer.LIST:
            return {"200": _json("One page", schemas[-id(route)])}
        case Answer.JSON:
            return _one(route, schemas)
        case Answer.EVENTS:
            return _events(route, schemas)
        case _:
            return _raw(route.answer)


def _task(route: Route, schemas: Mapping[int, _Schema]) -> _Schema:
    task = schemas[id(TaskAnswer)]
    done: Any = task if route.value is None else {"anyOf": [task, schemas[id(route.value)]]}
    return {
        "200": {**_json("The finished task", done), "headers": _named("Location")},
        "202": {**_json("The task, not finished yet", task), "headers": _named("Location")},
    }


def _one(route: Route, schemas: Mapping[int, _Schema]) -> _Schema:
    good = _json(HTTPStatus(route.status).phrase, schemas[id(route.value)])
    if route.status == HTTPStatus.CREATED:
        return {"201": {**good, "headers": _named("Location")}}
    if route.method != "GET":
        return {"200": good}
    return {"200": {**good, "headers": _named("ETag")}, "304": {"description": "Not Modified"}}


def _events(route: Route, schemas: Mapping[int, _Schema]) -> _Schema:
    page = _json("A page, or a stream of events", schemas[id(route.value)])
    page["content"]["text/event-stream"] = {"schema": {"type": "string"}}
    return {
        "200": {**page, "headers": _named("ETag")},
        "304": {"description": "Not Modified"},
    }


def _raw(answer: Answer) -> _Schema:
    octets: _Schema = {"application/octet-stream": {}}
    match answer:
        case Answer.NOTHING:
            return {"204": {"description": "Done"}}
        case Answer.WEBSOCKET:
            return {"101": {"description": "WebSocket opened"}}
        case Answer.PNG:
            return {"200": {"description": "A picture", "content": {"image/png": {}}}}
        case Answer.TEXT:
            text: _Schema = {"text/plain": {"schema": {"type": "string"}}}
            return {"200": {"description": "Text", "content": text}}
        case _:
            return {
                "200": {"description": "The bytes", "content": octets},
                "206": {"description": "A part of the bytes", "content": octets},
                "304": {"description": "Not Modified"},
            }


def _json(description: str, schema: _Schema) -> _Schema:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _named(*names: str) -> _Schema:
    return {name: {"description": _HEADERS[name], "schema": {"type": "string"}} for name in names}
