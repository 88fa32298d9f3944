"""Events and audit records: numbered in the order of commits, followed without gaps, pruned."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from virtual_world import VirtualWorld

from lodge.model.event import Event
from lodge.model.task import Actor
from lodge.store.audit import AuditLog
from lodge.store.contract import Compare
from lodge.store.errors import EventsForgottenError
from lodge.store.events import EventLog
from lodge.store.sqlite.store import SqliteStore

DAY_S = 86_400.0


@asynccontextmanager
async def opened(folder: Path, world: VirtualWorld | None = None) -> AsyncIterator[SqliteStore]:
    store = await SqliteStore.open(folder, world or VirtualWorld(), backups_kept=0)
    try:
        yield store
    finally:
        await store.close()


async def take(log: EventLog, after: int, count: int) -> list[Event]:
    found: list[Event] = []
    async with asyncio.timeout(20):
        async for event in log.follow(after):
            found.append(event)
            if len(found) == count:
                return found
    raise AssertionError("the follower ended")


def test_ids_follow_the_order_of_commits_not_of_the_puts(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as store:
            log = EventLog(store, VirtualWorld())
            early = log.put("a.early", "x")
            late = log.put("a.late", "x")
            assert (log.first, log.last) == (1, 0)
            await store.txn([], [late])
            (seen,) = log.since(0)
            await store.txn([], [early])
            assert [event.kind for event in log.since(seen.id)] == ["a.early"]
            assert [event.id for event in log.list()] == [1, 2]

    asyncio.run(scenario())


def test_events_of_a_refused_transaction_never_happened(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as store:
            log = EventLog(store, VirtualWorld())
            await store.txn([Compare("none", 7)], [log.put("a.lost", "x")])
            await log.publish("a.kept", "x", {"n": 1}, "trace")
            (event,) = log.list()
            assert (event.id, event.kind, event.data, event.trace) == (
                1,
                "a.kept",
                {"n": 1},
                "trace",
            )

    asyncio.run(scenario())


def test_ids_and_order_outlive_restarts_and_removals(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as store:
            log = EventLog(store, VirtualWorld(), keep=20)
            for number in range(30):
                await store.txn([], [log.put("a.b", f"{number}/1"), log.put("a.b", f"{number}/2")])
            await log.prune()
            kept = list(log.list())
            assert [event.id for event in kept] == list(range(41, 61))
            assert kept[-1].target == "29/2"
        async with opened(tmp_path) as store:
            log = EventLog(store, VirtualWorld(seed=2), keep=20)
            assert list(log.list()) == kept
            assert (log.first, log.last) == (41, 60)
            await log.publish("a.new", "x")
            assert log.last == 61
            await store.compact(store.revision)
            assert log.list()[-1].kind == "a.new"

    asyncio.run(scenario())


def test_a_follower_sees_every_event_once_from_its_id_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as store:
            log = EventLog(store, VirtualWorld())
            for number in range(5):
                await log.publish("a.b", str(number))
            follower = asyncio.create_task(take(log, 2, 40))
            await asyncio.sleep(0)
            await asyncio.gather(*(log.publish("a.b", str(n)) for n in range(5, 42)))
            seen = await follower
            assert [event.id for event in seen] == list(range(3, 43))
            assert seen == list(log.since(2))

    asyncio.run(scenario())


def test_a_follower_resumes_after_a_restart_where_it_was(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as store:
            log = EventLog(store, VirtualWorld())
            for number in range(6):
                await log.publish("a.b", str(number))
            last = (await take(log, 0, 4))[-1].id
        async with opened(tmp_path) as store:
            log = EventLog(store, VirtualWorld(seed=2))
            await log.publish("a.b", "6")
            rest = await take(log, last, 3)
            assert [event.target for event in rest] == ["4", "5", "6"]

    asyncio.run(scenario())


def test_an_id_from_the_future_does_not_hide_what_comes(tmp_path: Path) -> None:
    """As after a restored backup: the follower knows more than the log."""

    async def scenario() -> None:
        async with opened(tmp_path) as store:
            log = EventLog(store, VirtualWorld())
            await log.publish("a.old", "x")
            follower = asyncio.create_task(take(log, 500, 1))
            await asyncio.sleep(0)
            await log.publish("a.new", "x")
            assert [event.kind for event in await follower] == ["a.new"]

    asyncio.run(scenario())


def test_a_follower_that_is_too_slow_is_told(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as store:
            log = EventLog(store, VirtualWorld(), keep=10)
            await log.publish("a.b", "0")
            follower = log.follow(0)
            assert (await anext(follower)).target == "0"
            for number in range(1, 40):
                await log.publish("a.b", str(number))
            with pytest.raises(EventsForgottenError):
                await anext(follower)
            fresh = log.follow(1)
            assert (await anext(fresh)).id == log.first

    asyncio.run(scenario())


def test_old_records_go_by_age(tmp_path: Path) -> None:
    async def scenario() -> None:
        world = VirtualWorld()
        async with opened(tmp_path, world) as store:
            log = AuditLog(store, world, keep=1000, keep_s=DAY_S)
            actor = Actor(name="root")
            for number in range(200):
                await log.record(actor, "instance.create", str(number), result="done")
            await world.pass_time(2 * DAY_S)
            await log.record(
                actor, "instance.delete", "new", result="not_found", params={"a": (1,)}
            )
            (kept,) = log.list()
            assert (kept.id, kept.target, kept.params) == (201, "new", {"a": [1]})
            assert len(store.list("audit/")[0]) == 2  # the record, and the number of the first

    asyncio.run(scenario())
