"""Texts with a pattern: the pattern holds for all of the text."""

import json

import pytest

from lodge.api.decode import decode_body
from lodge.api.errors import InvalidFieldError
from lodge.model.image import ImageAdd
from lodge.model.requests import ExecRequest, InstanceChange, InstanceCreate


@pytest.mark.parametrize(
    ("kind", "field", "text"),
    [
        (InstanceCreate, "cpu_model", "max"),
        (InstanceCreate, "tags", ["web"]),
        (InstanceChange, "cpu_model", "max"),
        (InstanceChange, "tags", ["web"]),
        (ImageAdd, "sha256", "0" * 64),
        (ExecRequest, "stdin", "aGVsbG8="),
    ],
)
def test_a_newline_at_the_end_of_a_text_does_not_slip_through(
    kind: type, field: str, text: str | list[str]
) -> None:
    rest = {"name": "a", "source": "x", "command": ["x"]}
    known = {one: rest[one] for one in rest if one in kind.__struct_fields__}
    decode_body(kind, json.dumps({**known, field: text}).encode())
    wrong = [f"{one}\n" for one in text] if isinstance(text, list) else f"{text}\n"
    with pytest.raises(InvalidFieldError) as refused:
        decode_body(kind, json.dumps({**known, field: wrong}).encode())
    assert (refused.value.where or "").startswith(field)


@pytest.mark.parametrize("text", ["a", "aaa", "é", "ab=", "a a=", "=", "YQ", "YQ=\n="])
def test_what_is_not_base64_never_reaches_a_guest(text: str) -> None:
    with pytest.raises(InvalidFieldError) as refused:
        decode_body(ExecRequest, json.dumps({"command": ["cat"], "stdin": text}).encode())
    assert "(it is" not in str(refused.value)
