"""Requests that meet other requests: locks, checks and cancels in the whole service."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from instance_lab import ROOT, House, Life
from instance_truth import wrongs
from private_mounts import mounted_tmpfs

from lodge.base.errors import UnavailableError
from lodge.drivers.instance.fake.faults import Faults
from lodge.model.image import ImageBuild
from lodge.model.requests import ExecRequest, InstanceChange, InstanceCreate, ShutdownRequest
from lodge.model.task import Task, TaskState
from lodge.model.verbs import WrongInstanceStateError
from lodge.services.instances.errors import InstanceExistsError, ShutdownTimeoutError

pytestmark = pytest.mark.root

MIB = 1 << 20


class BrokenError(UnavailableError):
    """A driver was told to fail."""


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("races")
    folder.chmod(0o711)
    with mounted_tmpfs(folder / "fs", size_bytes=1024 * MIB) as root:
        house = House(root / "house")

        async def make() -> None:
            async with house.life() as life:
                build = ImageBuild(recipe="tiny")
                await life.done(await life.parts.resources.images.build(build, ROOT))
                await life.launch("web")
                await life.launch("idle", starts=False)
                await life.quiet()

        asyncio.run(make())
        house.keep("furnished")
        yield house


@pytest.fixture
def play(furnished: House) -> Callable[[Callable[[Life], Awaitable[None]]], None]:
    """Play a scene in a fresh copy, and see that everything agrees at its end."""
    furnished.bring_back("furnished")

    def play(scene: Callable[[Life], Awaitable[None]]) -> None:
        async def run() -> None:
            async with furnished.life() as life:
                life.driver.faults = Faults()
                await scene(life)
                await life.quiet()
                assert await wrongs(life) == []

        asyncio.run(run())

    return play


Play = Callable[[Callable[[Life], Awaitable[None]]], None]


async def hanging(life: Life, method: str, asked: Awaitable[Task]) -> tuple[Task, asyncio.Event]:
    """Ask for something whose driver call does not come back until the gate opens."""
    gate = asyncio.Event()
    faults: Any = life.driver.faults
    faults.hanging[method] = gate
    task = await asked
    await life._until(lambda: life.parts.engine.get(task.id).state is TaskState.RUNNING)
    await life.let_pass(1)
    return task, gate


def test_a_delete_during_a_start_waits_and_is_refused(play: Play) -> None:
    async def scene(life: Life) -> None:
        start, gate = await hanging(life, "start", life.instances.start("idle", ROOT))
        delete = await life.instances.delete("idle", ROOT)
        gate.set()
        await life.done(start)
        refused = await life.ended(delete)
        assert refused.state is TaskState.FAILED
        assert refused.error is not None
        assert refused.error["code"] == "wrong_instance_state"
        assert "it is running" in refused.error["message"]

    play(scene)


def test_a_forced_delete_during_a_start_waits_and_deletes(play: Play) -> None:
    async def scene(life: Life) -> None:
        start, gate = await hanging(life, "start", life.instances.start("idle", ROOT))
        delete = await life.instances.delete("idle", ROOT, is_forced=True)
        gate.set()
        await life.done(start)
        await life.done(delete)
        assert [view.name for view in life.instances.list()] == ["web"]

    play(scene)


def test_a_start_during_a_suspend_is_refused_at_once(play: Play) -> None:
    async def scene(life: Life) -> None:
        suspend, gate = await hanging(life, "suspend", life.instances.suspend("web", ROOT))
        with pytest.raises(WrongInstanceStateError, match="it is running"):
            await life.instances.start("web", ROOT)
        gate.set()
        await life.done(suspend)
        await life.done(await life.instances.start("web", ROOT))

    play(scene)


def test_the_second_of_two_creates_fails_by_the_name(play: Play) -> None:
    async def scene(life: Life) -> None:
        request = InstanceCreate(name="new", image="tiny", memory_mib=64)
        asked = [life.instances.create(request, ROOT) for _ in range(2)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        states = [
            (await life.ended(answer)).state if isinstance(answer, Task) else type(answer)
            for answer in answers
        ]
        assert states.count(TaskState.DONE) == 1
        assert states[1] in (TaskState.FAILED, InstanceExistsError)

    play(scene)


def test_a_cancelled_start_leaves_nothing_running(play: Play) -> None:
    async def scene(life: Life) -> None:
        start, _ = await hanging(life, "start", life.instances.start("idle", ROOT))
        await life.parts.engine.cancel(start.id, ROOT)
        assert (await life.ended(start)).state is TaskState.CANCELLED
        assert life.view("idle").state.value == "stopped"

    play(scene)


def test_a_deaf_guest_that_does_not_shut_down_goes_on(play: Play) -> None:
    async def scene(life: Life) -> None:
        faults: Any = life.driver.faults
        faults.deaf.add("shutdown")
        task = await life.instances.shutdown("web", ShutdownRequest(timeout_s=5), ROOT)
        ended = await life.ended(task)
        assert ended.error is not None
        assert ended.error["code"] == ShutdownTimeoutError.code
        assert "5 s" in ended.error["message"]
        assert life.view("web").state.value == "running"
        forced = ShutdownRequest(timeout_s=5, is_forced=True)
        done = await life.done(await life.instances.shutdown("web", forced, ROOT))
        assert done.result is not None
        assert done.result["how"] == "forced"

    play(scene)


def test_an_instance_whose_driver_does_not_answer_is_unknown(play: Play) -> None:
    async def scene(life: Life) -> None:
        faults: Any = life.driver.faults
        faults.deaf.add("observe")
        await life._until(lambda: life.view("web").state.value == "unknown")
        assert "hang" in life.view("web").status.reason
        with pytest.raises(WrongInstanceStateError, match="it is unknown"):
            await life.instances.pause("web", ROOT)
        faults.deaf.clear()
        await life._until(lambda: life.view("web").state.value == "running")

    play(scene)


def test_memory_of_a_suspend_that_failed_is_thrown_away(play: Play) -> None:
    async def scene(life: Life) -> None:
        faults: Any = life.driver.faults
        faults.errors["suspend"] = [BrokenError("no")]
        folder = life.house.state / "instances" / life.record("web").id
        task = await life.instances.suspend("web", ROOT)
        (folder / "memory.part").write_text("half")
        assert (await life.ended(task)).state is TaskState.FAILED
        assert life.view("web").state.value == "running"
        assert not list(folder.glob("memory.*"))

    play(scene)


def test_views_are_the_same_object_until_something_changed(play: Play) -> None:
    async def scene(life: Life) -> None:
        before = life.view("idle")
        assert life.view("idle") is before
        change = InstanceChange(description="new")
        await life.done(await life.instances.change("idle", change, ROOT))
        after = life.view("idle")
        assert after is not before
        assert after.revision > before.revision
        assert life.view("idle") is after

    play(scene)


def test_an_exec_does_not_ask_the_driver_how_the_guest_is(play: Play) -> None:
    async def scene(life: Life) -> None:
        asked = []

        class Listening(Faults):
            async def meet(self, method: str) -> bool:
                asked.append(method)
                return await super().meet(method)

        life.driver.faults = Listening()
        from_now = len(asked)
        await life.instances.execute("web", ExecRequest(command=("true",)), ROOT)
        assert "observe" not in asked[from_now:]

    play(scene)
