"""Cancelling: a waiting task just ends, a running one is undone, a late request changes nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from task_lab import ACTOR, Daemon, Make, Pieces, daemon
from virtual_world import eventually, settle

from lodge.model.task import StepState, Task, TaskState


def gate_at(place: str, gate: asyncio.Event) -> Callable[[str], Awaitable[None] | None]:
    """Let one piece wait for the gate in the middle of its making."""

    async def wait() -> None:
        await gate.wait()

    return lambda key: wait() if key == place else None


async def begun(life: Daemon, pieces: Pieces, params: Make) -> Task:
    task = await life.engine.submit("piece.make", params, ACTOR)
    await eventually(lambda: pieces.busy == 1)
    return task


def test_a_running_step_is_interrupted_and_everything_undone(tmp_path: Path) -> None:
    async def scenario() -> None:
        pieces = Pieces()
        pieces.on_half = gate_at("a/1", asyncio.Event())
        async with daemon(tmp_path, pieces) as life:
            task = await begun(life, pieces, Make(name="a"))
            asked = await life.engine.cancel(task.id, ACTOR)
            assert asked.is_cancel_requested
            ended = await life.engine.wait(task.id)
            assert ended.state is TaskState.CANCELLED
            assert (ended.error, ended.result) == (None, None)
            assert ended.is_cancel_requested
            assert pieces.made == {}
            assert life.locks() == []
            assert life.audit.list()[-1].result == "cancelled"

    asyncio.run(scenario())


def test_cancelling_twice_is_as_once_also_during_the_undo(tmp_path: Path) -> None:
    async def scenario() -> None:
        pieces = Pieces()
        pieces.on_half = gate_at("a/2", asyncio.Event())
        async with daemon(tmp_path, pieces) as life:
            task = await begun(life, pieces, Make(name="a"))

            def again(point: str) -> None:
                if "undo-before" in point:
                    asked.append(asyncio.create_task(life.engine.cancel(task.id, ACTOR)))

            asked: list[asyncio.Task[Task]] = []
            life.engine.kill_points = again
            await asyncio.gather(*(life.engine.cancel(task.id, ACTOR) for _ in range(3)))
            ended = await life.engine.wait(task.id)
            await asyncio.gather(*asked)
            assert len(asked) == 3
            assert ended.state is TaskState.CANCELLED
            assert [run for run in pieces.runs if "undo" in run] == [
                "undo a/2",
                "undo a/1",
                "undo a/0",
            ]
            assert (await life.engine.cancel(task.id, ACTOR)).state is TaskState.CANCELLED

    asyncio.run(scenario())


def test_a_waiting_task_ends_at_once_and_those_behind_it_move_up(tmp_path: Path) -> None:
    async def scenario() -> None:
        pieces = Pieces()
        gate = asyncio.Event()
        pieces.on_half = gate_at("a/0", gate)
        async with daemon(tmp_path, pieces) as life:
            first = await begun(life, pieces, Make(name="a"))
            second = await life.engine.submit(
                "piece.make", Make(name="b", locks=("piece:a",)), ACTOR
            )
            third = await life.engine.submit(
                "piece.make", Make(name="c", locks=("piece:b",)), ACTOR
            )
            await life.engine.cancel(second.id, ACTOR)
            ended = await life.engine.wait(second.id)
            assert ended.state is TaskState.CANCELLED
            assert (await life.engine.wait(third.id)).state is TaskState.DONE
            assert life.engine.get(first.id).state is TaskState.RUNNING
            gate.set()
            assert (await life.engine.wait(first.id)).state is TaskState.DONE
            assert pieces.of("b") == {}
            assert life.locks() == []

    asyncio.run(scenario())


def test_a_cancel_while_the_task_is_being_journaled_holds(tmp_path: Path) -> None:
    async def scenario() -> None:
        pieces = Pieces()
        async with daemon(tmp_path, pieces) as life:
            caller = asyncio.create_task(life.engine.submit("piece.make", Make(name="a"), ACTOR))
            while not life.engine._live:
                await asyncio.sleep(0)
            (task_id,) = life.engine._live
            await life.engine.cancel(task_id, ACTOR)
            assert (await life.engine.wait(task_id)).state is TaskState.CANCELLED
            assert (await caller).id == task_id
            assert pieces.runs == []
            await life.engine.stop(grace_s=0)
            assert life.locks() == []

    asyncio.run(scenario())


def test_past_the_point_of_no_return_a_cancel_changes_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        pieces = Pieces()
        gate = asyncio.Event()
        pieces.on_half = gate_at("a/2", gate)
        async with daemon(tmp_path, pieces) as life:
            task = await begun(life, pieces, Make(name="a", returns_until=1))
            await life.engine.cancel(task.id, ACTOR)
            await settle()
            gate.set()
            assert (await life.engine.wait(task.id)).state is TaskState.DONE
            assert len(pieces.of("a")) == 3

    asyncio.run(scenario())


def test_a_failure_past_the_point_of_no_return_is_told_and_nothing_undone(tmp_path: Path) -> None:
    async def scenario() -> None:
        pieces = Pieces()
        async with daemon(tmp_path, pieces) as life:
            params = Make(name="a", returns_until=0, breaks_at=1)
            task = await life.engine.submit("piece.make", params, ACTOR)
            ended = await life.engine.wait(task.id)
            assert ended.state is TaskState.FAILED
            assert ended.error is not None
            assert ended.error["details"]["unfinished"] == ["piece-1", "piece-2"]
            assert ended.steps[0].state is StepState.DONE
            assert pieces.made["a/0"] == "me"
            assert life.locks() == []

    asyncio.run(scenario())


def test_a_step_that_swallows_the_cancellation_is_undone_when_it_ended(tmp_path: Path) -> None:
    async def scenario() -> None:
        pieces = Pieces()

        async def stubborn() -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                pieces.runs.append("swallowed")

        pieces.on_half = lambda key: stubborn() if key == "a/1" else None
        async with daemon(tmp_path, pieces) as life:
            task = await begun(life, pieces, Make(name="a"))
            await life.engine.cancel(task.id, ACTOR)
            ended = await life.engine.wait(task.id)
            assert ended.state is TaskState.CANCELLED
            assert "swallowed" in pieces.runs
            assert pieces.made == {}

    asyncio.run(scenario())


def test_an_error_that_a_cancellation_caused_is_a_cancellation(tmp_path: Path) -> None:
    async def scenario() -> None:
        pieces = Pieces()

        async def noisy() -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                raise OSError("the program ended with status 143") from None

        pieces.on_half = lambda key: noisy() if key == "a/1" else None
        async with daemon(tmp_path, pieces) as life:
            task = await begun(life, pieces, Make(name="a"))
            await life.engine.cancel(task.id, ACTOR)
            ended = await life.engine.wait(task.id)
            assert (ended.state, ended.error) == (TaskState.CANCELLED, None)

    asyncio.run(scenario())


def test_a_cancelled_task_with_leftovers_has_failed(tmp_path: Path) -> None:
    async def scenario() -> None:
        pieces = Pieces()
        pieces.on_half = gate_at("a/1", asyncio.Event())
        async with daemon(tmp_path, pieces) as life:
            task = await begun(life, pieces, Make(name="a", undo_breaks_at=0))
            await life.engine.cancel(task.id, ACTOR)
            ended = await life.engine.wait(task.id)
            assert ended.state is TaskState.FAILED
            assert ended.error is not None
            assert ended.error["code"] == "task_undo_failed"
            assert [left["step"] for left in ended.error["details"]["leftovers"]] == ["piece-0"]

    asyncio.run(scenario())
