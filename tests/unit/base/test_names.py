"""Names of instances and other things."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.base.names import (
    RESERVED_INSTANCE_NAMES,
    InvalidNameError,
    check_instance_name,
    check_name,
)


@pytest.mark.parametrize("name", ["a", "web1", "web-1", "a" * 63])
def test_a_dns_label_is_an_instance_name(name: str) -> None:
    assert check_instance_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "Web", "1web", "-web", "web-", "we_b", "web.1", "a" * 64, "wéb", "web\n", "../x", "web 1"],
)
def test_other_names_are_refused_with_a_hint(name: str) -> None:
    with pytest.raises(InvalidNameError) as refused:
        check_instance_name(name)
    assert "lower-case" in refused.value.hint


@pytest.mark.parametrize("name", sorted(RESERVED_INSTANCE_NAMES))
def test_reserved_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidNameError, match="reserved"):
        check_instance_name(name)


@given(st.text(max_size=70))
def test_an_accepted_name_is_always_a_safe_file_and_dns_name(text: str) -> None:
    try:
        name = check_instance_name(text)
    except InvalidNameError:
        return
    assert re.fullmatch(r"[a-z0-9-]{1,63}", name)


@given(st.text(max_size=70))
def test_an_accepted_wide_name_never_climbs_out_of_a_folder(text: str) -> None:
    try:
        name = check_name(text, what="volume")
    except InvalidNameError:
        return
    assert "/" not in name
    assert ".." not in name
    assert not name.startswith(".")
