"""The table of routes is complete and described correctly."""

import importlib
import json
import pkgutil
from http import HTTPStatus

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

import lodge
from lodge.api.decode import decode_body
from lodge.api.openapi import describe_api
from lodge.api.route import Answer, BodyKind, Route
from lodge.api.statuses import STATUS_BY_CATEGORY, STATUS_BY_CODE, status_of, status_of_facts
from lodge.api.table import ROUTES
from lodge.base.errors import Category, LodgeError, family
from lodge.model.token import Scope

OPEN = {"api.show", "api.openapi"}
DOCUMENT = json.loads(json.dumps(describe_api(ROUTES, version="0.1.0")))
NAMED = [pytest.param(route, id=route.name) for route in ROUTES]


def every_error() -> list[type[LodgeError]]:
    for module in pkgutil.walk_packages(lodge.__path__, "lodge."):
        if module.name.split(".")[-1] not in ("__main__", "main"):
            importlib.import_module(module.name)
    return family(LodgeError)


def test_names_and_paths_of_routes_are_unique() -> None:
    assert len({route.name for route in ROUTES}) == len(ROUTES)
    assert len({(route.method, route.path) for route in ROUTES}) == len(ROUTES)


@pytest.mark.parametrize("route", NAMED)
def test_every_route_has_a_permission_and_only_two_are_open(route: Route) -> None:
    assert (route.scope is None) == (route.name in OPEN)
    assert route.summary
    if route.method != "GET" and route.scope is not None:
        assert route.scope.includes(Scope.WRITE)


@pytest.mark.parametrize("route", NAMED)
def test_every_route_declares_what_it_takes_and_gives(route: Route) -> None:
    assert (route.body is None) == (route.body_kind is not BodyKind.JSON)
    assert (route.listing is None) == (route.answer is not Answer.LIST)
    if route.answer in (Answer.JSON, Answer.LIST, Answer.EVENTS):
        assert route.value is not None
    if route.answer is Answer.TASK:
        assert any(field == "wait" for field in route.query.__struct_fields__)


@pytest.mark.parametrize("route", NAMED)
def test_every_main_body_has_an_example_that_the_route_accepts(route: Route) -> None:
    if route.body_kind is BodyKind.JSON:
        for example in route.examples.values():
            decode_body(route.body, json.dumps(example).encode())
    if route.method == "POST" and route.body_kind is BodyKind.JSON:
        assert route.examples


def test_the_description_is_valid_openapi_3_1() -> None:
    validate(DOCUMENT, cls=OpenAPIV31SpecValidator)


@pytest.mark.parametrize("route", NAMED)
def test_every_route_is_described_with_its_scope_and_answers(route: Route) -> None:
    path = f"/v1{route.path}".rstrip("/")
    operation = DOCUMENT["paths"][path][route.method.lower()]
    assert operation["operationId"] == route.name
    wanted = [] if route.scope is None else [{"token": [route.scope.value]}]
    assert operation["security"] == wanted
    assert {"400", "500"} <= set(operation["responses"])
    if route.scope is not None:
        assert {"401", "403"} <= set(operation["responses"])


def test_every_category_of_errors_has_a_status() -> None:
    assert set(STATUS_BY_CATEGORY) == set(Category)


def test_every_error_maps_to_a_status_and_only_bugs_to_500() -> None:
    for kind in every_error():
        error = kind("words")
        status = status_of(error)
        is_bug = error.category is Category.INTERNAL
        assert (status is HTTPStatus.INTERNAL_SERVER_ERROR) == is_bug, error.code
        assert status_of_facts(error.as_dict()) is status


def test_every_code_with_a_status_of_its_own_exists() -> None:
    assert set(STATUS_BY_CODE) <= {error.code for error in every_error()}


def test_facts_nobody_knows_map_to_500() -> None:
    assert status_of_facts({}) is HTTPStatus.INTERNAL_SERVER_ERROR
