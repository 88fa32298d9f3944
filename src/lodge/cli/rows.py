"""Lists as data: columns, filters and order over plain JSON records. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from lodge.cli.errors import FilterError

__all__ = ["Column", "Row", "choose_columns", "dig", "keep_rows", "raw_value", "sort_rows"]

Row = dict[str, Any]
_OPERATORS = ("!=", "<=", ">=", "=", "~", "<", ">")


class Column:
    """One column of a list.

    Args:
        name: as people write it after ``--columns``, and the title in capitals.
        source: dotted path into the record, or a function of it.
        kind: how ``human`` writes it (``bytes``, ``mib``, ``age``...).
        is_default: shown when nobody chose.
        can_shrink: may be cut off to fit the terminal.
        is_state: painted in the colour of its word.
    """

    __slots__ = ("can_shrink", "is_default", "is_state", "kind", "name", "source")

    def __init__(
        self,
        name: str,
        source: str | Callable[[Row], Any] | None = None,
        *,
        kind: str = "text",
        is_default: bool = True,
        can_shrink: bool = False,
        is_state: bool = False,
    ) -> None:
        self.name = name
        self.source = name if source is None else source
        self.kind = kind
        self.is_default = is_default
        self.can_shrink = can_shrink
        self.is_state = is_state

    @property
    def is_right(self) -> bool:
        """Whether its values are numbers, which stand to the right."""
        return self.kind in ("bytes", "mib", "age", "number", "seconds")

    def value(self, row: Row) -> Any:
        """Read the column's value, without units."""
        return dig(row, self.source) if isinstance(self.source, str) else self.source(row)


def dig(record: Any, dotted: str) -> Any:
    """Read a value by its dotted path; numbers are places in lists; null when it is not there.

    >>> dig({"spec": {"nics": [{"network": "a"}]}}, "spec.nics.0.network")
    'a'
    """
    value = record
    for part in dotted.split("."):
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and part.isdigit():
            value = value[int(part)] if int(part) < len(value) else None
        else:
            return None
    return value


def choose_columns(
    columns: Sequence[Column], wanted: str | None, rows: Sequence[Row] = ()
) -> list[Column]:
    """Return the columns to show: the default ones, all (``all``), or those named.

    A field of the records, or a dotted path into them, is a column too.

    Raises:
        FilterError: no such column.
    """
    if wanted is None:
        return [column for column in columns if column.is_default]
    if wanted == "all":
        return list(columns)
    names = [name.strip() for name in wanted.split(",") if name.strip()]
    return [_column(columns, name, rows) for name in names]


def keep_rows(
    rows: Iterable[Row], columns: Sequence[Column], conditions: Sequence[str]
) -> list[Row]:
    """Keep the rows that fulfil every condition (``state=running``, ``name~web``, ``cpus>2``).

    Raises:
        FilterError: bad syntax, or a field that no row has.
    """
    kept = list(rows)
    for condition in conditions:
        passes = _condition(columns, condition, kept)
        kept = [row for row in kept if passes(row)]
    return kept


def sort_rows(rows: Sequence[Row], columns: Sequence[Column], keys: str | None) -> list[Row]:
    """Sort by columns (``-memory,name``); rows without a value come last.

    Raises:
        FilterError: no such column.
    """
    ordered = list(rows)
    for key in reversed((keys or "").split(",")):
        if not key.strip():
            continue
        column = _column(columns, key.strip().lstrip("-"), rows)
        _sort(ordered, column, is_descending=key.strip().startswith("-"))
    return ordered


def _sort(rows: list[Row], column: Column, *, is_descending: bool) -> None:
    values = [column.value(row) for row in rows]
    is_numeric = all(isinstance(value, int | float) for value in values if value is not None)

    def rank(row: Row) -> tuple[bool, Any]:
        value = column.value(row)
        filler: Any = 0 if is_numeric else ""
        ready = filler if value is None else value if is_numeric else raw_value(value)
        return (value is None) != is_descending, ready

    rows.sort(key=rank, reverse=is_descending)


def raw_value(value: Any) -> str:
    """Write a value as filters and CSV see it: numbers bare, lists joined by spaces."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return " ".join(raw_value(each) for each in value)
    if isinstance(value, dict):
        import json

        return json.dumps(value)
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _column(columns: Sequence[Column], name: str, rows: Sequence[Row]) -> Column:
    for column in columns:
        if column.name == name:
            return column
    if "." in name or not rows or any(name in row for row in rows):
        return Column(name)
    raise FilterError(
        f"there is no column {name!r}",
        where="columns",
        hint=f"columns: {', '.join(column.name for column in columns)};"
        " or a dotted path as in --format json",
    )


def _condition(columns: Sequence[Column], text: str, rows: Sequence[Row]) -> Callable[[Row], bool]:
    place, operator = min(
        (
            (text.find(operator), operator)
            for operator in _OPERATORS
            if operator in text and text.find(operator) > 0
        ),
        key=lambda found: (found[0], -len(found[1])),
        default=(-1, ""),
    )
    if place < 0:
        raise FilterError(
            f"{text!r} is not a filter",
            where="filter",
            hint="write field=value, field!=value, field~text, field<number or field>number",
        )
    name, wanted = text[:place].strip(), text[place + len(operator) :].strip()
    return _test(_column(columns, name, rows), operator, wanted)


def _test(column: Column, operator: str, wanted: str) -> Callable[[Row], bool]:
    if operator in ("<", "<=", ">", ">="):
        limit = _number(column, wanted)
        return lambda row: _compare(column.value(row), operator, limit)
    if operator == "~":
        return lambda row: wanted.casefold() in raw_value(column.value(row)).casefold()
    return lambda row: _is_equal(column.value(row), wanted) == (operator == "=")


def _is_equal(value: Any, wanted: str) -> bool:
    if isinstance(value, list):
        return any(_is_equal(each, wanted) for each in value)
    if isinstance(value, bool):
        return wanted in (("true", "yes") if value else ("false", "no"))
    return raw_value(value) == wanted


def _compare(value: Any, operator: str, limit: float) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    match operator:
        case "<":
            return value < limit
        case "<=":
            return value <= limit
        case ">":
            return value > limit
        case _:
            return value >= limit


def _number(column: Column, text: str) -> float:
    if column.kind in ("bytes", "mib") and not text.replace(".", "").isdigit():
        from lodge.base.units import parse_size

        size = parse_size(text, where="filter")
        return size / (1 << 20) if column.kind == "mib" else size
    try:
        return float(text)
    except ValueError:
        raise FilterError(f"{text!r} is not a number", where="filter") from None
