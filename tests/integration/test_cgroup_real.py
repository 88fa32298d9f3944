"""Control groups of this host, with real processes in them."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lodge.base.world import RealWorld
from lodge.system.cgroup import Cgroups, Layout, Limits, clear, open_cgroups
from lodge.system.cgroup.detect import parse_mounts
from lodge.system.cgroup.v2 import CgroupsV2
from lodge.system.process import ProcessIdentity, identify

pytestmark = pytest.mark.root

PREFIX = f"lodge-test-{os.getpid()}"


@pytest.fixture(params=["detected", "v2"])
def groups(request: pytest.FixtureRequest) -> Iterator[Cgroups]:
    """The layout this host uses, and the v2 tree beside it where there is one."""
    mounts = parse_mounts(Path("/proc/self/mountinfo").read_text())
    if request.param == "v2" and (mounts.v2 is None or not mounts.v1):
        pytest.skip("no v2 tree beside v1 controllers here")
    opened = open_cgroups(prefix=PREFIX)
    if request.param == "v2" and mounts.v2 is not None:
        opened = CgroupsV2(mounts.v2, PREFIX)
    if opened.layout is Layout.NONE:
        pytest.skip(f"no control groups here: {opened.reason}")
    yield opened
    for name in opened.names():
        asyncio.run(clear(opened, name, RealWorld()))
    for folder in {*mounts.v1.values(), mounts.v2}:
        if folder is not None and (folder / PREFIX).is_dir():
            (folder / PREFIX).rmdir()


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "300"])
    yield process
    process.kill()
    process.wait()


def test_a_group_holds_limits_counts_and_ends_its_processes(
    groups: Cgroups, sleeper: subprocess.Popen[bytes]
) -> None:
    groups.create("i1")
    groups.create("i1")
    groups.add("i1", sleeper.pid)
    assert groups.members("i1") == (sleeper.pid,)
    lacking = groups.apply(
        "i1",
        Limits(
            cpu_weight=50, cpu_quota=0.5, pinned_cpus=frozenset({0}), memory_bytes=1 << 26, pids=9
        ),
    )
    assert lacking == frozenset({"cpu", "cpuset", "memory", "pids"}) - groups.controllers
    if "cpuset" in groups.controllers:
        assert os.sched_getaffinity(sleeper.pid) == {0}
    groups.apply("i1", Limits())
    if "cpuset" in groups.controllers:
        assert os.sched_getaffinity(sleeper.pid) == os.sched_getaffinity(0)
    usage = groups.usage("i1")
    assert usage is not None
    assert usage.pids == 1
    assert not groups.remove("i1")
    asyncio.run(_reap_and_clear(groups, sleeper))
    assert groups.usage("i1") is None
    assert "i1" not in groups.names()


async def _reap_and_clear(groups: Cgroups, process: subprocess.Popen[bytes]) -> None:
    waiting = asyncio.get_running_loop().run_in_executor(None, process.wait)
    await clear(groups, "i1", RealWorld())
    assert await waiting == -9


def test_a_frozen_process_can_be_killed(groups: Cgroups, sleeper: subprocess.Popen[bytes]) -> None:
    async def scenario() -> None:
        groups.create("i2")
        groups.add("i2", sleeper.pid)
        groups.freeze("i2")
        for _ in range(1000):
            if groups.is_frozen("i2"):
                break
            await asyncio.sleep(0.005)
        assert groups.is_frozen("i2")
        waiting = asyncio.get_running_loop().run_in_executor(None, sleeper.wait)
        await clear(groups, "i2", RealWorld())
        assert await waiting == -9

    asyncio.run(scenario())


def test_clearing_what_never_existed_is_quiet(groups: Cgroups) -> None:
    asyncio.run(clear(groups, "never", RealWorld()))
    assert groups.members("never") == ()


def test_a_program_over_its_memory_limit_is_killed_and_counted(groups: Cgroups) -> None:
    if "memory" not in groups.controllers:
        pytest.skip("no memory controller")
    groups.create("i3")
    groups.apply("i3", Limits(memory_bytes=32 << 20))
    eater = subprocess.Popen(
        ["python3", "-c", "input(); x = bytearray(256 << 20)"], stdin=subprocess.PIPE
    )
    groups.add("i3", eater.pid)
    eater.communicate(b"go\n")
    assert eater.returncode == -9
    usage = groups.usage("i3")
    assert usage is not None
    assert usage.oom_kills >= 1


def test_a_process_is_born_in_its_group_and_the_starter_leaves(groups: Cgroups) -> None:
    started: list[subprocess.Popen[bytes]] = []

    def start() -> ProcessIdentity:
        started.append(subprocess.Popen(["sleep", "300"]))
        identity = identify(started[0].pid)
        assert identity is not None
        return identity

    groups.create("i4")
    process = groups.start_in("i4", start)
    try:
        assert groups.members("i4") == (process.pid,)
        mine = Path("/proc/self/cgroup").read_text()
        assert f"{PREFIX}/i4" in Path(f"/proc/{process.pid}/cgroup").read_text()
        assert PREFIX not in mine
    finally:
        started[0].kill()
        started[0].wait()
