"""Error answers become typed errors that lose nothing."""

import json

import pytest

from lodge.base.errors import Category, LodgeError, NotFoundError, UnavailableError
from lodge.client.errors import Answered, RemoteInternalError, error_from, error_from_answer


@pytest.mark.parametrize("category", list(Category))
def test_every_category_has_a_leaf_of_that_category(category: Category) -> None:
    error = error_from({"category": category.value, "code": "c", "message": "m"})
    assert isinstance(error, Answered)
    assert error.category is category


def test_an_answered_error_tells_code_place_hint_details_and_trace() -> None:
    told = {
        "code": "disk_too_small",
        "category": "invalid",
        "message": "too small",
        "where": "disk_bytes",
        "hint": "ask for more",
        "retryable": False,
        "details": {"needed_bytes": 5},
    }
    body = json.dumps({"error": told, "trace": "abc"}).encode()
    error = error_from_answer(422, body)
    assert isinstance(error, Answered)
    assert error.as_dict() == told
    assert error.trace == "abc"
    assert str(error) == "too small"


def test_a_category_of_a_newer_daemon_is_still_told() -> None:
    error = error_from({"category": "cosmic", "code": "ray", "message": "a bit flipped"})
    assert isinstance(error, RemoteInternalError)
    assert error.answered_code == "ray"


@pytest.mark.parametrize(
    ("status", "content", "kind"),
    [
        (404, b"<html>nginx</html>", NotFoundError),
        (503, b"", UnavailableError),
        (418, b"\xff\xfe", LodgeError),
        (502, b'["not", "ours"]', UnavailableError),
        (503, b'{"error": "text"}', UnavailableError),
    ],
)
def test_answers_of_other_servers_are_told_by_their_status(
    status: int, content: bytes, kind: type[LodgeError]
) -> None:
    error = error_from_answer(status, content)
    assert isinstance(error, kind)
    assert str(status) in error.message
