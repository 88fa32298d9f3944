"""Typed collections over the store: records of one type below one prefix, decoded once."""

from collections.abc import Sequence
from typing import Generic, TypeVar

import msgspec

from lodge.store.contract import Compare, Delete, Entry, Put, Store
from lodge.store.errors import CompactedError, RecordUnreadableError

__all__ = ["Records"]

T = TypeVar("T", bound=msgspec.Struct)


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
        self._listing: tuple[Sequence[tuple[str, T, int]], int] | None = None

    def get(self, key: str) -> T | None:
        """Return one record."""
        found = self._store.get(self._prefix + key)
        return None if found is None else self._decode(found)

    def entry(self, key: str) -> tuple[T, int] | None:
        """Return one record and the revision that changed it last."""
        found = self._store.get(self._prefix + key)
        return None if found is None else (self._decode(found), found.revision)

    def items(self) -> Sequence[tuple[str, T]]:
        """All records with their keys, in key order."""
        return [(key, record) for key, record, _ in self.entries()]

    def entries(self) -> Sequence[tuple[str, T, int]]:
        """All records with their keys and revisions, in key order."""
        if self._listing is None or self._is_stale(self._listing[1]):
            found, revision = self._store.list(self._prefix)
            strip = len(self._prefix)
            rows = [(entry.key[strip:], self._decode(entry), entry.revision) for entry in found]
            self._decoded = {self._prefix + key: (at, record) for key, record, at in rows}
            self._listing = rows, revision
        else:
            self._listing = self._listing[0], self._store.revision
        return self._listing[0]

    def put(self, key: str, value: T) -> Put:
        """Return the operation that writes a record."""
        return Put(self._prefix + key, self._encoder.encode(value))

    def delete(self, key: str) -> Delete:
        """Return the operation that removes a record."""
        return Delete(self._prefix + key)

    def compare(self, key: str, revision: int) -> Compare:
        """Return the condition that a record is still at a revision (0: it does not exist)."""
        return Compare(self._prefix + key, revision)

    def _is_stale(self, listed_at: int) -> bool:
        if listed_at == self._store.revision:
            return False
        try:
            return bool(self._store.changes(self._prefix, listed_at))
        except CompactedError:
            return True

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
