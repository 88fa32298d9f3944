"""Cut a list into pages whose cursors stay right while records come and go.

A cursor names a position in the order (the values of the last record given), not a number of
records to skip: what is deleted or created meanwhile moves nothing else.
"""

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from lodge.api.errors import InvalidCursorError
from lodge.api.listing.filters import compile_filter
from lodge.api.listing.sorting import Order, compile_order
from lodge.model.record import Spec

__all__ = ["Cut", "Listing", "cut_page"]

_MAX_CURSOR = 4096


@dataclass(frozen=True, slots=True)
class Listing:
    """How one noun is listed: its type, the fields that identify it, the order by default."""

    record: type[Any]
    identity: tuple[str, ...] = ("name",)
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Cut:
    """One page: its records, how many there are on all pages, the next page's cursor."""

    items: Sequence[Any]
    total: int
    next: str | None


class _Cursor(Spec, frozen=True, array_like=True, kw_only=True):
    question: str
    position: list[str | int | float | bool | None]


def cut_page(
    listing: Listing,
    items: Sequence[Any],
    *,
    filter_text: str | None,
    sort: str | None,
    limit: int | None,
    cursor: str | None,
) -> Cut:
    """Filter, sort and cut.

    Raises:
        InvalidFilterError, InvalidSortError, InvalidCursorError: the question is wrong.
    """
    keep: Callable[[Any], bool] | None = compile_filter(listing.record, filter_text)
    order = compile_order(listing.record, sort, listing.identity)
    found = order.sorted(items if keep is None else [item for item in items if keep(item)])
    total = len(found)
    question = _fingerprint(filter_text, sort)
    if cursor is not None:
        position = _position(cursor, question, order)
        found = [item for item in found if order.is_after(item, position)]
    size = limit if limit is not None else listing.limit
    if size is None or len(found) <= size:
        return Cut(found, total, None)
    page = found[:size]
    return Cut(page, total, _write_cursor(question, order.position(page[-1])))


def _fingerprint(filter_text: str | None, sort: str | None) -> str:
    return hashlib.sha256(repr((filter_text, sort)).encode()).hexdigest()[:12]


def _write_cursor(question: str, position: list[Any]) -> str:
    data = msgspec.json.encode(_Cursor(question=question, position=position))
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _position(text: str, question: str, order: Order) -> list[Any]:
    wrong = InvalidCursorError("the cursor does not belong to this list", where="cursor")
    if len(text) > _MAX_CURSOR or not text.isascii():
        raise wrong
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        cursor = msgspec.json.decode(data, type=_Cursor)
    except (ValueError, msgspec.MsgspecError):
        raise wrong from None
    if cursor.question != question or len(cursor.position) != len(order.keys):
        raise wrong
    if not all(key.fits(there) for key, there in zip(order.keys, cursor.position, strict=True)):
        raise wrong
    return cursor.position
