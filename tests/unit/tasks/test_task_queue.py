"""The queue: exclusive locks, first come first served, no starvation, limits by kind."""

from hypothesis import given
from hypothesis import strategies as st

from lodge.tasks.queue import TaskQueue


def make(**limits: int) -> TaskQueue:
    queue = TaskQueue()
    for kind, parallel in limits.items():
        queue.limit(kind, parallel)
    return queue


def test_a_task_waits_for_all_its_locks_and_takes_none_of_them_before() -> None:
    queue = make(k=9)
    queue.add("1", "k", {"a"})
    queue.add("2", "k", {"b"})
    queue.add("3", "k", {"a", "b"})
    assert queue.take() == ["1", "2"]
    queue.remove("1")
    assert queue.take() == []
    queue.remove("2")
    assert queue.take() == ["3"]


def test_a_task_with_many_locks_is_not_overtaken_for_ever() -> None:
    queue = make(k=9)
    queue.add("first", "k", {"a"})
    queue.add("wide", "k", {"a", "b"})
    queue.add("late", "k", {"b"})
    assert queue.take() == ["first"]
    queue.remove("first")
    assert queue.take() == ["wide"]
    queue.remove("wide")
    assert queue.take() == ["late"]


def test_a_kind_at_its_limit_does_not_hold_up_another() -> None:
    queue = make(slow=1, quick=2)
    for name in "ab":
        queue.add(name, "slow", {name})
    queue.add("c", "quick", {"c"})
    assert queue.take() == ["a", "c"]
    queue.remove("a")
    assert queue.take() == ["b"]


def test_a_task_given_up_while_it_waits_makes_room() -> None:
    queue = make(k=1)
    for name in "abc":
        queue.add(name, "k", {"x"})
    assert queue.take() == ["a"]
    queue.remove("b")
    queue.remove("b")
    queue.remove("a")
    assert queue.take() == ["c"]


def test_one_given_up_while_only_the_limit_holds_it_is_not_started() -> None:
    queue = make(k=1)
    queue.add("a", "k", ())
    queue.add("b", "k", ())
    assert queue.take() == ["a"]
    queue.remove("b")
    queue.remove("a")
    assert queue.take() == []


@given(
    st.lists(
        st.tuples(st.sampled_from("pq"), st.frozensets(st.sampled_from("abcde"), max_size=3)),
        max_size=30,
    ),
    st.randoms(use_true_random=False),
)
def test_locks_are_exclusive_order_holds_in_each_line_and_all_come_to_run(
    asked: list[tuple[str, frozenset[str]]], chance: object
) -> None:
    limits = {"p": 2, "q": 1}
    queue = make(**limits)
    for number, (kind, locks) in enumerate(asked):
        queue.add(str(number), kind, locks)
    running: list[int] = []
    started: list[int] = []
    for _ in range(len(asked) + 1):
        fresh = [int(task) for task in queue.take()]
        running += fresh
        started += fresh
        held = [lock for task in running for lock in asked[task][1]]
        assert len(held) == len(set(held))
        for kind, limit in limits.items():
            assert sum(asked[task][0] == kind for task in running) <= limit
        if running:
            ended = running.pop(chance.randrange(len(running)))  # type: ignore[attr-defined]
            queue.remove(str(ended))
    assert sorted(started) == list(range(len(asked)))
    for lock in "abcde":
        line = [task for task in started if lock in asked[task][1]]
        assert line == sorted(line)
