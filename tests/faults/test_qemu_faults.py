"""QEMU killed, halted, lying, missing, broken at birth; and a daemon that goes and comes back."""

import asyncio
import json
import os
import re
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from private_mounts import mounted_tmpfs
from qemu_lab import (
    GUEST_UID,
    Ear,
    bare_plan,
    guest_folder,
    process_exists,
    read_until,
    tiny_guest,
    until,
)

from lodge.base.units import MIB
from lodge.base.world import RealWorld
from lodge.drivers.instance.contract import AttachedDisk, Ended, Signal
from lodge.drivers.instance.errors import (
    DriverTimeoutError,
    HandleLostError,
    InstanceStartError,
    SuspendError,
)
from lodge.drivers.instance.qemu.adopt import processes_of
from lodge.drivers.instance.qemu.driver import Qemu
from lodge.model.instance import Power
from lodge.system import process
from lodge.system.errors import DiskFullError, ProgramMissingError

pytestmark = pytest.mark.slow


@pytest.fixture
def folder() -> Iterator[Path]:
    with guest_folder() as made:
        yield made
        assert processes_of(GUEST_UID) == []


@asynccontextmanager
async def qemu(folder: Path) -> AsyncIterator[tuple[Qemu, Ear]]:
    driver, ear = Qemu(RealWorld()), Ear()
    driver.listen(ear)
    try:
        yield driver, ear
    finally:
        await driver.close()
        sweeper = Qemu(RealWorld())
        await sweeper.forget("one", folder / "run" / "one")
        await sweeper.close()


def test_a_killed_qemu_is_told_as_a_crash_naming_the_signal(folder: Path) -> None:
    async def scenario() -> None:
        async with qemu(folder) as (driver, ear):
            handle = await driver.start(bare_plan(folder))
            os.kill(handle["pid"], signal.SIGKILL)
            await until(lambda: ear.of(Signal.ENDED))
            assert ear.of(Signal.ENDED) == [
                {"why": Ended.CRASHED, "detail": "QEMU was ended by SIGKILL"}
            ]
            assert not (folder / "run" / "one").exists()
            with pytest.raises(HandleLostError):
                await driver.resume("one", handle)

    asyncio.run(scenario())


def test_a_qemu_that_dies_of_a_bug_is_told_with_its_last_words(folder: Path) -> None:
    async def scenario() -> None:
        async with qemu(folder) as (driver, ear):
            plan = bare_plan(folder)
            handle = await driver.start(plan)
            with (plan.state_dir / "qemu.log").open("a") as log:
                log.write("qemu: assertion failed\n")
            os.kill(handle["pid"], signal.SIGABRT)
            told = (await until(lambda: ear.of(Signal.ENDED)))[0]
            assert told["why"] is Ended.CRASHED
            assert "SIGABRT" in told["detail"]
            assert "qemu: assertion failed" in told["detail"]

    asyncio.run(scenario())


def test_a_qemu_ended_politely_by_somebody_else_is_no_wish_of_ours(folder: Path) -> None:
    async def scenario() -> None:
        async with qemu(folder) as (driver, ear):
            handle = await driver.start(bare_plan(folder))
            os.kill(handle["pid"], signal.SIGTERM)
            told = (await until(lambda: ear.of(Signal.ENDED)))[0]
            assert told["why"] is Ended.CRASHED
            assert "from outside" in told["detail"]

    asyncio.run(scenario())


def test_a_halted_qemu_is_seen_as_unknown_refuses_verbs_and_goes_on_later(folder: Path) -> None:
    async def scenario() -> None:
        async with qemu(folder) as (driver, ear):
            handle = await driver.start(bare_plan(folder))
            os.kill(handle["pid"], signal.SIGSTOP)
            seen = await driver.observe("one", handle)
            assert seen.power is None
            assert "SIGSTOP" in seen.reason
            with pytest.raises(DriverTimeoutError):
                await driver.pause("one", handle)
            os.kill(handle["pid"], signal.SIGCONT)

            async def runs() -> bool:
                return (await driver.observe("one", handle)).power is Power.RUNNING

            await until(runs, what="it answers again")
            assert ear.of(Signal.PAUSED) == []

    asyncio.run(scenario())


def test_a_halted_qemu_can_still_be_stopped(folder: Path) -> None:
    async def scenario() -> None:
        async with qemu(folder) as (driver, ear):
            handle = await driver.start(bare_plan(folder))
            os.kill(handle["pid"], signal.SIGSTOP)
            await driver.stop("one", handle)
            assert not process_exists(handle["pid"])
            await until(lambda: ear.of(Signal.ENDED))
            assert ear.of(Signal.ENDED)[0]["why"] is Ended.ASKED

    asyncio.run(scenario())


def test_a_halted_qemu_is_adopted_and_answers_when_it_goes_on(folder: Path) -> None:
    async def scenario() -> None:
        async with qemu(folder) as (first, _ear):
            handle = await first.start(bare_plan(folder))
            os.kill(handle["pid"], signal.SIGSTOP)
            await first.close()
            second = Qemu(RealWorld())
            seen = await second.recover("one", handle)
            assert seen.power is None
            os.kill(handle["pid"], signal.SIGCONT)

            async def runs() -> bool:
                return (await second.observe("one", handle)).power is Power.RUNNING

            await until(runs, what="it answers again")
            await second.stop("one", handle)
            await second.close()

    asyncio.run(scenario())


def test_a_qemu_that_ends_at_once_is_told_with_its_own_words(folder: Path) -> None:
    async def scenario() -> None:
        async with qemu(folder) as (driver, ear):
            missing = folder / "missing.qcow2"
            disk = AttachedDisk(name="root", path=missing, format="qcow2")
            plan = replace(bare_plan(folder), disks=[disk])
            with pytest.raises(InstanceStartError, match=re.escape(str(missing))) as refused:
                await driver.start(plan)
            assert "No such file" in refused.value.details["output"]
            assert not plan.run_dir.exists()
            assert processes_of(GUEST_UID) == []
            await asyncio.sleep(0)
            assert ear.heard == []

    asyncio.run(scenario())


def test_only_the_words_of_this_start_are_told(folder: Path) -> None:
    async def scenario() -> None:
        async with qemu(folder) as (driver, _ear):
            plan = bare_plan(folder)
            (plan.state_dir / "qemu.log").write_text("an old complaint\n")
            broken = replace(plan, machine_version="pc-q35-0.1")
            with pytest.raises(InstanceStartError) as refused:
                await driver.start(broken)
            assert "an old complaint" not in refused.value.message
            assert "an old complaint" in (plan.state_dir / "qemu.log").read_text()

    asyncio.run(scenario())


def test_a_host_without_qemu_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(process._ENVIRONMENT, "PATH", str(folder))

    async def scenario() -> None:
        async with qemu(folder) as (driver, _ear):
            with pytest.raises(ProgramMissingError, match="qemu-system-x86_64"):
                await driver.check(bare_plan(folder))
            with pytest.raises(ProgramMissingError, match="qemu-system-x86_64"):
                await driver.start(bare_plan(folder))

    asyncio.run(scenario())


def test_a_handle_whose_pid_belongs_to_somebody_else_touches_nobody(folder: Path) -> None:
    async def scenario() -> None:
        async with qemu(folder) as (driver, _ear):
            stranger = await asyncio.create_subprocess_exec("sleep", "60")
            handle = await driver.start(bare_plan(folder))
            await driver.stop("one", handle)
            identity = process.identify(stranger.pid)
            assert identity is not None
            for ticks in (handle["start_ticks"], identity.start_ticks):
                forged = {**handle, "pid": stranger.pid, "start_ticks": ticks}
                assert (await driver.observe("one", forged)).power is Power.STOPPED
                with pytest.raises(HandleLostError):
                    await driver.pause("one", forged)
                await driver.stop("one", forged)
                assert (await driver.recover("one", forged)).power is Power.STOPPED
            assert stranger.returncode is None
            stranger.kill()
            await stranger.wait()

    asyncio.run(scenario())


def test_a_start_that_was_cut_off_before_the_guest_ran_is_begun_anew(folder: Path) -> None:
    async def scenario() -> None:
        plan = bare_plan(folder)
        async with qemu(folder) as (first, _ear):
            begun = asyncio.create_task(first.start(plan))
            note = folder / "run" / "one.handle"
            await until(note.exists, what="the process exists")
            pid = json.loads(note.read_text())["pid"]
            # What a daemon leaves that is killed here: a process, its note, nobody connected.
            os.kill(pid, signal.SIGSTOP)
            kept = note.read_bytes()
            begun.cancel()
            with pytest.raises(asyncio.CancelledError):
                await begun
            assert not process_exists(pid)
            assert not note.exists()
            note.write_bytes(kept)
            handle = await first.start(plan)
            assert handle["pid"] != pid
            assert (await first.observe("one", handle)).power is Power.RUNNING

    asyncio.run(scenario())


def test_a_process_that_nobody_noted_is_found_by_its_user_and_ended(folder: Path) -> None:
    async def scenario() -> None:
        plan = bare_plan(folder)
        async with qemu(folder) as (first, _ear):
            stray = await first.start(plan)
            await first.close()
            (folder / "run" / "one.handle").unlink()
            second = Qemu(RealWorld())
            handle = await second.start(plan)
            assert handle["pid"] != stray["pid"]
            assert [each.pid for each in processes_of(plan.uid)] == [handle["pid"]]
            await second.close()
            (folder / "run" / "one.handle").write_text("{damaged")
            third = Qemu(RealWorld())
            await third.forget("one", plan.run_dir)
            assert processes_of(plan.uid) == []
            await third.close()

    asyncio.run(scenario())


def test_a_guest_goes_on_while_its_daemon_is_gone_and_its_log_misses_nothing(folder: Path) -> None:
    async def scenario() -> None:
        plan = tiny_guest().plan(folder, words="ttick=0.1")
        async with qemu(folder) as (first, _ear):
            handle = await first.start(plan)
            console = await first.console("one", handle)
            await read_until(console.output(), b"TICK 3 ")
            before = await first.observe("one", handle)
            await first.close()
            log = plan.state_dir / "serial.log"
            await until(lambda: b"TICK 12 " in log.read_bytes(), what="it ticks without a daemon")
            second, ear = Qemu(RealWorld()), Ear()
            second.listen(ear)
            after = await second.recover("one", handle)
            assert (after.power, after.started_at) == (Power.RUNNING, before.started_at)
            console = await second.console("one", handle)
            seen = await read_until(console.output(), b"TICK 20 ")
            ticks = [int(number) for number in re.findall(rb"TICK (\d+) ", seen)]
            assert ticks == list(range(1, 21))
            assert (await second.execute("one", handle, ["true"], **QUICK)).exit_status == 0
            await second.stop("one", handle)
            await second.close()

    asyncio.run(scenario())


QUICK: dict[str, Any] = {"stdin": None, "environment": {}, "timeout_s": 20}


def test_a_guest_that_switched_itself_off_while_nobody_watched_is_told_so(folder: Path) -> None:
    async def scenario() -> None:
        plan = tiny_guest().plan(folder)
        async with qemu(folder) as (first, _ear):
            handle = await first.start(plan)
            console = await first.console("one", handle)
            await read_until(console.output(), b"GUEST UP")
            await console.write(b"sleep 1; poweroff -f\n")
            await read_until(console.output(), b"poweroff -f")
            await first.close()
            log = plan.state_dir / "serial.log"
            await until(lambda: b"Power down" in log.read_bytes(), what="it switched itself off")
            second, ear = Qemu(RealWorld()), Ear()
            second.listen(ear)

            async def is_over() -> bool:
                seen = await second.recover("one", handle)
                return seen.power is Power.STOPPED and seen.ended is Ended.GUEST

            await until(is_over, what="the end is seen")
            assert ear.heard == []
            assert not process_exists(handle["pid"])
            await second.close()

    asyncio.run(scenario())


def test_memory_that_finds_no_room_leaves_the_guest_running_and_no_file(
    folder: Path, tmp_path: Path
) -> None:
    async def scenario() -> None:
        plan = tiny_guest().plan(folder, words="ttick=0.1")
        small = tmp_path / "small"
        async with qemu(folder) as (driver, ear):
            handle = await driver.start(plan)
            output = (await driver.console("one", handle)).output()
            await read_until(output, b"TICK 3 ")
            with mounted_tmpfs(small, size_bytes=8 * MIB):
                with pytest.raises((SuspendError, DiskFullError)):
                    await driver.suspend("one", handle, small / "memory", lambda *_step: None)
                assert list(small.iterdir()) == []
            assert (await driver.observe("one", handle)).power is Power.RUNNING
            await read_until(output, b"TICK ")
            assert ear.of(Signal.ENDED) == []
            await driver.stop("one", handle)

    asyncio.run(scenario())


def test_a_full_disk_pauses_the_guest_and_nothing_is_lost_when_room_returns(folder: Path) -> None:
    async def scenario() -> None:
        plan = tiny_guest().plan(folder)
        small = folder / "small"
        with mounted_tmpfs(small, size_bytes=4 * MIB):
            disk = small / "disk.raw"
            with disk.open("wb") as file:
                file.truncate(64 * MIB)
            os.chown(disk, plan.uid, plan.uid)
            attached = AttachedDisk(name="root", path=disk, format="raw")
            async with qemu(folder) as (driver, ear):
                handle = await driver.start(replace(plan, disks=[attached]))
                console = await driver.console("one", handle)
                output = console.output()
                await read_until(output, b"GUEST UP")
                await console.write(
                    b"dd if=/dev/urandom of=/tmp/w bs=1M count=16; md5sum < /tmp/w\n"
                )
                await console.write(
                    b"dd if=/tmp/w of=/dev/vda bs=1M conv=fsync && echo WRIT''TEN\n"
                )
                told = (await until(lambda: ear.of(Signal.NO_SPACE), what="no space"))[0]
                assert told["node"] == "disk-root"
                seen = await driver.observe("one", handle)
                assert seen.power is Power.PAUSED
                assert "no space" in seen.reason
                subprocess.run(["mount", "-o", "remount,size=64m", small], check=True)
                await driver.resume("one", handle)
                await read_until(output, b"WRITTEN")
                await console.write(
                    b"echo 3 > /proc/sys/vm/drop_caches; head -c 16m /dev/vda | md5sum\n"
                )
                log = (plan.state_dir / "serial.log").read_bytes
                await until(lambda: len(re.findall(rb"^[0-9a-f]{32}  -", log(), re.M)) == 2)
                assert len(set(re.findall(rb"^[0-9a-f]{32}  -", log(), re.M))) == 1
                assert ear.signals.count(Signal.PAUSED) == 0
                await driver.stop("one", handle)

    asyncio.run(scenario())


def test_damaged_memory_is_refused_with_qemus_words(folder: Path) -> None:
    async def scenario() -> None:
        async with qemu(folder) as (driver, ear):
            plan = bare_plan(folder)
            saved = plan.state_dir / "memory"
            saved.write_bytes(b"this is no memory" * 1000)
            with pytest.raises(InstanceStartError):
                await driver.start(plan, saved=saved)
            assert saved.exists()
            assert not plan.run_dir.exists()
            assert ear.heard == []

    asyncio.run(scenario())
