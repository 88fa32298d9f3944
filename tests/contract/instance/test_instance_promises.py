"""The promises every instance driver keeps."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from qemu_lab import Ear, bare_plan, until

from lodge.drivers.instance.contract import (
    Consoles,
    Ended,
    InstanceDriver,
    InstancePlan,
    Logs,
    Reset,
    Signal,
    SpaceGuard,
    Suspend,
)
from lodge.drivers.instance.errors import HandleLostError
from lodge.model.instance import Power


@asynccontextmanager
async def driver_of(rig: Any) -> AsyncIterator[tuple[Any, Ear]]:
    driver, ear = rig.driver(), Ear()
    driver.listen(ear)
    try:
        yield driver, ear
    finally:
        await driver.close()


async def ended(ear: Ear) -> dict[str, Any]:
    await until(lambda: ear.of(Signal.ENDED), what="the end was told")
    return ear.of(Signal.ENDED)[0]


async def power(driver: InstanceDriver, handle: Any) -> Power | None:
    return (await driver.observe("one", handle)).power


def test_starting_twice_runs_it_once(rig: Any, plan: InstancePlan) -> None:
    async def scenario() -> None:
        async with driver_of(rig) as (driver, ear):
            await driver.check(plan)
            first = await driver.start(plan)
            assert await driver.start(plan) == first
            assert await power(driver, first) is Power.RUNNING
            await until(lambda: ear.of(Signal.STARTED), what="the start was told")
            assert ear.signals.count(Signal.STARTED) == 1

    asyncio.run(scenario())


def test_starting_at_the_same_moment_runs_it_once(rig: Any, plan: InstancePlan) -> None:
    async def scenario() -> None:
        async with driver_of(rig) as (driver, _ear):
            handles = await asyncio.gather(*(driver.start(plan) for _ in range(3)))
            assert handles[0] == handles[1] == handles[2]

    asyncio.run(scenario())


def test_two_instances_do_not_disturb_each_other(rig: Any, plan: InstancePlan) -> None:
    async def scenario() -> None:
        async with driver_of(rig) as (driver, ear):
            other = bare_plan(rig.folder, "two", uid=plan.uid + 1)
            one, two = await asyncio.gather(driver.start(plan), driver.start(other))
            await driver.stop("one", one)
            assert (await driver.observe("two", two)).power is Power.RUNNING
            assert {name for name, signal, _data in ear.heard if signal is Signal.ENDED} == {"one"}

    asyncio.run(scenario())


def test_a_handle_survives_being_stored_as_json(rig: Any, plan: InstancePlan) -> None:
    async def scenario() -> None:
        async with driver_of(rig) as (driver, _ear):
            handle = json.loads(json.dumps(dict(await driver.start(plan))))
            assert await power(driver, handle) is Power.RUNNING
            await driver.stop("one", handle)
            assert await power(driver, handle) is Power.STOPPED

    asyncio.run(scenario())


def test_stopping_twice_is_told_once_as_asked(rig: Any, plan: InstancePlan) -> None:
    async def scenario() -> None:
        async with driver_of(rig) as (driver, ear):
            handle = await driver.start(plan)
            await driver.stop("one", handle)
            await driver.stop("one", handle)
            assert await power(driver, handle) is Power.STOPPED
            assert (await ended(ear))["why"] is Ended.ASKED
            await asyncio.sleep(0)
            assert ear.signals.count(Signal.ENDED) == 1

    asyncio.run(scenario())


def test_after_a_stop_it_starts_again_under_a_working_handle(rig: Any, plan: InstancePlan) -> None:
    async def scenario() -> None:
        async with driver_of(rig) as (driver, _ear):
            await driver.stop("one", await driver.start(plan))
            again = await driver.start(plan)
            assert await power(driver, again) is Power.RUNNING

    asyncio.run(scenario())


def test_pausing_and_resuming_twice_changes_it_once_each(rig: Any, plan: InstancePlan) -> None:
    async def scenario() -> None:
        async with driver_of(rig) as (driver, ear):
            handle = await driver.start(plan)
            for _ in range(2):
                await driver.pause("one", handle)
                assert await power(driver, handle) is Power.PAUSED
            for _ in range(2):
                await driver.resume("one", handle)
                assert await power(driver, handle) is Power.RUNNING
            await until(lambda: ear.signals.count(Signal.STARTED) == 2, what="the resume was told")
            assert ear.signals == [Signal.STARTED, Signal.PAUSED, Signal.STARTED]

    asyncio.run(scenario())


def test_a_reset_is_told_and_leaves_it_running(rig: Any, plan: InstancePlan) -> None:
    async def scenario() -> None:
        async with driver_of(rig) as (driver, ear):
            handle = await driver.start(plan)
            assert isinstance(driver, Reset)
            await driver.reset("one", handle)
            await until(lambda: ear.of(Signal.RESET), what="the reset was told")
            assert await power(driver, handle) is Power.RUNNING

    asyncio.run(scenario())


def test_the_start_is_remembered_the_same_at_every_look(rig: Any, plan: InstancePlan) -> None:
    async def scenario() -> None:
        async with driver_of(rig) as (driver, _ear):
            handle = await driver.start(plan)
            first = await driver.observe("one", handle)
            assert first.started_at is not None
            assert first.accelerator
            assert (await driver.observe("one", handle)).started_at == first.started_at

    asyncio.run(scenario())


VERBS: dict[str, Callable[[Any, Any], Awaitable[Any]]] = {
    "pause": lambda driver, handle: driver.pause("one", handle),
    "resume": lambda driver, handle: driver.resume("one", handle),
    "shutdown": lambda driver, handle: driver.shutdown("one", handle),
    "reset": lambda driver, handle: driver.reset("one", handle),
    "screenshot": lambda driver, handle: driver.screenshot("one", handle),
    "console": lambda driver, handle: driver.console("one", handle),
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_on_what_does_not_run_says_that_the_handle_is_lost(
    rig: Any, plan: InstancePlan, verb: str
) -> None:
    async def scenario() -> None:
        async with driver_of(rig) as (driver, _ear):
            handle = await driver.start(plan)
            await driver.stop("one", handle)
            with pytest.raises(HandleLostError):
                await VERBS[verb](driver, handle)

    asyncio.run(scenario())


def test_a_handle_that_is_none_is_lost_and_stopping_it_is_no_error(
    rig: Any, plan: InstancePlan
) -> None:
    async def scenario() -> None:
        async with driver_of(rig) as (driver, ear):
            nonsense = {"color": "green"}
            with pytest.raises(HandleLostError):
                await driver.pause("one", nonsense)
            await driver.stop("one", nonsense)
            assert (await driver.observe("one", nonsense)).power is Power.STOPPED
            assert (await driver.recover("one", nonsense)).power is Power.STOPPED
            assert ear.heard == []

    asyncio.run(scenario())


def test_a_crash_is_told_once_and_it_can_start_again(rig: Any, plan: InstancePlan) -> None:
    async def scenario() -> None:
        async with driver_of(rig) as (driver, ear):
            handle = await driver.start(plan)
            rig.kill(driver, plan, handle)
            told = await ended(ear)
            assert told["why"] is Ended.CRASHED
            assert told["detail"]
            assert await power(driver, handle) is Power.STOPPED
            await driver.stop("one", handle)
            assert ear.signals.count(Signal.ENDED) == 1
            assert await power(driver, await driver.start(plan)) is Power.RUNNING

    asyncio.run(scenario())


def test_a_new_daemon_adopts_it_and_it_never_noticed(rig: Any, plan: InstancePlan) -> None:
    async def scenario() -> None:
        async with driver_of(rig) as (first, old_ear):
            handle = await first.start(plan)
            before = await first.observe("one", handle)
            await until(lambda: old_ear.of(Signal.STARTED), what="the start was told")
        async with driver_of(rig) as (second, ear):
            after = await second.recover("one", handle)
            assert (after.power, after.started_at) == (Power.RUNNING, before.started_at)
            assert await second.recover("one", handle) == after
            assert await second.start(plan) == handle
            await second.pause("one", handle)
            await until(lambda: ear.of(Signal.PAUSED), what="the pause was told")
            await second.stop("one", handle)
            assert (await ended(ear))["why"] is Ended.ASKED
        assert old_ear.signals == [Signal.STARTED]

    asyncio.run(scenario())


def test_a_daemon_killed_before_it_kept_the_handle_finds_it_by_starting(
    rig: Any, plan: InstancePlan
) -> None:
    async def scenario() -> None:
        async with driver_of(rig) as (first, _ear):
            handle = await first.start(plan)
        async with driver_of(rig) as (second, _ear):
            assert await second.start(plan) == handle

    asyncio.run(scenario())


def test_what_ended_while_no_daemon_watched_is_seen_as_stopped(
    rig: Any, plan: InstancePlan
) -> None:
    async def scenario() -> None:
        async with driver_of(rig) as (first, _ear):
            handle = await first.start(plan)
        killer = rig.driver()
        rig.kill(killer, plan, handle)
        await killer.close()
        async with driver_of(rig) as (second, ear):

            async def is_stopped() -> bool:
                return (await second.recover("one", handle)).power is Power.STOPPED

            await until(is_stopped, what="its end was seen")
            assert ear.heard == []

    asyncio.run(scenario())


def test_forgetting_removes_everything_of_it_also_when_it_runs(
    rig: Any, plan: InstancePlan
) -> None:
    async def scenario() -> None:
        async with driver_of(rig) as (driver, _ear):
            handle = await driver.start(plan)
            for _ in range(2):
                await driver.forget("one", plan.run_dir)
            assert not plan.run_dir.exists()
            assert await power(driver, handle) is Power.STOPPED
            assert await power(driver, await driver.start(plan)) is Power.RUNNING

    asyncio.run(scenario())


def test_suspending_twice_keeps_the_memory_and_it_goes_on_from_there(
    rig: Any, plan: InstancePlan
) -> None:
    async def scenario() -> None:
        async with driver_of(rig) as (driver, ear):
            assert isinstance(driver, Suspend)
            handle = await driver.start(plan)
            saved = plan.state_dir / "memory"
            steps: list[tuple[int, int | None]] = []
            for _ in range(2):
                await driver.suspend("one", handle, saved, lambda *step: steps.append(step))
                assert await power(driver, handle) is Power.STOPPED
            assert saved.exists()
            assert steps[-1][0] == steps[-1][1]
            again = await driver.start(plan, saved=saved)
            assert await power(driver, again) is Power.RUNNING
            await until(lambda: ear.signals.count(Signal.STARTED) == 2, what="the start was told")
            assert ear.signals == [Signal.STARTED, Signal.ENDED, Signal.STARTED]
            assert ear.of(Signal.ENDED)[0]["why"] is Ended.ASKED

    asyncio.run(scenario())


def test_holding_it_for_space_pauses_it_and_says_why(rig: Any, plan: InstancePlan) -> None:
    async def scenario() -> None:
        async with driver_of(rig) as (driver, ear):
            assert isinstance(driver, SpaceGuard)
            handle = await driver.start(plan)
            for _ in range(2):
                await driver.hold_for_space("one", handle)
            assert await power(driver, handle) is Power.PAUSED
            await driver.resume("one", handle)
            assert await power(driver, handle) is Power.RUNNING
            await until(lambda: ear.signals.count(Signal.STARTED) == 2, what="the resume was told")
            assert ear.signals == [Signal.STARTED, Signal.NO_SPACE, Signal.STARTED]

    asyncio.run(scenario())


def test_a_console_ends_for_one_viewer_when_it_leaves_and_for_all_when_the_instance_ends(
    rig: Any, plan: InstancePlan
) -> None:
    async def scenario() -> None:
        async with driver_of(rig) as (driver, _ear):
            assert isinstance(driver, Consoles)
            handle = await driver.start(plan)
            leaver, stayer = (
                await driver.console("one", handle),
                await driver.console("one", handle),
            )
            await leaver.close()
            async with asyncio.timeout(10):
                _seen = [data async for data in leaver.output()]
                await driver.stop("one", handle)
                _seen = [data async for data in stayer.output()]

    asyncio.run(scenario())


def test_logs_are_listed_by_name_and_exist(rig: Any, plan: InstancePlan) -> None:
    async def scenario() -> None:
        async with driver_of(rig) as (driver, _ear):
            assert isinstance(driver, Logs)
            await driver.start(plan)
            for files in driver.log_files(plan.state_dir).values():
                assert all(file.exists() for file in files)

    asyncio.run(scenario())
