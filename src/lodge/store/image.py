"""The whole store in memory: what is stored now, and the newest changes for those who watch.

Every implementation answers reads from one of these and feeds it after each durable write.
"""

import asyncio
from bisect import bisect_left, bisect_right, insort
from collections.abc import AsyncGenerator, Iterable, Sequence

from lodge.store.contract import Change, Entry
from lodge.store.errors import CompactedError, StoreClosedError

__all__ = ["MAX_HISTORY_BYTES", "MAX_HISTORY_CHANGES", "Image"]

MAX_HISTORY_CHANGES = 10_000
"""Changes kept for watchers; the older half goes when there are more."""
MAX_HISTORY_BYTES = 32 * 1024 * 1024
"""Bytes of values kept for watchers."""


class Image:
    """Entries in key order and a bounded history, at one revision."""

    def __init__(
        self,
        entries: Iterable[Entry] = (),
        revision: int = 0,
        *,
        history_changes: int = MAX_HISTORY_CHANGES,
        history_bytes: int = MAX_HISTORY_BYTES,
    ) -> None:
        self.entries = {entry.key: entry for entry in entries}
        self.revision = revision
        self._keys = sorted(self.entries)
        self._history: list[Change] = []
        self._history_bytes = 0
        self._limits = (history_changes, history_bytes)
        self._compacted = revision
        self._bell = asyncio.Event()
        self._is_closed = False

    def get(self, key: str) -> Entry | None:
        """Return one entry."""
        return self.entries.get(key)

    def list(self, prefix: str) -> tuple[Sequence[Entry], int]:
        """Return all entries below a prefix in key order, and the revision."""
        first = bisect_left(self._keys, prefix)
        last = bisect_left(self._keys, _after(prefix)) if prefix else len(self._keys)
        return [self.entries[key] for key in self._keys[first:last]], self.revision

    def apply(self, changes: Sequence[Change], revision: int) -> None:
        """Take in changes that are durable now, in order, and tell the watchers."""
        for change in changes:
            if change.entry is None:
                if self.entries.pop(change.key, None) is not None:
                    del self._keys[bisect_left(self._keys, change.key)]
            else:
                if change.key not in self.entries:
                    insort(self._keys, change.key)
                self.entries[change.key] = change.entry
                self._history_bytes += len(change.entry.value)
        self._history.extend(changes)
        self.revision = revision
        most, most_bytes = self._limits
        if len(self._history) > most or self._history_bytes > most_bytes:
            self.compact(self._history[len(self._history) // 2].revision)
        self._ring()

    def changes(self, prefix: str, from_revision: int) -> Sequence[Change]:
        """Return the kept changes below the prefix later than a revision.

        Raises:
            CompactedError: some may have been forgotten.
        """
        if from_revision < self._compacted:
            raise CompactedError(
                f"changes after revision {from_revision} were forgotten up to {self._compacted}",
                compacted=self._compacted,
                revision=self.revision,
            )
        first = bisect_right(self._history, from_revision, key=_revision)
        return [change for change in self._history[first:] if change.key.startswith(prefix)]

    async def watch(self, prefix: str, from_revision: int) -> AsyncGenerator[Change, None]:
        """Yield changes below the prefix later than a revision, as they come."""
        seen = from_revision
        while not self._is_closed:
            bell = self._bell
            known = self.changes(prefix, seen)
            seen = max(seen, self.revision)
            for change in known:
                yield change
            await bell.wait()
        raise StoreClosedError("the store was closed")

    def compact(self, revision: int) -> None:
        """Forget changes up to a revision (never a part of one)."""
        last = bisect_right(self._history, revision, key=_revision)
        for change in self._history[:last]:
            if change.entry is not None:
                self._history_bytes -= len(change.entry.value)
        del self._history[:last]
        self._compacted = max(self._compacted, min(revision, self.revision))

    def close(self) -> None:
        """End all watches."""
        self._is_closed = True
        self._ring()

    def _ring(self) -> None:
        self._bell.set()
        self._bell = asyncio.Event()


def _revision(change: Change) -> int:
    return change.revision


def _after(prefix: str) -> str:
    """Return the smallest text that is larger than every text with this prefix."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)
