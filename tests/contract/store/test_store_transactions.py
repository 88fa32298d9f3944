"""Guarded transactions: all or nothing, in one order, refused at the same limits everywhere."""

import asyncio
from typing import Any

import pytest

from lodge.store.contract import (
    MAX_OPERATIONS,
    MAX_TRANSACTION_BYTES,
    MAX_VALUE_BYTES,
    Compare,
    Delete,
    Put,
)
from lodge.store.errors import InvalidTransactionError, TransactionTooLargeError


def test_a_value_put_is_read_back_with_its_revisions(ground: Any) -> None:
    async def scenario() -> None:
        async with ground.opened() as store:
            before = store.revision
            first = await store.txn([], [Put("a", b"one")])
            second = await store.txn([], [Put("a", b"two")])
            entry = store.get("a")
            assert first.succeeded
            assert before < first.revision < second.revision == store.revision
            assert (entry.key, entry.value) == ("a", b"two")
            assert (entry.created, entry.revision) == (first.revision, second.revision)

    asyncio.run(scenario())


def test_a_list_has_the_prefix_only_in_key_order_with_its_revision(ground: Any) -> None:
    async def scenario() -> None:
        async with ground.opened() as store:
            for key in ("b/2", "a/1", "b/10", "b", "b/ü", "c/1"):
                await store.txn([], [Put(key, key.encode())])
            entries, revision = store.list("b/")
            assert [entry.key for entry in entries] == ["b/10", "b/2", "b/ü"]
            assert revision == store.revision
            assert [entry.key for entry in store.list("nothing/")[0]] == []

    asyncio.run(scenario())


def test_a_compare_on_a_stale_revision_applies_otherwise(ground: Any) -> None:
    async def scenario() -> None:
        async with ground.opened() as store:
            old = (await store.txn([], [Put("a", b"1")])).revision
            await store.txn([], [Put("a", b"2")])
            answer = await store.txn([Compare("a", old)], [Put("a", b"3")], [Put("seen", b"stale")])
            assert not answer.succeeded
            assert store.get("a").value == b"2"
            assert store.get("seen").value == b"stale"

    asyncio.run(scenario())


def test_a_refused_transaction_without_otherwise_changes_nothing(ground: Any) -> None:
    async def scenario() -> None:
        async with ground.opened() as store:
            await store.txn([], [Put("a", b"1")])
            before = store.revision
            answer = await store.txn([Compare("a", 0)], [Put("a", b"2"), Put("b", b"2")])
            assert (answer.succeeded, answer.revision) == (False, before)
            assert store.revision == before
            assert store.get("b") is None

    asyncio.run(scenario())


def test_all_keys_of_a_transaction_change_at_one_revision(ground: Any) -> None:
    async def scenario() -> None:
        async with ground.opened() as store:
            await store.txn([], [Put("gone", b"")])
            answer = await store.txn(
                [Compare("a", 0)], [Put("a", b""), Put("b", b""), Delete("gone")]
            )
            assert store.get("a").revision == store.get("b").revision == answer.revision
            assert store.get("gone") is None

    asyncio.run(scenario())


def test_deleting_what_is_not_there_changes_no_revision(ground: Any) -> None:
    async def scenario() -> None:
        async with ground.opened() as store:
            before = store.revision
            answer = await store.txn([], [Delete("nothing")])
            assert (answer.succeeded, store.revision) == (True, before)

    asyncio.run(scenario())


def test_a_key_made_again_has_a_new_creation(ground: Any) -> None:
    async def scenario() -> None:
        async with ground.opened() as store:
            await store.txn([], [Put("a", b"")])
            await store.txn([], [Delete("a")])
            again = await store.txn([Compare("a", 0)], [Put("a", b"")])
            assert store.get("a").created == again.revision

    asyncio.run(scenario())


def test_of_many_that_take_one_key_at_once_exactly_one_wins(ground: Any) -> None:
    async def scenario() -> None:
        async with ground.opened() as store:
            answers = await asyncio.gather(
                *(store.txn([Compare("lock", 0)], [Put("lock", b"%d" % i)]) for i in range(50))
            )
            winners = [i for i, answer in enumerate(answers) if answer.succeeded]
            assert len(winners) == 1
            assert store.get("lock").value == b"%d" % winners[0]

    asyncio.run(scenario())


def test_concurrent_guarded_increments_lose_nothing(ground: Any) -> None:
    async def increment(store: Any) -> None:
        while True:
            entry = store.get("n")
            value = int(entry.value) if entry else 0
            guard = Compare("n", entry.revision if entry else 0)
            if (await store.txn([guard], [Put("n", b"%d" % (value + 1))])).succeeded:
                return

    async def scenario() -> None:
        async with ground.opened() as store:
            await asyncio.gather(*(increment(store) for _ in range(30)))
            assert store.get("n").value == b"30"

    asyncio.run(scenario())


def test_everything_is_there_after_opening_again(ground: Any) -> None:
    async def scenario() -> None:
        async with ground.opened() as store:
            await store.txn([], [Put("a", b"\x00\xff"), Put("b", b"2")])
            await store.txn([], [Delete("b")])
            before, revision = store.get("a"), store.revision
        async with ground.opened() as store:
            assert store.get("a") == before
            assert store.get("b") is None
            assert store.revision == revision
            assert (await store.txn([Compare("a", before.revision)], [Put("a", b"")])).succeeded

    asyncio.run(scenario())


def test_a_transaction_at_the_limits_is_taken(ground: Any) -> None:
    async def scenario() -> None:
        async with ground.opened() as store:
            await store.txn([], [Put("big", b"x" * MAX_VALUE_BYTES)])
            await store.txn([], [Put(f"many/{i}", b"") for i in range(MAX_OPERATIONS)])
            assert len(store.list("many/")[0]) == MAX_OPERATIONS
            assert len(store.get("big").value) == MAX_VALUE_BYTES

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "operations",
    [
        pytest.param([Put("a", b"x" * (MAX_VALUE_BYTES + 1))], id="value"),
        pytest.param([Put(f"{i}", b"") for i in range(MAX_OPERATIONS + 1)], id="count"),
        pytest.param(
            [Put(f"{i}", b"x" * (MAX_TRANSACTION_BYTES // 2)) for i in range(3)], id="total"
        ),
    ],
)
def test_a_transaction_over_a_limit_is_refused_and_changes_nothing(
    ground: Any, operations: list[Put]
) -> None:
    async def scenario() -> None:
        async with ground.opened() as store:
            before = store.revision
            with pytest.raises(TransactionTooLargeError):
                await store.txn([], operations)
            with pytest.raises(TransactionTooLargeError):
                await store.txn([Compare("none", 7)], [], operations)
            assert store.revision == before
            assert list(store.list("")[0]) == []

    asyncio.run(scenario())


def test_too_many_comparisons_are_refused(ground: Any) -> None:
    async def scenario() -> None:
        async with ground.opened() as store:
            with pytest.raises(TransactionTooLargeError):
                await store.txn([Compare(f"{i}", 0) for i in range(MAX_OPERATIONS + 1)], [])

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "operations", [[Put("a", b"1"), Put("a", b"2")], [Put("a", b"1"), Delete("a")], [Put("", b"")]]
)
def test_a_key_written_twice_or_empty_is_refused(ground: Any, operations: list[Any]) -> None:
    async def scenario() -> None:
        async with ground.opened() as store:
            with pytest.raises(InvalidTransactionError):
                await store.txn([], operations)
            assert list(store.list("")[0]) == []

    asyncio.run(scenario())


def test_a_caller_that_gave_up_breaks_nothing_for_the_others(ground: Any) -> None:
    async def scenario() -> None:
        async with ground.opened() as store:
            callers = [asyncio.create_task(store.txn([], [Put(f"k{i}", b"")])) for i in range(20)]
            await asyncio.sleep(0)
            for caller in callers[::2]:
                caller.cancel()
            answers = await asyncio.gather(*callers, return_exceptions=True)
            for i in range(1, 20, 2):
                assert answers[i].succeeded
                assert store.get(f"k{i}") is not None
        async with ground.opened() as again:
            kept = [entry.key for entry in again.list("k")[0]]
            assert {f"k{i}" for i in range(1, 20, 2)} <= set(kept)

    asyncio.run(scenario())
