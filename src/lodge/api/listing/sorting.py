"""Orders of lists: ``-created_at,name``; records without a value come last either way."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from operator import attrgetter
from typing import Any

from lodge.api.errors import InvalidSortError
from lodge.api.listing.fields import Field, find_field

__all__ = ["Order", "SortKey", "compile_order"]

_MAX_KEYS = 8


@dataclass(frozen=True, slots=True)
class SortKey:
    """One field to sort by. ``read`` returns a JSON-able, comparable value or null."""

    path: str
    is_descending: bool
    leaf: type[Any]
    read: Callable[[Any], Any]
    is_never_null: bool = False

    def fits(self, value: Any) -> bool:
        """Whether a value (of a cursor) can be compared with those of this field."""
        if value is None:
            return True
        if self.leaf in (int, float):
            return isinstance(value, int | float) and not isinstance(value, bool)
        return isinstance(value, bool if self.leaf is bool else str)


@dataclass(frozen=True, slots=True)
class Order:
    """A total order of records: the wanted keys, then the identity of the noun."""

    keys: tuple[SortKey, ...]

    def sorted(self, items: Sequence[Any]) -> list[Any]:
        """Return the items in this order."""
        ordered = list(items)
        for key in reversed(self.keys):
            ordered.sort(key=_rank(key), reverse=key.is_descending)
        return ordered

    def position(self, item: Any) -> list[Any]:
        """Return where an item stands: its values, key by key."""
        return [key.read(item) for key in self.keys]

    def is_after(self, item: Any, position: Sequence[Any]) -> bool:
        """Whether an item comes behind a position, also when nothing stands there any more."""
        for key, there in zip(self.keys, position, strict=True):
            here = key.read(item)
            if here == there:
                continue
            if here is None or there is None:
                return here is None
            return bool(here < there if key.is_descending else here > there)
        return False


def compile_order(record: type[Any], text: str | None, identity: Sequence[str]) -> Order:
    """Turn a sort text into an order; ``identity`` names the fields that are unique together.

    Raises:
        InvalidSortError: an unknown field, one without order, or too many.
    """
    names = [part.strip() for part in text.split(",")] if text else []
    if len(names) > _MAX_KEYS:
        raise InvalidSortError(f"{len(names)} keys are more than {_MAX_KEYS}", where="sort")
    keys = [_key(record, name) for name in names]
    given = {key.path for key in keys}
    rest = [_key(record, name) for name in identity if name.lstrip("-") not in given]
    return Order((*keys, *rest))


def _key(record: type[Any], name: str) -> SortKey:
    field = find_field(record, name.lstrip("+-")) if name[:2] not in ("--", "++", "+-") else None
    if field is None:
        raise InvalidSortError(f"{record.__name__} has no field {name!r}", where="sort")
    if field.is_many or not _has_order(field.leaf):
        raise InvalidSortError(f"{field.path!r} has no order", where="sort")
    return SortKey(
        field.path, name.startswith("-"), field.leaf, _reader(field), field.is_never_null
    )


def _has_order(leaf: type[Any]) -> bool:
    return leaf in (int, float, str, bool) or issubclass(leaf, Enum)


def _reader(field: Field) -> Callable[[Any], Any]:
    def read(item: Any) -> Any:
        for value in field.values(item):
            return value.value if isinstance(value, Enum) else value
        return None

    return read


def _rank(key: SortKey) -> Callable[[Any], Any]:
    """Order values with null behind all others, whichever the direction is."""
    if key.is_never_null:
        return attrgetter(key.path)

    def rank(item: Any) -> tuple[bool, Any]:
        value = key.read(item)
        return ((value is None) != key.is_descending, 0 if value is None else value)

    return rank
