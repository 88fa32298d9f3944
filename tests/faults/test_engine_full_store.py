"""The disk of the store is full at every write of a task: nothing is half, nothing is lost."""

import asyncio
import tempfile
from pathlib import Path

import pytest
from task_lab import ACTOR, Make, Pieces, daemon
from virtual_world import VirtualWorld, eventually

from lodge.model.task import Task, TaskState
from lodge.store.errors import StoreFullError

MOST_WRITES = 40

PLANS = {
    "succeeds": Make(name="a"),
    "fails": Make(name="a", breaks_at=2),
    "cannot go back": Make(name="a", returns_until=0),
}


async def one_task(
    folder: Path, pieces: Pieces, kind: str, params: Make, full: range
) -> tuple[Task | None, int]:
    """One task while some writes find no room; null: it was refused."""
    world = VirtualWorld()
    async with daemon(folder, pieces, world=world) as life:
        life.store.is_full = lambda write: write in full
        try:
            task = await life.engine.submit(kind, params, ACTOR)
        except StoreFullError:
            assert life.engine.list() == []
            return None, life.store.writes
        async with asyncio.timeout(30):
            while not life.engine.get(task.id).state.is_final:
                await world.pass_time(1)
                await asyncio.sleep(0.0005)
        ended = await life.engine.wait(task.id)
        assert life.locks() == []
        return ended, life.store.writes


@pytest.mark.parametrize("kind", ["piece.make", "piece.try"])
@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("length", [1, 3])
def test_a_full_disk_at_any_write_ends_in_all_or_nothing(kind: str, plan: str, length: int) -> None:
    async def walk() -> None:
        states = set()
        for first in range(1, MOST_WRITES):
            with tempfile.TemporaryDirectory() as folder:
                pieces = Pieces()
                full = range(first, first + length)
                ended, writes = await one_task(Path(folder), pieces, kind, PLANS[plan], full)
            made = pieces.of("a")
            states.add(None if ended is None else ended.state)
            if ended is not None and ended.state is TaskState.DONE:
                assert set(made.values()) == {"me"}
                assert len(made) == 3
            else:
                assert made == {}
            if writes < first:
                break
        expected = {None, TaskState.FAILED, TaskState.DONE}
        assert states == (expected - {TaskState.DONE} if plan == "fails" else expected)

    asyncio.run(walk())


def test_a_full_disk_is_the_error_that_the_task_tells(tmp_path: Path) -> None:
    async def scenario() -> None:
        pieces = Pieces()
        ended, _ = await one_task(tmp_path, pieces, "piece.make", Make(name="a"), range(4, 5))
        assert ended is not None
        assert ended.state is TaskState.FAILED
        assert ended.error is not None
        assert ended.error["code"] == "store_full"
        assert ended.error["details"]["step"] == "piece-0"

    asyncio.run(scenario())


def test_a_step_that_filled_the_disk_is_undone_before_anything_must_be_written(
    tmp_path: Path,
) -> None:
    """Its undo may be what makes room: here the disk is full as long as its piece exists."""

    async def scenario() -> None:
        pieces, world = Pieces(), VirtualWorld()
        async with daemon(tmp_path, pieces, world=world) as life:
            life.store.is_full = lambda _write: "a/1" in pieces.made
            task = await life.engine.submit("piece.make", Make(name="a"), ACTOR)
            await eventually(lambda: "undo a/1" in pieces.runs)
            async with asyncio.timeout(30):
                while not life.engine.get(task.id).state.is_final:
                    await world.pass_time(1)
                    await asyncio.sleep(0.0005)
            assert pieces.made == {}
            assert life.locks() == []

    asyncio.run(scenario())


def test_a_death_while_waiting_for_room_does_not_skip_steps_that_were_undone(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        pieces = Pieces()
        async with daemon(tmp_path, pieces) as life:
            life.store.is_full = lambda _write: (
                "a/1" in pieces.made or pieces.runs[-1:] == ["undo a/1"]
            )
            task = await life.engine.submit("piece.make", Make(name="a"), ACTOR)
            await eventually(lambda: "undo a/1" in pieces.runs)
            await asyncio.sleep(0.01)
            assert pieces.made == {"a/0": "me"}
        async with daemon(tmp_path, pieces) as life:
            await life.engine.recover()
            ended = await life.engine.wait(task.id)
            assert ended.state is TaskState.DONE
            assert len(pieces.of("a")) == 3

    asyncio.run(scenario())
