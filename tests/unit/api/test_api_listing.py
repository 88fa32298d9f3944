"""Filters, orders and pages: one engine for every noun."""

from typing import Any

import pytest
from api_lab import view
from hypothesis import given, settings
from hypothesis import strategies as st

from lodge.api.errors import InvalidCursorError, InvalidFilterError, InvalidSortError
from lodge.api.listing.filters import compile_filter
from lodge.api.listing.page import Cut, Listing, cut_page
from lodge.api.route import Route
from lodge.api.table import ROUTES
from lodge.model.instance import DiskSpec, InstanceSpec, InstanceStatus
from lodge.model.requests import InstanceView
from lodge.model.task import Actor, Task, TaskState

VIEWS = [view(f"web{number}", number) for number in range(10)]
DISKED = view(
    "db",
    20,
    spec=InstanceSpec(
        disks=(
            DiskSpec(name="root", pool="default", volume="a"),
            DiskSpec(name="data", pool="fast", volume="b"),
        )
    ),
    status=InstanceStatus(power=None),
)


def names(filter_text: str) -> list[str]:
    keep = compile_filter(InstanceView, filter_text)
    assert keep is not None
    return [item.name for item in [*VIEWS, DISKED] if keep(item)]


def cut(items: list[Any], **question: Any) -> Cut:
    asked = {"filter_text": None, "sort": None, "limit": None, "cursor": None, **question}
    return cut_page(Listing(InstanceView), items, **asked)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name=web3", ["web3"]),
        ("name~WEB3", ["web3"]),
        ("state=running,spec.memory_mib<516", ["web1", "web3"]),
        ("spec.memory_mib>=519,spec.memory_mib<=520", ["web7", "web8"]),
        ("spec.memory_mib=512", ["web0"]),
        ("spec.disks.pool=fast", ["db"]),
        ("spec.disks.pool=slow", []),
        ("status.power=null", ["db"]),
        ("spec.tags=even,name!=web0,created_at<1003", ["web2"]),
        ("status.addresses~10.0.0.9,name=web9", ["web9"]),
        ("status.agent_answers=true", []),
        (r"name=a\,b", []),
    ],
)
def test_a_filter_lets_through_what_holds(text: str, expected: list[str]) -> None:
    assert names(text) == expected


def test_keys_of_a_json_object_can_be_asked_for() -> None:
    task = Task(
        id="t1",
        kind="x",
        target="y",
        params={"name": "web", "count": 3},
        actor=Actor(name="root"),
        locks=(),
        state=TaskState.DONE,
        steps=(),
        created_at=1.0,
    )
    for text, expected in {
        "params.name=web": True,
        "params.count=3": True,
        "params.nope=null": True,
        "params.name=db": False,
        "state!=done": False,
        "actor.name=root": True,
    }.items():
        keep = compile_filter(Task, text)
        assert keep is not None
        assert keep(task) is expected, text


@pytest.mark.parametrize(
    "text",
    [
        "xname=x",
        "name",
        "=x",
        "name=x,",
        "state=flying",
        "spec.memory_mib=lots",
        "name>3",
        "spec.memory_mib>null",
        "name=x\\",
        "spec.cpu.count.x=1",
        ",".join(["name=x"] * 33),
        ".".join("a" * 20) + "=1",
    ],
)
def test_a_wrong_filter_is_refused(text: str) -> None:
    with pytest.raises(InvalidFilterError):
        compile_filter(InstanceView, text)


@given(st.text(max_size=60))
def test_no_filter_fails_otherwise(text: str) -> None:
    try:
        keep = compile_filter(InstanceView, text)
    except InvalidFilterError:
        return
    if keep is not None:
        [keep(item) for item in [*VIEWS, DISKED]]


def test_an_order_goes_down_with_a_minus_and_ties_by_name() -> None:
    found = cut(VIEWS, sort="-state,name").items
    assert [item.name for item in found[:2]] == ["web0", "web2"]
    down = cut(VIEWS, sort="-created_at").items
    assert [item.name for item in down[:2]] == ["web9", "web8"]


def test_records_without_a_value_come_last_in_both_directions() -> None:
    assert cut([DISKED, *VIEWS], sort="status.power").items[-1] is DISKED
    assert cut([DISKED, *VIEWS], sort="-status.power").items[-1] is DISKED


@pytest.mark.parametrize("sort", ["nope", "spec.tags", "spec", "--name", "name,,name", "+-name"])
def test_a_wrong_order_is_refused(sort: str) -> None:
    with pytest.raises(InvalidSortError):
        cut(VIEWS, sort=sort)


@settings(max_examples=60)
@given(
    st.integers(1, 7),
    st.sampled_from([None, "-created_at", "state", "-status.power,state", "spec.memory_mib"]),
    st.sets(st.integers(0, 9)),
)
def test_pages_give_every_record_once_though_others_vanish(
    limit: int, sort: str | None, vanishing: set[int]
) -> None:
    whole = [item.name for item in cut([DISKED, *VIEWS], sort=sort).items]
    items, seen, cursor = [DISKED, *VIEWS], [], None
    for turn in range(20):
        page = cut(items, sort=sort, limit=limit, cursor=cursor)
        seen += [item.name for item in page.items]
        cursor = page.next
        if cursor is None:
            break
        if turn == 0:  # what was seen vanishes: the cursor must not move
            gone = {whole[number] for number in vanishing} & set(seen)
            items = [item for item in items if item.name not in gone]
    assert seen == whole


@pytest.mark.parametrize(
    "cursor", ["x", "é", "AAAA", "W10", "a" * 5000, "WyJhIixbMV1d", "WyJhIixbeyJhIjoxfV1d"]
)
def test_a_cursor_nobody_gave_out_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidCursorError):
        cut(VIEWS, cursor=cursor)


def test_a_cursor_of_another_question_is_refused() -> None:
    cursor = cut(VIEWS, limit=2).next
    with pytest.raises(InvalidCursorError):
        cut(VIEWS, limit=2, cursor=cursor, sort="-name")


@pytest.mark.parametrize(
    "route", [pytest.param(one, id=one.name) for one in ROUTES if one.listing is not None]
)
def test_every_list_has_an_identity_that_can_be_sorted(route: Route) -> None:
    assert route.listing is not None
    assert cut_page(route.listing, [], filter_text=None, sort=None, limit=None, cursor=None) == Cut(
        [], 0, None
    )
