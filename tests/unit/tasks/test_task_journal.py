"""What the journal keeps: notes, results, parameters, history; and writes that share its commit."""

import asyncio
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from task_lab import ACTOR, Make, Pieces, daemon
from virtual_world import VirtualWorld

from lodge.model.record import Spec
from lodge.model.task import TaskState
from lodge.store.contract import Compare, Put
from lodge.tasks.contract import OnCrash, StepContext, StepDefinition
from lodge.tasks.engine import History


class Script(Spec, frozen=True, kw_only=True):
    blob: bytes = b"\x00\xff"
    tags: frozenset[str] = frozenset({"x"})
    sizes: dict[int, float] = {}


class Scripted:
    """A kind whose steps are functions of the test."""

    kind: ClassVar[str] = "script.run"
    params_type: ClassVar[type[Script]] = Script
    on_crash: ClassVar[OnCrash] = OnCrash.RESUME
    parallel: ClassVar[int] = 1

    def __init__(self, *steps: Any, undo: Any = None) -> None:
        self._steps = steps
        self._undo = undo

    def target(self, _params: Script, /) -> str:
        return "scripts/one"

    def locks(self, _params: Script, /) -> AbstractSet[str]:
        return {"script:one"}

    async def check(self, _params: Script, /) -> None:
        pass

    def plan(self, params: Script, /) -> Sequence[StepDefinition]:
        undo = None if self._undo is None else partial(self._undo, params)
        return [
            StepDefinition(f"step-{place}", partial(step, params), undo)
            for place, step in enumerate(self._steps)
        ]


def test_parameters_come_back_as_they_were_after_a_death(tmp_path: Path) -> None:
    async def scenario() -> None:
        seen: list[Script] = []
        asked = Script(blob=b"\x01\x02", tags=frozenset({"a", "b"}), sizes={7: 1.5})

        async def look(params: Script, _context: StepContext) -> None:
            seen.append(params)

        async with daemon(tmp_path, Pieces(), dies_at=lambda p, _n: "after" in p) as life:
            life.engine.register(Scripted(look))
            await life.engine.submit("script.run", asked, ACTOR)
            await life.died.wait()
        async with daemon(tmp_path, Pieces()) as life:
            life.engine.register(Scripted(look))
            await life.engine.recover()
            (ended,) = await life.all_ended()
            assert ended.state is TaskState.DONE
            assert seen == [asked, asked]

    asyncio.run(scenario())


def test_notes_that_were_remembered_outlive_a_death_in_the_step(tmp_path: Path) -> None:
    async def scenario() -> None:
        found: list[dict[str, Any]] = []

        async def first(_params: Script, context: StepContext) -> None:
            context.notes["from-first"] = (1, 2)

        async def second(_params: Script, context: StepContext) -> None:
            found.append(dict(context.notes))
            await context.remember(pid=77)
            context.notes["forgotten"] = True

        async with daemon(tmp_path, Pieces(), dies_at=lambda p, _n: "step-1/after" in p) as life:
            life.engine.register(Scripted(first, second))
            await life.engine.submit("script.run", Script(), ACTOR)
            await life.died.wait()
        async with daemon(tmp_path, Pieces()) as life:
            life.engine.register(Scripted(first, second))
            await life.engine.recover()
            await life.all_ended()
        assert found == [{"from-first": [1, 2]}, {"from-first": [1, 2], "pid": 77}]

    asyncio.run(scenario())


def test_the_undo_of_a_failed_step_sees_notes_that_were_not_yet_journaled(tmp_path: Path) -> None:
    async def scenario() -> None:
        found: list[dict[str, Any]] = []

        async def fail(_params: Script, context: StepContext) -> None:
            context.notes["port"] = 80
            raise OSError

        async def undo(_params: Script, context: StepContext) -> None:
            found.append(dict(context.notes))

        async with daemon(tmp_path, Pieces()) as life:
            life.engine.register(Scripted(fail, undo=undo))
            task = await life.engine.submit("script.run", Script(), ACTOR)
            assert (await life.engine.wait(task.id)).state is TaskState.FAILED
        assert found == [{"port": 80}]

    asyncio.run(scenario())


def test_what_cannot_be_journaled_fails_the_step(tmp_path: Path) -> None:
    async def scenario() -> None:
        async def bad(_params: Script, context: StepContext) -> None:
            context.notes["object"] = object()

        async def large(_params: Script, context: StepContext) -> None:
            context.notes["blob"] = "x" * 1_100_000

        for step, code in ((bad, "internal"), (large, "transaction_too_large")):
            folder = tmp_path / code
            folder.mkdir()
            async with daemon(folder, Pieces()) as life:
                life.engine.register(Scripted(step))
                task = await life.engine.submit("script.run", Script(), ACTOR)
                ended = await life.engine.wait(task.id)
                assert ended.error is not None
                assert ended.error["code"] == code
                assert life.locks() == []

    asyncio.run(scenario())


def test_writes_of_a_step_share_the_commit_that_journals_its_end(tmp_path: Path) -> None:
    async def scenario() -> None:
        async def record(_params: Script, context: StepContext) -> None:
            context.write(Put("things/a", b"made"), guards=[Compare("things/a", 0)])

        async def nothing(_params: Script, _context: StepContext) -> None:
            pass

        async with daemon(tmp_path, Pieces()) as life:
            life.engine.register(Scripted(record, nothing))
            task = await life.engine.submit("script.run", Script(), ACTOR)
            assert (await life.engine.wait(task.id)).state is TaskState.DONE
            made = life.store.get("things/a")
            assert made is not None
            changed = life.store.changes("", made.revision - 1)
            together = {c.key for c in changed if c.revision == made.revision}
            assert together == {"things/a", f"tasks/{task.id}"}
            again = await life.engine.submit("script.run", Script(), ACTOR)
            refused = await life.engine.wait(again.id)
            assert refused.error is not None
            assert refused.error["code"] == "changed_meanwhile"
            assert life.store.get("things/a") == made

    asyncio.run(scenario())


def test_a_task_without_steps_is_done_when_its_check_passed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with daemon(tmp_path, Pieces()) as life:
            life.engine.register(Scripted())
            task = await life.engine.submit("script.run", Script(), ACTOR)
            assert (await life.engine.wait(task.id)).state is TaskState.DONE
            assert life.locks() == []

    asyncio.run(scenario())


def test_history_keeps_the_newest_and_forgets_the_old(tmp_path: Path) -> None:
    async def scenario() -> None:
        world = VirtualWorld()
        kept = History(keep=5, keep_s=1000)
        async with daemon(tmp_path, Pieces(), world=world, history=kept) as life:
            tasks = []
            for number in range(8):
                make = Make(name=f"n{number}", count=1)
                tasks.append(await life.engine.submit("piece.make", make, ACTOR))
                await life.engine.wait(tasks[-1].id)
            await life.engine.prune()
            assert [task.id for task in life.engine.list()] == [t.id for t in tasks[:2:-1]]
            await world.pass_time(2000)
            await life.engine.prune()
            assert life.engine.list() == []

    asyncio.run(scenario())
