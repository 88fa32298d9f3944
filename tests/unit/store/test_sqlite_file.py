"""The database file: one owner, checked at the start, backed up, never silently replaced."""

import asyncio
import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from private_mounts import mounted_tmpfs
from virtual_world import VirtualWorld, eventually

from lodge.store.contract import Delete, Put
from lodge.store.errors import (
    DatabaseDamagedError,
    DatabaseNewerError,
    StateFolderInUseError,
    StoreFullError,
)
from lodge.store.sqlite.store import SqliteStore

DAY_S = 86_400.0


async def fill(folder: Path, *, keys: int = 50, backups: int = 0) -> None:
    store = await SqliteStore.open(folder, VirtualWorld(), backups_kept=backups)
    for number in range(keys):
        await store.txn([], [Put(f"k/{number:03}", os.urandom(400))])
    if backups:
        await store.back_up()
    await store.close()


async def opened(folder: Path) -> SqliteStore:
    return await SqliteStore.open(folder, VirtualWorld(), backups_kept=0)


def test_a_second_daemon_on_the_same_folder_is_refused_by_the_pid_of_the_first(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        first = await opened(tmp_path)
        with pytest.raises(StateFolderInUseError, match=str(os.getpid())) as refused:
            await opened(tmp_path)
        assert refused.value.details["pid"] == os.getpid()
        await first.txn([], [Put("a", b"still works")])
        await first.close()
        second = await opened(tmp_path)
        assert second.get("a") is not None
        await second.close()

    asyncio.run(scenario())


def test_everything_on_disk_is_for_the_owner_only(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = await SqliteStore.open(tmp_path, VirtualWorld(), backups_kept=1)
        await store.txn([], [Put("a", b"")])
        await store.back_up()
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert {path.name for path in files} >= {"lodge.db", "lodge.db-wal", "lodge.lock"}
        assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
        await store.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("damage", ["torn", "overwritten", "foreign", "other database", "short"])
def test_a_damaged_database_is_refused_and_the_hint_names_the_newest_backup(
    tmp_path: Path, damage: str
) -> None:
    asyncio.run(fill(tmp_path, backups=2))
    database = tmp_path / "lodge.db"
    data = database.read_bytes()
    match damage:
        case "torn":
            database.write_bytes(data[:100] + os.urandom(len(data) - 100))
        case "overwritten":
            middle = len(data) // 2 & ~4095
            database.write_bytes(data[:middle] + b"\xa5" * 8192 + data[middle + 8192 :])
        case "foreign":
            database.write_bytes(b"this is no database at all" * 100)
        case "short":
            database.write_bytes(data[: len(data) // 2])
        case "other database":
            database.unlink()
            with closing(sqlite3.connect(database)) as other:
                other.execute("CREATE TABLE somebody_elses (x)")
    before = database.read_bytes()
    with pytest.raises(DatabaseDamagedError) as refused:
        asyncio.run(opened(tmp_path))
    (backup,) = (tmp_path / "backups").iterdir()
    assert str(tmp_path / "backups") in refused.value.hint
    assert backup.name in refused.value.hint
    assert database.read_bytes() == before


@pytest.mark.parametrize("loss", ["gone", "empty"])
def test_a_lost_database_is_not_replaced_by_an_empty_one_while_there_are_backups(
    tmp_path: Path, loss: str
) -> None:
    asyncio.run(fill(tmp_path, backups=2))
    database = tmp_path / "lodge.db"
    if loss == "gone":
        database.unlink()
    else:
        database.write_bytes(b"")
    with pytest.raises(DatabaseDamagedError, match="missing or empty"):
        asyncio.run(opened(tmp_path))


def test_a_backup_put_in_place_by_hand_holds_everything(tmp_path: Path) -> None:
    async def scenario() -> None:
        await fill(tmp_path, backups=2)
        database = tmp_path / "lodge.db"
        (backup,) = (tmp_path / "backups").iterdir()
        database.unlink()
        database.write_bytes(backup.read_bytes())
        store = await opened(tmp_path)
        assert len(store.list("k/")[0]) == 50
        await store.txn([], [Put("more", b"")])
        await store.close()

    asyncio.run(scenario())


def test_a_database_of_a_newer_version_is_refused_untouched(tmp_path: Path) -> None:
    asyncio.run(fill(tmp_path))
    database = tmp_path / "lodge.db"
    with closing(sqlite3.connect(database)) as newer:
        newer.execute("PRAGMA user_version = 99")
    before = database.read_bytes()
    with pytest.raises(DatabaseNewerError, match="99"):
        asyncio.run(opened(tmp_path))
    assert database.read_bytes() == before


def test_backups_are_made_at_the_start_then_daily_and_the_oldest_go(tmp_path: Path) -> None:
    async def scenario() -> None:
        world = VirtualWorld()
        backups = tmp_path / "backups"

        def made() -> list[str]:
            return sorted(path.name for path in backups.glob("lodge-*.db"))

        store = await SqliteStore.open(tmp_path, world, backups_kept=3)
        await eventually(lambda: len(made()) == 1)
        first = made()[0]
        for days in range(1, 5):
            before = made()[-1]
            while made()[-1] == before:
                await world.pass_time(3_600)
                await asyncio.sleep(0.01)
            assert len(made()) <= 3 + 1, days
        await eventually(lambda: len(made()) == 3)
        assert first not in made()
        await store.close()
        again = await SqliteStore.open(tmp_path, world, backups_kept=3)
        kept = made()
        await world.pass_time(3_600)
        assert made() == kept
        await again.close()

    asyncio.run(scenario())


def test_a_backup_beside_running_writes_is_whole(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = await SqliteStore.open(tmp_path, VirtualWorld(), backups_kept=9)

        async def write(number: int) -> None:
            await store.txn([], [Put(f"a/{number}", b"x"), Put(f"b/{number}", b"x")])

        writes = asyncio.gather(*(write(number) for number in range(300)))
        path = await store.back_up()
        await writes
        await store.close()
        with closing(sqlite3.connect(path)) as copy:
            assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            count = "SELECT count(*) FROM entries WHERE key LIKE ?"
            left, right = (copy.execute(count, (f"{side}/%",)).fetchone() for side in "ab")
            assert left == right
        assert not path.with_name(path.name + "-wal").exists()

    asyncio.run(scenario())


@pytest.mark.root
def test_a_full_disk_refuses_writes_keeps_the_rest_and_recovers_when_room_returns(
    tmp_path: Path,
) -> None:
    async def scenario(folder: Path) -> None:
        store = await SqliteStore.open(folder, VirtualWorld(), backups_kept=2)
        acknowledged: list[str] = []

        async def fill_up() -> None:
            for number in range(1_000):
                await store.txn([], [Put(f"k/{number:04}", os.urandom(20_000))])
                acknowledged.append(f"k/{number:04}")

        with pytest.raises(StoreFullError) as full:
            await fill_up()
        assert len(acknowledged) > 10
        assert full.value.retryable
        assert [entry.key for entry in store.list("k/")[0]] == acknowledged
        revision = store.revision
        with pytest.raises(StoreFullError):
            await store.back_up()
        assert [path.name for path in folder.glob("backups/.*")] == []
        (folder / "ballast").unlink()
        answer = await store.txn([], [Put("after", b""), Delete(acknowledged[0])])
        assert answer.revision == revision + 1
        held = store.list("")[0]
        await store.close()
        again = await SqliteStore.open(folder, VirtualWorld(), backups_kept=0)
        assert again.list("")[0] == held
        await again.close()

    with mounted_tmpfs(tmp_path / "small", size_bytes=4 << 20) as folder:
        (folder / "ballast").write_bytes(b"x" * (1 << 20))
        asyncio.run(scenario(folder))


@pytest.mark.root
def test_of_writes_that_share_a_commit_those_that_fit_are_done(tmp_path: Path) -> None:
    async def scenario(folder: Path) -> None:
        store = await opened(folder)
        await store.txn([], [Put("a", b"1"), Put("b", b"1")])
        first = asyncio.create_task(store.txn([], [Put("lead", b"")]))
        await asyncio.sleep(0)
        writes = [store.txn([], [Put(f"big/{n}", os.urandom(900_000))]) for n in range(8)]
        writes.append(store.txn([], [Delete("a")]))
        answers = await asyncio.gather(first, *writes, return_exceptions=True)
        refused = [answer for answer in answers if isinstance(answer, StoreFullError)]
        assert 0 < len(refused) < 8
        assert len(store.list("big/")[0]) == 8 - len(refused)
        held = store.list("")[0]
        await store.close()
        again = await opened(folder)
        assert again.list("")[0] == held
        await again.close()

    with mounted_tmpfs(tmp_path / "small", size_bytes=4 << 20) as folder:
        asyncio.run(scenario(folder))
