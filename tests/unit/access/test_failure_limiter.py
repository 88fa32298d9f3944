"""The limit on wrong tokens, with a clock of numbers."""

from hypothesis import given
from hypothesis import strategies as st

from lodge.services.access.limiter import FailureLimiter


def test_the_first_failures_are_free_then_the_delay_doubles_up_to_a_limit() -> None:
    limiter = FailureLimiter(free=3, first_delay_s=1, longest_delay_s=10)
    delays = [limiter.fail("192.0.2.1", 0.0) for _ in range(9)]
    assert delays == [0, 0, 0, 1, 2, 4, 8, 10, 10]


def test_a_delay_runs_out_and_the_count_stays() -> None:
    limiter = FailureLimiter(free=0, first_delay_s=4)
    limiter.fail("192.0.2.1", 100.0)
    assert limiter.delay_s("192.0.2.1", 101.0) == 3.0
    assert limiter.delay_s("192.0.2.1", 104.0) == 0.0
    assert limiter.fail("192.0.2.1", 104.0) == 8.0


def test_success_and_time_forget() -> None:
    limiter = FailureLimiter(free=0, first_delay_s=1, forget_after_s=60)
    limiter.fail("192.0.2.1", 0.0)
    limiter.succeed("192.0.2.1")
    assert limiter.fail("192.0.2.1", 0.0) == 1.0
    assert limiter.fail("192.0.2.1", 100.0) == 1.0


def test_neighbours_in_one_ipv6_network_are_one_and_mapped_addresses_are_ipv4() -> None:
    limiter = FailureLimiter(free=0)
    limiter.fail("2001:db8:0:1::1", 0.0)
    assert limiter.delay_s("2001:db8:0:1:ffff::9", 0.0) > 0
    assert limiter.delay_s("2001:db8:0:2::1", 0.0) == 0
    limiter.fail("::ffff:192.0.2.1", 0.0)
    assert limiter.delay_s("192.0.2.1", 0.0) > 0
    limiter.fail("fe80::1%eth0", 0.0)
    assert limiter.delay_s("fe80::2%eth1", 0.0) > 0


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 100))))
def test_the_table_never_grows_beyond_its_limit(events: list[tuple[int, int]]) -> None:
    limiter = FailureLimiter(most_addresses=10)
    now = 0.0
    for number, passed in events:
        now += passed
        limiter.fail(f"192.0.2.{number}", now)
        assert len(limiter) <= 10
        assert limiter.delay_s(f"192.0.2.{number}", now) <= 300
