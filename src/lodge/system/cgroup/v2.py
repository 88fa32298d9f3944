"""Control groups version 2: one tree (Documentation/admin-guide/cgroup-v2.rst)."""

from collections.abc import Callable
from pathlib import Path

from lodge.system.cgroup import tree
from lodge.system.cgroup.contract import WANTED, Layout, Limits, Usage
from lodge.system.cgroup.errors import CgroupError
from lodge.system.process import ProcessIdentity, kill

__all__ = ["CgroupsV2"]

_PERIOD_US = 100_000


class CgroupsV2:
    """Groups in the one tree below ``mount``."""

    layout = Layout.V2

    def __init__(self, mount: Path, prefix: str) -> None:
        """Make the prefix's group and hand the controllers down to it.

        Raises:
            CgroupError: not even an empty group can be made.
        """
        self._base = mount / prefix
        steps = [mount, *(mount / part for part in reversed(Path(prefix).parents) if part.name)]
        try:
            self._base.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CgroupError(
                f"cannot make {self._base}: {tree.explain(error)}", where=str(self._base)
            ) from error
        offered = (tree.read(mount / "cgroup.controllers") or "").split()
        gaps = dict.fromkeys(WANTED - set(offered), "this kernel does not offer it here")
        for name in sorted(WANTED & set(offered)):
            try:
                for group in (*steps, self._base):
                    tree.write(group / "cgroup.subtree_control", f"+{name}")
            except CgroupError as error:
                gaps[name] = error.message
        self.controllers = WANTED - set(gaps)
        self.reason = "; ".join(f"{name}: {why}" for name, why in sorted(gaps.items()))

    def _group(self, name: str) -> Path:
        tree.check_group_name(name)
        return self._base / name

    def create(self, name: str) -> None:
        """Make a group; idempotent."""
        group = self._group(name)
        try:
            group.mkdir(exist_ok=True)
        except OSError as error:
            raise CgroupError(
                f"cannot make {group}: {tree.explain(error)}", where=str(group)
            ) from error

    def add(self, name: str, pid: int) -> None:
        """Move a process into the group."""
        tree.write(self._group(name) / "cgroup.procs", str(pid))

    def start_in(self, name: str, start: Callable[[], ProcessIdentity]) -> ProcessIdentity:
        """Start it and move it, before it has grown; one that ended meanwhile is not moved."""
        process = start()
        try:
            self.add(name, process.pid)
        except CgroupError:
            if kill(process):
                raise
        return process

    def apply(self, name: str, limits: Limits) -> frozenset[str]:
        """Set all limits."""
        group = self._group(name)
        quota = "max"
        if limits.cpu_quota is not None:
            quota = str(max(1000, round(limits.cpu_quota * _PERIOD_US)))
        # An empty list means "whatever the parent has".
        pinned = tree.cpu_list(limits.pinned_cpus or frozenset())
        files = (
            ("cpu", "cpu.weight", limits.cpu_weight, str(limits.cpu_weight or 100)),
            ("cpu", "cpu.max", limits.cpu_quota, f"{quota} {_PERIOD_US}"),
            ("cpuset", "cpuset.cpus", limits.pinned_cpus, pinned),
            ("memory", "memory.max", limits.memory_bytes, _or_max(limits.memory_bytes)),
            ("pids", "pids.max", limits.pids, _or_max(limits.pids)),
        )
        lacking = set()
        for controller, file, wanted, text in files:
            if controller in self.controllers:
                tree.write(group / file, text or "\n")
            elif wanted is not None:
                lacking.add(controller)
        return frozenset(lacking)

    def usage(self, name: str) -> Usage | None:
        """Read what it used."""
        group = self._group(name)
        if not group.is_dir():
            return None
        spent_us = tree.counter(tree.read(group / "cpu.stat"), "usage_usec")
        memory = tree.read(group / "memory.current")
        tasks = tree.read(group / "pids.current")
        return Usage(
            cpu_s=None if spent_us is None else spent_us / 1e6,
            memory_bytes=int(memory) if memory else None,
            pids=int(tasks) if tasks else len(tree.pids_in(group)),
            oom_kills=tree.counter(tree.read(group / "memory.events"), "oom_kill") or 0,
        )

    def freeze(self, name: str) -> None:
        """Ask the kernel to stop every process of it."""
        tree.write(self._group(name) / "cgroup.freeze", "1")

    def thaw(self, name: str) -> None:
        """Let them run again."""
        tree.write(self._group(name) / "cgroup.freeze", "0")

    def is_frozen(self, name: str) -> bool:
        """Whether every process of it stands still."""
        return tree.counter(tree.read(self._group(name) / "cgroup.events"), "frozen") == 1

    def members(self, name: str) -> tuple[int, ...]:
        """Its pids."""
        return tree.pids_in(self._group(name))

    def names(self) -> tuple[str, ...]:
        """Groups under the prefix."""
        return tree.subgroups(self._base)

    def kill(self, name: str) -> None:
        """Send SIGKILL to every member at once, also to those being forked (Linux 5.14)."""
        group = self._group(name)
        if (group / "cgroup.kill").exists():
            tree.write(group / "cgroup.kill", "1")
        else:
            tree.kill_each(group)

    def remove(self, name: str) -> bool:
        """Remove the group."""
        return tree.remove_folder(self._group(name))


def _or_max(value: int | None) -> str:
    return "max" if value is None else str(value)
