"""What follows a crash."""

from hypothesis import given
from hypothesis import strategies as st

from lodge.model.instance import CrashPolicy
from lodge.services.instances.crashes import CRASH_LIMIT, CRASH_WINDOW_S, judge


def test_each_crash_waits_longer_than_the_one_before() -> None:
    delays = [
        judge(CrashPolicy.RESTART, [1000.0 + n for n in range(count)], 1000.0 + count).delay_s
        for count in range(1, CRASH_LIMIT)
    ]
    assert delays == [1.0, 2.0, 4.0, 8.0]


def test_too_many_crashes_in_a_short_time_end_the_attempts() -> None:
    verdict = judge(CrashPolicy.RESTART, [1000.0 + n for n in range(CRASH_LIMIT)], 1010.0)
    assert not verdict.restarts
    assert str(CRASH_LIMIT) in verdict.words


def test_old_crashes_are_forgiven() -> None:
    old = [n * (CRASH_WINDOW_S + 1) for n in range(20)]
    assert judge(CrashPolicy.RESTART, old, old[-1]).delay_s == 1.0


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=30))
def test_the_policy_stop_never_restarts(times: list[float]) -> None:
    assert not judge(CrashPolicy.STOP, sorted(times), max(times)).restarts
