"""The pure parts: filters, order, widths, units."""

import doctest
from importlib import import_module

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.cli.commands.screen import added, harmless
from lodge.cli.errors import FilterError
from lodge.cli.human import duration, human
from lodge.cli.rows import Column, Row, choose_columns, keep_rows, sort_rows
from lodge.cli.style import Style
from lodge.cli.table import Heading, render_table, width_of

COLUMNS = (
    Column("name"),
    Column("memory", "spec.memory_mib", kind="mib"),
    Column("tags", "spec.tags"),
    Column("ok", "is_ok"),
)
ROWS: list[Row] = [
    {"name": "b", "spec": {"memory_mib": 512, "tags": ["x", "live"]}, "is_ok": True, "extra": 1},
    {"name": "a", "spec": {"memory_mib": 4096, "tags": []}, "is_ok": False, "extra": 2},
    {"name": "c", "spec": {"memory_mib": None, "tags": ["dead"]}, "is_ok": None, "extra": 3},
]


@pytest.mark.parametrize(
    ("conditions", "names"),
    [
        (["name=a"], "a"),
        (["name!=a"], "bc"),
        (["tags=live"], "b"),
        (["tags~E"], "bc"),
        (["memory>1GiB"], "a"),
        (["memory<=512"], "b"),
        (["memory>=512", "ok=yes"], "b"),
        (["ok=false"], "a"),
        (["extra>1"], "ac"),
        (["spec.memory_mib=4096"], "a"),
        (["spec.nowhere=1"], ""),
        (["name=a=b"], ""),
    ],
)
def test_filters_keep_the_right_rows(conditions: list[str], names: str) -> None:
    assert "".join(str(row["name"]) for row in keep_rows(ROWS, COLUMNS, conditions)) == names


@pytest.mark.parametrize(
    ("keys", "names"),
    [
        ("name", "abc"),
        ("-name", "cba"),
        ("memory", "bac"),
        ("-memory", "abc"),
        ("ok,-name", "abc"),
        ("", "bac"),
        ("extra", "bac"),
    ],
)
def test_rows_are_sorted_and_those_without_a_value_come_last(keys: str, names: str) -> None:
    assert "".join(str(row["name"]) for row in sort_rows(ROWS, COLUMNS, keys)) == names


def test_unknown_columns_are_refused_with_those_that_exist() -> None:
    with pytest.raises(FilterError) as refused:
        choose_columns(COLUMNS, "name,nome", ROWS)
    assert "name, memory, tags, ok" in refused.value.hint


def test_fields_of_the_records_are_columns_too() -> None:
    chosen = choose_columns(COLUMNS, "extra,spec.tags.0", ROWS)
    assert [[column.value(row) for column in chosen] for row in ROWS] == [
        [1, "x"], [2, None], [3, "dead"],
    ]  # fmt: skip


@given(st.lists(st.lists(st.text(), min_size=3, max_size=3)), st.integers(30, 200))
def test_a_table_fits_its_width_and_has_a_line_per_row(rows: list[list[str]], width: int) -> None:
    headings = [Heading("ONE"), Heading("TWO", can_shrink=True), Heading("3", is_right=True)]
    clean = [["".join(c for c in cell if c.isprintable())[:12] for cell in row] for row in rows]
    text = render_table(headings, clean, width=width, style=Style(is_coloured=False))
    lines = text.split("\n")
    assert len(lines) == len(rows) + 1
    assert all(width_of(line) <= max(width, 8 + 8 + 24 + 4) for line in lines)


def test_wide_and_combining_characters_keep_columns_straight() -> None:
    assert (width_of("日本"), width_of("é"), width_of("abc")) == (4, 1, 3)


@given(st.floats(0, 1e10))
def test_a_duration_is_short_and_never_negative(seconds: float) -> None:
    text = duration(seconds)
    assert len(text) <= 8
    assert "-" not in text


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (None, "bytes", "-"),
        ("", "text", "-"),
        (0, "number", "0"),
        (False, "text", "no"),
        (1536, "mib", "1.5 GiB"),
        (40.0, "age", "1m"),
        (160.0, "until", "in 1m"),
        (40.0, "until", "1m ago"),
        (["a", "b"], "text", "a, b"),
        ({"a": 1}, "text", "a=1"),
        ("a\x1b\nb", "text", "a  b"),
    ],
)
def test_values_are_written_for_people(value: object, kind: str, text: str) -> None:
    assert human(value, kind, now=100.0) == text


@given(st.binary(max_size=60), st.binary(max_size=20))
def test_following_a_log_prints_exactly_what_was_added(before: bytes, more: bytes) -> None:
    assert added(before, before + more) == more


@given(st.binary(max_size=200))
def test_nothing_a_guest_prints_reaches_the_terminal_as_a_command(data: bytes) -> None:
    cleaned = harmless(data)
    assert not set(cleaned) & (set(range(9)) | set(range(11, 32)) | {127})


@pytest.mark.parametrize(
    "module",
    [
        "human",
        "rows",
        "failures",
        "terminal",
        "commands.screen",
        "commands.events",
        "commands.tokens",
        "commands.volumes",
    ],
)
def test_the_examples_in_docstrings_are_true(module: str) -> None:
    result = doctest.testmod(
        import_module(f"lodge.cli.{module}"),
        extraglobs={"LodgeError": __import__("lodge.base.errors").base.errors.LodgeError},
    )
    assert result.attempted > 0
    assert result.failed == 0
