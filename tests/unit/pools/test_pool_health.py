"""The space guard's judgement, as a table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.base.units import GIB, MIB
from lodge.drivers.storage.contract import PoolRoom
from lodge.model.storage import Pool, PoolHealth
from lodge.services.pools.health import Verdict, health_of, judge, next_look_s

OK, LOW, FULL, OFFLINE = (
    PoolHealth.OK,
    PoolHealth.LOW,
    PoolHealth.FULL,
    PoolHealth.OFFLINE,
)
POOL = Pool(name="fast", id="ab", driver="dir", path="/srv/fast", created_at=0.0)


def room(free_mib: float, total_mib: int = 100 * 1024) -> PoolRoom:
    return PoolRoom(total_mib * MIB, int(free_mib * MIB))


LITTLE = 14 * 1024  # 86 % used
BETWEEN = 16 * 1024  # 84 % used
PLENTY = 50 * 1024
RELIEVED = 256 + 65

TABLE = [
    # before, free MiB (None: it does not answer), then: health, event, holds, releases
    (None, PLENTY, OK, None, False, True),
    (None, LITTLE, LOW, "pool.low", False, True),
    (None, 100, FULL, "pool.full", True, False),
    (None, None, OFFLINE, "pool.offline", False, False),
    (OK, PLENTY, OK, None, False, False),
    (OK, BETWEEN, OK, None, False, False),
    (OK, LITTLE, LOW, "pool.low", False, False),
    (OK, 256, LOW, "pool.low", False, False),
    (OK, 255, FULL, "pool.full", True, False),
    (OK, 0, FULL, "pool.full", True, False),
    (OK, None, OFFLINE, "pool.offline", False, False),
    (LOW, BETWEEN, LOW, None, False, False),
    (LOW, LITTLE, LOW, None, False, False),
    (LOW, PLENTY, OK, "pool.recovered", False, False),
    (LOW, 10, FULL, "pool.full", True, False),
    (FULL, 10, FULL, None, True, False),
    (FULL, 256, FULL, None, True, False),
    (FULL, 300, FULL, None, True, False),
    (FULL, RELIEVED, LOW, "pool.recovered", False, True),
    (FULL, PLENTY, OK, "pool.recovered", False, True),
    (FULL, None, OFFLINE, "pool.offline", False, False),
    (OFFLINE, None, OFFLINE, None, False, False),
    (OFFLINE, PLENTY, OK, "pool.recovered", False, True),
    (OFFLINE, LITTLE, LOW, "pool.low", False, True),
    (OFFLINE, 10, FULL, "pool.full", True, False),
]


@pytest.mark.parametrize(("before", "free_mib", "health", "event", "holds", "releases"), TABLE)
def test_every_look_has_its_meaning(
    before: PoolHealth | None,
    free_mib: float | None,
    health: PoolHealth,
    event: str | None,
    holds: bool,
    releases: bool,
) -> None:
    seen = None if free_mib is None else room(free_mib)
    assert judge(before, seen, POOL) == Verdict(health, event, holds, releases)


def test_a_small_pool_does_not_keep_all_of_itself_back() -> None:
    assert health_of(room(90, total_mib=100), POOL) is OK
    assert health_of(room(9, total_mib=100), POOL) is FULL


@given(
    st.sampled_from([None, *PoolHealth]),
    st.integers(0, GIB),
    st.integers(1, GIB),
    st.integers(0, GIB),
    st.integers(1, 100),
)
def test_looking_twice_at_the_same_room_changes_nothing(
    before: PoolHealth | None, free: int, total: int, guard: int, warn: int
) -> None:
    pool = Pool(
        name="x", driver="dir", path="/x", created_at=0.0, guard_bytes=guard, warn_percent=warn
    )
    seen = PoolRoom(total, min(free, total))
    first = judge(before, seen, pool)
    again = judge(first.health, seen, pool)
    assert again.health is first.health
    assert again.event is None
    assert not again.releases
    assert not (first.holds and first.releases)


@pytest.mark.parametrize(
    ("earlier_mib", "now_mib", "passed_s", "wait_s"),
    [
        (None, 50_000, 0.0, 2.0),
        (50_000, 50_000, 2.0, 2.0),
        (49_000, 50_000, 2.0, 2.0),
        (51_000, 50_000, 2.0, 2.0),
        (1280, 1280, 2.0, 1.0),  # 1 GiB left: a fast disk could take it in a second
        (500, 276, 2.0, 0.2),
        (12_544, 10_496, 1.0, 1.25),  # 10 GiB left at 2 GiB/s: 5 s, look in a quarter
        (400, 100, 1.0, 1.0),  # it is full: writers are held
    ],
)
def test_a_pool_that_fills_up_is_looked_at_sooner(
    earlier_mib: int | None, now_mib: int, passed_s: float, wait_s: float
) -> None:
    earlier = None if earlier_mib is None else room(earlier_mib)
    assert next_look_s(POOL, earlier, room(now_mib), passed_s) == pytest.approx(wait_s)
