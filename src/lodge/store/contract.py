"""What a store must do: few verbs, guarded transactions, a watch, leases, fencing tokens.

The words and limits are those that SQLite and etcd can both keep, so that one conformance suite
(``tests/contract/store``) runs over every implementation.
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = [
    "MAX_OPERATIONS",
    "MAX_TRANSACTION_BYTES",
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
"""Largest value; etcd refuses requests over 1.5 MiB, so one value stays well below."""
MAX_OPERATIONS = 128
"""Most comparisons, and most operations on either side, of one transaction (etcd's default)."""
MAX_TRANSACTION_BYTES = 1_500_000
"""Most bytes of keys and values in one transaction (below etcd's ``--max-request-bytes``)."""


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

    Keys below ``fencing/`` belong to the store itself.

    Errors of every write: ``StoreFullError`` and ``StoreFailedError`` (nothing was changed),
    ``TransactionTooLargeError``, ``InvalidTransactionError`` (an empty key, or one key written
    twice), ``LeaseExpiredError`` (a put names a lease that ended), ``StoreClosedError``.
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
        """Apply ``then`` in one durable step if every comparison holds, else ``otherwise``.

        The revision grows by one when something changed. When the caller is cancelled meanwhile,
        the outcome is unknown to it: shield the call where that matters.
        """
        ...

    def changes(self, prefix: str, /, from_revision: int) -> Sequence[Change]:
        """Return the changes below the prefix later than ``from_revision`` known now, in order.

        Raises:
            CompactedError: some of them may have been forgotten; list again.
        """
        ...

    def watch(self, prefix: str, /, from_revision: int) -> AsyncGenerator[Change, None]:
        """Yield every change below the prefix later than ``from_revision``, once and in order.

        Raises:
            CompactedError: as ``changes``; also later on, to a watcher that is too slow.
            StoreClosedError: the store ended.
        """
        ...

    async def compact(self, revision: int, /) -> None:
        """Forget the history of changes up to a revision; what is stored now stays."""
        ...

    async def lease(self, ttl_s: float, /) -> int:
        """Create a lease; its keys are deleted when it is not kept alive for ``ttl_s`` seconds.

        A restart of the store gives every lease its full time again, as a new leader of etcd does.
        """
        ...

    async def keep_alive(self, lease: int, /) -> None:
        """Renew a lease for another full time.

        Raises:
            LeaseExpiredError: too late; its keys are gone.
        """
        ...

    async def revoke(self, lease: int, /) -> None:
        """End a lease now, deleting its keys; nothing happens when it ended before."""
        ...

    async def token(self, lock: str, /) -> int:
        """Return a fencing token for a lock: a number larger than any given out before for it.

        Tokens grow over restarts too, because they are revisions.
        """
        ...

    async def close(self) -> None:
        """Finish writes and release the files."""
        ...
