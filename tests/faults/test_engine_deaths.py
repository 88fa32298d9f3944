"""The daemon dies at every point of a task; the next one finishes or undoes it."""

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from task_lab import ACTOR, Make, Pieces, daemon
from virtual_world import eventually

from lodge.model.task import Task, TaskState

MOST_POINTS = 200


def check_world(pieces: Pieces, task: Task, count: int = 3) -> None:
    """All there or nothing there, as the task tells."""
    assert pieces.wrongs == []
    made = pieces.of(task.target.removeprefix("pieces/"))
    if task.state is TaskState.DONE:
        assert set(made.values()) == {task.params["owner"]}
        assert len(made) == count
    else:
        assert task.state in (TaskState.FAILED, TaskState.CANCELLED)
        assert made == {}


async def live_until_dead(
    folder: Path, pieces: Pieces, kind: str, params: Make, dies_at: Callable[[str, int], bool]
) -> tuple[bool, list[str]]:
    """One life that submits one task; tells whether it died, and the points it came through."""
    async with daemon(folder, pieces, dies_at=dies_at) as life:
        try:
            task = await life.engine.submit(kind, params, ACTOR)
        except BaseException as error:
            if life.died.is_set():
                return True, life.points
            raise error
        await life.ended_or_dead(task)
        return life.died.is_set(), life.points


async def live_again(folder: Path, pieces: Pieces) -> list[Task]:
    """The next life: recover, wait for everything, check what always holds."""
    async with daemon(folder, pieces) as life:
        left = await life.engine.recover()
        ended = await life.all_ended()
        assert {task.id for task in left} <= {task.id for task in ended}
        assert life.locks() == []
        return ended


PLANS = {
    "succeeds": Make(name="a"),
    "fails": Make(name="a", breaks_at=1),
    "cannot go back": Make(name="a", returns_until=1),
}


@pytest.mark.parametrize("kind", ["piece.make", "piece.try"])
@pytest.mark.parametrize("plan", PLANS)
def test_a_death_at_any_point_leaves_all_or_nothing(kind: str, plan: str) -> None:
    async def walk() -> list[str]:
        seen: list[str] = []
        for number in range(1, MOST_POINTS):
            with tempfile.TemporaryDirectory() as folder:
                pieces = Pieces()
                died, points = await live_until_dead(
                    Path(folder), pieces, kind, PLANS[plan], lambda _p, count, n=number: count == n
                )
                seen = points
                ended = await live_again(Path(folder), pieces)
                assert len(ended) == 1
                check_world(pieces, ended[0])
                check_verdict(kind, plan, points[-1], ended[0])
            if not died:
                return seen
        raise AssertionError("a task has no end of kill points")

    points = asyncio.run(walk())
    assert f"{kind}/submitted" in points
    assert f"{kind}/piece-0/before" in points
    assert (f"{kind}/piece-0/undo-after" in points) == (plan == "fails")


def check_verdict(kind: str, plan: str, point: str, task: Task) -> None:
    """A task that could have gone on went on; one that must be undone tells why."""
    began = "/piece-" in point or point.endswith(("undoing", "done", "failed"))
    ended_before = point.endswith(("done", "failed", "piece-2/journaled"))
    # Once a step of no return is journaled as running, nobody knows whether it is done.
    at_return = any(part in point for part in ("piece-0/journaled", "piece-1", "piece-2"))
    goes_on = kind == "piece.make" or (plan == "cannot go back" and at_return)
    if plan == "fails":
        assert task.state is TaskState.FAILED
    elif goes_on or not began or ended_before:
        assert task.state is TaskState.DONE
    else:
        assert task.state is TaskState.FAILED
        assert task.error is not None
        assert task.error["code"] == "task_interrupted"


def test_a_death_during_every_second_life_still_comes_to_an_end(tmp_path: Path) -> None:
    """Each life dies one point later than the one before; the task ends all the same."""

    async def scenario(kind: str, folder: Path) -> Task:
        pieces = Pieces()
        await live_until_dead(folder, pieces, kind, Make(name="a"), lambda _p, n: n == 4)
        for life_number in range(1, MOST_POINTS):
            async with daemon(folder, pieces, dies_at=lambda _p, n, k=life_number: n == k) as life:
                (task,) = await life.engine.recover() or [life.engine.list()[0]]
                ended = await life.ended_or_dead(task)
                if ended is not None:
                    assert life.locks() == []
                    check_world(pieces, ended)
                    return ended
        raise AssertionError("it never ended")

    for kind in ("piece.make", "piece.try"):
        folder = tmp_path / kind
        folder.mkdir()
        ended = asyncio.run(scenario(kind, folder))
        assert ended.state.is_final


def test_a_task_that_kills_every_daemon_is_undone_in_the_end(tmp_path: Path) -> None:
    async def scenario() -> None:
        pieces = Pieces()
        deadly = lambda point, _n: point.endswith("piece-1/before")  # noqa: E731
        await live_until_dead(tmp_path, pieces, "piece.make", Make(name="a"), deadly)
        for lives in range(2, 10):
            async with daemon(tmp_path, pieces, dies_at=deadly) as life:
                (task,) = await life.engine.recover()
                ended = await life.ended_or_dead(task)
                if ended is not None:
                    assert lives == 6
                    assert ended.state is TaskState.FAILED
                    assert pieces.made == {}
                    return
        raise AssertionError("it kills for ever")

    asyncio.run(scenario())


def test_waiting_tasks_are_not_lost_and_run_in_their_order(tmp_path: Path) -> None:
    async def scenario() -> None:
        pieces = Pieces()
        lock = ("queue:one",)
        names = [f"n{i}" for i in range(5)]
        gate = asyncio.Event()

        async def wait() -> None:
            await gate.wait()

        pieces.on_half = lambda _key: wait()
        async with daemon(tmp_path, pieces, dies_at=lambda p, _n: "piece-1/after" in p) as life:
            for name in names:
                await life.engine.submit("piece.make", Make(name=name, locks=lock), ACTOR)
            gate.set()
            await life.died.wait()
        async with daemon(tmp_path, pieces) as life:
            await life.engine.recover()
            ended = await life.all_ended()
            assert {task.state for task in ended} == {TaskState.DONE}
            order = [run for run in pieces.runs if run.endswith("/2")]
            assert order == [f"do {name}/2" for name in names]

    asyncio.run(scenario())


def test_a_cancel_that_was_acknowledged_holds_over_a_death(tmp_path: Path) -> None:
    async def scenario() -> None:
        pieces = Pieces()

        async def wait() -> None:
            await asyncio.Event().wait()

        pieces.on_half = lambda key: wait() if key == "a/1" else None
        dies = lambda point, _n: point.endswith("undoing")  # noqa: E731
        async with daemon(tmp_path, pieces, dies_at=dies) as life:
            task = await life.engine.submit("piece.make", Make(name="a"), ACTOR)
            await eventually(lambda: pieces.busy == 1)
            await life.engine.cancel(task.id, ACTOR)
            await life.died.wait()
        pieces.on_half = lambda _key: None
        (ended,) = await live_again(tmp_path, pieces)
        assert ended.state is TaskState.CANCELLED
        assert pieces.made == {}

    asyncio.run(scenario())


def test_a_task_that_was_going_back_still_goes_back_after_a_death(tmp_path: Path) -> None:
    async def scenario() -> None:
        pieces = Pieces()
        breaks = [True]

        async def break_once() -> None:
            if breaks.pop():
                breaks.append(False)
                raise OSError("a passing trouble")

        pieces.on_half = lambda key: break_once() if key == "a/2" else None
        dies = lambda point, _n: point.endswith("piece-1/undo-before")  # noqa: E731
        await live_until_dead(tmp_path, pieces, "piece.make", Make(name="a"), dies)
        (ended,) = await live_again(tmp_path, pieces)
        assert ended.state is TaskState.FAILED
        assert ended.error is not None
        assert "a passing trouble" in ended.error["message"]
        check_world(pieces, ended)
        assert pieces.runs.count("do a/2") == 1

    asyncio.run(scenario())


def test_a_task_of_a_kind_that_is_gone_fails_and_gives_its_locks_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        pieces = Pieces()
        dies = lambda point, _n: point.endswith("piece-1/before")  # noqa: E731
        await live_until_dead(tmp_path, pieces, "piece.make", Make(name="a"), dies)
        async with daemon(tmp_path, pieces) as life:
            life.engine._kinds.clear()
            await life.engine.recover()
            (ended,) = await life.all_ended()
            assert ended.state is TaskState.FAILED
            assert ended.error is not None
            assert ended.error["code"] == "task_kind_unknown"
            assert life.locks() == []

    asyncio.run(scenario())


def test_a_task_whose_steps_changed_with_the_version_fails_and_says_so(tmp_path: Path) -> None:
    async def scenario() -> None:
        pieces = Pieces()
        dies = lambda point, _n: point.endswith("piece-1/before")  # noqa: E731
        await live_until_dead(tmp_path, pieces, "piece.make", Make(name="a"), dies)
        async with daemon(tmp_path, pieces) as life:
            kind = life.engine._kinds["piece.make"]
            plan = kind.plan
            kind.plan = lambda params: plan(params)[:2]  # type: ignore[method-assign]
            await life.engine.recover()
            (ended,) = await life.all_ended()
            assert ended.state is TaskState.FAILED
            assert ended.error is not None
            assert ended.error["code"] == "task_plan_changed"
            assert ended.error["details"]["planned"] == ["piece-0", "piece-1"]

    asyncio.run(scenario())


def test_a_daemon_that_is_stopped_leaves_long_tasks_to_the_next(tmp_path: Path) -> None:
    async def scenario() -> None:
        pieces = Pieces()

        async def wait() -> None:
            await asyncio.Event().wait()

        pieces.on_half = lambda key: wait() if key == "a/1" else None
        async with daemon(tmp_path, pieces) as life:
            task = await life.engine.submit("piece.make", Make(name="a"), ACTOR)
            await eventually(lambda: pieces.busy == 1 and "a/1" in pieces.made)
            waiter = asyncio.create_task(life.engine.wait(task.id))
            await life.engine.stop(grace_s=0)
            assert (await waiter).state is TaskState.RUNNING
            assert pieces.made == {"a/0": "me", "a/1": "half:me"}
        pieces.on_half = lambda _key: None
        (ended,) = await live_again(tmp_path, pieces)
        assert ended.state is TaskState.DONE
        assert ended.attempts == 2

    asyncio.run(scenario())


def test_a_daemon_that_is_stopped_lets_short_tasks_end(tmp_path: Path) -> None:
    async def scenario() -> None:
        pieces = Pieces()
        async with daemon(tmp_path, pieces) as life:
            task = await life.engine.submit("piece.make", Make(name="a"), ACTOR)
            await life.engine.stop(grace_s=60)
            assert life.engine.get(task.id).state is TaskState.DONE

    asyncio.run(scenario())
