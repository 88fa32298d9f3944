"""Filters of lists: ``field=value,field~text``; all conditions must hold.

Operators: ``=`` ``!=`` (equal, not equal), ``~`` (contains, case ignored), ``<`` ``<=`` ``>``
``>=`` (numbers). A field with several values passes when any of them does (``!=``: when none is
equal). A comma or backslash within a value is written with a backslash before it.
"""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from lodge.api.errors import InvalidFilterError
from lodge.api.listing.fields import Field, find_field

__all__ = ["Predicate", "compile_filter"]

Predicate = Callable[[Any], bool]

_CONDITION = re.compile(
    r"(?P<field>[A-Za-z_][A-Za-z0-9_.-]*)\s*(?P<operator>!=|<=|>=|=|~|<|>)(?P<value>.*)", re.S
)
_UNESCAPED_COMMA = re.compile(r"((?:\\.|[^,\\])*)(?:,|$)", re.S)
_ESCAPE = re.compile(r"\\(.)", re.S)
_MAX_CONDITIONS = 32
_NUMBERS: Mapping[str, Callable[[Any, Any], bool]] = MappingProxyType(
    {
        "<": lambda left, right: left < right,
        "<=": lambda left, right: left <= right,
        ">": lambda left, right: left > right,
        ">=": lambda left, right: left >= right,
    }
)


def compile_filter(record: type[Any], text: str | None) -> Predicate | None:
    """Turn a filter into a function of one record; null when everything passes.

    Raises:
        InvalidFilterError: bad syntax, an unknown field, or a value that does not fit the field.
    """
    if not text:
        return None
    conditions = [_condition(record, part) for part in _split(text)]
    if len(conditions) == 1:
        return conditions[0]
    return lambda item: all(holds(item) for holds in conditions)


def _split(text: str) -> list[str]:
    parts: list[str] = []
    position = 0
    while position <= len(text):
        match = _UNESCAPED_COMMA.match(text, position)
        if match is None:
            raise InvalidFilterError("the filter ends with a lone backslash", where="filter")
        parts.append(match[1])
        if match.end() == len(text) and not match[0].endswith(","):
            break
        position = match.end()
    if len(parts) > _MAX_CONDITIONS:
        raise InvalidFilterError(
            f"{len(parts)} conditions are more than {_MAX_CONDITIONS}", where="filter"
        )
    return parts


def _condition(record: type[Any], text: str) -> Predicate:
    match = _CONDITION.fullmatch(text.strip())
    if match is None:
        raise InvalidFilterError(f"{text!r} is not a condition", where="filter")
    field = find_field(record, match["field"])
    if field is None:
        raise InvalidFilterError(
            f"{record.__name__} has no field {match['field']!r}", where="filter"
        )
    wanted = _ESCAPE.sub(r"\1", match["value"])
    match match["operator"]:
        case "~":
            return _contains(field, wanted)
        case "=":
            return _equals(field, wanted)
        case "!=":
            equals = _equals(field, wanted)
            return lambda item: not equals(item)
        case operator:
            return _compares(field, operator, wanted)


def _contains(field: Field, text: str) -> Predicate:
    needle = text.casefold()
    return lambda item: any(
        needle in _as_text(value).casefold() for value in field.values(item) if value is not None
    )


def _equals(field: Field, text: str) -> Predicate:
    if field.leaf is object:
        return lambda item: any(_as_text(value) == text for value in field.values(item))
    wanted = _value(field, text)
    return lambda item: any(value == wanted for value in field.values(item))


def _compares(field: Field, operator: str, text: str) -> Predicate:
    if field.leaf not in (int, float):
        raise InvalidFilterError(
            f"{field.path!r} is not a number: {operator!r} cannot compare it", where="filter"
        )
    wanted, holds = _value(field, text), _NUMBERS[operator]
    if wanted is None:
        raise InvalidFilterError(f"{operator!r} cannot compare with null", where="filter")
    return lambda item: any(
        holds(value, wanted) for value in field.values(item) if value is not None
    )


def _value(field: Field, text: str) -> Any:
    """Read a value as the field's own type; ``null`` means "has no value"."""
    if text == "null":
        return None
    try:
        return msgspec.convert(text, field.leaf, strict=False)
    except (msgspec.ValidationError, TypeError):
        raise InvalidFilterError(
            f"{text[:60]!r} is not a value of {field.path!r}", where="filter"
        ) from None


def _as_text(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return msgspec.json.encode(value).decode()
