"""Typed collections over the store: records of one type below one prefix, decoded once."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Generic, TypeVar

import msgspec

from lodge.store.contract import Compare, Delete, Entry, Put, Store
from lodge.store.errors import CompactedError, RecordUnreadableError

__all__ = ["Records"]

T = TypeVar("T", bound=msgspec.Struct)

_MOST_MENDED = 500
"""Rows changed since the last listing above which a new listing is quicker."""


class Records(Generic[T]):
    """Records by key (without the prefix), as JSON in the store and as objects in memory.

    An unchanged record is the same object again. Writes are operations for ``Store.txn``, so that
    records of several collections change in one transaction. A read raises
    ``RecordUnreadableError`` when a stored value does not fit the type.
    """

    def __init__(self, store: Store, prefix: str, record_type: type[T], /) -> None:
        self._store = store
        self._prefix = prefix if prefix.endswith("/") else f"{prefix}/"
        self._type = record_type
        self._encoder = msgspec.json.Encoder()
        self._decoder = msgspec.json.Decoder(record_type)
        self._decoded: dict[str, tuple[int, T]] = {}
        self._keys: list[str] = []
        self._items: list[tuple[str, T]] = []
        self._entries: list[tuple[str, T, int]] = []
        self._listed_at = -1

    def get(self, key: str) -> T | None:
        """Return one record."""
        entry = self.entry(key)
        return None if entry is None else entry[0]

    def entry(self, key: str) -> tuple[T, int] | None:
        """Return one record and the revision that changed it last."""
        found = self._store.get(self._prefix + key)
        return None if found is None else (self._decode(found), found.revision)

    def items(self) -> Sequence[tuple[str, T]]:
        """All records with their keys, in key order; never changed afterwards."""
        self._catch_up()
        return self._items

    def entries(self) -> Sequence[tuple[str, T, int]]:
        """All records with their keys and revisions, in key order; never changed afterwards."""
        self._catch_up()
        return self._entries

    def put(self, key: str, value: T) -> Put:
        """Return the operation that writes a record."""
        return Put(self._prefix + key, self._encoder.encode(value))

    def delete(self, key: str) -> Delete:
        """Return the operation that removes a record."""
        return Delete(self._prefix + key)

    def compare(self, key: str, revision: int) -> Compare:
        """Return the condition that a record is still at a revision (0: it does not exist)."""
        return Compare(self._prefix + key, revision)

    def _catch_up(self) -> None:
        """Bring the listing to the store's revision, by the changes since when they are known."""
        if self._listed_at == self._store.revision:
            return
        try:
            changes = self._store.changes(self._prefix, self._listed_at)
        except CompactedError:
            self._list_anew()
            return
        newest = {change.key: change.entry for change in changes}
        if len(newest) > _MOST_MENDED:
            self._list_anew()
            return
        if newest:
            self._items, self._entries = self._items.copy(), self._entries.copy()
        for key, entry in newest.items():
            self._mend(key, entry)
        self._listed_at = self._store.revision

    def _list_anew(self) -> None:
        found, revision = self._store.list(self._prefix)
        strip = len(self._prefix)
        self._keys = [entry.key for entry in found]
        self._entries = [(one.key[strip:], self._decode(one), one.revision) for one in found]
        self._items = [(key, record) for key, record, _ in self._entries]
        self._decoded = {one.key: self._decoded[one.key] for one in found}
        self._listed_at = revision

    def _mend(self, key: str, entry: Entry | None) -> None:
        """Put, replace or remove one row of the listing."""
        place = bisect_left(self._keys, key)
        is_there = place < len(self._keys) and self._keys[place] == key
        end = place + is_there
        if entry is None:
            rows = []
            self._decoded.pop(key, None)
        else:
            rows = [(key[len(self._prefix) :], self._decode(entry), entry.revision)]
        self._keys[place:end] = [key] * len(rows)
        self._entries[place:end] = rows
        self._items[place:end] = [(name, record) for name, record, _ in rows]

    def _decode(self, entry: Entry) -> T:
        known = self._decoded.get(entry.key)
        if known is not None and known[0] == entry.revision:
            return known[1]
        try:
            record = self._decoder.decode(entry.value)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise RecordUnreadableError(
                f"the record {entry.key!r} is not a readable {self._type.__name__}: {error}",
                where=entry.key,
                revision=entry.revision,
            ) from error
        self._decoded[entry.key] = (entry.revision, record)
        return record
