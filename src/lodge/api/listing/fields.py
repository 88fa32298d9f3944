"""Find the value of a dotted field path in a record, checked against the record's type first.

``spec.memory_mib`` walks structs; ``spec.disks.pool`` walks every element of an array, so a path
may give several values; ``params.name`` walks a JSON object, whose keys are not known beforehand.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

from msgspec import inspect

__all__ = ["Field", "find_field"]

_MAX_DEPTH = 8
_LEAVES: Mapping[type[inspect.Type], type[Any]] = MappingProxyType(
    {
        inspect.IntType: int,
        inspect.FloatType: float,
        inspect.BoolType: bool,
        inspect.StrType: str,
    }
)
_Step = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Field:
    """A path proven to exist. ``leaf`` is the type its values have; ``object`` when mixed.

    ``is_never_null``: attributes all the way, none of which may be null.
    """

    path: str
    leaf: type[Any]
    is_many: bool
    is_never_null: bool
    values: Callable[[Any], Iterable[Any]]


def find_field(record: type[Any], path: str) -> Field | None:
    """Prove that a path exists in a type, and return how to read it; null when it does not."""
    parts = path.split(".")
    if len(parts) > _MAX_DEPTH:
        return None
    kind = _shape(record)  # type: ignore[arg-type]  # for mypy no type is hashable
    steps: list[_Step] = []
    is_never_null = True
    for part in parts:
        found = _step(kind, part)
        if found is None:
            return None
        kind, step = found
        steps.append(step)
        is_never_null = is_never_null and step[0] == "attribute" and not _may_be_null(kind)
        kind, unfolded = _unfold(kind)
        steps.extend(unfolded)
    is_many = any(how == "each" for how, _ in steps)
    return Field(path, _leaf(kind), is_many, is_never_null, _reader(steps))


@cache
def _shape(record: Hashable) -> inspect.Type:
    """Look at a type; it takes a millisecond, and there are as many types as lists."""
    return inspect.type_info(record)


def _may_be_null(kind: inspect.Type) -> bool:
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    return isinstance(kind, inspect.UnionType | inspect.AnyType | inspect.NoneType)


def _step(kind: inspect.Type, name: str) -> tuple[inspect.Type, _Step] | None:
    match kind:
        case inspect.AnyType():
            return kind, ("key", name)
        case inspect.DictType():
            return kind.value_type, ("key", name)
        case inspect.StructType():
            for field in kind.fields:
                if field.encode_name == name:
                    return field.type, ("attribute", field.name)
    return None


def _unfold(kind: inspect.Type) -> tuple[inspect.Type, list[_Step]]:
    """Go through "or null", constraints and arrays down to the type of one element."""
    steps: list[_Step] = []
    while True:
        if isinstance(kind, inspect.Metadata):
            kind = kind.type
        elif isinstance(kind, inspect.UnionType):
            rest = [one for one in kind.types if not isinstance(one, inspect.NoneType)]
            if len(rest) != 1:
                return kind, steps
            kind = rest[0]
        elif isinstance(kind, inspect.VarTupleType | inspect.ListType):
            kind = kind.item_type
            steps.append(("each", ""))
        else:
            return kind, steps


def _leaf(kind: inspect.Type) -> type[Any]:
    if isinstance(kind, inspect.EnumType):
        return kind.cls
    return _LEAVES.get(type(kind), object)


def _reader(steps: list[_Step]) -> Callable[[Any], Iterable[Any]]:
    """Return a function that lists all values at the end of the steps."""
    if all(how == "attribute" for how, _ in steps):
        return _attribute_reader([name for _, name in steps])

    def read(record: Any) -> Iterable[Any]:
        values = [record]
        for how, name in steps:
            values = [found for value in values for found in _follow(value, how, name)]
        return values

    return read


def _attribute_reader(names: list[str]) -> Callable[[Any], Iterable[Any]]:
    def read(record: Any) -> Iterable[Any]:
        for name in names:
            if record is None:
                break
            record = getattr(record, name)
        return (record,)

    return read


def _follow(value: Any, how: str, name: str) -> Iterable[Any]:
    if how == "each":
        return value or ()
    if how == "attribute":
        return (None if value is None else getattr(value, name),)
    return (value.get(name),) if isinstance(value, dict) else ()
