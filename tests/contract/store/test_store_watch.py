"""A watch sees every later change once and in order, or is told that it cannot."""

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from lodge.store.contract import Change, Delete, Put
from lodge.store.errors import CompactedError, StoreClosedError


async def take(store: Any, prefix: str, revision: int, count: int) -> list[Change]:
    found: list[Change] = []
    async with asyncio.timeout(20), aclosing(store.watch(prefix, revision)) as changes:
        async for change in changes:
            found.append(change)
            if len(found) == count:
                break
    return found


def told(changes: list[Change]) -> list[tuple[str, bytes | None]]:
    return [(change.key, change.entry.value if change.entry else None) for change in changes]


def test_a_watch_from_a_list_sees_every_later_change_once_and_in_order(ground: Any) -> None:
    async def scenario() -> None:
        async with ground.opened() as store:
            await store.txn([], [Put("a/1", b"old")])
            _, revision = store.list("a/")
            watcher = asyncio.create_task(take(store, "a/", revision, 4))
            await store.txn([], [Put("a/1", b"1")])
            await store.txn([], [Put("b/1", b"other")])
            await store.txn([], [Delete("a/1")])
            await store.txn([], [Put("a/1", b"2")])
            await store.txn([], [Put("a/2", b"3")])
            changes = await watcher
            assert told(changes) == [("a/1", b"1"), ("a/1", None), ("a/1", b"2"), ("a/2", b"3")]
            revisions = [change.revision for change in changes]
            assert revisions == sorted(set(revisions))
            assert revisions[0] > revision

    asyncio.run(scenario())


def test_a_watch_resumes_from_any_revision_it_has_seen(ground: Any) -> None:
    async def scenario() -> None:
        async with ground.opened() as store:
            start = store.revision
            for i in range(15):
                await store.txn([], [Put("k", b"%d" % i)])
            whole = await take(store, "k", start, 15)
            rest = await take(store, "k", whole[6].revision, 8)
            assert rest == whole[7:]
            assert list(store.changes("k", whole[6].revision)) == rest

    asyncio.run(scenario())


def test_a_transaction_is_seen_whole_at_one_revision(ground: Any) -> None:
    async def scenario() -> None:
        async with ground.opened() as store:
            start = store.revision
            await store.txn([], [Put("x/1", b""), Put("y/1", b""), Put("x/2", b"")])
            changes = await take(store, "x/", start, 2)
            assert {change.key for change in changes} == {"x/1", "x/2"}
            assert len({change.revision for change in changes}) == 1

    asyncio.run(scenario())


def test_many_watchers_see_the_same(ground: Any) -> None:
    async def scenario() -> None:
        async with ground.opened() as store:
            start = store.revision
            watchers = [asyncio.create_task(take(store, "k/", start, 40)) for _ in range(10)]
            await asyncio.gather(*(store.txn([], [Put(f"k/{i}", b"")]) for i in range(40)))
            seen = await asyncio.gather(*watchers)
            assert all(changes == seen[0] for changes in seen)
            assert len({change.key for change in seen[0]}) == 40

    asyncio.run(scenario())


def test_compaction_is_reported_never_silent(ground: Any) -> None:
    async def scenario() -> None:
        async with ground.opened() as store:
            start = store.revision
            for i in range(5):
                await store.txn([], [Put("k", b"%d" % i)])
            kept = store.revision
            await store.txn([], [Put("k", b"last")])
            await store.compact(kept)
            with pytest.raises(CompactedError):
                store.changes("k", start)
            with pytest.raises(CompactedError):
                await take(store, "k", start, 1)
            assert told(await take(store, "k", kept, 1)) == [("k", b"last")]
            assert store.get("k").value == b"last"

    asyncio.run(scenario())


def test_a_watcher_that_was_overtaken_by_compaction_is_told(ground: Any) -> None:
    async def scenario() -> None:
        async with (
            ground.opened() as store,
            aclosing(store.watch("k", store.revision)) as changes,
        ):
            await store.txn([], [Put("k", b"1")])
            await anext(changes)
            await store.txn([], [Put("k", b"2")])
            await store.txn([], [Put("k", b"3")])
            await store.compact(store.revision)
            with pytest.raises(CompactedError):
                await anext(changes)

    asyncio.run(scenario())


def test_after_opening_again_a_watch_sees_the_past_or_is_told(ground: Any) -> None:
    async def scenario() -> None:
        async with ground.opened() as store:
            start = store.revision
            await store.txn([], [Put("k", b"1")])
        async with ground.opened() as store:
            try:
                assert told(await take(store, "k", start, 1)) == [("k", b"1")]
            except CompactedError:
                entries, revision = store.list("k")
                assert [entry.value for entry in entries] == [b"1"]
                await store.txn([], [Put("k", b"2")])
                assert told(await take(store, "k", revision, 1)) == [("k", b"2")]

    asyncio.run(scenario())


def test_a_closed_store_ends_its_watches_and_refuses_writes(ground: Any) -> None:
    async def scenario() -> None:
        async with ground.opened() as store:
            watcher = asyncio.create_task(take(store, "k", store.revision, 1))
            await asyncio.sleep(0)
            await store.close()
            with pytest.raises(StoreClosedError):
                await watcher
            with pytest.raises(StoreClosedError):
                await store.txn([], [Put("k", b"")])

    asyncio.run(scenario())
