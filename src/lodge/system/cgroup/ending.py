"""End a group for good: kill, wait, remove."""

from lodge.base.world import World
from lodge.system.cgroup.contract import Cgroups
from lodge.system.cgroup.errors import CgroupError

__all__ = ["clear"]

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.001, 0.1


async def clear(groups: Cgroups, name: str, world: World, *, timeout_s: float = 5.0) -> None:
    """Kill every member, wait until the group is empty, remove it; idempotent.

    Raises:
        CgroupError: a process is still there after ``timeout_s`` (it hangs in the kernel).
    """
    deadline = world.monotonic() + timeout_s
    pause_s = _FIRST_PAUSE_S
    while not groups.remove(name):
        groups.kill(name)
        if world.monotonic() > deadline:
            members = ", ".join(str(pid) for pid in groups.members(name))
            raise CgroupError(
                f"cgroup {name} still has processes after {timeout_s:g} s: {members or 'unknown'}",
                where=name,
            )
        await world.sleep(pause_s)
        pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)
