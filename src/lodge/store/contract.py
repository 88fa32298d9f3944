"""What a store must do: few verbs, guarded transactions, a watch, leases, fencing tokens.

The words and limits are those that SQLite and etcd can both keep, so that one conformance suite
(``tests/contract/store``) runs over every implementation.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = [
    "MAX_OPERATIONS",
    "MAX_VALUE_BYTES",
    "Change",
    "Compare",
    "Delete",
    "Entry",
    "Operation",
    "Put",
    "Store",
    "TxnResult",
]

MAX_VALUE_BYTES = 1024 * 1024 - 1
MAX_OPERATIONS = 128


@dataclass(frozen=True, slots=True)
class Entry:
    """One key with its value, the revision that created it and the one that changed it last."""

    key: str
    value: bytes
    created: int
    revision: int


@dataclass(frozen=True, slots=True)
class Compare:
    """A condition: the key was last changed at ``revision`` (0: it does not exist)."""

    key: str
    revision: int


@dataclass(frozen=True, slots=True)
class Put:
    """Write a value; with a lease the key goes away when the lease ends."""

    key: str
    value: bytes
    lease: int | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a key; no error when it is not there."""

    key: str


Operation = Put | Delete


@dataclass(frozen=True, slots=True)
class TxnResult:
    """Whether the comparisons held (``then`` was applied), and the revision after."""

    succeeded: bool
    revision: int


@dataclass(frozen=True, slots=True)
class Change:
    """One change seen by a watch; ``entry`` null: the key was deleted."""

    key: str
    entry: Entry | None
    revision: int


class Store(Protocol):
    """Keys to bytes, ordered by one growing revision. Reads never touch the disk.

    Errors: ``StoreFullError`` (no room on disk; nothing was changed), ``TransactionTooLargeError``,
    ``CompactedError`` (re-list, then watch from the list's revision), ``LeaseExpiredError``.
    """

    @property
    def revision(self) -> int:
        """The newest revision."""
        ...

    def get(self, key: str, /) -> Entry | None:
        """Return one entry, from memory."""
        ...

    def list(self, prefix: str, /) -> tuple[Sequence[Entry], int]:
        """Return all entries below a prefix in key order, and the revision they were read at."""
        ...

    async def txn(
        self,
        compares: Sequence[Compare],
        then: Sequence[Operation],
        otherwise: Sequence[Operation] = (),
    ) -> TxnResult:
        """Apply ``then`` in one durable step if every comparison holds, else ``otherwise``."""
        ...

    def watch(self, prefix: str, /, from_revision: int) -> AsyncIterator[Change]:
        """Yield every change below the prefix later than ``from_revision``, once and in order."""
        ...

    async def lease(self, ttl_s: float, /) -> int:
        """Create a lease; its keys are deleted when it is not kept alive for ``ttl_s`` seconds."""
        ...

    async def keep_alive(self, lease: int, /) -> None:
        """Renew a lease for another full time."""
        ...

    async def revoke(self, lease: int, /) -> None:
        """End a lease now, deleting its keys."""
        ...

    async def token(self, lock: str, /) -> int:
        """Return a fencing token for a lock: a number larger than any given out before for it."""
        ...

    async def close(self) -> None:
        """Finish writes and release the files."""
        ...
