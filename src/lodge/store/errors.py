"""What can fail in the store.

LodgeError
|-- StateFolderInUseError      another daemon has the state folder
|-- StoreFullError             no room on disk; nothing was changed
|-- StoreFailedError           the database could not be written or read; nothing was changed
|-- StoreClosedError           asked after the end
|-- DatabaseDamagedError       the file is not a whole Lodge database
|-- DatabaseNewerError         the file was written by a newer Lodge
|-- TransactionTooLargeError   over the limits that every implementation keeps
|-- InvalidTransactionError    an empty key, or one key written twice
|-- CompactedError             the changes asked for were forgotten: re-list
|-- LeaseExpiredError          the lease ended
|-- RecordUnreadableError      a stored value does not fit its type
`-- EventsForgottenError       a follower was too slow for the retention
"""

from lodge.base.errors import (
    ConflictError,
    InternalError,
    InvalidError,
    LimitError,
    NotFoundError,
    StateError,
    UnavailableError,
    UnsupportedError,
)

__all__ = [
    "CompactedError",
    "DatabaseDamagedError",
    "DatabaseNewerError",
    "EventsForgottenError",
    "InvalidTransactionError",
    "LeaseExpiredError",
    "RecordUnreadableError",
    "StateFolderInUseError",
    "StoreClosedError",
    "StoreFailedError",
    "StoreFullError",
    "TransactionTooLargeError",
]


class StateFolderInUseError(ConflictError):
    """Another daemon works on this state folder; the message names its pid."""

    code = "state_folder_in_use"
    hint_text = "end the other daemon, or give this one a state folder of its own"


class StoreFullError(LimitError):
    """The disk below the database has no room; nothing was changed."""

    code = "store_full"
    hint_text = "free space on the file system of the state folder, then try again"
    retryable = True


class StoreFailedError(UnavailableError):
    """The database could not be read or written; nothing was changed."""

    code = "store_failed"
    hint_text = "look at the kernel's log for errors of the disk below the state folder"


class StoreClosedError(UnavailableError):
    """The store was closed, because the daemon ends."""

    code = "store_closed"


class DatabaseDamagedError(StateError):
    """The database file is missing, torn or foreign; it is never repaired by guessing."""

    code = "database_damaged"


class DatabaseNewerError(UnsupportedError):
    """The database was written by a newer Lodge; an older one would misread it."""

    code = "database_newer"
    hint_text = "start the newer Lodge again, or restore a backup that this version wrote"


class TransactionTooLargeError(LimitError):
    """A value or a transaction is over the store's limits."""

    code = "transaction_too_large"


class InvalidTransactionError(InvalidError):
    """A transaction has an empty key, or writes one key twice."""

    code = "invalid_transaction"


class CompactedError(StateError):
    """Changes so old were forgotten: list again, then watch from the revision of the list."""

    code = "compacted"
    retryable = True


class LeaseExpiredError(NotFoundError):
    """The lease ended, and its keys with it."""

    code = "lease_expired"


class RecordUnreadableError(InternalError):
    """A stored value does not fit the type that belongs to its key."""

    code = "record_unreadable"
    hint_text = "restore a backup of the database, and report this with the daemon's log"


class EventsForgottenError(StateError):
    """A follower was slower than the retention: some events were removed unseen."""

    code = "events_forgotten"
    hint_text = "list what you show afresh, then follow from the newest event"
    retryable = True
