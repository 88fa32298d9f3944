"""What an audit record may hold of a request."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lodge.model.instance import CloudInitSpec
from lodge.model.requests import ExecRequest, InstanceCreate
from lodge.services.access.redaction import redact

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def test_user_data_stdin_and_environment_are_hashed() -> None:
    create = InstanceCreate(name="a", cloud_init=CloudInitSpec(user_data="pw: hunter2"))
    run = ExecRequest(command=("login",), environment={"PASSWORD": "hunter2"}, stdin="aHVudGVyMg==")
    for request in (create, run):
        text = json.dumps(redact(request))
        assert "hunter2" not in text
        assert "aHVudGVyMg==" not in text
        assert "sha256:" in text
    assert redact(create) == redact(create)
    assert redact(create)["name"] == "a"


def test_the_login_of_a_url_is_hidden_and_long_texts_are_measured() -> None:
    found = redact({"source": "https://ada:secret@example.org/x", "note": "x" * 5000})
    assert found["source"] == "https://***@example.org/x"
    assert found["note"].endswith("(5000 bytes)")


@given(JSON, st.sampled_from(["user_data", "password", "stdin", "secret"]))
def test_what_stands_under_a_secret_name_never_comes_through(value: Any, name: str) -> None:
    marker = "MARKER-7731"
    found = redact({"outer": [{name: marker, "plain": value}], name: {"part": marker}})
    assert marker not in json.dumps(found)


@given(JSON)
def test_the_result_is_json_of_bounded_texts(value: Any) -> None:
    json.dumps(redact({"body": value}))
