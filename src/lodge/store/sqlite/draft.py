"""Decide transactions over what is stored and over the ones decided just before; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lodge.store.contract import (
    MAX_OPERATIONS,
    MAX_TRANSACTION_BYTES,
    MAX_VALUE_BYTES,
    Change,
    Compare,
    Delete,
    Entry,
    Operation,
    Put,
    TxnResult,
)
from lodge.store.errors import (
    InvalidTransactionError,
    LeaseExpiredError,
    TransactionTooLargeError,
)
from lodge.store.image import Image

__all__ = ["Draft", "Transaction"]


@dataclass(frozen=True, slots=True)
class Transaction:
    """One transaction as asked for; refused when it is over the limits."""

    compares: Sequence[Compare]
    then: Sequence[Operation]
    otherwise: Sequence[Operation]

    def check(self) -> None:
        """Refuse what no implementation takes.

        Raises:
            TransactionTooLargeError: too many operations or bytes.
            InvalidTransactionError: an empty key, or one key written twice.
        """
        if max(len(self.compares), len(self.then), len(self.otherwise)) > MAX_OPERATIONS:
            raise TransactionTooLargeError(
                f"a transaction has at most {MAX_OPERATIONS} operations",
                operations=max(len(self.then), len(self.otherwise)),
                compares=len(self.compares),
            )
        total = 0
        for operations in (self.then, self.otherwise):
            keys = {operation.key for operation in operations}
            if len(keys) != len(operations) or "" in keys:
                raise InvalidTransactionError(
                    "a transaction writes each key once, and no empty key",
                    keys=[operation.key for operation in operations],
                )
            total += sum(_bytes(operation) for operation in operations)
        if total > MAX_TRANSACTION_BYTES:
            raise TransactionTooLargeError(
                f"a transaction of {total} B is over the limit of {MAX_TRANSACTION_BYTES} B",
                bytes=total,
            )


def _bytes(operation: Operation) -> int:
    key = len(operation.key.encode())
    if not isinstance(operation, Put):
        return key
    if len(operation.value) > MAX_VALUE_BYTES:
        raise TransactionTooLargeError(
            f"{operation.key!r}: a value of {len(operation.value)} B is over the limit of"
            f" {MAX_VALUE_BYTES} B",
            where=operation.key,
            bytes=len(operation.value),
        )
    return key + len(operation.value)


@dataclass(slots=True)
class Draft:
    """What one commit to the disk will change, and nothing of it applied yet.

    ``entries`` and ``leases`` hold the last state of each touched one (null: removed);
    ``entry_leases`` the lease of each put key.
    """

    image: Image
    known_leases: Mapping[int, float]
    attached: Mapping[str, int]
    revision: int
    last_lease: int
    entries: dict[str, Entry | None] = field(default_factory=dict)
    leases: dict[int, float | None] = field(default_factory=dict)
    entry_leases: dict[str, int | None] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)

    def transact(self, transaction: Transaction) -> TxnResult:
        """Compare and apply.

        Raises:
            LeaseExpiredError: a put names a lease that ended; nothing was applied.
        """
        succeeded = all(self._holds(compare) for compare in transaction.compares)
        operations = transaction.then if succeeded else transaction.otherwise
        for operation in operations:
            if isinstance(operation, Put) and operation.lease is not None:
                self.check_lease(operation.lease)
        self._write(operations)
        return TxnResult(succeeded, self.revision)

    def grant(self, ttl_s: float) -> int:
        """Make a lease."""
        self.last_lease += 1
        self.leases[self.last_lease] = ttl_s
        return self.last_lease

    def check_lease(self, lease: int) -> None:
        """Refuse a lease that ended.

        Raises:
            LeaseExpiredError: it did.
        """
        if self.leases.get(lease, self.known_leases.get(lease)) is None:
            raise LeaseExpiredError(f"lease {lease} ended", lease=lease)

    def end(self, lease: int) -> None:
        """End a lease and delete its keys; nothing happens when it ended before."""
        if self.leases.get(lease, self.known_leases.get(lease)) is None:
            return
        self.leases[lease] = None
        keys = {key for key, owner in self.attached.items() if owner == lease}
        keys |= {key for key, owner in self.entry_leases.items() if owner == lease}
        self._write([Delete(key) for key in sorted(keys) if self._lease_of(key) == lease])

    def _lease_of(self, key: str) -> int | None:
        return self.entry_leases[key] if key in self.entry_leases else self.attached.get(key)

    def _entry(self, key: str) -> Entry | None:
        return self.entries[key] if key in self.entries else self.image.get(key)

    def _holds(self, compare: Compare) -> bool:
        entry = self._entry(compare.key)
        return compare.revision == (0 if entry is None else entry.revision)

    def _write(self, operations: Sequence[Operation]) -> None:
        revision = self.revision + 1
        for operation in operations:
            before = self._entry(operation.key)
            after: Entry | None = None
            if isinstance(operation, Put):
                created = revision if before is None else before.created
                after = Entry(operation.key, operation.value, created, revision)
                self.entry_leases[operation.key] = operation.lease
            elif before is None:
                continue
            else:
                self.entry_leases[operation.key] = None
            self.entries[operation.key] = after
            self.changes.append(Change(operation.key, after, revision))
            self.revision = revision
