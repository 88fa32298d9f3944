"""From bytes to typed requests; whatever is wrong is told with the path of the bad field."""

import re
from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes

import msgspec
import msgspec.inspect

from lodge.api.errors import (
    InvalidFieldError,
    InvalidQueryError,
    MalformedBodyError,
    MalformedPathError,
)
from lodge.base.errors import LodgeError
from lodge.model.record import Spec

__all__ = ["decode_body", "decode_query", "path_segments"]

_MESSAGE = re.compile(r"(?P<what>.*?)(?: - at `(?P<path>\$.*)`)?", re.S)
_FIELD = re.compile(r"Object (?:missing required|contains unknown) field `(?P<name>.*)`", re.S)
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")
_MAX_PARAMETERS = 32
_MAX_SEGMENT = 255
_SHOWN_CHARACTERS = 60
_NOT_SHOWN = frozenset(
    {"user_data", "vendor_data", "network_config", "stdin", "environment", "ssh_keys", "secret"}
)


def path_segments(raw: str) -> list[str]:
    """Split a raw path and decode its parts.

    Raises:
        MalformedPathError: a part is empty, ``.`` or ``..``, not UTF-8, longer than 255
            characters, or has a slash or control characters.
    """
    return [_segment(part) for part in raw.removeprefix("/").split("/")]


def _segment(part: str) -> str:
    try:
        text = unquote_to_bytes(part).decode("utf-8")
    except UnicodeError:
        raise MalformedPathError("a part of the path is not UTF-8", where="path") from None
    if not text or text in (".", "..") or len(text) > _MAX_SEGMENT:
        raise MalformedPathError("a part of the path is empty or too long", where="path")
    if "/" in text or not text.isprintable():
        raise MalformedPathError(
            "a part of the path has a slash or control characters", where="path"
        )
    return text


def decode_query(kind: type[Spec], raw: str) -> Spec:
    """Read the query string as the route's type; an empty value of a switch means true.

    Raises:
        InvalidQueryError: unknown or repeated parameter, or a bad value.
    """
    values: dict[str, str] = {}
    known = _parameters(kind)
    for name, value in _pairs(raw):
        if name not in known:
            raise InvalidQueryError(f"there is no query parameter {_shown(name)}", where=name[:60])
        if name in values:
            raise InvalidQueryError(f"query parameter {name!r} came twice", where=name)
        if value.lower() == "null" and known[name] is _Absent.IS_NO_TEXT:
            raise InvalidQueryError("leave a parameter out instead of giving null", where=name)
        values[name] = "true" if not value and known[name] is _Absent.IS_TRUE else value
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _told(error, values, InvalidQueryError) from None


class _Absent(Enum):
    """What special values of a parameter mean."""

    IS_TRUE = "a switch: an empty value turns it on"
    IS_NO_TEXT = "nullable, but no text: the word null would be taken for null"
    IS_PLAIN = "nothing special"


@cache
def _parameters(kind: type[Spec]) -> Mapping[str, _Absent]:
    """Return all parameters by name."""
    return {field.encode_name: _absent(field.type) for field in msgspec.structs.fields(kind)}


def _absent(annotation: Any) -> _Absent:
    shape = _bare(msgspec.inspect.type_info(annotation))
    if isinstance(shape, msgspec.inspect.BoolType):
        return _Absent.IS_TRUE
    parts = shape.types if isinstance(shape, msgspec.inspect.UnionType) else (shape,)
    has_text = any(isinstance(_bare(part), msgspec.inspect.StrType) for part in parts)
    return _Absent.IS_PLAIN if has_text else _Absent.IS_NO_TEXT


def _bare(shape: msgspec.inspect.Type) -> msgspec.inspect.Type:
    while isinstance(shape, msgspec.inspect.Metadata):
        shape = shape.type
    return shape


def _pairs(raw: str) -> list[tuple[str, str]]:
    try:
        pairs = parse_qsl(
            raw, keep_blank_values=True, errors="strict", max_num_fields=_MAX_PARAMETERS
        )
    except ValueError:
        raise InvalidQueryError(
            f"the query is not UTF-8 or has more than {_MAX_PARAMETERS} parameters", where="query"
        ) from None
    for name, value in pairs:
        if "\x00" in name or "\x00" in value:
            raise InvalidQueryError("the query has a NUL character", where="query")
    return pairs


def decode_body(kind: Any, data: bytes) -> Any:
    """Read a JSON body as the route's type.

    Raises:
        MalformedBodyError: not JSON.
        InvalidFieldError: JSON, but not what the route takes.
    """
    try:
        if b"\\u0000" in data and (path := _nul_path(msgspec.json.decode(data))):
            raise InvalidFieldError("a text has a NUL character", where=path)
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        raise _told(error, _plain(data), InvalidFieldError) from None
    except (msgspec.DecodeError, UnicodeError) as error:
        raise MalformedBodyError(f"the body is not JSON: {error}", where="body") from None
    except RecursionError:
        raise MalformedBodyError("the body is nested too deeply", where="body") from None


def _nul_path(value: Any, path: str = "body") -> str | None:
    """Find a text that no system call could take: NUL ends a string there."""
    if isinstance(value, str):
        return path if "\x00" in value else None
    if isinstance(value, dict):
        pairs = [(f"{path}.{name}", part) for name, part in value.items()]
        if any("\x00" in name for name in value):
            return path
    else:
        parts = value if isinstance(value, list) else []
        pairs = [(f"{path}[{number}]", part) for number, part in enumerate(parts)]
    found = (_nul_path(part, place.removeprefix("body.")) for place, part in pairs)
    return next((place for place in found if place), None)


def _plain(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def _told(error: msgspec.ValidationError, value: Any, kind: type[LodgeError]) -> LodgeError:
    """Turn msgspec's message into one with a path like ``spec.disks[0].name`` and the value."""
    match = _MESSAGE.fullmatch(str(error))
    what, path = (match["what"], match["path"] or "$") if match else (str(error), "$")
    where = path.removeprefix("$").removeprefix(".")
    field = _FIELD.fullmatch(what)
    if field is not None:
        return kind(what, where=".".join(part for part in (where, field["name"][:60]) if part))
    got = _got(value, path)
    return kind(f"{what}{got}", where=where or "body")


def _got(value: Any, path: str) -> str:
    """Say which value was wrong, unless it may be a secret."""
    for name, index in _STEP.findall(path):
        if name in _NOT_SHOWN:
            return ""
        try:
            value = value[name] if name else value[int(index)]
        except (KeyError, IndexError, TypeError, ValueError):
            return ""
    return (
        f" (it is {_shown(value)})" if value is None or isinstance(value, str | int | float) else ""
    )


def _shown(value: Any) -> str:
    try:
        text = msgspec.json.encode(value).decode()
    except (msgspec.MsgspecError, UnicodeError, OverflowError):
        return "a value that cannot be shown"
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
