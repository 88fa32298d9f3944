"""Records that are only ever appended, numbered in the order in which they became durable.

A number given before the commit would let a reader pass over a record: two transactions may commit
in the other order. So the store keeps no number; readers count, from the number of the oldest
record kept. That number is stored when old records are removed, in the same transaction.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, suppress
from typing import Generic, TypeVar

import msgspec

from lodge.base.world import World
from lodge.model.event import AuditRecord, Event
from lodge.store.contract import Change, Compare, Delete, Operation, Put, Store
from lodge.store.errors import CompactedError, EventsForgottenError, RecordUnreadableError

__all__ = ["AppendLog"]

T = TypeVar("T", Event, AuditRecord)
_FIRST = "!first"
_REMOVED_AT_ONCE = 100
_SLACK = 50


class AppendLog(Generic[T]):
    """A log below one prefix; at most ``keep`` records, none older than ``keep_s`` seconds.

    Removal happens in ``prune``, which whoever appends many calls now and then.
    """

    def __init__(
        self,
        store: Store,
        world: World,
        prefix: str,
        record_type: type[T],
        /,
        *,
        keep: int,
        keep_s: float,
    ) -> None:
        self._store = store
        self._world = world
        self._prefix = prefix
        self._type: type[T] = record_type
        self._decoder: msgspec.json.Decoder[T] = msgspec.json.Decoder(record_type)
        self._seen = 0
        self._keep, self._keep_s = keep, keep_s
        self._origin = f"{store.revision:012x}.{world.random_bytes(3).hex()}"
        self._appended = 0
        self._reload()

    @property
    def first(self) -> int:
        """Id of the oldest record kept; larger than ``last`` while nothing is kept."""
        self._catch_up()
        return self._first

    @property
    def last(self) -> int:
        """Id of the newest record."""
        self._catch_up()
        return self._first + len(self._records) - 1

    def since(self, id: int, /) -> Sequence[T]:  # noqa: A002
        """Return the records later than an id that are still kept, oldest first."""
        self._catch_up()
        return self._records[max(0, id + 1 - self._first) :]

    def list(self) -> Sequence[T]:
        """All records kept, oldest first."""
        return self.since(0)

    async def follow(self, id: int, /) -> AsyncIterator[T]:  # noqa: A002
        """Yield the records later than an id that are still kept, then each new one, for ever.

        Compare the id with ``first`` to know whether older ones are missing.

        Raises:
            EventsForgottenError: the follower was so slow that records were removed unseen.
            StoreClosedError: the store ended.
        """
        position = min(max(id, self.first - 1), self.last)
        while True:
            self._catch_up()
            if position + 1 < self._first:
                raise EventsForgottenError(
                    f"{self._prefix}{position + 1} was removed before it was read",
                    first=self._first,
                )
            seen = self._seen
            for record in self.since(position):
                position = record.id
                yield record
            with suppress(CompactedError):
                async with aclosing(self._store.watch(self._prefix, seen)) as changes:
                    await anext(changes)

    async def prune(self) -> None:
        """Remove what is over the limits, if it is worth a write."""
        self._catch_up()
        count = self._removable()
        while count > 0:
            part = min(count, _REMOVED_AT_ONCE)
            first = Put(self._prefix + _FIRST, str(self._first + part).encode())
            removed: list[Operation] = [Delete(key) for key in self._keys[:part]]
            answer = await self._store.txn([Compare(first.key, self._moved)], [*removed, first])
            self._catch_up()
            count = count - part if answer.succeeded else 0

    def _removable(self) -> int:
        over = max(0, len(self._records) - self._keep)
        limit = self._world.now() - self._keep_s
        while over < len(self._records) and self._records[over].at < limit:
            over += 1
        return over if over > min(_SLACK, self._keep // 10) else 0

    def _append(self, record: T) -> Put:
        """Return the operation that appends a record; its id is decided by the commit."""
        self._appended += 1
        key = f"{self._prefix}{self._origin}.{self._appended:010x}"
        return Put(key, msgspec.json.encode(record))

    def _catch_up(self) -> None:
        if self._seen == self._store.revision:
            return
        try:
            changes = self._store.changes(self._prefix, self._seen)
        except CompactedError:
            self._reload()
            return
        self._seen = self._store.revision
        for change in sorted(changes, key=_order):
            if change.entry is None:
                continue
            if change.key == self._prefix + _FIRST:
                self._forget(int(change.entry.value), change.revision)
            else:
                self._take(change.key, change.entry.value)

    def _reload(self) -> None:
        found, self._seen = self._store.list(self._prefix)
        first = self._store.get(self._prefix + _FIRST)
        self._first = 1 if first is None else int(first.value)
        self._moved = 0 if first is None else first.revision
        self._records: list[T] = []
        self._keys: list[str] = []
        for entry in sorted(found, key=lambda entry: (entry.created, entry.key)):
            if entry is not first:
                self._take(entry.key, entry.value)

    def _forget(self, first: int, revision: int) -> None:
        del self._records[: first - self._first]
        del self._keys[: first - self._first]
        self._first, self._moved = first, revision

    def _take(self, key: str, value: bytes) -> None:
        try:
            record = self._decoder.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise RecordUnreadableError(
                f"{key!r} is not a readable {self._type.__name__}: {error}", where=key
            ) from error
        self._records.append(msgspec.structs.replace(record, id=self._first + len(self._records)))
        self._keys.append(key)


def _order(change: Change) -> tuple[int, str]:
    return change.revision, change.key
