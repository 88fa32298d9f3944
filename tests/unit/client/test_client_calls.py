"""Calls as data, and one description for three faces."""

import inspect
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from lodge.client import access, images, instances, networks, profiles, storage, tasks
from lodge.client.answers import answer_type
from lodge.client.blocking import Client, PlainClient
from lodge.client.call import Call, change_call, path, quote
from lodge.client.endpoint import (
    ChannelEndpoint,
    DownloadEndpoint,
    Endpoint,
    FlowEndpoint,
    Group,
    ListEndpoint,
    SubscriptionEndpoint,
)
from lodge.client.groups import Groups
from lodge.client.nonblocking import AsyncClient
from lodge.model.requests import InstanceChange

KINDS = (
    Endpoint,
    ListEndpoint,
    FlowEndpoint,
    DownloadEndpoint,
    SubscriptionEndpoint,
    ChannelEndpoint,
)
MODULES = (access, images, instances, networks, profiles, storage, tasks)


def groups() -> list[type[Group[Any]]]:
    return [
        each
        for module in MODULES
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, Group) and each is not Group
    ]


def endpoints() -> Iterator[tuple[str, Any]]:
    for group in groups():
        for name, each in vars(group).items():
            if isinstance(each, KINDS):
                yield f"{group.__name__}.{name}", each


@pytest.mark.parametrize(("name", "endpoint"), list(endpoints()))
def test_every_endpoint_names_a_known_answer_and_says_what_it_does(
    name: str, endpoint: Any
) -> None:
    if endpoint.answer not in ("bytes", "None"):
        assert answer_type(endpoint.answer) is not None
    assert endpoint.__doc__, name


def test_every_group_is_reached_from_every_client_and_shows_the_same_methods() -> None:
    faces = (Client(), PlainClient(), AsyncClient())
    nouns = [name for name, each in vars(Groups).items() if isinstance(each, property)]
    reached = set()
    for noun in nouns:
        kinds = {type(getattr(client, noun)) for client in faces}
        assert len(kinds) == 1
        reached |= kinds
        methods = [name for name, each in vars(*kinds).items() if isinstance(each, KINDS)]
        assert methods
        for name in methods:
            signatures = {
                str(inspect.signature(getattr(getattr(client, noun), name))) for client in faces
            }
            assert len(signatures) == 1, f"{noun}.{name}"
    assert reached == set(groups())


def test_paths_and_queries_are_encoded_so_that_a_name_can_never_change_the_route() -> None:
    call: Call[None] = Call("GET", path("instances", "../tokens?x#y"), query={"a b": "c&d=ü"})
    assert call.target == "/v1/instances/..%2Ftokens%3Fx%23y?a%20b=c%26d%3D%C3%BC"
    assert quote("plain-._~") == "plain-._~"


def test_parameters_without_value_are_left_out_and_booleans_are_words() -> None:
    query: dict[str, Any] = {"wait": None, "filter": "", "force": True, "limit": 0}
    call: Call[None] = Call("GET", path("x"), query=query)
    assert call.target == "/v1/x?force=true&limit=0"


def test_a_change_sends_only_the_fields_that_were_set() -> None:
    call = change_call("PATCH", path("x"), wait_s=None, body=InstanceChange(description=""))
    assert msgspec.json.decode(call.json_body() or b"") == {"description": ""}


def test_only_requests_that_do_no_harm_twice_are_repeatable() -> None:
    assert Call("GET", path("x")).is_repeatable
    assert not Call("DELETE", path("x")).is_repeatable
    assert not Call("POST", path("x")).is_repeatable
    keyed = change_call("POST", path("x"), wait_s=1.0)
    assert keyed.is_repeatable
    assert keyed.own_headers() != keyed.own_headers()
