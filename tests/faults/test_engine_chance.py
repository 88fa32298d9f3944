"""Random tasks, deaths, failures and cancels: all done or all undone, no lock left, none lost."""

import asyncio
import random
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from task_lab import ACTOR, DeathError, Make, Pieces, daemon

from lodge.base.errors import LodgeError
from lodge.model.task import TaskState


@dataclass(frozen=True)
class Story:
    """Tasks to ask for, and the points at which each life of the daemon ends."""

    tasks: tuple[tuple[str, Make], ...]
    deaths: tuple[int, ...]
    cancels: frozenset[int]
    full: frozenset[int]
    seed: int


NAMES = st.sampled_from("ab")
STEPS = st.integers(0, 3)


@st.composite
def makes(draw: st.DrawFn, number: int) -> tuple[str, Make]:
    count = draw(STEPS)
    place = st.none() | st.integers(0, max(count - 1, 0))
    make = Make(
        name=draw(NAMES),
        count=count,
        owner=f"task-{number}",
        breaks_at=draw(place),
        returns_until=draw(st.none() | place),
        locks=tuple(draw(st.frozensets(st.sampled_from(("x:1", "x:2"))))),
    )
    return draw(st.sampled_from(("piece.make", "piece.try"))), make


@st.composite
def stories(draw: st.DrawFn) -> Story:
    count = draw(st.integers(1, 4))
    return Story(
        tasks=tuple(draw(makes(number)) for number in range(count)),
        deaths=tuple(draw(st.lists(st.integers(1, 40), max_size=4))),
        cancels=draw(st.frozensets(st.integers(0, count - 1), max_size=2)),
        full=draw(st.frozensets(st.integers(1, 30), max_size=3)),
        seed=draw(st.integers(0, 2**16)),
    )


async def play(story: Story, folder: Path) -> None:
    pieces, chance = Pieces(), random.Random(story.seed)

    async def a_while() -> None:
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)

    pieces.on_half = lambda _key: a_while()
    acknowledged: dict[str, Make] = {}
    for number, death in enumerate((*story.deaths, 0)):
        async with daemon(folder, pieces, dies_at=lambda _p, n, at=death: n == at) as life:
            writes = life.store
            writes.is_full = lambda write: write in story.full
            try:
                await life.engine.recover()
                if number == 0:
                    for place, (kind, make) in enumerate(story.tasks):
                        try:
                            task = await life.engine.submit(kind, make, ACTOR)
                        except LodgeError:
                            continue
                        acknowledged[task.id] = make
                        await a_while()
                        if place in story.cancels:
                            await life.engine.cancel(task.id, ACTOR)
                await end_or_die(life)
            except DeathError:
                assert life.died.is_set()
                continue
            if not life.died.is_set():
                check(life, pieces, acknowledged)
                return
    raise AssertionError("the last life was immortal")


async def end_or_die(life: object) -> None:
    ended = asyncio.ensure_future(life.all_ended())  # type: ignore[attr-defined]
    died = asyncio.ensure_future(life.died.wait())  # type: ignore[attr-defined]
    clock = asyncio.ensure_future(run_clock(life))
    await asyncio.wait([ended, died], return_when=asyncio.FIRST_COMPLETED, timeout=30)
    assert ended.done() or died.done(), "tasks hang"
    for waiting in (ended, died, clock):
        waiting.cancel()


async def run_clock(life: object) -> None:
    """Let virtual time pass, for those who wait for room on the disk."""
    while True:
        await life.engine._world.pass_time(0.5)  # type: ignore[attr-defined]
        await asyncio.sleep(0.001)


def check(life: object, pieces: Pieces, acknowledged: dict[str, Make]) -> None:
    tasks = {task.id: task for task in life.engine.list()}  # type: ignore[attr-defined]
    assert set(acknowledged) <= set(tasks)
    assert life.locks() == []  # type: ignore[attr-defined]
    owned: dict[str, str] = {}
    for task in tasks.values():
        make = Make(**{**task.params, "locks": tuple(task.params["locks"])})
        mine = {key: who for key, who in pieces.made.items() if who.endswith(make.owner)}
        owned |= mine
        assert task.state.is_final
        if task.state is TaskState.DONE:
            assert mine == {f"{make.name}/{place}": make.owner for place in range(make.count)}
        elif mine:  # only a task that failed behind its point of no return leaves pieces
            assert make.returns_until is not None
            assert task.error is not None
            assert task.error["details"]["unfinished"]
        assert task.error is None or task.error["code"] not in ("internal", "locks_taken")
    assert owned == pieces.made
    assert pieces.wrongs == []


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(stories())
def test_whatever_happens_each_task_is_done_or_undone_and_none_is_lost(story: Story) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(story, Path(folder)))
