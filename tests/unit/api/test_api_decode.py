"""Bad requests are told with the path of the bad field."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.api.decode import decode_body, decode_query, path_segments
from lodge.api.errors import (
    InvalidFieldError,
    InvalidQueryError,
    MalformedBodyError,
    MalformedPathError,
)
from lodge.api.route import ListQuery, NoQuery, TaskQuery
from lodge.api.routes.instances import CreateQuery
from lodge.base.errors import LodgeError
from lodge.model.requests import InstanceCreate

WRONG_FIELDS: list[tuple[str, str]] = [
    ("{}", "name"),
    ("[]", "body"),
    ("null", "body"),
    ('{"name":1}', "name"),
    ('{"name":"a","xname":1}', "xname"),
    ('{"name":"a","cpus":0}', "cpus"),
    ('{"name":"a","cpus":1e400}', "cpus"),
    ('{"name":"a","cpus":' + "9" * 500 + "}", "cpus"),
    ('{"name":"a","boot":{"firmware":"efi"}}', "boot.firmware"),
    ('{"name":"a","boot":{"xfirmware":"uefi"}}', "boot.xfirmware"),
    ('{"name":"a","cloud_init":{"ssh_keys":["k",2]}}', "cloud_init.ssh_keys[1]"),
    ('{"name":"a\\u0000b"}', "name"),
    ('{"name":"a","cloud_init":{"ssh_keys":["\\u0000"]}}', "cloud_init.ssh_keys[0]"),
    ('{"na\\u0000me":"a"}', "body"),
]


@pytest.mark.parametrize(("body", "where"), WRONG_FIELDS, ids=lambda text: text[:40])
def test_a_wrong_field_is_named_by_its_path(body: str, where: str) -> None:
    with pytest.raises(InvalidFieldError) as refused:
        decode_body(InstanceCreate, body.encode())
    assert refused.value.where == where


def test_the_wrong_value_is_shown_but_never_what_may_be_secret() -> None:
    with pytest.raises(InvalidFieldError, match=r"\(it is 99999\)"):
        decode_body(InstanceCreate, b'{"name":"a","cpus":99999}')
    with pytest.raises(InvalidFieldError) as refused:
        decode_body(InstanceCreate, b'{"name":"a","cloud_init":{"user_data":31337}}')
    assert "31337" not in str(refused.value)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"name":"a"} {}',
        b"name: a",
        b'{"name":"\xff\xfe"}',
        b'{"name":"\\ud800"}',
        b"\xef\xbb\xbf{}",
        b"{'name':'a'}",
        b'{"name":NaN}',
    ],
)
def test_what_is_not_json_is_called_so(body: bytes) -> None:
    with pytest.raises(MalformedBodyError):
        decode_body(InstanceCreate, body)


def test_nesting_beyond_all_measure_is_refused() -> None:
    with pytest.raises(LodgeError):
        decode_body(dict[str, Any], b'{"a":' * 100_000)
    with pytest.raises(LodgeError):
        decode_body(InstanceCreate, b'{"name":"a\\u0000","x":' + b"[" * 100_000)


@given(st.binary(max_size=200))
def test_no_body_makes_the_decoder_fail_otherwise(body: bytes) -> None:
    try:
        decode_body(InstanceCreate, body)
    except (InvalidFieldError, MalformedBodyError) as refused:
        json.dumps(refused.as_dict())


@given(st.text(max_size=100))
def test_no_query_makes_the_decoder_fail_otherwise(raw: str) -> None:
    try:
        decode_query(ListQuery, raw)
    except InvalidQueryError as refused:
        json.dumps(refused.as_dict())


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ("limit=0", "limit"),
        ("limit=ten", "limit"),
        ("xlimit=1", "xlimit"),
        ("limit=1&limit=2", "limit"),
        ("filter=%ff", "query"),
        ("filter=%00", "query"),
        ("&".join(f"a{number}=1" for number in range(100)), "query"),
    ],
)
def test_a_wrong_query_names_the_parameter(query: str, where: str) -> None:
    with pytest.raises(InvalidQueryError) as refused:
        decode_query(ListQuery, query)
    assert refused.value.where == where


def test_a_switch_without_a_value_is_on() -> None:
    assert decode_query(CreateQuery, "dry_run") == CreateQuery(dry_run=True)
    assert decode_query(CreateQuery, "dry_run=false&wait=1.5") == CreateQuery(wait=1.5)
    assert decode_query(NoQuery, "") == NoQuery()


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "1e99"])
def test_a_wait_that_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(InvalidQueryError):
        decode_query(TaskQuery, f"wait={text}")


@pytest.mark.parametrize(
    "path", ["/v1//x", "/v1/%2e%2e/x", "/v1/a%2Fb", "/v1/a%00", "/v1/%ff", "/v1/" + "a" * 256, "/"]
)
def test_a_path_that_could_mislead_is_refused(path: str) -> None:
    with pytest.raises(MalformedPathError):
        path_segments(path)


def test_parts_of_a_path_are_decoded_once() -> None:
    assert path_segments("/v1/images/a%2541") == ["v1", "images", "a%41"]
