"""Typed collections: decoded once per revision, the same object until something changed."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from virtual_world import VirtualWorld

from lodge.model.record import Record
from lodge.store.contract import Change, Entry, Operation, Put
from lodge.store.errors import RecordUnreadableError
from lodge.store.image import Image
from lodge.store.records import Records
from lodge.store.sqlite.store import SqliteStore


class Box(Record, frozen=True, kw_only=True):
    size: int
    label: str = ""


class NewerBox(Record, frozen=True, kw_only=True):
    size: int
    colour: str


class MemoryStore(SqliteStore):
    """Only what is read: the image, changed at once and kept nowhere."""

    def __init__(self) -> None:
        self._image = Image()

    async def write(self, operation: Operation) -> None:
        revision = self._image.revision + 1
        entry = None
        if isinstance(operation, Put):
            entry = Entry(operation.key, operation.value, revision, revision)
        self._image.apply([Change(operation.key, entry, revision)], revision)


async def opened(folder: Path) -> SqliteStore:
    return await SqliteStore.open(folder, VirtualWorld(), backups_kept=0)


def test_records_are_read_back_by_key_and_in_order(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = await opened(tmp_path)
        boxes = Records(store, "boxes", Box)
        for name in ("b", "a", "c/deep"):
            await store.txn([boxes.compare(name, 0)], [boxes.put(name, Box(size=len(name)))])
        await store.txn([], [Put("boxes-of-others/a", b"?"), Put("box", b"?")])
        assert [key for key, _ in boxes.items()] == ["a", "b", "c/deep"]
        assert boxes.get("c/deep") == Box(size=6)
        assert boxes.get("none") is None
        assert boxes.entry("none") is None
        found = boxes.entry("a")
        assert found is not None
        assert not (await store.txn([boxes.compare("a", 0)], [boxes.delete("a")])).succeeded
        assert (await store.txn([boxes.compare("a", found[1])], [boxes.delete("a")])).succeeded
        assert [key for key, _ in boxes.items()] == ["b", "c/deep"]
        await store.close()

    asyncio.run(scenario())


def test_an_unchanged_record_is_the_same_object_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = await opened(tmp_path)
        boxes = Records(store, "boxes/", Box)
        for name in "ab":
            await store.txn([], [boxes.put(name, Box(size=1))])
        first = boxes.get("a")
        listed = boxes.entries()
        assert boxes.get("a") is first
        assert listed[0][1] is first
        await store.txn([], [Put("elsewhere", b"")])
        assert boxes.entries() is listed
        before = list(listed)
        await store.txn([], [boxes.put("b", Box(size=2))])
        again = boxes.entries()
        assert list(listed) == before
        assert again[0][1] is first
        assert again[1][1] == Box(size=2)
        await store.txn([], [boxes.put("a", Box(size=1))])
        assert boxes.get("a") is not first
        await store.compact(store.revision)
        await store.txn([], [boxes.delete("a")])
        await store.compact(store.revision)
        assert [key for key, _ in boxes.items()] == ["b"]
        await store.close()

    asyncio.run(scenario())


@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from("abcdefgh"), st.none() | st.integers(0, 9)), max_size=6),
        max_size=12,
    )
)
def test_listings_are_what_a_fresh_collection_lists(
    rounds: list[list[tuple[str, int | None]]],
) -> None:
    async def scenario() -> None:
        store = MemoryStore()
        boxes = Records(store, "boxes/", Box)
        for writes in rounds:
            for key, size in writes:
                await store.write(
                    boxes.delete(key) if size is None else boxes.put(key, Box(size=size))
                )
            fresh = Records(store, "boxes/", Box)
            assert boxes.entries() == fresh.entries()
            assert boxes.items() == fresh.items()
            if len(writes) == 3:
                await store.compact(store.revision)

    asyncio.run(scenario())


def test_a_key_made_again_is_not_mistaken_for_the_old_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = await opened(tmp_path)
        boxes = Records(store, "boxes/", Box)
        await store.txn([], [boxes.put("a", Box(size=1))])
        assert boxes.get("a") == Box(size=1)
        await store.txn([], [boxes.delete("a")])
        await store.txn([], [boxes.put("a", Box(size=2))])
        assert boxes.get("a") == Box(size=2)
        await store.close()

    asyncio.run(scenario())


def test_a_record_of_a_newer_version_is_read_without_its_new_fields(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = await opened(tmp_path)
        newer = Records(store, "boxes/", NewerBox)
        await store.txn([], [newer.put("a", NewerBox(size=3, colour="red"))])
        assert Records(store, "boxes/", Box).get("a") == Box(size=3)
        await store.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("value", [b"", b"{", b'{"size": "large"}', b"\xff\xfe", b"[]"])
def test_an_unreadable_record_is_told_with_its_key(tmp_path: Path, value: bytes) -> None:
    async def scenario() -> None:
        store = await opened(tmp_path)
        await store.txn([], [Put("boxes/bad", value)])
        boxes = Records(store, "boxes/", Box)
        for read in (lambda: boxes.get("bad"), boxes.items):
            with pytest.raises(RecordUnreadableError, match="boxes/bad"):
                read()
        await store.close()

    asyncio.run(scenario())
