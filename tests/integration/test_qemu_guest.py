"""The whole way with a real guest: console, agent, files, suspend, switch-off, panic, isolation."""

import asyncio
import os
import re
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from qemu_lab import (
    GUEST_UID,
    Ear,
    bare_plan,
    guest_folder,
    private_network,
    process_exists,
    read_until,
    remove_cgroups,
    tiny_guest,
    until,
)

from lodge.base.world import RealWorld
from lodge.drivers.instance.contract import (
    Accelerates,
    AttachedNic,
    Consoles,
    Ended,
    GuestAgent,
    InstancePlan,
    Logs,
    Reset,
    Screens,
    Signal,
    SpaceGuard,
    Suspend,
)
from lodge.drivers.instance.errors import (
    AgentError,
    AgentMissingError,
    GuestCommandTimeoutError,
    PlanRefusedError,
    ScreenMissingError,
)
from lodge.drivers.instance.qemu.driver import Qemu
from lodge.model.instance import Power
from lodge.system.cgroup import open_cgroups
from lodge.system.errors import KernelRefusedError
from lodge.system.identity import GUEST_GID
from lodge.system.tap import open_tap

pytestmark = pytest.mark.slow

QUICK: dict[str, Any] = {"stdin": None, "environment": {}, "timeout_s": 30}
PREFIX = "lodge-guest-test"


@pytest.fixture
def folder() -> Iterator[Path]:
    with guest_folder() as made:
        yield made
        remove_cgroups(PREFIX)


@pytest.fixture(params=["q35", "microvm"])
def plan(request: pytest.FixtureRequest, folder: Path) -> InstancePlan:
    return tiny_guest().plan(folder, words="ttick=0.1", is_microvm=request.param == "microvm")


@asynccontextmanager
async def running(plan: InstancePlan) -> AsyncIterator[tuple[Qemu, Ear, dict[str, Any]]]:
    driver, ear = Qemu(RealWorld(), cgroups=open_cgroups(prefix=PREFIX)), Ear()
    driver.listen(ear)
    try:
        yield driver, ear, dict(await driver.start(plan))
    finally:
        await driver.forget(plan.id, plan.run_dir)
        await driver.close()


async def guest_is_up(driver: Qemu, handle: dict[str, Any]) -> AsyncIterator[bytes]:
    output = (await driver.console("one", handle)).output()
    await read_until(output, b"GUEST UP")
    return output


async def agent_is_up(driver: Qemu, handle: dict[str, Any]) -> None:
    await guest_is_up(driver, handle)

    async def answers() -> bool:
        return (await driver.observe("one", handle)).agent_answers

    await until(answers, what="the agent answers")


def ticks(seen: bytes) -> list[int]:
    return [int(number) for number in re.findall(rb"TICK (\d+) ", seen)]


def test_it_has_every_optional_ability() -> None:
    driver = Qemu(RealWorld())
    for ability in (Accelerates, Consoles, GuestAgent, Logs, Reset, Screens, SpaceGuard, Suspend):
        assert isinstance(driver, ability)


def test_the_agent_runs_commands_and_copies_files(plan: InstancePlan) -> None:
    async def scenario() -> None:
        async with running(plan) as (driver, ear, handle):
            with pytest.raises(AgentMissingError) as early:
                await driver.execute("one", handle, ["true"], **QUICK)
            assert "qemu-guest-agent" in early.value.hint
            await agent_is_up(driver, handle)
            assert ear.of(Signal.AGENT)[-1] == {"is_open": True}

            script = 'echo out; echo err >&2; cat; echo "$COLOR"; exit 3'
            ended = await driver.execute(
                "one", handle, ["sh", "-c", script],
                stdin=b"typed\n", environment={"COLOR": "green"}, timeout_s=30,
            )  # fmt: skip
            assert (ended.exit_status, ended.signal) == (3, None)
            assert (ended.stdout, ended.stderr) == (b"out\ntyped\ngreen\n", b"err\n")

            killed = await driver.execute("one", handle, ["sh", "-c", "kill -9 $$"], **QUICK)
            assert (killed.exit_status, killed.signal) == (None, 9)
            with pytest.raises(AgentError, match="no-such-program"):
                await driver.execute("one", handle, ["no-such-program"], **QUICK)
            many = await asyncio.gather(
                *(driver.execute("one", handle, ["echo", str(n)], **QUICK) for n in range(8))
            )
            assert [each.stdout for each in many] == [f"{n}\n".encode() for n in range(8)]

            await _copies_files(driver, handle)

    asyncio.run(scenario())


async def _copies_files(driver: Qemu, handle: dict[str, Any]) -> None:
    content = os.urandom(700_001)

    async def chunks() -> AsyncIterator[bytes]:
        yield content[:300_000]
        yield content[300_000:]

    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise ConnectionResetError("the sender went away")

    written = await driver.write_file("one", handle, "/root/file", chunks(), mode=0o640)
    assert written == len(content)
    with pytest.raises(ConnectionResetError):
        await driver.write_file("one", handle, "/root/file", broken(), mode=None)
    read = b"".join([part async for part in driver.read_file("one", handle, "/root/file")])
    assert read == content
    listed = await driver.execute("one", handle, ["ls", "-lA", "/root"], **QUICK)
    assert re.search(rb"-rw-r----- .* file\n", listed.stdout)
    assert b".file." not in listed.stdout
    with pytest.raises(AgentError, match="missing"):
        _read = [part async for part in driver.read_file("one", handle, "/missing")]
    with pytest.raises(AgentError, match="relative"):
        await driver.write_file("one", handle, "relative", chunks(), mode=None)


def test_a_command_that_takes_too_long_is_killed_in_the_guest(folder: Path) -> None:
    async def scenario() -> None:
        async with running(tiny_guest().plan(folder)) as (driver, _ear, handle):
            await agent_is_up(driver, handle)
            with pytest.raises(GuestCommandTimeoutError):
                await driver.execute(
                    "one", handle, ["sleep", "4321"], stdin=None, environment={}, timeout_s=0.5
                )
            left = await driver.execute("one", handle, ["ps"], **QUICK)
            assert b"sleep 4321" not in left.stdout

    asyncio.run(scenario())


def test_an_agent_that_stands_still_is_missing_and_answers_rightly_later(folder: Path) -> None:
    async def scenario() -> None:
        async with running(tiny_guest().plan(folder)) as (driver, _ear, handle):
            await agent_is_up(driver, handle)
            console = await driver.console("one", handle)
            await console.write(b"kill -STOP $(cat /run/qga.pid); echo HAL''TED\n")
            await read_until(console.output(), b"HALTED")
            with pytest.raises(AgentMissingError):
                await driver.execute("one", handle, ["echo", "early"], **QUICK)
            await console.write(b"kill -CONT $(cat /run/qga.pid); echo GO''ES\n")
            await read_until(console.output(), b"GOES")

            async def later() -> bool:
                try:
                    ended = await driver.execute("one", handle, ["echo", "later"], **QUICK)
                except AgentMissingError:
                    return False
                return ended.stdout == b"later\n"

            await until(later, what="the agent answers again")

    asyncio.run(scenario())


def test_memory_goes_to_disk_and_the_guest_lives_on_from_the_same_tick(
    plan: InstancePlan,
) -> None:
    async def scenario() -> None:
        async with running(plan) as (driver, _ear, handle):
            output = (await driver.console("one", handle)).output()
            seen = await read_until(output, b"TICK 5 ")
            saved = plan.state_dir / "memory"
            steps: list[tuple[int, int | None]] = []
            await driver.suspend("one", handle, saved, lambda *step: steps.append(step))
            assert not process_exists(handle["pid"])
            assert saved.stat().st_mode & 0o777 == 0o600
            assert [path.name for path in saved.parent.glob(".*")] == []
            assert steps[-1][0] == steps[-1][1]
            seen += b"".join([data async for data in output])
            last = ticks(seen)[-1]

            again = dict(await driver.start(plan, saved=saved))
            output = (await driver.console("one", again)).output()
            whole = await read_until(output, f"TICK {last + 25} ".encode())
            assert ticks(whole) == list(range(1, last + 26))
            assert b"BAD" not in whole
            assert re.search(rb"CHECK \d+ ok", whole)
            await agent_is_up(driver, again)

    asyncio.run(scenario())


def test_a_shutdown_lets_the_guest_end_by_itself(plan: InstancePlan) -> None:
    async def scenario() -> None:
        async with running(plan) as (driver, ear, handle):
            await agent_is_up(driver, handle)
            await driver.shutdown("one", handle)
            told = (await until(lambda: ear.of(Signal.ENDED), what="it ended"))[0]
            assert told["why"] is Ended.GUEST
            assert (await driver.observe("one", handle)).power is Power.STOPPED
            assert not plan.run_dir.exists()

    asyncio.run(scenario())


def test_without_an_agent_the_power_button_is_pressed(folder: Path) -> None:
    async def scenario() -> None:
        async with running(tiny_guest().plan(folder)) as (driver, ear, handle):
            await agent_is_up(driver, handle)
            await (await driver.console("one", handle)).write(b"killall qemu-ga\n")
            await until(lambda: ear.of(Signal.AGENT)[-1] == {"is_open": False}, what="it left")
            await driver.shutdown("one", handle)
            told = (await until(lambda: ear.of(Signal.ENDED), what="it ended"))[0]
            assert told["why"] is Ended.GUEST

    asyncio.run(scenario())


def test_a_microvm_without_an_agent_says_that_it_cannot_be_asked(folder: Path) -> None:
    async def scenario() -> None:
        plan = tiny_guest().plan(folder, is_microvm=True)
        async with running(plan) as (driver, _ear, handle):
            with pytest.raises(AgentMissingError):
                await driver.shutdown("one", handle)
            with pytest.raises(ScreenMissingError):
                await driver.screenshot("one", handle)
            with pytest.raises(ScreenMissingError):
                driver.vnc_socket("one", handle)

    asyncio.run(scenario())


def test_a_panic_is_told_as_one_and_ends_the_process(folder: Path) -> None:
    async def scenario() -> None:
        async with running(tiny_guest().plan(folder)) as (driver, ear, handle):
            await guest_is_up(driver, handle)
            console = await driver.console("one", handle)
            await console.write(b"echo c > /proc/sysrq-trigger\n")
            told = (await until(lambda: ear.of(Signal.ENDED), what="it ended"))[0]
            assert told["why"] is Ended.PANICKED
            assert not process_exists(handle["pid"])
            assert ear.of(Signal.PAUSED) == []

    asyncio.run(scenario())


def test_several_viewers_see_and_type_on_one_console(folder: Path) -> None:
    async def scenario() -> None:
        async with running(tiny_guest().plan(folder)) as (driver, _ear, handle):
            await guest_is_up(driver, handle)
            first = await driver.console("one", handle)
            second = await driver.console("one", handle)
            await first.write(b"echo TYPED-$((40+2))\n")
            for viewer in (first, second):
                await read_until(viewer.output(), b"TYPED-42")
            late = await driver.console("one", handle)
            assert b"TYPED-42" in await anext(late.output())

    asyncio.run(scenario())


def test_the_screen_is_a_picture_and_vnc_greets(folder: Path) -> None:
    async def scenario() -> None:
        async with running(bare_plan(folder)) as (driver, _ear, handle):
            picture = await driver.screenshot("one", handle)
            assert picture.startswith(b"\x89PNG\r\n")
            assert list((folder / "run" / "one").glob("screen*")) == []
            with socket.socket(socket.AF_UNIX) as vnc:
                vnc.settimeout(10)
                vnc.connect(str(driver.vnc_socket("one", handle)))
                assert vnc.recv(4) == b"RFB "

    asyncio.run(scenario())


@pytest.mark.root
@pytest.mark.parametrize("is_microvm", [False, True], ids=["q35", "microvm"])
def test_a_nic_reaches_the_host_and_its_address_is_seen(folder: Path, *, is_microvm: bool) -> None:
    def open_port() -> int:
        tap = open_tap("lqtap0", uid=GUEST_UID)
        ip = ["ip", "addr", "add", "10.77.0.1/24", "dev", "lqtap0"]
        subprocess.run(ip, check=True)
        subprocess.run(["ip", "link", "set", "lqtap0", "up"], check=True)
        return tap

    async def scenario() -> None:
        plan = tiny_guest().plan(
            folder, words="net.ifnames=0 tip=10.77.0.2/24", is_microvm=is_microvm
        )
        nic = AttachedNic("eth0", "02:00:00:00:00:07", 1400, open_port)
        async with running(replace(plan, nics=[nic])) as (driver, _ear, handle):
            await agent_is_up(driver, handle)
            pinged = await driver.execute("one", handle, ["ping", "-c1", "10.77.0.1"], **QUICK)
            assert pinged.exit_status == 0, pinged
            link = await driver.execute("one", handle, ["ip", "link", "show", "eth0"], **QUICK)
            assert b"mtu 1400" in link.stdout
            assert b"02:00:00:00:00:07" in link.stdout

            async def seen() -> bool:
                return "10.77.0.2" in (await driver.observe("one", handle)).addresses

            await until(seen, what="its address")
            await driver.stop("one", handle)
            gone = subprocess.run(
                ["ip", "link", "show", "lqtap0"], check=False, capture_output=True
            )
            assert gone.returncode != 0

    with private_network():
        asyncio.run(scenario())


def test_a_port_that_cannot_be_opened_leaves_nothing(folder: Path) -> None:
    def refuse() -> int:
        raise KernelRefusedError("no tap for you", where="lqtap1")

    async def scenario() -> None:
        plan = replace(
            bare_plan(folder), nics=[AttachedNic("eth0", "02:00:00:00:00:07", 1500, refuse)]
        )
        driver = Qemu(RealWorld())
        with pytest.raises(KernelRefusedError, match="no tap"):
            await driver.start(plan)
        assert list((folder / "run").iterdir()) == []
        await driver.close()

    asyncio.run(scenario())


def test_its_process_is_nobody_elses(folder: Path) -> None:
    async def scenario() -> None:
        plan = bare_plan(folder)
        async with running(plan) as (_driver, _ear, handle):
            proc = Path(f"/proc/{handle['pid']}")
            facts = dict(
                line.split(":\t", 1) for line in (proc / "status").read_text().splitlines()
            )
            assert facts["Uid"].split() == [str(plan.uid)] * 4
            assert facts["Gid"].split() == [str(GUEST_GID)] * 4
            assert facts["Groups"].split() == [str(plan.uid)]  # the group of its own number
            assert {facts[f"Cap{kind}"] for kind in ("Eff", "Prm", "Inh", "Bnd")} == {"0" * 16}
            assert facts["NoNewPrivs"] == "1"
            assert os.readlink(proc / "ns/net") != os.readlink("/proc/self/ns/net")
            assert (proc / "net/dev").read_text().count(":") == 1  # a loopback that is down
            assert facts["Seccomp"] == "2"
            assert f"/{PREFIX}/one" in (proc / "cgroup").read_text()
            own = {os.readlink(link) for link in (proc / "fd").iterdir()}
            assert [path for path in own if path.startswith("/") and not _expected(path)] == []
            assert os.getsid(handle["pid"]) == handle["pid"]
            log = plan.state_dir / "serial.log"
            assert (log.stat().st_uid, log.stat().st_mode & 0o777) == (plan.uid, 0o600)

    asyncio.run(scenario())


def _expected(path: str) -> bool:
    return (
        path in ("/dev/null", "/dev/urandom")
        or path.startswith("/memfd:")
        or (Path(path).name in ("qemu.log", "serial.log"))
    )


def test_more_memory_than_the_host_has_is_refused_with_both_sizes(folder: Path) -> None:
    async def scenario() -> None:
        driver = Qemu(RealWorld())
        with pytest.raises(PlanRefusedError) as refused:
            await driver.check(bare_plan_of(folder, memory_mib=16_777_216))
        assert refused.value.details["wanted_bytes"] == 16_777_216 << 20

    asyncio.run(scenario())


def bare_plan_of(folder: Path, *, memory_mib: int) -> InstancePlan:
    plan = bare_plan(folder)
    return replace(plan, spec=msgspec.structs.replace(plan.spec, memory_mib=memory_mib))
