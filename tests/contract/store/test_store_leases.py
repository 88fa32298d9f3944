"""Leases take their keys with them; fencing tokens only grow."""

import asyncio
from typing import Any

import pytest
from virtual_world import eventually

from lodge.store.contract import Delete, Put
from lodge.store.errors import LeaseExpiredError


def test_a_lease_that_ran_out_deletes_its_keys_and_watchers_see_it(ground: Any) -> None:
    async def scenario() -> None:
        async with ground.opened() as store:
            lease = await store.lease(2)
            await store.txn([], [Put("a", b"", lease), Put("b", b"", lease), Put("c", b"")])
            before = store.revision
            await ground.let_time_pass(3)
            await eventually(lambda: store.get("a") is None)
            assert store.get("b") is None
            assert store.get("c") is not None
            gone = store.changes("", before)
            assert [(change.key, change.entry) for change in gone] == [("a", None), ("b", None)]

    asyncio.run(scenario())


def test_a_lease_kept_alive_keeps_its_keys(ground: Any) -> None:
    async def scenario() -> None:
        async with ground.opened() as store:
            lease = await store.lease(3)
            await store.txn([], [Put("a", b"", lease)])
            for _ in range(4):
                await ground.let_time_pass(2)
                await store.keep_alive(lease)
            assert store.get("a") is not None
            await ground.let_time_pass(4)
            await eventually(lambda: store.get("a") is None)
            with pytest.raises(LeaseExpiredError):
                await store.keep_alive(lease)

    asyncio.run(scenario())


def test_revoking_deletes_the_keys_now_and_twice_is_as_once(ground: Any) -> None:
    async def scenario() -> None:
        async with ground.opened() as store:
            lease = await store.lease(60)
            await store.txn([], [Put("a", b"", lease)])
            await store.revoke(lease)
            assert store.get("a") is None
            await store.revoke(lease)
            with pytest.raises(LeaseExpiredError):
                await store.txn([], [Put("b", b""), Put("a", b"", lease)])
            assert store.get("b") is None

    asyncio.run(scenario())


def test_a_key_written_again_without_the_lease_stays(ground: Any) -> None:
    async def scenario() -> None:
        async with ground.opened() as store:
            lease = await store.lease(60)
            await store.txn([], [Put("a", b"", lease), Put("b", b"", lease)])
            await store.txn([], [Put("a", b"mine"), Delete("b")])
            await store.txn([], [Put("b", b"new")])
            await store.revoke(lease)
            assert store.get("a").value == b"mine"
            assert store.get("b").value == b"new"

    asyncio.run(scenario())


def test_a_lease_outlives_a_restart_and_still_ends(ground: Any) -> None:
    async def scenario() -> None:
        async with ground.opened() as store:
            lease = await store.lease(2)
            await store.txn([], [Put("a", b"", lease)])
        async with ground.opened() as store:
            assert store.get("a") is not None
            await store.keep_alive(lease)
            assert await store.lease(60) != lease
            await ground.let_time_pass(3)
            await eventually(lambda: store.get("a") is None)
        async with ground.opened() as store:
            assert store.get("a") is None

    asyncio.run(scenario())


def test_tokens_of_a_lock_grow_also_after_a_restart(ground: Any) -> None:
    async def scenario() -> None:
        tokens = []
        for _ in range(3):
            async with ground.opened() as store:
                tokens += [await store.token("instance:web"), await store.token("instance:web")]
                await store.token("instance:db")
        assert tokens == sorted(set(tokens))

    asyncio.run(scenario())


def test_tokens_asked_for_at_once_all_differ(ground: Any) -> None:
    async def scenario() -> None:
        async with ground.opened() as store:
            tokens = await asyncio.gather(*(store.token("lock") for _ in range(20)))
            assert len(set(tokens)) == 20

    asyncio.run(scenario())
