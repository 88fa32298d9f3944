"""The v1 writer against fake trees, one per controller."""

import os
import threading
from pathlib import Path

import pytest

from lodge.system.cgroup import CgroupError, Layout, Limits, Usage, open_cgroups
from lodge.system.cgroup.detect import parse_mounts
from lodge.system.cgroup.v1 import CgroupsV1
from lodge.system.process import ProcessIdentity


def test_a_hybrid_host_uses_its_v1_controllers(v1_tree: Path, v1_mountinfo: str) -> None:
    groups = open_cgroups(mountinfo=v1_mountinfo)
    assert groups.layout is Layout.V1
    assert groups.controllers == {"cpu", "cpuset", "memory", "pids"}
    assert groups.reason == ""
    assert not (v1_tree / "unified").exists()


def test_a_cpuset_gets_cpus_and_memory_before_any_process(v1_tree: Path, v1_mountinfo: str) -> None:
    groups = open_cgroups(prefix="sim/h1", mountinfo=v1_mountinfo)
    groups.create("i1")
    for folder in ("sim", "sim/h1", "sim/h1/i1"):
        assert (v1_tree / "cpuset" / folder / "cpuset.cpus").read_text() == "0-7"
        assert (v1_tree / "cpuset" / folder / "cpuset.mems").read_text() == "0"


def test_a_process_is_moved_once_in_every_tree(v1_tree: Path, v1_mountinfo: str) -> None:
    groups = open_cgroups(mountinfo=v1_mountinfo)
    groups.create("i1")
    groups.add("i1", 42)
    files = list(v1_tree.rglob("cgroup.procs"))
    assert len(files) == 6
    assert {file.read_text() for file in files} == {"42"}
    assert groups.members("i1") == (42,)


def test_limits_are_written_in_the_units_of_v1(v1_tree: Path, v1_mountinfo: str) -> None:
    groups = open_cgroups(mountinfo=v1_mountinfo)
    groups.create("i1")
    limits = Limits(
        cpu_weight=50, cpu_quota=2.5, pinned_cpus=frozenset({1}), memory_bytes=4096, pids=9
    )
    assert groups.apply("i1", limits) == frozenset()
    cpu = v1_tree / "cpu,cpuacct/lodge/i1"
    assert (cpu / "cpu.shares").read_text() == "512"
    assert (cpu / "cpu.cfs_period_us").read_text() == "100000"
    assert (cpu / "cpu.cfs_quota_us").read_text() == "250000"
    assert (v1_tree / "cpuset/lodge/i1/cpuset.cpus").read_text() == "1"
    assert (v1_tree / "memory/lodge/i1/memory.limit_in_bytes").read_text() == "4096"
    assert (v1_tree / "pids/lodge/i1/pids.max").read_text() == "9"
    groups.apply("i1", Limits())
    assert (cpu / "cpu.shares").read_text() == "1024"
    assert (cpu / "cpu.cfs_quota_us").read_text() == "-1"
    assert (v1_tree / "cpuset/lodge/i1/cpuset.cpus").read_text() == "0-7"
    assert (v1_tree / "memory/lodge/i1/memory.limit_in_bytes").read_text() == "-1"


@pytest.mark.parametrize(("weight", "shares"), [(1, "10"), (100, "1024"), (10000, "102400")])
def test_weights_keep_their_meaning_on_the_scale_of_v1(
    v1_tree: Path, v1_mountinfo: str, weight: int, shares: str
) -> None:
    groups = open_cgroups(mountinfo=v1_mountinfo)
    groups.create("i1")
    groups.apply("i1", Limits(cpu_weight=weight))
    assert (v1_tree / "cpu,cpuacct/lodge/i1/cpu.shares").read_text() == shares


def test_usage_is_collected_from_all_trees(v1_tree: Path, v1_mountinfo: str) -> None:
    groups = open_cgroups(mountinfo=v1_mountinfo)
    assert groups.usage("i1") is None
    groups.create("i1")
    (v1_tree / "cpu,cpuacct/lodge/i1/cpuacct.usage").write_text("1500000000\n")
    (v1_tree / "memory/lodge/i1/memory.usage_in_bytes").write_text("8192\n")
    (v1_tree / "memory/lodge/i1/memory.oom_control").write_text("under_oom 0\noom_kill 3\n")
    (v1_tree / "pids/lodge/i1/pids.current").write_text("2\n")
    assert groups.usage("i1") == Usage(cpu_s=1.5, memory_bytes=8192, pids=2, oom_kills=3)


def test_killing_thaws_because_frozen_processes_cannot_die(
    v1_tree: Path, v1_mountinfo: str
) -> None:
    groups = open_cgroups(mountinfo=v1_mountinfo)
    groups.create("i1")
    state = v1_tree / "freezer/lodge/i1/freezer.state"
    groups.freeze("i1")
    assert state.read_text() == "FROZEN"
    assert groups.is_frozen("i1")
    groups.kill("i1")
    assert state.read_text() == "THAWED"


def test_a_group_left_in_one_tree_only_is_still_found_and_removed(
    v1_tree: Path, v1_mountinfo: str
) -> None:
    groups = open_cgroups(mountinfo=v1_mountinfo)
    (v1_tree / "pids/lodge/old").mkdir()
    assert groups.names() == ("old",)
    assert groups.remove("old")
    assert groups.names() == ()


def test_missing_controllers_are_told(tmp_path: Path) -> None:
    for name in ("cpu", "pids"):
        (tmp_path / name).mkdir()
    groups = CgroupsV1({name: tmp_path / name for name in ("cpu", "pids")}, "lodge")
    assert groups.controllers == {"cpu", "pids"}
    assert groups.reason == "cpuset: it is not mounted; memory: it is not mounted"
    groups.create("i1")
    with pytest.raises(CgroupError, match="freezer"):
        groups.freeze("i1")
    assert groups.apply("i1", Limits(memory_bytes=1)) == {"memory"}


def test_mounts_are_read_with_optional_fields_and_odd_paths() -> None:
    mounts = parse_mounts(
        "32 31 0:29 /docker/ab /sys/fs/my\\040groups rw shared:3 master:1 - cgroup cgroup rw,cpu\n"
        "garbage\n"
        "33 31 0:30 / /proc rw - proc proc rw\n"
    )
    assert mounts.v1["cpu"] == Path("/sys/fs/my groups")
    assert mounts.v2 is None


def test_a_process_is_started_by_a_thread_that_entered_every_tree(
    v1_tree: Path, v1_mountinfo: str
) -> None:
    groups = open_cgroups(mountinfo=v1_mountinfo)
    groups.create("i1")
    entered: list[int] = []

    def start() -> ProcessIdentity:
        entered.append(threading.get_native_id())
        return ProcessIdentity(42, 1)

    assert groups.start_in("i1", start) == ProcessIdentity(42, 1)
    files = list(v1_tree.rglob("tasks"))
    assert len(files) == 6
    assert {file.read_text() for file in files} == {"0"}
    assert entered[0] != threading.get_native_id()


def test_the_daemon_is_no_member_of_a_group_it_starts_a_process_in(
    v1_tree: Path, v1_mountinfo: str
) -> None:
    groups = open_cgroups(mountinfo=v1_mountinfo)
    groups.create("i1")
    (v1_tree / "cpuset/lodge/i1/cgroup.procs").write_text(f"{os.getpid()}\n42\n")
    assert groups.members("i1") == (42,)
