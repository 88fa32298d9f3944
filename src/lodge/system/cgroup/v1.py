"""Control groups version 1: a tree per controller (Documentation/admin-guide/cgroup-v1)."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from lodge.system.cgroup import tree
from lodge.system.cgroup.contract import WANTED, Layout, Limits, Usage
from lodge.system.cgroup.errors import CgroupError
from lodge.system.process import ProcessIdentity
from lodge.system.threads import in_own_thread

__all__ = ["CgroupsV1"]

_USED: Final = ("cpu", "cpuacct", "cpuset", "memory", "pids", "freezer", "blkio")
_PERIOD_US: Final = 100_000
_NORMAL_SHARES: Final = 1024
_MIN_SHARES, _MAX_SHARES = 2, 262_144  # kernel/sched/sched.h


class CgroupsV1:
    """Groups in every controller's own tree; ``mounts`` says where each controller is mounted."""

    layout = Layout.V1

    def __init__(self, mounts: Mapping[str, Path], prefix: str) -> None:
        """Make the prefix's group in each tree.

        Raises:
            CgroupError: it cannot be made in any of them.
        """
        self._bases: dict[str, Path] = {}
        gaps = dict.fromkeys(WANTED - set(mounts), "it is not mounted")
        for controller in _USED:
            if controller in mounts:
                try:
                    self._bases[controller] = _make_path(mounts[controller], prefix)
                except CgroupError as error:
                    gaps[controller] = error.message
        if not self._bases:
            raise CgroupError("; ".join(gaps.values()) or "no controller is mounted")
        self.controllers = WANTED & set(self._bases)
        self.reason = "; ".join(f"{name}: {why}" for name, why in sorted(gaps.items()))

    def _groups(self, name: str) -> tuple[Path, ...]:
        tree.check_group_name(name)
        # Controllers mounted together ("cpu,cpuacct") share a folder: it counts once.
        return tuple(dict.fromkeys(base / name for base in self._bases.values()))

    def _group(self, name: str, controller: str) -> Path | None:
        tree.check_group_name(name)
        base = self._bases.get(controller)
        return None if base is None else base / name

    def create(self, name: str) -> None:
        """Make a group in every tree; idempotent."""
        for group in self._groups(name):
            _make(group)

    def add(self, name: str, pid: int) -> None:
        """Move a process into the group in every tree."""
        for group in self._groups(name):
            tree.write(group / "cgroup.procs", str(pid))

    def start_in(self, name: str, start: Callable[[], ProcessIdentity]) -> ProcessIdentity:
        """Start it from a thread that entered the group, and let it inherit that.

        A thread that moves itself (``0``) is moved at once; for anything else the kernel waits
        until nothing on the host forks or ends (``cgroup_procs_write_start`` in
        kernel/cgroup/cgroup.c): 10 ms, during which QEMU cannot make its threads either.
        """
        groups = self._groups(name)

        def enter_and_start() -> ProcessIdentity:
            for group in groups:
                tree.write(group / "tasks", "0")
            return start()

        return in_own_thread(enter_and_start)

    def apply(self, name: str, limits: Limits) -> frozenset[str]:
        """Set all limits."""
        lacking = set()
        for controller, file, wanted, text in self._files(limits):
            group = self._group(name, controller)
            if group is not None:
                tree.write(group / file, text)
            elif wanted is not None:
                lacking.add(controller)
        return frozenset(lacking)

    def _files(self, limits: Limits) -> tuple[tuple[str, str, object, str], ...]:
        shares = _NORMAL_SHARES
        if limits.cpu_weight is not None:  # 100 of v2 is 1024 of v1
            scaled = limits.cpu_weight * _NORMAL_SHARES // 100
            shares = min(_MAX_SHARES, max(_MIN_SHARES, scaled))
        quota = -1
        if limits.cpu_quota is not None:
            quota = max(1000, round(limits.cpu_quota * _PERIOD_US))
        pinned = (
            self._all_cpus() if limits.pinned_cpus is None else tree.cpu_list(limits.pinned_cpus)
        )
        memory = "-1" if limits.memory_bytes is None else str(limits.memory_bytes)
        pids = "max" if limits.pids is None else str(limits.pids)
        return (
            ("cpu", "cpu.shares", limits.cpu_weight, str(shares)),
            ("cpu", "cpu.cfs_period_us", None, str(_PERIOD_US)),
            ("cpu", "cpu.cfs_quota_us", limits.cpu_quota, str(quota)),
            ("cpuset", "cpuset.cpus", limits.pinned_cpus, pinned),
            ("memory", "memory.limit_in_bytes", limits.memory_bytes, memory),
            ("pids", "pids.max", limits.pids, pids),
        )

    def _all_cpus(self) -> str:
        base = self._bases.get("cpuset")
        return "" if base is None else tree.read(base / "cpuset.cpus") or ""

    def usage(self, name: str) -> Usage | None:
        """Read what it used."""
        groups = [group for group in self._groups(name) if group.is_dir()]
        if not groups:
            return None
        spent_ns = self._number(name, "cpuacct", "cpuacct.usage")
        tasks = self._number(name, "pids", "pids.current")
        memory_group = self._group(name, "memory")
        control = None if memory_group is None else tree.read(memory_group / "memory.oom_control")
        return Usage(
            cpu_s=None if spent_ns is None else spent_ns / 1e9,
            memory_bytes=self._number(name, "memory", "memory.usage_in_bytes"),
            pids=len(self.members(name)) if tasks is None else tasks,
            oom_kills=tree.counter(control, "oom_kill") or 0,
        )

    def _number(self, name: str, controller: str, file: str) -> int | None:
        group = self._group(name, controller)
        text = None if group is None else tree.read(group / file)
        return int(text) if text else None

    def freeze(self, name: str) -> None:
        """Ask the kernel to stop every process of it."""
        self._set_freezer(name, "FROZEN")

    def thaw(self, name: str) -> None:
        """Let them run again."""
        self._set_freezer(name, "THAWED")

    def _set_freezer(self, name: str, state: str) -> None:
        group = self._group(name, "freezer")
        if group is None:
            raise CgroupError(
                "the freezer controller is not mounted",
                where=name,
                hint="mount it, or use cgroup v2",
            )
        tree.write(group / "freezer.state", state)

    def is_frozen(self, name: str) -> bool:
        """Whether every process of it stands still; asking makes the kernel look."""
        group = self._group(name, "freezer")
        return group is not None and tree.read(group / "freezer.state") == "FROZEN"

    def members(self, name: str) -> tuple[int, ...]:
        """Its pids, of all trees together."""
        found = {pid for group in self._groups(name) for pid in tree.pids_in(group)}
        return tuple(sorted(found))

    def names(self) -> tuple[str, ...]:
        """Groups under the prefix, of all trees together."""
        found = {name for base in self._bases.values() for name in tree.subgroups(base)}
        return tuple(sorted(found))

    def kill(self, name: str) -> None:
        """Send SIGKILL to every member; frozen ones must thaw to die."""
        for group in self._groups(name):
            tree.kill_each(group)
        freezer = self._group(name, "freezer")
        if freezer is not None and freezer.is_dir():
            tree.write(freezer / "freezer.state", "THAWED")

    def remove(self, name: str) -> bool:
        """Remove the group from every tree."""
        removed = [tree.remove_folder(group) for group in self._groups(name)]  # each one is tried
        return all(removed)


def _make_path(mount: Path, prefix: str) -> Path:
    group = mount
    for part in Path(prefix).parts:
        group = group / part
        _make(group)
    return group


def _make(group: Path) -> None:
    """Make one group; a cpuset takes no process before it has CPUs and memory nodes."""
    try:
        group.mkdir(exist_ok=True)
    except OSError as error:
        raise CgroupError(
            f"cannot make {group}: {tree.explain(error)}", where=str(group)
        ) from error
    for file in ("cpuset.cpus", "cpuset.mems"):
        inherited = tree.read(group.parent / file)
        if inherited and not tree.read(group / file):
            tree.write(group / file, inherited)
