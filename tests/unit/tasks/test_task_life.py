"""The life of a task: queued, running, done, failed, cancelled."""

import asyncio
from pathlib import Path

import pytest
from task_lab import ACTOR, Make, Pieces, PieceTakenError, daemon
from virtual_world import VirtualWorld, eventually, settle

from lodge.model.task import StepState, TaskState
from lodge.tasks.errors import TaskKindUnknownError, TaskNotFoundError, TooManyLocksError


def test_a_task_runs_all_steps_and_leaves_result_events_and_no_lock(tmp_path: Path) -> None:
    async def scenario() -> None:
        pieces = Pieces()
        async with daemon(tmp_path, pieces) as life:
            task = await life.engine.submit("piece.make", Make(name="a"), ACTOR)
            assert task.state is TaskState.QUEUED
            ended = await life.engine.wait(task.id)
            assert ended.state is TaskState.DONE
            assert [step.state for step in ended.steps] == [StepState.DONE] * 3
            assert ended.result == {"last": "a/2"}
            assert ended.notes == {f"made-{i}": f"a/{i}" for i in range(3)}
            assert pieces.of("a") == {f"a/{i}": "me" for i in range(3)}
            assert life.locks() == []
            assert [event.kind for event in life.events.list()] == [
                "task.queued",
                "task.started",
                "task.done",
            ]
            assert {event.trace for event in life.events.list()} == {"t1"}
            (audited,) = life.audit.list()
            assert (audited.action, audited.result, audited.task) == ("piece.make", "done", task.id)
            assert audited.actor == ACTOR

    asyncio.run(scenario())


def test_a_plainly_wrong_request_never_becomes_a_task(tmp_path: Path) -> None:
    async def scenario() -> None:
        pieces = Pieces({"a/0": "somebody"})
        async with daemon(tmp_path, pieces) as life:
            for call in (life.engine.submit, life.engine.dry_run):
                with pytest.raises(PieceTakenError):
                    await call("piece.make", Make(name="a"), ACTOR)
            await life.engine.dry_run("piece.make", Make(name="b"), ACTOR)
            assert life.engine.list() == []
            assert pieces.made == {"a/0": "somebody"}

    asyncio.run(scenario())


def test_of_two_creates_of_one_name_the_second_fails_in_its_check(tmp_path: Path) -> None:
    async def scenario() -> None:
        pieces = Pieces()
        async with daemon(tmp_path, pieces) as life:
            first, second = await asyncio.gather(
                life.engine.submit("piece.make", Make(name="a", owner="one"), ACTOR),
                life.engine.submit("piece.make", Make(name="a", owner="two"), ACTOR),
            )
            assert (await life.engine.wait(first.id)).state is TaskState.DONE
            refused = await life.engine.wait(second.id)
            assert refused.state is TaskState.FAILED
            assert refused.error is not None
            assert refused.error["message"] == "'a' is taken"
            assert [step.state for step in refused.steps] == [StepState.WAITING] * 3
            assert set(pieces.of("a").values()) == {"one"}
            assert life.locks() == []

    asyncio.run(scenario())


def test_a_failed_step_is_undone_with_all_before_it_newest_first(tmp_path: Path) -> None:
    async def scenario() -> None:
        pieces = Pieces()
        async with daemon(tmp_path, pieces) as life:
            task = await life.engine.submit("piece.make", Make(name="a", breaks_at=1), ACTOR)
            ended = await life.engine.wait(task.id)
            assert ended.state is TaskState.FAILED
            assert ended.error is not None
            assert ended.error["message"] == "a/1 broke"
            assert ended.error["details"] == {"step": "piece-1"}
            assert ended.result is None
            states = [step.state for step in ended.steps]
            assert states == [StepState.UNDONE, StepState.UNDONE, StepState.WAITING]
            assert pieces.runs == ["do a/0", "do a/1", "undo a/1", "undo a/0"]
            assert pieces.made == {}
            assert life.locks() == []
            assert life.audit.list()[-1].result == "lodge_error"
            assert [event.kind for event in life.events.list()][-2:] == [
                "task.undoing",
                "task.failed",
            ]

    asyncio.run(scenario())


def test_an_undo_that_fails_is_told_and_the_older_steps_are_undone_all_the_same(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        pieces = Pieces()
        async with daemon(tmp_path, pieces) as life:
            params = Make(name="a", breaks_at=2, undo_breaks_at=1)
            task = await life.engine.submit("piece.make", params, ACTOR)
            ended = await life.engine.wait(task.id)
            assert ended.state is TaskState.FAILED
            assert ended.error is not None
            (leftover,) = ended.error["details"]["leftovers"]
            assert leftover["step"] == "piece-1"
            assert leftover["error"]["message"] == "a/1 cannot be removed"
            assert ended.error["message"] == "a/2 broke"
            assert pieces.made == {"a/1": "me"}
            states = [step.state for step in ended.steps]
            assert states == [StepState.UNDONE, StepState.FAILED, StepState.UNDONE]
            assert "task.undo_failed" in [event.kind for event in life.events.list()]
            assert life.locks() == []

    asyncio.run(scenario())


def test_a_bug_in_a_step_is_an_internal_error_of_the_task_and_undone(tmp_path: Path) -> None:
    async def scenario() -> None:
        pieces = Pieces()

        def bug(_place: str) -> None:
            raise ZeroDivisionError("oops")

        pieces.on_half = bug
        async with daemon(tmp_path, pieces) as life:
            task = await life.engine.submit("piece.make", Make(name="a"), ACTOR)
            ended = await life.engine.wait(task.id)
            assert ended.state is TaskState.FAILED
            assert ended.error is not None
            assert ended.error["code"] == "internal"
            assert "ZeroDivisionError: oops" in ended.error["message"]
            assert pieces.made == {}

    asyncio.run(scenario())


def test_a_step_that_is_cancelled_from_inside_itself_fails_the_task(tmp_path: Path) -> None:
    async def scenario() -> None:
        pieces = Pieces()

        def cancelled(_place: str) -> None:
            raise asyncio.CancelledError

        pieces.on_half = cancelled
        async with daemon(tmp_path, pieces) as life:
            task = await life.engine.submit("piece.make", Make(name="a"), ACTOR)
            ended = await life.engine.wait(task.id)
            assert ended.state is TaskState.FAILED
            assert pieces.made == {}

    asyncio.run(scenario())


def test_progress_is_seen_while_the_step_runs_and_kept_after_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        pieces = Pieces()
        gate = asyncio.Event()

        async def wait() -> None:
            await gate.wait()

        pieces.on_half = lambda _place: wait()
        async with daemon(tmp_path, pieces) as life:
            task = await life.engine.submit("piece.make", Make(name="a", count=1), ACTOR)
            await eventually(lambda: life.engine.get(task.id).steps[0].progress is not None)
            for seen in (life.engine.get(task.id), life.engine.list()[0]):
                progress = seen.steps[0].progress
                assert progress is not None
                assert (progress.done, progress.total, progress.unit) == (1, 2, "halves")
            gate.set()
            ended = await life.engine.wait(task.id)
            assert ended.steps[0].progress is not None
            assert ended.steps[0].progress.done == 2

    asyncio.run(scenario())


def test_waiting_ends_with_the_time_and_tells_the_task_as_it_is(tmp_path: Path) -> None:
    async def scenario() -> None:
        pieces, world = Pieces(), VirtualWorld()
        gate = asyncio.Event()

        async def wait() -> None:
            await gate.wait()

        pieces.on_half = lambda _place: wait()
        async with daemon(tmp_path, pieces, world=world) as life:
            task = await life.engine.submit("piece.make", Make(name="a"), ACTOR)
            await eventually(lambda: pieces.busy == 1)
            waiter = asyncio.create_task(life.engine.wait(task.id, timeout_s=5))
            await settle()
            await world.pass_time(6)
            assert (await waiter).state is TaskState.RUNNING
            gate.set()
            assert (await life.engine.wait(task.id, timeout_s=5)).state is TaskState.DONE
            assert (await life.engine.wait(task.id)).state is TaskState.DONE

    asyncio.run(scenario())


def test_no_more_of_a_kind_run_at_once_than_it_allows(tmp_path: Path) -> None:
    async def scenario() -> None:
        pieces = Pieces()
        gate = asyncio.Event()

        async def wait() -> None:
            await gate.wait()

        pieces.on_half = lambda _place: wait()
        async with daemon(tmp_path, pieces) as life:
            for number in range(12):
                await life.engine.submit("piece.make", Make(name=f"n{number}"), ACTOR)
            await eventually(lambda: pieces.busy == 4)
            gate.set()
            ended = await life.all_ended()
            assert {task.state for task in ended} == {TaskState.DONE}
            assert pieces.most_busy == 4

    asyncio.run(scenario())


def test_unknown_kinds_and_tasks_are_refused_by_name(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with daemon(tmp_path, Pieces()) as life:
            with pytest.raises(TaskKindUnknownError, match=r"piece\.bake"):
                await life.engine.submit("piece.bake", Make(name="a"), ACTOR)
            for call in (life.engine.wait("nope"), life.engine.cancel("nope", ACTOR)):
                with pytest.raises(TaskNotFoundError, match="nope"):
                    await call
            with pytest.raises(TaskNotFoundError):
                life.engine.get("nope")

    asyncio.run(scenario())


def test_more_locks_than_fit_are_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with daemon(tmp_path, Pieces()) as life:
            many = tuple(f"x:{i}" for i in range(200))
            with pytest.raises(TooManyLocksError):
                await life.engine.submit("piece.make", Make(name="a", locks=many), ACTOR)
            most = tuple(f"x:{i}" for i in range(99))
            task = await life.engine.submit("piece.make", Make(name="a", locks=most), ACTOR)
            assert (await life.engine.wait(task.id)).state is TaskState.DONE

    asyncio.run(scenario())


def test_tasks_are_listed_newest_first(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with daemon(tmp_path, Pieces()) as life:
            tasks = [
                await life.engine.submit("piece.make", Make(name=f"n{i}"), ACTOR) for i in range(9)
            ]
            listed = [task.id for task in life.engine.list()]
            assert listed == [task.id for task in reversed(tasks)]
            await life.all_ended()

    asyncio.run(scenario())


def test_a_submitter_that_goes_away_leaves_a_task_that_runs(tmp_path: Path) -> None:
    async def scenario() -> None:
        pieces = Pieces()
        async with daemon(tmp_path, pieces) as life:
            caller = asyncio.create_task(life.engine.submit("piece.make", Make(name="a"), ACTOR))
            while life.store.writes == 0:
                await asyncio.sleep(0)
            assert caller.cancel()
            await asyncio.wait([caller])
            await eventually(lambda: len(life.engine.list()) == 1)
            (ended,) = await life.all_ended()
            assert ended.state is TaskState.DONE
            assert len(pieces.of("a")) == 3

    asyncio.run(scenario())
