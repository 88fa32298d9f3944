"""The store of a single host: an SQLite file behind one writer thread, all reads from memory.

Transactions are decided in the event loop, over memory plus what was decided just before; the
thread only makes them durable. While one commit waits for the disk the next ones gather, and
share one commit (group commit). Memory changes after the disk, so the two never disagree.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from lodge.base.errors import LodgeError
from lodge.base.world import World
from lodge.store.contract import Change, Compare, Entry, Operation, Put, TxnResult
from lodge.store.errors import StoreClosedError
from lodge.store.image import Image
from lodge.store.sqlite.backup import Backups
from lodge.store.sqlite.database import Content, Database, WriteSet
from lodge.store.sqlite.draft import Draft, Transaction
from lodge.store.sqlite.folder_lock import FolderLock
from lodge.store.sqlite.leases import Leases

__all__ = ["SqliteStore"]

T = TypeVar("T")
_log = logging.getLogger(__name__)

_MOST_PER_COMMIT = 256
_BACKUP_EVERY_S = 86_400.0
_BACKUP_LOOK_S = 3_600.0
_TOKENS = "fencing/"


@dataclass(slots=True)
class _Request:
    """Something to decide, and who waits for the outcome."""

    decide: Callable[[Draft], Any]
    outcome: "asyncio.Future[Any]"


class SqliteStore:
    """See ``lodge.store.contract.Store``; made by ``open`` only."""

    def __init__(
        self, database: Database, lock: FolderLock, writer: ThreadPoolExecutor, content: Content
    ) -> None:
        self._database = database
        self._lock = lock
        self._writer = writer
        self._image = Image(content.entries, content.revision)
        self._attached = content.attached
        self._last_lease = content.last_lease
        self._queue: list[_Request] = []
        self._flusher: asyncio.Task[None] | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._copying = asyncio.Lock()
        self._is_closed = False

    @classmethod
    async def open(
        cls, folder: Path, world: World, *, backups_kept: int = 7, file_name: str = "lodge.db"
    ) -> "SqliteStore":
        """Open, check and migrate the database of a state folder, and begin to keep backups.

        A copy is made at once when the newest is older than a day, then every day;
        ``backups_kept`` 0 makes none.

        Raises:
            StateFolderInUseError: another daemon has the folder.
            DatabaseDamagedError: the file is damaged, foreign or gone; the hint tells how to
                restore a backup.
            DatabaseNewerError: a newer Lodge wrote it.
            StoreFullError, StoreFailedError: the disk has no room or fails.
        """
        lock = FolderLock(folder)
        writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        backups = Backups(folder / "backups", world, backups_kept)
        loop = asyncio.get_running_loop()
        try:
            database = await loop.run_in_executor(writer, Database, folder / file_name, backups)
            content = await loop.run_in_executor(writer, database.load)
        except BaseException:
            writer.shutdown()
            lock.release()
            raise
        store = cls(database, lock, writer, content)
        store._begin(world, backups, content)
        return store

    def _begin(self, world: World, backups: Backups, content: Content) -> None:
        self._backups = backups
        self._leases = Leases(world, self._expire, content.leases)
        if backups.keep > 0:
            self._keeper = asyncio.create_task(self._keep_backups(world))

    @property
    def revision(self) -> int:
        """The newest revision."""
        return self._image.revision

    def get(self, key: str, /) -> Entry | None:
        """Return one entry, from memory."""
        return self._image.get(key)

    def list(self, prefix: str, /) -> tuple[Sequence[Entry], int]:
        """Return all entries below a prefix in key order, and the revision."""
        return self._image.list(prefix)

    def changes(self, prefix: str, /, from_revision: int) -> Sequence[Change]:
        """Return the changes below the prefix later than ``from_revision``."""
        return self._image.changes(prefix, from_revision)

    def watch(self, prefix: str, /, from_revision: int) -> AsyncGenerator[Change, None]:
        """Yield every change below the prefix later than ``from_revision``."""
        return self._image.watch(prefix, from_revision)

    async def compact(self, revision: int, /) -> None:
        """Forget the history of changes up to a revision."""
        self._image.compact(revision)

    async def txn(
        self,
        compares: Sequence[Compare],
        then: Sequence[Operation],
        otherwise: Sequence[Operation] = (),
    ) -> TxnResult:
        """Apply ``then`` in one durable step if every comparison holds, else ``otherwise``."""
        transaction = Transaction(compares, then, otherwise)
        transaction.check()
        return await self._decided(lambda draft: draft.transact(transaction))

    async def lease(self, ttl_s: float, /) -> int:
        """Create a lease."""
        return await self._decided(lambda draft: draft.grant(ttl_s))

    async def keep_alive(self, lease: int, /) -> None:
        """Renew a lease for another full time; only memory is touched."""
        self._leases.renew(lease)

    async def revoke(self, lease: int, /) -> None:
        """End a lease now."""
        await self._expire(lease)

    async def token(self, lock: str, /) -> int:
        """Return a fencing token for a lock."""
        return (await self.txn((), [Put(f"{_TOKENS}{lock}", b"")])).revision

    async def back_up(self) -> Path:
        """Copy the database beside running writes, and remove the oldest copies.

        Raises:
            StoreFullError: no room; earlier copies stay.
            StoreFailedError: the disk failed.
        """
        async with self._copying:
            return await asyncio.to_thread(self._backups.make, self._database.path)

    async def close(self) -> None:
        """Finish the writes that were asked for, then release the files; idempotent."""
        if self._is_closed:
            return
        self._is_closed = True
        self._leases.close()
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper
        while self._flusher is not None:
            await asyncio.wait([self._flusher])
        self._image.close()
        await asyncio.get_running_loop().run_in_executor(self._writer, self._database.close)
        self._writer.shutdown()
        self._lock.release()

    async def _expire(self, lease: int) -> None:
        await self._decided(lambda draft: draft.end(lease))

    async def _decided(self, decide: Callable[[Draft], T]) -> T:
        if self._is_closed:
            raise StoreClosedError("the store was closed")
        outcome: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.append(_Request(decide, outcome))
        if self._flusher is None:
            self._flusher = asyncio.create_task(self._flush())
        return await outcome

    async def _flush(self) -> None:
        """Commit what gathered, until nothing is left."""
        try:
            while self._queue:
                batch, self._queue = self._queue[:_MOST_PER_COMMIT], self._queue[_MOST_PER_COMMIT:]
                try:
                    await self._commit([request for request in batch if not request.outcome.done()])
                finally:  # a bug or the end of the loop must not leave anybody waiting for ever
                    for request in batch:
                        request.outcome.cancel()
        finally:
            self._flusher = None

    async def _commit(self, batch: Sequence[_Request]) -> None:
        draft = Draft(
            self._image,
            self._leases.known,
            self._attached,
            self._image.revision,
            self._last_lease,
        )
        answers: list[tuple[_Request, Any]] = []
        for request in batch:
            try:
                answers.append((request, request.decide(draft)))
            except LodgeError as refusal:
                _refuse(request, refusal)
        try:
            await self._write(draft)
        except LodgeError as failure:
            if len(answers) == 1:
                _refuse(answers[0][0], failure)
            else:  # one that only deletes may fit where the whole did not
                for request, _ in answers:
                    await self._commit([request])
            return
        self._apply(draft)
        for request, answer in answers:
            if not request.outcome.done():
                request.outcome.set_result(answer)

    async def _write(self, draft: Draft) -> None:
        if not (draft.changes or draft.leases):
            return
        work = WriteSet(
            put=[
                (key, entry.value, entry.created, entry.revision, draft.entry_leases.get(key))
                for key, entry in draft.entries.items()
                if entry is not None
            ],
            deleted=[(key,) for key, entry in draft.entries.items() if entry is None],
            leases=[(lease, ttl) for lease, ttl in draft.leases.items() if ttl is not None],
            ended=[(lease,) for lease, ttl in draft.leases.items() if ttl is None],
            revision=draft.revision,
            last_lease=draft.last_lease,
        )
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._writer, self._database.write, work)

    def _apply(self, draft: Draft) -> None:
        self._last_lease = draft.last_lease
        for lease, ttl in draft.leases.items():
            if ttl is None:
                self._leases.forget(lease)
            else:
                self._leases.add(lease, ttl)
        for key, owner in draft.entry_leases.items():
            if owner is None:
                self._attached.pop(key, None)
            else:
                self._attached[key] = owner
        if draft.changes:
            self._image.apply(draft.changes, draft.revision)

    async def _keep_backups(self, world: World) -> None:
        while True:
            age = self._backups.age_s()
            if age is None or age >= _BACKUP_EVERY_S:
                try:
                    path = await self.back_up()
                    _log.info("database copied to %s", path)
                except LodgeError as failure:
                    _log.warning("no backup of the database: %s", failure.message)
            await world.sleep(_BACKUP_LOOK_S)


def _refuse(request: _Request, failure: LodgeError) -> None:
    if not request.outcome.done():
        request.outcome.set_exception(failure)
