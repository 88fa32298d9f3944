"""The image in memory: bounded history, told compaction, the same content as a plain dict."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.store.contract import Change, Entry
from lodge.store.errors import CompactedError
from lodge.store.image import Image

KEYS = st.text(st.sampled_from("ab/\U0010fffeü"), min_size=1, max_size=4)


def put(image: Image, key: str, value: bytes) -> None:
    revision = image.revision + 1
    image.apply([Change(key, Entry(key, value, revision, revision), revision)], revision)


@given(st.lists(st.tuples(KEYS, st.none() | st.binary(max_size=3))), KEYS)
def test_a_list_is_what_a_scan_of_a_dict_gives(
    writes: list[tuple[str, bytes | None]], prefix: str
) -> None:
    image, model = Image(), dict[str, bytes]()
    for key, value in writes:
        if value is not None:
            put(image, key, value)
            model[key] = value
        elif model.pop(key, None) is not None:
            revision = image.revision + 1
            image.apply([Change(key, None, revision)], revision)
    for asked in (prefix, ""):
        found = [(entry.key, entry.value) for entry in image.list(asked)[0]]
        assert found == sorted(item for item in model.items() if item[0].startswith(asked))


@pytest.mark.parametrize("limits", [{"history_changes": 100}, {"history_bytes": 1000}])
def test_history_is_bounded_and_what_was_forgotten_is_told(limits: dict[str, int]) -> None:
    async def scenario() -> None:
        image = Image(**limits)
        for number in range(1_000):
            put(image, "k", b"0123456789")
            newest = image.changes("k", number)
            assert [change.revision for change in newest] == [number + 1]
        with pytest.raises(CompactedError):
            image.changes("k", 800)
        oldest = next(n for n in range(1_000) if is_known(image, n))
        assert 899 <= oldest <= 950
        assert len(image.changes("", oldest)) == 1_000 - oldest

    asyncio.run(scenario())


def is_known(image: Image, revision: int) -> bool:
    try:
        image.changes("", revision)
    except CompactedError:
        return False
    return True


def test_a_revision_is_never_forgotten_in_part() -> None:
    async def scenario() -> None:
        image = Image(history_changes=10)
        for revision in range(1, 30):
            both = [Change(key, Entry(key, b"", revision, revision), revision) for key in "ab"]
            image.apply(both, revision)
        known = [number for number in range(30) if is_known(image, number)]
        changes = image.changes("", known[0])
        assert len(changes) == 2 * (29 - known[0])

    asyncio.run(scenario())
