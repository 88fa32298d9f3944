"""The v2 writer against a fake tree: which values go into which files."""

import os
from pathlib import Path

import pytest

from lodge.system.cgroup import CgroupError, Cgroups, Layout, Limits, Usage, open_cgroups
from lodge.system.cgroup.v2 import CgroupsV2


def opened(root: Path, prefix: str = "lodge") -> Cgroups:
    return open_cgroups(prefix=prefix, mountinfo=f"41 31 0:38 / {root} rw - cgroup2 cgroup2 rw")


def test_every_controller_is_handed_down_to_the_groups(v2_tree: Path) -> None:
    groups = opened(v2_tree, "sim/host1")
    assert groups.layout is Layout.V2
    assert groups.controllers == {"cpu", "cpuset", "memory", "pids"}
    assert groups.reason == ""
    for folder in (v2_tree, v2_tree / "sim", v2_tree / "sim/host1"):
        assert (folder / "cgroup.subtree_control").read_text() == "+pids"  # the last one written


def test_limits_are_written_in_the_kernels_units(v2_tree: Path) -> None:
    groups = opened(v2_tree)
    groups.create("i1")
    limits = Limits(
        cpu_weight=50,
        cpu_quota=1.5,
        pinned_cpus=frozenset({3, 0}),
        memory_bytes=1 << 30,
        pids=64,
    )
    assert groups.apply("i1", limits) == frozenset()
    group = v2_tree / "lodge/i1"
    written = {file.name: file.read_text() for file in group.iterdir()}
    assert written == {
        "cpu.weight": "50",
        "cpu.max": "150000 100000",
        "cpuset.cpus": "0,3",
        "memory.max": "1073741824",
        "pids.max": "64",
    }
    groups.apply("i1", Limits())
    written = {file.name: file.read_text() for file in group.iterdir()}
    assert written == {
        "cpu.weight": "100",
        "cpu.max": "max 100000",
        "cpuset.cpus": "\n",
        "memory.max": "max",
        "pids.max": "max",
    }


def test_usage_is_read_in_seconds_and_bytes(v2_tree: Path) -> None:
    groups = opened(v2_tree)
    assert groups.usage("i1") is None
    groups.create("i1")
    group = v2_tree / "lodge/i1"
    (group / "cpu.stat").write_text("usage_usec 2500000\nuser_usec 2000000\n")
    (group / "memory.current").write_text("4096\n")
    (group / "memory.events").write_text("low 0\noom 2\noom_kill 1\n")
    (group / "pids.current").write_text("3\n")
    assert groups.usage("i1") == Usage(cpu_s=2.5, memory_bytes=4096, pids=3, oom_kills=1)


def test_a_group_without_counting_controllers_says_what_it_does_not_know(v2_tree: Path) -> None:
    groups = opened(v2_tree)
    groups.create("i1")
    (v2_tree / "lodge/i1/cgroup.procs").write_text("11\n0\n12\n")
    assert groups.usage("i1") == Usage(cpu_s=None, memory_bytes=None, pids=2, oom_kills=0)
    assert groups.members("i1") == (11, 12)


def test_freezing_and_killing_are_single_writes(v2_tree: Path) -> None:
    groups = opened(v2_tree)
    groups.create("i1")
    group = v2_tree / "lodge/i1"
    (group / "cgroup.kill").write_text("")
    (group / "cgroup.events").write_text("populated 1\nfrozen 0\n")
    groups.freeze("i1")
    assert (group / "cgroup.freeze").read_text() == "1"
    assert not groups.is_frozen("i1")
    (group / "cgroup.events").write_text("populated 1\nfrozen 1\n")
    assert groups.is_frozen("i1")
    groups.thaw("i1")
    groups.kill("i1")
    assert (group / "cgroup.freeze").read_text() == "0"
    assert (group / "cgroup.kill").read_text() == "1"
    groups.add("i1", 42)
    assert (group / "cgroup.procs").read_text() == "42"


def test_groups_come_and_go(v2_tree: Path) -> None:
    groups = opened(v2_tree)
    groups.create("b")
    groups.create("a")
    assert groups.names() == ("a", "b")
    assert groups.remove("a")
    assert groups.remove("a")
    assert groups.names() == ("b",)


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "a b", "-a", "x" * 200])
def test_a_name_cannot_leave_the_prefix(v2_tree: Path, name: str) -> None:
    with pytest.raises(CgroupError):
        opened(v2_tree).create(name)


def test_a_controller_the_host_lacks_is_told_and_its_limit_named(v2_tree: Path) -> None:
    (v2_tree / "cgroup.controllers").write_text("cpu pids\n")
    groups = opened(v2_tree)
    assert groups.controllers == {"cpu", "pids"}
    assert "memory: this kernel does not offer it here" in groups.reason
    groups.create("i1")
    lacking = groups.apply("i1", Limits(memory_bytes=1 << 20, cpu_weight=10))
    assert lacking == {"memory"}
    assert not (v2_tree / "lodge/i1/memory.max").exists()


def test_a_root_full_of_processes_hands_nothing_down_and_says_so(v2_tree: Path) -> None:
    """As in a container: writing its subtree_control fails, here because it is a folder."""
    (v2_tree / "cgroup.subtree_control").unlink()
    (v2_tree / "cgroup.subtree_control").mkdir()
    groups = opened(v2_tree)
    assert groups.layout is Layout.V2
    assert groups.controllers == frozenset()
    assert "cgroup.subtree_control" in groups.reason
    groups.create("i1")
    assert groups.names() == ("i1",)


def test_a_tree_that_takes_no_groups_is_no_tree(tmp_path: Path) -> None:
    (tmp_path / "cgroup").write_text("")
    with pytest.raises(CgroupError):
        CgroupsV2(tmp_path / "cgroup", "lodge")
    groups = opened(tmp_path / "cgroup")
    assert groups.layout is Layout.NONE
    assert str(tmp_path / "cgroup/lodge") in groups.reason


def test_without_cgroups_everything_is_accepted_and_nothing_promised() -> None:
    groups = open_cgroups(mountinfo="")
    assert groups.layout is Layout.NONE
    assert groups.reason == "no cgroup file system is mounted"
    groups.create("i1")
    groups.add("i1", os.getpid())
    groups.freeze("i1")
    groups.thaw("i1")
    groups.kill("i1")
    assert groups.apply("i1", Limits(pids=5, cpu_quota=2)) == {"pids", "cpu"}
    assert groups.apply("i1", Limits()) == frozenset()
    assert groups.usage("i1") is None
    assert (groups.members("i1"), groups.names(), groups.is_frozen("i1")) == ((), (), False)
    assert groups.remove("i1")
