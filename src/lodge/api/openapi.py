"""The API's description (OpenAPI 3.1.0), written from the table of routes and the model's types."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from lodge.api.openapi_answers import answers_of
from lodge.api.route import Answer, BodyKind, Route
from lodge.api.router import PREFIX
from lodge.model.answers import ErrorAnswer, Page

__all__ = ["REFERENCE", "describe_api"]

REFERENCE = "#/components/schemas/{name}"
_PARAMETER = re.compile(r"\{(\w+)\}")
_PATH_TEXT = {
    "name": "the name",
    "pool": "the pool's name",
    "ref": "an alias, or at least 8 characters of the fingerprint",
    "id": "the id",
    "log": "the log's name, such as `serial` or `qemu`",
}
_Schema = dict[str, Any]


def describe_api(routes: Sequence[Route], *, version: str) -> _Schema:
    """Return the whole document as JSON values."""
    schemas, components = _schemas(routes)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Lodge",
            "version": version,
            "summary": "Divide one physical server into many virtual servers.",
            "description": (
                "Changes answer `202` with a task; with `?wait=SECONDS` they answer with the"
                " finished task. Every error has a stable `code`. Sizes are bytes or MiB as the"
                " field's name says; times are seconds since 1970-01-01 UTC."
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(_tag(route) for route in routes)],
        "paths": _paths(routes, schemas),
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "`lodge_<id>_<secret>`; not needed on the unix socket.",
                }
            },
        },
    }


def _schemas(routes: Sequence[Route]) -> tuple[Mapping[int, _Schema], _Schema]:
    """Return the schema of every type the routes name (by identity), and the shared ones."""
    types: dict[int, Any] = {id(ErrorAnswer): ErrorAnswer}
    page: Any = Page
    for route in routes:
        for kind in (route.body, route.answer_type, route.value):
            if kind is not None:
                types[id(kind)] = kind
        if route.answer is Answer.LIST:
            types[-id(route)] = page[route.value]
    ordered = list(types.items())
    found, components = msgspec.json.schema_components(
        [kind for _, kind in ordered], ref_template=REFERENCE
    )
    schemas = {key: schema for (key, _), schema in zip(ordered, found, strict=True)}
    return schemas, {name: _tidy(schema) for name, schema in components.items()}


def _tidy(schema: _Schema) -> _Schema:
    """Take away what only Python means: a tuple's default is an array in JSON already."""
    return {key: value for key, value in schema.items() if key != "title"}


def _paths(routes: Iterable[Route], schemas: Mapping[int, _Schema]) -> _Schema:
    paths: dict[str, _Schema] = {}
    for route in routes:
        path = f"/{PREFIX}{route.path}".rstrip("/")
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, schemas)
    return paths


def _operation(route: Route, schemas: Mapping[int, _Schema]) -> _Schema:
    operation: _Schema = {
        "operationId": route.name,
        "summary": route.summary,
        "tags": [_tag(route)],
        "parameters": [*_path_parameters(route), *_query_parameters(route), *_headers(route)],
        "responses": answers_of(route, schemas),
        "security": [] if route.scope is None else [{"token": [route.scope.value]}],
    }
    words = [route.description] if route.description else []
    if route.scope is not None:
        words.append(f"Needs scope `{route.scope.value}`.")
    operation["description"] = " ".join(words) or route.summary
    if route.body_kind is not BodyKind.NONE:
        operation["requestBody"] = _request_body(route, schemas)
    return operation


def _request_body(route: Route, schemas: Mapping[int, _Schema]) -> _Schema:
    if route.body_kind is BodyKind.OCTETS:
        return {"required": False, "content": {"application/octet-stream": {}}}
    media: _Schema = {"schema": schemas[id(route.body)]}
    if route.examples:
        media["examples"] = {name: {"value": value} for name, value in route.examples.items()}
    return {"required": not route.is_optional_body, "content": {"application/json": media}}


def _path_parameters(route: Route) -> list[_Schema]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": _PATH_TEXT[name],
            "schema": {"type": "string", "minLength": 1, "maxLength": 255},
        }
        for name in _PARAMETER.findall(route.path)
    ]


def _query_parameters(route: Route) -> list[_Schema]:
    parameters = []
    for field in msgspec.structs.fields(route.query):
        schema = _inline(field.type)
        parameter: _Schema = {"name": field.encode_name, "in": "query", "required": field.required}
        description = schema.pop("description", None)
        if description:
            parameter["description"] = description
        if not field.required and field.default not in (None, ""):
            schema["default"] = field.default
        parameters.append({**parameter, "schema": schema})
    return parameters


def _inline(kind: Any) -> _Schema:
    """Return a parameter's schema without references; absent, not null, means "not given"."""
    (schema,), components = msgspec.json.schema_components([kind], ref_template="{name}")
    if "anyOf" in schema:
        (bare,) = [one for one in schema["anyOf"] if one.get("type") != "null"]
        schema = {**bare, **{key: value for key, value in schema.items() if key != "anyOf"}}
    if "$ref" in schema:
        referred = _tidy(components[schema.pop("$ref")])
        schema = {**referred, **schema}
    return dict(schema)


def _headers(route: Route) -> list[_Schema]:
    headers: list[tuple[str, str, str]] = []
    if route.is_guarded:
        text = "the `ETag` seen: act only when nothing changed since"
        headers.append(("If-Match", text, r'^("?[0-9]{1,18}(-[0-9a-f]{1,32})?"?|\*)$'))
    if route.is_repeatable:
        text = "a key of your choice: the same request with the same key starts one task only"
        headers.append(("Idempotency-Key", text, r"^[!-9;-~]{1,128}$"))
    if route.answer is Answer.EVENTS:
        headers.append(("Last-Event-ID", "the last id seen; wins over `since`", "^[0-9]{1,18}$"))
    if route.method == "GET" and route.answer is Answer.JSON:
        headers.append(("If-None-Match", "the `ETag` held: `304` when nothing changed", ""))
    return [
        {
            "name": name,
            "in": "header",
            "required": False,
            "description": text,
            "schema": {"type": "string", **({"pattern": pattern} if pattern else {})},
        }
        for name, text, pattern in headers
    ]


def _tag(route: Route) -> str:
    return route.name.partition(".")[0]
